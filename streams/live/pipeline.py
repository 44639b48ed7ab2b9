"""The pipeline: from a run of records to acknowledged violations and a committed offset, a task a partition.

Rules:
1. decode -> forward -> wait for heartbeats in flight -> assemble and judge -> deliver -> only then commit. A crash
   before the last step repeats the batch, and the repeat is byte-identical.
2. A partition is opened when the views are warm for it; others go on meanwhile.
3. A revocation cancels the partition's task; after it nothing of the old generation is delivered or committed.
4. Nothing is swallowed: an error that waiting mends is tried again, any other ends the process before it commits.

Until single cases are held (docs/decisions/0007-a-batch-waits-for-heartbeats.md), a whole batch waits for the
heartbeats that would settle it, at most `hold_seconds` after it was recorded. Receipts belong between `deliver` and
`finished`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from math import inf
from time import monotonic, time
from typing import Protocol, TypeVar

import polars as pl
import structlog
from faust.types import TP

from schemas.topics import TopicName
from streams.core.blind_spot import BlindSpots
from streams.core.case import KINDS
from streams.errors import DeliveryError
from streams.live.batch import Batch, Judged, judge_batch, open_batch, span
from streams.live.duties import Duties
from streams.live.judging_thread import JudgingThread
from streams.live.outbox import Outbox
from streams.live.plan import Plan
from streams.live.run import Run
from streams.live.views import LiveViews
from streams.metrics.catalogue import CommitResult, Lane
from streams.metrics.recorder import Recorder, Stage

HEARTBEAT_POLL_SECONDS = 0.05
FINISH_SECONDS = 5.0
"""How long a worker that is told to end may work on: well within the ten seconds that a supervisor usually grants."""
HEARTBEAT_KINDS = tuple(sorted({kind for kinds in KINDS.values() for kind in kinds}))

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class Offsets(Protocol):
    """The consumer's side of the pipeline: what `streams.live.transport.RunConsumer` offers."""

    @property
    def generation(self) -> int | None:
        """The generation of the present assignment."""

    def open(self, tp: TP, *, generation: int | None = None) -> bool:
        """Let a cold partition flow."""

    def release(self, run: Run) -> bool:
        """Give back the place of a finished run."""

    async def commit_next(self, offsets: dict[TP, int], *, generation: int | None = None) -> bool:
        """Commit next offsets; False when refused."""


@dataclass(slots=True)
class Share:
    """One owned partition: its queue, its task, and how far it is finished and committed."""

    tp: TP
    generation: int
    queue: asyncio.Queue[Run]
    task: asyncio.Task[None] | None = None
    finished: int | None = None
    recorded: float | None = None
    """When the broker took the last record that is finished, in seconds since 1970."""
    committed: int | None = None
    warm: bool = False
    at_work: bool = False
    leaving: bool = False


