"""The web pages of a worker, or of the alerts process: `/metrics`, `/healthz` and `/readyz`, and nothing else.

Rules:
1. Nothing is served that a stranger may not see: no table, no record, no setting, no person.
2. Alive means that the event loop answers and that work in hand is not stuck; a worker without work is alive.
3. Ready means that the views are warm; until then `/readyz` says what is missing, with 503.
4. Answers are made on the worker's own event loop: a worker that cannot answer is not alive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web

from streams.core.discretion import discreet
from streams.errors import ConfigurationError

STALL_SECONDS = 60.0
"""Work in hand that does not come through for so long counts as stuck."""
STOP_SECONDS = 1.0
"""How long a scrape in flight may keep a worker from stopping."""
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Server": "consentinel",
    "X-Content-Type-Options": "nosniff",
}


class Health(Protocol):
    """What the worker says of itself."""

    def missing(self) -> Sequence[str]:
        """What keeps the worker from judging, a sentence each; empty when it is ready."""

    def stalled_seconds(self) -> float | None:
        """For how many seconds work in hand has not come through; None while nothing waits."""


class Exposed(Protocol):
    """What has metrics to show."""

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in the format that an `Accept` header asks for."""


class WebServer:
    """The server; `port` 0 takes a free one, and `port` tells which once it was started."""

    def __init__(
        self,
        recorder: Exposed,
        health: Health,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._recorder = recorder
        self._health = health
        self._host = host
        self._port = port
        self._stall_seconds = stall_seconds
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is served; before the start, the one that was asked for."""
        return self._port

    async def start(self) -> None:
        """Listen; raises ConfigurationError when the address is not ours to listen on."""
        assert self._runner is None, "a server is started once"
        application = web.Application(client_max_size=1_024)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._ready)
        application.on_response_prepare.append(_no_trace)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            reason = error.strerror or "unusable"
            raise ConfigurationError(
                f"cannot serve {self._host}:{self._port} ({reason}): choose another port"
            ) from error
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port; safe to call twice, and before a start."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._recorder.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _alive(self, _request: web.Request) -> web.Response:
        stalled = self._health.stalled_seconds()
        alive = stalled is None or stalled <= self._stall_seconds
        return _answer(alive, {"alive": alive, "stalled_seconds": None if stalled is None else round(stalled, 3)})

    async def _ready(self, _request: web.Request) -> web.Response:
        missing = [discreet(each) for each in self._health.missing()]
        return _answer(not missing, {"ready": not missing, "missing": missing})


async def _no_trace(_request: web.Request, response: web.StreamResponse) -> None:
    # Also on the pages that aiohttp makes for what is not there; its own name and version help only an intruder.
    response.headers.update(HEADERS)


def _answer(good: bool, body: Mapping[str, object]) -> web.Response:
    return web.Response(
        text=json.dumps(body, ensure_ascii=False) + "\n", status=200 if good else 503, content_type="application/json"
    )
