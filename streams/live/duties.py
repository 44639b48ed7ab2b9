"""Duties of the worker: deadlines and windows, looked at once a second for the partitions whose keys it owns.

Rules:
1. One docket a partition; it lives in the judging thread beside the views it looks at, and dies with the assignment.
2. A docket is rebuilt from the logs: what cases were entered and what was said before. Until both are read to the ends
   that they had, nothing is said.
3. What late records and cases undo is taken back, as `streams.core.docket` says.
4. First the violation, then the memory of it: a crash in between says it again, byte for byte, under the same id.
5. Time is the broker's: nothing is said to be missing by an instant up to which not everything here was judged. What
   another worker has not judged yet is not waited for; a case that it enters later may contest a breach.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from time import time

import structlog

from schemas.contract import ContractError
from schemas.tally import TALLY
from schemas.topics import TopicName
from schemas.verdict import OBLIGATION
from streams.core.case_book import CORRECTABLE
from streams.core.docket import Docket
from streams.core.holder import Standing
from streams.core.obligation import Obligation, Status
from streams.core.partition import partition_of
from streams.core.violation import violation_of
from streams.live.docket_log import breaches, enter, memories, remember, stored_tallies
from streams.live.judging_thread import JudgingThread
from streams.live.log_reader import LogReader
from streams.live.outbox import Outbox, Outgoing
from streams.live.plan import Plan
from streams.live.run import LogRecord
from streams.live.views import LiveViews
from streams.metrics.recorder import Recorder

LOOK_SECONDS = 1.0
"""How often is looked whether a deadline has passed."""
HOLDERS_MAX = 2_000
"""Persons or controllers looked at in one go: a tenth of a second in which no batch is judged."""

log = structlog.get_logger(__name__)


class DutyReader:
    """Reads `tallies` and `obligations` for a set of partitions, which only shrinks."""

    def __init__(self, readers: Sequence[LogReader], partitions: set[int]) -> None:
        self.readers = readers
        self.partitions = partitions

    @property
    def warm(self) -> bool:
        """Whether both logs were read to the ends that they had."""
        return all(reader.caught_up.is_set() for reader in self.readers)

    async def stop(self) -> None:
        """Stop reading."""
        await asyncio.gather(*(reader.stop() for reader in self.readers))


class Duties:
    """All dockets of one worker."""

    def __init__(
        self,
        *,
        plan: Plan,
        new_reader: Callable[[TopicName], LogReader],
        views: LiveViews,
        thread: JudgingThread,
        outbox: Outbox,
        recorder: Recorder,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._rulebook = plan.rulebook
        self._names = plan.names
        self._count = plan.partitions
        self._hold_seconds = plan.hold_seconds
        self._correctable = max(CORRECTABLE, round(2e6 * plan.memory_seconds))
        self._new_reader = new_reader
        self._views = views
        self._thread = thread
        self._outbox = outbox
        self._recorder = recorder
        self._on_failure = on_failure
        self._dockets: dict[int, Docket] = {}
        self._readers: list[DutyReader] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def keep(self, partitions: set[int]) -> None:
        """Look after the keys of these partitions, and of no others."""
        if not self._rulebook.duties:
            return
        known = {each for reader in self._readers for each in reader.partitions}
        for lost in known - partitions:
            self._thread.hand(self._dockets.pop, lost, None)
        for reader in self._readers:
            reader.partitions &= partitions
            if not reader.partitions:
                await reader.stop()
        self._readers = [reader for reader in self._readers if reader.partitions]
        if new := partitions - known:
            await self._thread.run(self._begin, new)
            tallies, obligations = self._new_reader(TopicName.TALLIES), self._new_reader(TopicName.OBLIGATIONS)
            reader = DutyReader((tallies, obligations), set(new))
            self._readers.append(reader)
            self._watch(tallies.run(partial(self._apply, reader, self._take_tallies)))
            self._watch(obligations.run(partial(self._apply, reader, self._take_statements)))

    async def stop(self) -> None:
        """Stop reading; nothing more is said."""
        await asyncio.gather(*(reader.stop() for reader in self._readers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def missing(self) -> list[str]:
        """What must still be read before duties are looked at, in words."""
        behind = [each for reader in self._readers if not reader.warm for each in reader.readers]
        return [f"{each.topic}: not read to its end" for each in behind if not each.caught_up.is_set()]

    async def look_for_ever(self, judged_until: Callable[[float], float | None]) -> None:
        """Look at every docket about once a second, as far as `judged_until` and the hold allow."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            until = judged_until(time())
            for reader in list(self._readers) if until is not None else ():
                for owned in sorted(reader.partitions) if reader.warm else ():
                    await self._views.warm(owned)
                    assert until is not None, "looked at only where it is known"
                    await self._look(owned, round((until - self._hold_seconds) * 1e6))
            await self._thread.run(self._gauge)

    async def _look(self, owned: int, until: int) -> None:
        """Say what has changed with the keys of one partition, in pieces that let batches through."""
        busy = True
        while busy and owned in self._dockets:
            found, tallies, busy = await self._thread.run(self._settle, owned, until)
            await self._outbox.deliver([*tallies, *breaches(found, owned, self._names)])
            await self._outbox.deliver(list(memories(found, owned, self._names)))
            if found:
                await self._thread.run(self._record, found)

    def _watch(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    def _apply(
        self,
        reader: DutyReader,
        take: Callable[[int, Sequence[LogRecord]], None],
        _topic: str,
        read: int,
        records: Sequence[LogRecord],
    ) -> None:
        if read in reader.partitions:
            self._thread.hand(take, read, records).add_done_callback(self._applied)

    def _applied(self, future: Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._on_failure(error)

    # -- in the judging thread ----------------------------------------------------------------------------------------

    def _begin(self, partitions: set[int]) -> None:
        for owned in partitions:
            views = self._views.of(owned)
            assert views is not None, "a docket is opened for a partition whose persons are known"
            mine = partial(self._owns, owned)
            known = (views.registry, views.histories, mine, views.arrivals)
            self._dockets[owned] = Docket(self._rulebook, *known, correctable=self._correctable)

    def _owns(self, owned: int, controller_id: str) -> bool:
        return partition_of(controller_id, self._count) == owned

    def _take_tallies(self, read: int, records: Sequence[LogRecord]) -> None:
        docket = self._dockets.get(read)
        for record in records if docket is not None else ():
            try:
                tally = TALLY.read(record.value or b"")
            except ContractError:
                self._recorder.unreadable(TopicName.TALLIES, keyed=record.key is not None)
                continue
            assert docket is not None, "there is one where records are looked at"
            enter(docket, read, tally)

    def _take_statements(self, read: int, records: Sequence[LogRecord]) -> None:
        docket = self._dockets.get(read)
        for record in records if docket is not None else ():
            try:
                statement = OBLIGATION.read(record.value or b"")
            except ContractError:
                self._recorder.unreadable(TopicName.OBLIGATIONS, keyed=record.key is not None)
                continue
            assert docket is not None, "there is one where records are looked at"
            remember(docket, statement)

    def _settle(self, owned: int, until: int) -> tuple[list[Standing], list[Outgoing], bool]:
        docket = self._dockets.get(owned)
        if docket is None:
            return [], [], False
        found = docket.settle(until, HOLDERS_MAX)
        # A count that is still being made would take back what a whole one has said.
        whole = not docket.counting
        tallies = list(stored_tallies(docket, owned, self._names, self._count)) if whole else []
        return found, tallies, docket.busy

    def _record(self, found: Sequence[Standing]) -> None:
        """Count what the broker has acknowledged."""
        for standing in found:
            if isinstance(standing, Obligation):
                self._recorder.obligation(standing.rule, standing.status.value)
            if standing.status is Status.BREACHED or standing.undone is not None:
                first = standing.undone is None and not standing.again
                self._recorder.told(standing.rule, violation_of(standing), first=first)

    def _gauge(self) -> None:
        """Tell of how many duties and windows nothing can be said, and why."""
        found: Counter[tuple[str, str]] = Counter()
        for docket in self._dockets.values():
            found.update((each.rule.id, each.why.value) for each in docket.undetermined() if each.why is not None)
        self._recorder.pending(found)
