"""A lane: what is to be told to one receiver, sent in order, tried again, and recorded.

Rules:
1. Each receiver has a lane of its own: one that is away holds up no other.
2. `done` moves only when everything up to it was delivered, or its failure was recorded. Whoever commits offsets
   commits the lowest of all lanes.
3. A receiver that keeps failing is given up after a while; from then on each posting has one try, until one arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import aiohttp
import stamina
import structlog

from schemas.notification import Notification
from streams.alerting.posting import Destination, Posting, recorded
from streams.alerting.request import BusyError, ReceiverError, UnreachableError, send
from streams.metrics.alert_recorder import AlertRecorder
from streams.metrics.catalogue import NotificationResult

ROUND_SECONDS = 0.5
"""Between two rounds: what comes in a burst goes out in one posting, and a page waits no longer than this."""
FIRST_BACKOFF_SECONDS = 0.5
LAST_BACKOFF_SECONDS = 30.0
JITTER_SECONDS = 1.0

Frontier = Mapping[int, int]
"""The next offset of each partition."""
Record = Callable[[Sequence[Notification]], Awaitable[None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a lane needs of the world: a client, the clock (seconds since 1970), where it is recorded."""

    session: aiohttp.ClientSession
    clock: Callable[[], float]
    record: Record
    recorder: AlertRecorder
    frontier: Callable[[], Frontier]
    """Up to where the log of violations was folded, and so told to every destination."""
    give_up_seconds: float


class Lane:
    """Sends what one destination has to tell, until it is cancelled."""

    def __init__(self, destination: Destination, around: Surroundings) -> None:
        self.destination = destination
        self.done: Frontier = {}
        self.progress_at = around.clock()
        self._around = around
        self._failing_since: float | None = None

    async def run(self) -> None:
        """Send round after round."""
        while True:
            await self.round()
            await asyncio.sleep(ROUND_SECONDS if self._failing_since is None else LAST_BACKOFF_SECONDS)

    async def round(self) -> None:
        """Send what is to be sent now; then everything folded before is told, unless some of it is kept back."""
        upto = self._around.frontier()
        now = self._around.clock()
        current = self.destination.take(now)
        self.progress_at = now
        for posting in current.postings:
            await self._deliver(posting)
        if current.whole:
            self.done = upto

    async def _deliver(self, posting: Posting) -> None:
        """Send one posting, and record how it ended."""
        around, name = self._around, self.destination.name
        failure: Literal["unreachable", "busy", "refused"] | None = None
        status = None
        try:
            await self._try(posting)
            self._failing_since = None
        except ReceiverError as error:
            failure, status = _failure(error), error.status
            if error.retry and self._failing_since is None:
                self._failing_since = around.clock()
            log.warning("notification_failed", receiver=name, failure=failure, status=status)
        # What failed before and fails again is on record already.
        told = [notice for notice in posting.notices if failure is None or not notice.again]
        await around.record([recorded(notice, name, failure, status) for notice in told])
        result = NotificationResult.DELIVERED if failure is None else NotificationResult.FAILED
        around.recorder.notified(name, result, len(told))
        if failure is None:
            now = around.clock()
            around.recorder.since_recorded([now - at for at in posting.recorded_at])
        else:
            self.destination.lost(posting)

    async def _try(self, posting: Posting) -> None:
        """Send until it is taken; raises the last ReceiverError when patience is over or nothing would help."""
        around, destination = self._around, self.destination
        once = self._failing_since is not None
        async for attempt in stamina.retry_context(
            on=self._backoff,
            attempts=1 if once else None,
            timeout=around.give_up_seconds,
            wait_initial=FIRST_BACKOFF_SECONDS,
            wait_max=LAST_BACKOFF_SECONDS,
            wait_jitter=JITTER_SECONDS,
        ):
            with attempt:
                now = around.clock()
                self.progress_at = now
                headers = destination.headers(posting, now)
                await send(around.session, posting, headers, name=destination.name, now=now)

    def _backoff(self, error: Exception) -> bool | float:
        """Whether to try again, and after how many seconds where the receiver says so."""
        if not isinstance(error, ReceiverError):
            return False
        self._around.recorder.failed_try(self.destination.name)
        if isinstance(error, BusyError) and error.retry_after is not None:
            self.progress_at = self._around.clock() + error.retry_after
            return error.retry_after
        return error.retry


def _failure(error: ReceiverError) -> Literal["unreachable", "busy", "refused"]:
    if isinstance(error, UnreachableError):
        return "unreachable"
    return "busy" if isinstance(error, BusyError) else "refused"
