"""The web pages over real HTTP: metrics, health, readiness, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import TopicName
from small_world import the_law
from streams.errors import ConfigurationError
from streams.live.web import WebServer
from streams.metrics.recorder import Recorder

REF = "s_Zm9vYmFyYmF6cXV4MTIzNA"


class Worker:
    """A worker's word on itself, as a test wants it."""

    def __init__(self) -> None:
        self.lacks: list[str] = []
        self.stalled: float | None = None
        self.breaks = False

    def missing(self) -> list[str]:
        if self.breaks:
            raise ValueError(REF)
        return self.lacks

    def stalled_seconds(self) -> float | None:
        return self.stalled


class Page(NamedTuple):
    """What came back."""

    status: int
    type: str
    headers: Any
    text: str
    json: Any


class Site:
    """A started server, a client, and what stands behind them."""

    def __init__(self, server: WebServer, worker: Worker, recorder: Recorder, client: aiohttp.ClientSession) -> None:
        self.server, self.worker, self.recorder, self._client = server, worker, recorder, client

    async def get(self, path: str, method: str = "GET", **headers: str) -> Page:
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self._client.request(method, url, headers=headers, allow_redirects=False) as answer:
            text = await answer.text()
            parsed = await answer.json() if answer.content_type == "application/json" and text else None
            return Page(answer.status, answer.content_type, answer.headers, text, parsed)


def visit(test: Callable[[Site], Awaitable[None]]) -> None:
    """Run a test against a server that listens on a free port."""

    async def run() -> None:
        worker = Worker()
        recorder = Recorder(CollectorRegistry(), the_law(), version="0", started_at=datetime.now(UTC))
        server = WebServer(recorder, worker, "127.0.0.1", 0, stall_seconds=60)
        await server.start()
        try:
            async with aiohttp.ClientSession() as client:
                await test(Site(server, worker, recorder, client))
        finally:
            await server.stop()

    asyncio.run(run())


def test_metrics_are_served_as_they_stand() -> None:
    async def test(site: Site) -> None:
        site.recorder.judged(TopicName.MATCHES, 12)
        page = await site.get("/metrics")
        assert (page.status, page.type) == (200, "text/plain")
        assert 'consentinel_events_total{outcome="judged",topic="matches"} 12.0' in page.text
        assert 'rule_id="cnpipl.art13.consent"' in page.text

    visit(test)


def test_a_scraper_that_asks_for_open_metrics_gets_it() -> None:
    async def test(site: Site) -> None:
        page = await site.get("/metrics", Accept="application/openmetrics-text; version=1.0.0, text/plain;q=0.1")
        assert page.type == "application/openmetrics-text"
        assert page.text.endswith("# EOF\n")
        odd = await site.get("/metrics", Accept="application/openmetrics-text; version=zero")
        assert odd.status == 200

    visit(test)


def test_a_worker_without_work_is_alive() -> None:
    async def test(site: Site) -> None:
        page = await site.get("/healthz")
        assert (page.status, page.json) == (200, {"alive": True, "stalled_seconds": None})

    visit(test)


@pytest.mark.parametrize(("stalled", "status"), [(0.0, 200), (60.0, 200), (60.1, 503), (3_600.0, 503)])
def test_a_worker_whose_work_is_stuck_is_not_alive(stalled: float, status: int) -> None:
    async def test(site: Site) -> None:
        site.worker.stalled = stalled
        page = await site.get("/healthz")
        assert (page.status, page.json) == (status, {"alive": status == 200, "stalled_seconds": stalled})

    visit(test)


def test_a_worker_is_ready_when_nothing_is_missing_and_until_then_says_what_is() -> None:
    async def test(site: Site) -> None:
        site.worker.lacks = ["subjects: 1200 of 5000 records", f"feed {REF}"]
        page = await site.get("/readyz")
        assert page.status == 503
        assert page.json == {"ready": False, "missing": ["subjects: 1200 of 5000 records", "feed s_…"]}
        site.worker.lacks = []
        page = await site.get("/readyz")
        assert (page.status, page.json) == (200, {"ready": True, "missing": []})

    visit(test)


def test_a_worker_that_is_warming_is_alive() -> None:
    async def test(site: Site) -> None:
        site.worker.lacks = ["registry: 0 of 10 records"]
        assert (await site.get("/healthz")).status == 200

    visit(test)


@pytest.mark.parametrize("path", ["/", "/metrics/", "/table/", "/router", "/graph", "/healthz/x", "//metrics"])
def test_nothing_else_is_served(path: str) -> None:
    async def test(site: Site) -> None:
        assert (await site.get(path)).status == 404

    visit(test)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_written(method: str) -> None:
    async def test(site: Site) -> None:
        assert (await site.get("/metrics", method)).status == 405

    visit(test)


def test_a_probe_may_ask_for_the_head_alone() -> None:
    async def test(site: Site) -> None:
        page = await site.get("/healthz", "HEAD")
        assert (page.status, page.text) == (200, "")

    visit(test)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/nothing"])
def test_no_page_is_kept_and_none_says_what_serves_it(path: str) -> None:
    async def test(site: Site) -> None:
        headers = (await site.get(path)).headers
        assert headers["Server"] == "consentinel"
        assert headers["Cache-Control"] == "no-store"

    visit(test)


def test_a_worker_that_cannot_answer_shows_nothing_of_why() -> None:
    async def test(site: Site) -> None:
        site.worker.breaks = True
        page = await site.get("/readyz")
        assert page.status == 500
        assert REF not in page.text
        assert (await site.get("/healthz")).status == 200

    visit(test)


def test_a_port_that_is_taken_is_a_configuration_error_and_leaves_nothing_behind() -> None:
    async def test(site: Site) -> None:
        second = WebServer(site.recorder, site.worker, "127.0.0.1", site.server.port)
        with pytest.raises(ConfigurationError, match=f"cannot serve 127.0.0.1:{site.server.port}"):
            await second.start()
        await second.stop()

    visit(test)


def test_an_address_that_is_not_ours_is_a_configuration_error() -> None:
    async def test(site: Site) -> None:
        second = WebServer(site.recorder, site.worker, "192.0.2.1", 0)
        with pytest.raises(ConfigurationError, match=r"cannot serve 192\.0\.2\.1:0"):
            await second.start()

    visit(test)


def test_after_a_stop_nobody_listens() -> None:
    async def test(site: Site) -> None:
        await site.get("/healthz")
        await site.server.stop()
        await site.server.stop()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", site.server.port), timeout=5).close()

    visit(test)
