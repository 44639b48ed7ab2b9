"""The health check of the image says of a process what its `/healthz` says, and nothing where nobody answers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from small_world import the_law
from streams.live.web import STALL_SECONDS, WebServer
from streams.metrics.recorder import Recorder
from streams.simulator.broker import free_port

BOOK = the_law()
HEALTHCHECK = Path(__file__).parents[2] / "docker" / "healthcheck.py"


class Warming:
    """A worker that is not ready, with work in hand for so many seconds."""

    def __init__(self, stalled: float | None) -> None:
        self._stalled = stalled

    def missing(self) -> Sequence[str]:
        return ["the view of subjects"]

    def stalled_seconds(self) -> float | None:
        return self._stalled


async def checked(port: int, *, by_argument: bool = False) -> int:
    # As the image calls it: isolated, with the port from the settings; or as another process of ours is asked.
    given, setting = ([str(port)], free_port()) if by_argument else ([], port)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(HEALTHCHECK), *given, env=os.environ | {"CONSENTINEL_WEB_PORT": str(setting)}
    )
    return await process.wait()


async def checked_beside(health: Warming, *, by_argument: bool = False) -> int:
    server = WebServer(Recorder(CollectorRegistry(), BOOK, version="0.1.0", started_at=datetime.now(UTC)), health)
    await server.start()
    try:
        return await checked(server.port, by_argument=by_argument)
    finally:
        await server.stop()


@pytest.mark.parametrize(("stalled", "code"), [(None, 0), (STALL_SECONDS - 1, 0), (STALL_SECONDS + 1, 1)])
def test_a_worker_that_warms_up_is_healthy_and_one_that_is_stuck_is_not(stalled: float | None, code: int) -> None:
    assert asyncio.run(checked_beside(Warming(stalled))) == code


def test_another_process_is_asked_by_its_port() -> None:
    assert asyncio.run(checked_beside(Warming(None), by_argument=True)) == 0


def test_where_nobody_answers_nobody_is_healthy() -> None:
    assert asyncio.run(checked(free_port())) == 1
