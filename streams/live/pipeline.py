"""The pipeline: from a run of records to acknowledged violations and a committed offset, a task a partition.

Rules:
1. decode -> forward -> assemble and judge -> hold what a record in flight may change -> deliver the rest -> only then
   commit, below the earliest case that is held. A crash before the last step repeats the batch.
2. A partition is opened when the views are warm for it and the span of its memory is recalled; others go on meanwhile.
3. Beside its batches each partition has a look, many times a second: what was held, and what late records have touched.
   One turn a partition keeps what is told of a violation in order.
4. A revocation cancels the partition's tasks; after it nothing of the old generation is delivered or committed.
5. Nothing is swallowed: an error that waiting mends is tried again, any other ends the process before it commits.

Receipts belong between `deliver` and `finished`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from time import monotonic, time
from typing import TypeVar

import polars as pl
import structlog
from faust.types import TP

from schemas.topics import EVENTS, TopicName
from schemas.verdict import Violation
from streams.core.blind_spot import BlindSpots
from streams.core.case_book import Stretch
from streams.core.chamber import Chamber, Opinion
from streams.core.facts import Unknown
from streams.core.instant import NEVER
from streams.core.judge import Outcome
from streams.core.withdrawal import since_withdrawal
from streams.errors import DeliveryError
from streams.live.batch import Batch, open_batch, outgoing
from streams.live.docket_log import restated
from streams.live.duties import Duties
from streams.live.judging_thread import JudgingThread
from streams.live.outbox import Outbox
from streams.live.plan import Plan
from streams.live.run import Run, joined
from streams.live.share import LOOK_SECONDS, Anew, Offsets, Share, judge, learned, rest
from streams.live.takeover import Recollection
from streams.live.views import LiveViews
from streams.metrics.catalogue import CommitResult, Lane
from streams.metrics.recorder import Recorder, Stage

FINISH_SECONDS = 5.0
"""How long a worker that is told to end may work on: well within the ten seconds that a supervisor usually grants."""

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class Pipeline:
    """All shares of one worker."""

    def __init__(  # noqa: PLR0913 -- each is a part of the worker, and a test may give another
        self,
        *,
        plan: Plan,
        views: LiveViews,
        recollection: Recollection,
        duties: Duties | None = None,
        thread: JudgingThread,
        outbox: Outbox,
        recorder: Recorder,
        consumer: Callable[[], Offsets],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._plan = plan
        self._views = views
        self._recollection = recollection
        self._duties = duties
        self._thread = thread
        self._outbox = outbox
        self._recorder = recorder
        self._consumer = consumer
        self._on_failure = on_failure
        self._shares: dict[TP, Share] = {}
        self._topics = {plan.names[name]: name for name in EVENTS}
        self._blind_spots = BlindSpots()
        self._finished = False
        self.generation: int | None = None
        """The last generation whose partitions were taken over: what is not yet here can be missing nowhere else."""
        self.progress_at = monotonic()
        self.heard: dict[str, float] = {}
        """When the broker took the last event of each device that was judged here, in seconds since 1970."""

    # -- what the worker calls ----------------------------------------------------------------------------------------

    async def assigned(self, tps: Iterable[TP]) -> None:
        """Take over partitions: know their persons, and judge each once it is warm; none any more after `finish`."""
        if self._finished:
            return
        owned = {tp for tp in tps if tp.topic in self._topics}
        generation = self._consumer().generation
        await self._views.keep({tp.partition for tp in owned})
        if self._duties is not None:
            # The partitions of `matches`: whoever owns one answers for the keys whose hash falls on it.
            matches = self._plan.names[TopicName.MATCHES]
            await self._duties.keep({tp.partition for tp in owned if tp.topic == matches})
        if generation is None or self._finished:
            return
        for tp in sorted(owned):
            views = self._views.of(tp.partition)
            assert views is not None, "a share is worked only while its partition is kept"
            plan = self._plan
            span = round(plan.memory_seconds * 1e6)
            chamber = Chamber(plan.rulebook, views, span=span, bytes_max=plan.memory_bytes)
            share = Share(tp, generation, asyncio.Queue(), chamber)
            self._shares[tp] = share
            share.task = asyncio.create_task(self._work(share), name=f"{tp.topic}/{tp.partition}")
            share.task.add_done_callback(self._ended)
        self.generation = generation
        self._recorder.partitions(warming=len(owned), live=0)

    async def revoked(self, tps: Iterable[TP]) -> None:
        """Give partitions back: stop their tasks, and commit what is finished while that is still allowed."""
        shares = [share for tp in tps if (share := self._shares.get(tp)) is not None]
        tasks = [task for share in shares for task in (share.task, share.looks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for share in shares:
            self._thread.hand(self._views.detach, share.tp.partition, share.chamber)
        await self._commit(shares)
        for share in shares:
            self._shares.pop(share.tp, None)
            self._recorder.disown(self._topics[share.tp.topic], share.tp.partition)
        self._count_shares()

    async def finish(self) -> None:
        """Finish the runs in work, at most `FINISH_SECONDS`, then give everything back; for the end of the worker."""
        self._finished = True
        shares = list(self._shares.values())
        working = {share.task for share in shares if share.task is not None and share.at_work}
        for share in shares:
            share.leaving = True
        if working:
            await asyncio.wait(working, timeout=FINISH_SECONDS)
        await self.revoked(self.tps())
        await self._recollection.stop()

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
            quiet = share.held is None and not share.at_work and share.queue.empty()
            idle = share.warm and quiet and behind == 0
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
        await self._thread.run(self._views.attach, share.tp.partition, share.chamber)
        await self._recall(share)
        share.warm = True
        self._count_shares()
        if not self._consumer().open(share.tp, generation=share.generation):
            return
        log.info("partition_live", topic=share.tp.topic, partition=share.tp.partition)
        share.looks = asyncio.create_task(self._look_for_ever(share), name=f"looks of {share.tp.partition}")
        share.looks.add_done_callback(self._ended)
        while not share.leaving:
            runs = await share.waiting_runs()
            share.at_work = True
            while share.chamber.held_bytes > self._plan.held_bytes:  # noqa: ASYNC110 -- a hold has no event
                await asyncio.sleep(LOOK_SECONDS)
            await self._through(share, joined(runs))
            share.at_work = False
            self.progress_at = monotonic()
            for run in runs:
                self._consumer().release(run)

    async def _recall(self, share: Share) -> None:
        """Judge the span of the memory again before the partition goes live, and tell what has changed since."""
        while (position := self._consumer().next_offset(share.tp)) is None:  # noqa: ASYNC110 -- Faust has no event
            await asyncio.sleep(LOOK_SECONDS)
        heard = await self._views.heard()
        share.anew = Anew(position, max(heard, 0))
        violations = TP(self._plan.names[TopicName.VIOLATIONS], share.tp.partition)
        topic, plan = self._topics[share.tp.topic], self._plan

        async def learn(told: Sequence[Violation], until: int) -> None:
            await self._thread.run(learned, share.chamber, topic, told, until)

        # Closed here, for a task that is cancelled leaves its generator open.
        async with aclosing(self._recollection.of(share.tp, violations, position, learn)) as runs:
            async for run in runs:
                share.anew.first = min(share.anew.first, run.first_offset)
                batch = await asyncio.to_thread(open_batch, run, topic, plan)
                opinion = await self._thread.run(judge, share.chamber, batch, -NEVER, heard, "reconciled")
                opinion.verdicts.clear()  # they were counted when they were first given
                opinion.duplicates = opinion.deferred = 0
                await self._tell(share, opinion)
        if share.anew.first > 0:
            await self._thread.run(share.chamber.memory.miss)

    async def _through(self, share: Share, run: Run) -> None:
        """Take one run to acknowledged output, but for what is held."""
        topic = self._topics[run.topic]
        # Not in the judging thread: no view is asked, so one partition is decoded while another is judged.
        batch = await self._timed(Stage.DECODE, asyncio.to_thread(open_batch, run, topic, self._plan))
        async with share.turn:
            heard = await self._views.heard()
            recorded = run.records[-1].timestamp
            # A broker whose clock is ahead must not make the hold longer.
            due = min(recorded * 1_000, round(time() * 1e6)) + round(self._plan.hold_seconds * 1e6)
            due = due if self._plan.hold_seconds else -NEVER
            judging = self._thread.run(judge, share.chamber, batch, due, heard, "judged")
            opinion = await self._timed(Stage.JUDGE, judging)
            await self._timed(Stage.EMIT, self._outbox.deliver(batch.outgoing))
            await self._tell(share, opinion)
            await self._thread.run(self._record_batch, batch)
            share.through = (run.next_offset, recorded / 1_000)
            await self._note_held(share)

    async def _look_for_ever(self, share: Share) -> None:
        """Tell what was held as soon as it can be said, and what late records change."""
        took = 0.0
        while True:
            if not share.chamber.busy:
                await asyncio.sleep(rest(took))
            async with share.turn:
                began = monotonic()
                if share.held is not None or not share.chamber.calm:
                    heard = await self._views.heard()
                    if opinion := await self._thread.run(share.chamber.look, heard):
                        await self._tell(share, opinion)
                if share.held is not None:
                    await self._note_held(share)
                await self._tell_anew(share)
                took = monotonic() - began

    async def _tell_anew(self, share: Share) -> None:
        """Tell, once all that lay there at the takeover is judged, that older words about its cases count no more."""
        anew, consumer = share.anew, self._consumer()
        if anew is None or not self._plan.rulebook.roles:
            return
        anew.end = consumer.log_end(share.tp) if anew.end is None else anew.end
        done = consumer.next_offset(share.tp) if share.through is None else share.finished
        if anew.end is not None and done is not None and done >= anew.end:
            stretch = Stretch(share.tp.topic, share.tp.partition, anew.first, done, anew.known_until)
            await self._outbox.deliver(list(restated(stretch, self._plan.names, self._plan.partitions)))
            share.anew = None

    async def _tell(self, share: Share, opinion: Opinion) -> None:
        await self._outbox.deliver(outgoing(opinion, share.tp.topic, share.tp.partition, self._plan))
        await self._thread.run(self._record, share, opinion)

    async def _note_held(self, share: Share) -> None:
        held = await self._thread.run(share.chamber.earliest_held)
        share.held = None if held is None else (held[0], held[1] / 1e6)

    async def _timed(self, stage: Stage, work: Awaitable[Result]) -> Result:
        began = monotonic()
        result = await work
        self._recorder.took(stage, monotonic() - began)
        return result

    # -- counting -----------------------------------------------------------------------------------------------------

    def _record_batch(self, batch: Batch) -> None:
        """Count the records of a batch that are not judged, now that its output is acknowledged."""
        recorder, topic = self._recorder, batch.topic
        recorder.forwarded(topic, batch.forwarded)
        recorder.superseded(topic, len(batch.notes))
        recorder.lane(Lane.FAST, batch.decoded.fast)
        recorder.lane(Lane.CONTRACT, batch.decoded.contract)
        recorder.lane(Lane.FEW, batch.decoded.few)
        for reason, count in batch.refused.items():
            recorder.rejected(topic, reason, count)

    def _record(self, share: Share, opinion: Opinion) -> None:
        """Count what was said and is acknowledged."""
        recorder, topic, now = self._recorder, self._topics[share.tp.topic], time()
        views = self._views.of(share.tp.partition)
        assert views is not None, "a share is worked only while its partition is kept"
        for verdicts in opinion.verdicts:
            recorder.verdicts(verdicts)
            for spot in self._blind_spots.see(verdicts):
                log.info("blind_spot", rule=spot.rule_id, device=spot.device_id, fact=spot.fact, supply=spot.supply)
            places = verdicts.cases.group_by("controller_id", "site_in_force").len()
            recorder.site_events({(controller, site): count for controller, site, count in places.iter_rows()})
            recorder.since_withdrawal(since_withdrawal(verdicts.cases, views))
            waited = now - verdicts.cases["occurred_at"].dt.epoch("us") / 1e6
            recorder.since_event(waited, verdicts.cases["event_id"])
            recorder.since_recorded(now - verdicts.cases["recorded_at"] / 1e6)
            self._hear(verdicts.cases)
        recorder.duplicates(opinion.duplicates)
        recorder.deferred(opinion.deferred)
        recorder.repeats(opinion.repeats)
        for kind, count in opinion.in_conflict.items():
            for rule in self._plan.rulebook.of_kind(kind):
                recorder.outcome(rule, Outcome.UNDETERMINED, count)
                recorder.undetermined(rule, Unknown.CONFLICT, count)
        for each in opinion.said:
            recorder.told(each.rule, each.message, first=each.first)
        # Last: whoever reads that so many were judged reads also what was said of them.
        judged = sum(verdicts.cases.height for verdicts in opinion.verdicts)
        recorder.judged(topic, judged + opinion.duplicates + opinion.in_conflict.total())

    def gauge(self) -> None:
        """Tell how much is held and remembered now."""
        chambers = [share.chamber for share in self._shares.values()]
        recorder = self._recorder
        recorder.held(
            cases=sum(each.held_cases for each in chambers), size_bytes=sum(each.held_bytes for each in chambers)
        )
        recorder.memory(
            cases=sum(each.memory.cases for each in chambers), size_bytes=sum(each.size_bytes for each in chambers)
        )
        recorder.blind_spots(Counter(spot.rule_id for spot, _ in self._blind_spots))

    def _hear(self, cases: pl.DataFrame) -> None:
        """Remember when the broker took the last event of each device."""
        latest = cases.group_by("device_id").agg(pl.col("recorded_at").max() / 1e6)
        for device_id, last in latest.iter_rows():
            self.heard[device_id] = max(last, self.heard.get(device_id, 0.0))

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