class Pipeline:
    """All shares of one worker."""

    def __init__(
        self,
        *,
        plan: Plan,
        views: LiveViews,
        duties: Duties | None = None,
        thread: JudgingThread,
        outbox: Outbox,
        recorder: Recorder,
        consumer: Callable[[], Offsets],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._plan = plan
        self._views = views
        self._duties = duties
        self._thread = thread
        self._outbox = outbox
        self._recorder = recorder
        self._consumer = consumer
        self._on_failure = on_failure
        self._shares: dict[TP, Share] = {}
        self._topics = {plan.names[name]: name for name in (TopicName.MATCHES, TopicName.ENCOUNTERS)}
        self._blind_spots = BlindSpots()
        self.progress_at = monotonic()

    # -- what the worker calls ----------------------------------------------------------------------------------------

    async def assigned(self, tps: Iterable[TP]) -> None:
        """Take over partitions: know their persons, and judge each once it is warm."""
        owned = {tp for tp in tps if tp.topic in self._topics}
        generation = self._consumer().generation
        await self._views.keep({tp.partition for tp in owned})
        if self._duties is not None:
            # The partitions of `matches`: whoever owns one answers for the keys whose hash falls on it.
            matches = self._plan.names[TopicName.MATCHES]
            await self._duties.keep({tp.partition for tp in owned if tp.topic == matches})
        if generation is None:
            return
        for tp in sorted(owned):
            share = Share(tp, generation, asyncio.Queue())
            self._shares[tp] = share
            share.task = asyncio.create_task(self._work(share), name=f"{tp.topic}/{tp.partition}")
            share.task.add_done_callback(self._ended)
        self._recorder.partitions(warming=len(owned), live=0)

    async def revoked(self, tps: Iterable[TP]) -> None:
        """Give partitions back: stop their tasks, and commit what is finished while that is still allowed."""
        shares = [share for tp in tps if (share := self._shares.get(tp)) is not None]
        tasks = [share.task for share in shares if share.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._commit(shares)
        for share in shares:
            self._shares.pop(share.tp, None)
            self._recorder.disown(self._topics[share.tp.topic], share.tp.partition)
        self._count_shares()

    async def finish(self) -> None:
        """Finish the runs in work, at most `FINISH_SECONDS`, then give everything back; for the end of the worker."""
        shares = list(self._shares.values())
        working = {share.task for share in shares if share.task is not None and share.at_work}
        for share in shares:
            share.leaving = True
        if working:
            await asyncio.wait(working, timeout=FINISH_SECONDS)
        await self.revoked([share.tp for share in shares])

    async def take(self, run: Run) -> None:
        """Queue a run for its share; one of an old generation is dropped, its offsets were not committed."""
        share = self._shares.get(run.tp)
        if share is not None and share.generation == run.generation:
            if not self.busy:
                self.progress_at = monotonic()
            share.queue.put_nowait(run)

    async def commit_for_ever(self) -> None:
        """Commit what is finished, about once in `commit_seconds`."""
        while True:
            await asyncio.sleep(self._plan.commit_seconds)
            await self._commit(list(self._shares.values()))

    def warming(self) -> list[str]:
        """The owned partitions that are not judged yet, by name."""
        return [f"{share.tp.topic}/{share.tp.partition}: warming" for share in self._shares.values() if not share.warm]

    def tps(self) -> list[TP]:
        """The owned partitions."""
        return list(self._shares)

    def judged_until(self, now: float, lag: Callable[[TP], int | None]) -> float | None:
        """Up to when (seconds since 1970) everything that the broker took on the owned partitions is judged.

        None while that cannot be said: nothing is owned, a partition is not warm, or how far it is behind is unknown.
        """
        reached: list[float | None] = []
        for share in self._shares.values():
            behind = lag(share.tp)
            idle = share.warm and not share.at_work and share.queue.empty() and behind == 0
            reached.append(now if idle else share.recorded)
        known = [each for each in reached if each is not None]
        return min(known) if known and len(known) == len(reached) else None

    @property
    def busy(self) -> bool:
        """Whether a run is waiting or in work."""
        return any(share.at_work or not share.queue.empty() for share in self._shares.values())

    # -- a share -------------------------------------------------------------------------------------------------------

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def _work(self, share: Share) -> None:
        await self._views.warm(share.tp.partition)
        share.warm = True
        self._count_shares()
        if not self._consumer().open(share.tp, generation=share.generation):
            return
        log.info("partition_live", topic=share.tp.topic, partition=share.tp.partition)
        while not share.leaving:
            run = await share.queue.get()
            share.at_work = True
            await self._through(run)
            share.finished = run.next_offset
            share.recorded = run.records[-1].timestamp / 1_000
            share.at_work = False
            self.progress_at = monotonic()
            self._consumer().release(run)

    async def _through(self, run: Run) -> None:
        """Take one run all the way to acknowledged output."""
        topic = self._topics[run.topic]
        plan = self._plan
        batch = await self._timed(Stage.DECODE, self._thread.run(open_batch, run, topic, plan))
        await self._await_heartbeats(batch)
        judged = await self._timed(Stage.JUDGE, self._thread.run(self._judge, batch))
        await self._timed(Stage.EMIT, self._outbox.deliver([*batch.outgoing, *judged.outgoing]))
        await self._thread.run(self._record, batch, judged)

    async def _timed(self, stage: Stage, work: Awaitable[Result]) -> Result:
        began = monotonic()
        result = await work
        self._recorder.took(stage, monotonic() - began)
        return result

    def _judge(self, batch: Batch) -> Judged:
        views = self._views.of(batch.run.partition)
        assert views is not None, "a share is worked only while its partition is kept"
        return judge_batch(batch, self._plan.rulebook, views, self._plan.names, self._plan.partitions)

    async def _await_heartbeats(self, batch: Batch) -> None:
        """Wait while a heartbeat that would settle the batch may come, at most the hold after it was recorded.

        That none came is known only when both logs are read so far: a worker that was frozen, cut off, or has just
        taken over finds old events and old views, and must not hold the silence of its own ears for that of a source.
        """
        reach = span(batch)
        began, heard = time(), inf
        # A broker whose clock is ahead must not make the hold longer.
        recorded = min(batch.run.records[-1].timestamp / 1_000, began)
        while reach is not None:
            controllers, latest = reach
            outlook = await self._views.outlook(controllers, HEARTBEAT_KINDS, latest, round(time() * 1e6))
            if outlook.settled:
                return
            until = recorded + self._plan.hold_seconds if outlook.awaited else recorded
            read = time() - outlook.unread_seconds >= min(until, began)
            heard = min(heard, monotonic()) if read else inf
            # What has come by then may still wait for the records that it vouches for.
            if time() >= until and heard < outlook.pending_since:
                return
            await asyncio.sleep(HEARTBEAT_POLL_SECONDS)

    def _record(self, batch: Batch, judged: Judged) -> None:
        """Count a batch whose output is acknowledged."""
        recorder, topic, now = self._recorder, batch.topic, time()
        recorder.judged(topic, batch.frame.height)
        recorder.forwarded(topic, batch.forwarded)
        recorder.lane(Lane.FAST, batch.decoded.fast)
        recorder.lane(Lane.CONTRACT, batch.decoded.contract)
        for reason, count in batch.refused.items():
            recorder.rejected(topic, reason, count)
        for verdicts in judged.verdicts:
            recorder.verdicts(verdicts)
            for spot in self._blind_spots.see(verdicts):
                log.info("blind_spot", rule=spot.rule_id, device=spot.device_id, fact=spot.fact, supply=spot.supply)
            recorder.since_event(now - verdicts.cases["occurred_at"].dt.epoch("us") / 1e6)
        recorder.blind_spots(Counter(spot.rule_id for spot, _ in self._blind_spots))
        for rule, count in judged.violations.items():
            recorder.violation(rule, count)
        recorded = pl.Series([record.timestamp for record in batch.run.records], dtype=pl.Float64)
        recorder.since_recorded(now - recorded.gather(batch.frame["row"]) / 1e3)

    def _count_shares(self) -> None:
        live = sum(share.warm for share in self._shares.values())
        self._recorder.partitions(warming=len(self._shares) - live, live=live)

    # -- commits ------------------------------------------------------------------------------------------------------

    async def _commit(self, shares: list[Share]) -> None:
        """Commit the finished offsets of shares of the present generation; what is refused is repeated, not lost."""
        moved = [share for share in shares if share.finished != share.committed]
        due = {share.tp: share.finished for share in moved if share.finished is not None}
        if not due:
            return
        generation = shares[0].generation
        try:
            taken = await self._consumer().commit_next(due, generation=generation)
        except DeliveryError as error:
            log.warning("commit_failed", error=type(error).__name__)
            self._recorder.commit(CommitResult.FAILED)
            return
        self._recorder.commit(CommitResult.COMMITTED if taken else CommitResult.REFUSED)
        if taken:
            for share in shares:
                share.committed = due.get(share.tp, share.committed)
