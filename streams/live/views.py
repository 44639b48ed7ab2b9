"""The views of a worker: the registry, and the persons whose hash falls on its partitions, read from their logs.

Rules:
1. Every worker reads all of `registry` and all of `subjects`, from the beginning, in no group; what the views say is a
   pure function of the logs up to their frontier.
2. A partition is warm when the ends of both logs, as they were when it was taken over, have been applied, and when its
   reader has come as far as the heartbeats that count already.
3. A heartbeat about persons counts only once everything written to `subjects` before it has been applied: the two logs
   are read apart, and a heartbeat that overtakes the records it vouches for would make them look absent.
4. An unreadable record makes its key unknown until a readable one of that key comes; one without a key is counted,
   and pages.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from math import inf
from time import monotonic, time
from typing import get_args

from schemas.contract import ContractError
from schemas.registry import REGISTRY, FeedRecord, RegistryRecord
from schemas.topics import TopicName
from schemas.vocabulary import SubjectKind
from streams.core.arrival import Arrival, Arrivals
from streams.core.case import SKEW, Views
from streams.core.chamber import Chamber
from streams.core.claim import Asked, Claims
from streams.core.expiry import Expiry, expiries
from streams.core.instant import NEVER, micros
from streams.core.registry import owner_of
from streams.core.watch import Post, Site, posts, sites
from streams.live.judging_thread import JudgingThread
from streams.live.log_reader import LogReader
from streams.live.persons import Persons, text_of
from streams.live.run import LogRecord
from streams.metrics.recorder import Recorder

VOUCH_SECONDS = 0.05
SUBJECT_KINDS: frozenset[str] = frozenset(get_args(SubjectKind))
PENDING_MAX = 30_000
"""Records read and not yet applied; beyond it the reader waits, so that a rebuild cannot fill the memory. A worker that
is warm never has so many: the loop that waits is the one that answers the broker."""


class SubjectReader:
    """Reads all of `subjects` for a set of partitions, which only shrinks."""

    def __init__(self, reader: LogReader, partitions: set[int]) -> None:
        self.reader = reader
        self.partitions = partitions
        self.warm = asyncio.Event()
        self.counts = False
        """Whether heartbeats wait for it: not while it is far from the end of the log."""


class LiveViews:
    """The views of one worker; `of(partition)` is what a case of that partition is judged by."""

    def __init__(
        self,
        *,
        new_reader: Callable[[TopicName], LogReader],
        partitions: int,
        thread: JudgingThread,
        recorder: Recorder,
        on_failure: Callable[[BaseException], None],
        asked: Asked | None = None,
        skew: int = SKEW,
        arrivals_since: int = -NEVER,
    ) -> None:
        """`asked` names the fields of subject records that duties ask, by kind; `skew` is that of the clocks.

        Of records that the broker took before `arrivals_since` nobody asks when they came.
        """
        self._new_reader = new_reader
        self._thread = thread
        self._recorder = recorder
        self._on_failure = on_failure
        self._shared = Views(skew=skew, arrivals=Arrivals(arrivals_since))
        self._persons = Persons(self._shared, Claims(asked), partitions=partitions, recorder=recorder)
        self._subjects: list[SubjectReader] = []
        self._registry = new_reader(TopicName.REGISTRY)
        self._registry_warm = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: dict[Future[None], int] = {}
        self._heartbeats: list[tuple[float, FeedRecord]] = []
        self._vouched = -inf
        """Up to when heartbeats that came count already; by the monotonic clock."""

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read the registry."""
        self._watch(self._read(self._registry, self._apply_registry))
        self._watch(self._warm_up(self._registry, self._registry_warm))
        self._watch(self._vouch_for_ever())

    async def stop(self) -> None:
        """Stop reading; the views stay as they are."""
        readers = [self._registry, *(each.reader for each in self._subjects)]
        await asyncio.gather(*(reader.stop() for reader in readers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def keep(self, partitions: set[int]) -> None:
        """Know the persons of these partitions, and of no others; those known already are not read again."""
        known = {each for reader in self._subjects for each in reader.partitions}
        for lost in known - partitions:
            self._thread.hand(self._persons.forget, lost)
        for reader in self._subjects:
            reader.partitions &= partitions
            if not reader.partitions:
                await reader.reader.stop()
        self._subjects = [reader for reader in self._subjects if reader.partitions]
        if new := partitions - known:
            await self._thread.run(self._persons.begin, new)
            reader = SubjectReader(self._new_reader(TopicName.SUBJECTS), set(new))
            self._subjects.append(reader)
            self._watch(self._read(reader.reader, lambda *batch: self._apply_subjects(reader, *batch)))
            self._watch(self._warm_up_subjects(reader))

    async def warm(self, partition: int) -> None:
        """Return once the views are warm for a partition."""
        await self._registry_warm.wait()
        for reader in self._subjects:
            if partition in reader.partitions:
                await reader.warm.wait()

    def attach(self, partition: int, chamber: Chamber) -> None:
        """Tell a chamber what changes for its cases. For the judging thread."""
        self._persons.attach(partition, chamber)

    def detach(self, partition: int, chamber: Chamber) -> None:
        """Tell a chamber nothing more. For the judging thread."""
        self._persons.detach(partition, chamber)

    async def heard(self) -> int:
        """Up to which instant (microseconds) both logs are read, and count; `-NEVER` before they ever were."""
        subjects = self._subjects_read()
        read = min(self._registry.reached_end_at or -inf, subjects)
        pending = await self._thread.run(self._hear, subjects)
        age = monotonic() - min(read, pending)
        return -NEVER if age == inf else round((time() - age) * 1e6)

    def of(self, partition: int) -> Views | None:
        """What is known for cases of a partition; None once it was given away. For the judging thread."""
        return self._persons.of(partition)

    # -- what others ask ----------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """What must still be read before everything owned is warm, in words; empty when nothing is."""
        readers = [(self._registry, self._registry_warm), *((each.reader, each.warm) for each in self._subjects)]
        return [self._behind(reader) for reader, warm in readers if not warm.is_set()]

    def readers(self) -> Mapping[TopicName, list[LogReader]]:
        """Every reader by its log, for the metrics of lag and freshness."""
        return {TopicName.REGISTRY: [self._registry], TopicName.SUBJECTS: [each.reader for each in self._subjects]}

    async def feeds_behind(self, now: float) -> dict[str, float]:
        """For how many seconds each feed has broken its promise, by id; 0 for one that keeps it."""
        behind = await self._thread.run(self._shared.registry.feeds.behind, round(now * 1e6))
        return {feed: micros / 1e6 for feed, micros in behind.items()}

    async def expiries(self, now: float) -> list[Expiry]:
        """How near every exception and authority is to its end."""
        return await self._thread.run(expiries, self._shared.registry, round(now * 1e6))

    async def premises(self, now: float) -> tuple[list[Site], list[Post]]:
        """The sites and devices of the registry whose records are in force."""
        registry, instant = self._shared.registry, round(now * 1e6)
        return await self._thread.run(lambda: (list(sites(registry, instant)), list(posts(registry, instant))))

    async def count_expired(self, now: float) -> None:
        """Count the consents that ran out since this was asked, of the persons that are known to their end."""
        warm = {partition for each in self._subjects if each.warm.is_set() for partition in each.partitions}
        await self._thread.run(self._persons.count_expired, warm, round(now * 1e6))

    # -- reading ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _behind(reader: LogReader) -> str:
        behind = reader.behind
        return f"{reader.topic}: " + ("the broker was not reached" if behind is None else f"{behind} records behind")

    def _watch(self, work: asyncio.Future[None] | object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]  # a coroutine of ours
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    @staticmethod
    async def _read(reader: LogReader, apply: Callable[[str, int, Sequence[LogRecord]], None]) -> None:
        await reader.run(apply)

    async def _warm_up(self, reader: LogReader, warm: asyncio.Event) -> None:
        await reader.caught_up.wait()
        await self._thread.run(lambda: None)  # what was read before is applied before
        gc.freeze()  # what a view holds lives as long as the worker; looking through it again and again costs a third
        warm.set()

    async def _warm_up_subjects(self, subjects: SubjectReader) -> None:
        """Warm a reader up; at its end it catches up with the heartbeats that count already, and they wait for it."""
        await subjects.reader.caught_up.wait()
        subjects.counts = True
        while (subjects.reader.reached_end_at or -inf) < self._vouched:  # noqa: ASYNC110 -- a clock has no event
            await asyncio.sleep(VOUCH_SECONDS)
        for partition in sorted(subjects.partitions):
            while await self._thread.run(self._persons.settle, partition):
                pass
        await self._warm_up(subjects.reader, subjects.warm)

    def _queue(self, work: Callable[[Sequence[LogRecord]], None], records: Sequence[LogRecord]) -> None:
        """Hand a batch to the judging thread; wait for it only when too many are pending."""
        future = self._thread.hand(work, records)
        self._pending[future] = len(records)
        future.add_done_callback(self._applied)
        if sum(list(self._pending.values())) > PENDING_MAX:
            future.result()

    def _applied(self, future: Future[None]) -> None:
        self._pending.pop(future, None)
        if not future.cancelled() and (error := future.exception()) is not None:
            self._on_failure(error)

    async def _vouch_for_ever(self) -> None:
        """Let heartbeats about persons count as soon as `subjects` was read to its end after they came."""
        while True:
            await asyncio.sleep(VOUCH_SECONDS)
            if self._heartbeats:
                await self._thread.run(self._count_heartbeats, self._subjects_read())

    def _subjects_read(self) -> float:
        """Up to when `subjects` was read for every partition that is judged, or about to be; now, where none is."""
        ends = [each.reader.reached_end_at for each in self._subjects if each.counts]
        nobody = -inf if self._subjects else monotonic()
        read = min((-inf if end is None else end for end in ends), default=nobody)
        self._vouched = max(self._vouched, read)
        return read

    # -- in the judging thread ----------------------------------------------------------------------------------------

    def _count_heartbeats(self, until: float) -> None:
        """Let the heartbeats count that came before `until`, up to which `subjects` was read."""
        for came, heartbeat in self._heartbeats:
            if came <= until:
                self._shared.registry.add(heartbeat)
        self._heartbeats = [each for each in self._heartbeats if each[0] > until]

    def _hear(self, read: float) -> float:
        """When the first heartbeat came that does not count yet."""
        self._count_heartbeats(read)
        return min((came for came, _ in self._heartbeats), default=inf)

    def _apply_registry(self, _topic: str, _partition: int, records: Sequence[LogRecord]) -> None:
        came = monotonic()
        self._queue(lambda batch: self._take_registry(batch, came), records)

    def _take_registry(self, records: Sequence[LogRecord], came: float) -> None:
        registry = self._shared.registry
        for record in records:
            try:
                read = REGISTRY.read(record.value or b"")
                if isinstance(read, FeedRecord) and not SUBJECT_KINDS.isdisjoint(read.covers):
                    self._heartbeats.append((came, read))
                else:
                    self._add_registry(read, record.timestamp * 1_000)
            except ContractError:
                key = text_of(record.key)
                self._recorder.unreadable(TopicName.REGISTRY, keyed=key is not None)
                if key is not None:
                    registry.mark_unreadable(key)
                    kind, _, thing = key.partition("/")
                    self._tell_all(kind, thing, -NEVER, None)

    def _add_registry(self, record: RegistryRecord, recorded_at: int) -> None:
        since = self._shared.registry.add(record, recorded_at)
        if since is not None:
            # Each kind has its own literal, and an id.
            kind, thing = record.kind, record.id  # type: ignore[attr-defined]
            arrival = Arrival(record.record_id, kind, owner_of(record), micros(record.valid_from), recorded_at)
            self._tell_all(kind, thing, since, self._persons.arrived(arrival))

    def _tell_all(self, kind: str, thing: str, since: int, arrival: Arrival | None) -> None:
        beyond = [chamber.thing_changed(kind, thing, since, arrival) for chamber in self._persons.chambers()]
        self._recorder.deferred(any(beyond))

    def _apply_subjects(
        self, reader: SubjectReader, _topic: str, _partition: int, records: Sequence[LogRecord]
    ) -> None:
        live = reader.warm.is_set()
        self._queue(lambda batch: self._persons.take(reader.partitions, batch, live=live), records)
