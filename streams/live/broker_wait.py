"""Waiting for the broker: a worker that finds none says so on its pages and in its journal, and asks again for ever.

Rules:
1. Only an absent broker is waited for; topics that are missing or wrong are the operator's, and end the worker.
2. The pages are those of the worker: alive, not ready, and every series at zero.
3. Nothing was taken yet, so an order to end is obeyed at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import structlog

from streams.errors import DeliveryError
from streams.live.topic_admin import partition_count
from streams.live.web import Exposed, WebServer
from streams.settings import Settings

GRACE_SECONDS = 2.0
"""A broker that answers in this time is not told of: the worker's own pages come at once."""
FIRST_BACKOFF_SECONDS = 0.5
LAST_BACKOFF_SECONDS = 5.0

log = structlog.get_logger(__name__)


class WithoutBroker:
    """What a worker says of itself that has not found its broker."""

    def missing(self) -> Sequence[str]:
        """The one thing that is missing."""
        return ["the broker: not reached"]

    def stalled_seconds(self) -> float | None:
        """Nothing is in hand."""
        return None


def partitions_of_broker(settings: Settings, recorder: Exposed) -> int:
    """How many partitions `matches` has, once the broker answers; raises ConfigurationError as `partition_count` does.

    While it waits, the pages of the settings are served with what `recorder` says.
    """
    # Not `asyncio.run`: it would leave the thread without a loop, and Faust takes the loop it finds.
    loop = asyncio.new_event_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _leave)
    try:
        return loop.run_until_complete(_ask(settings, recorder))
    finally:
        loop.close()


async def _ask(settings: Settings, recorder: Exposed) -> int:
    web = WebServer(recorder, WithoutBroker(), host=settings.web_host, port=settings.web_port)
    backoff, served = FIRST_BACKOFF_SECONDS, False
    try:
        while True:
            question = asyncio.create_task(asyncio.to_thread(partition_count, settings))
            await asyncio.wait([question], timeout=GRACE_SECONDS)
            if not question.done() and not served:
                await web.start()
                served = True
            try:
                return await question
            except DeliveryError as error:
                log.warning("broker_not_reached", message=str(error), retry_in_seconds=backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
    finally:
        await web.stop()


def _leave() -> None:
    # A question to the broker may be on its way in a thread that cannot be stopped; nobody waits for its answer.
    log.info("worker_ended", without="a broker")
    os._exit(0)
