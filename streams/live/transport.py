"""The batched transport: a Faust transport (URL scheme `runs`) that hands over the records of a fetch as one message.

Rules:
1. Only the topics of `RunSettings.topics` come in runs, in log order, every offset once a generation; other topics pass
   record by record as Faust knows them.
2. The pipeline owns its offsets: these topics are declared with `run_topic` (no Faust acknowledgements), and
   `commit_next` is the only commit there is for them.
3. The pipeline owns its flow: a partition is cold until `open`, and what it has in hand is bounded until `release`.
4. Nothing of an old generation is handed over or committed.
5. When the log cannot be trusted (`streams.live.log_fault`), `on_failure` is told once, and nothing is delivered or
   committed afterwards.

The signals of the app tell the rest: `on_partitions_assigned` and `on_partitions_revoked` are awaited inside the
rebalance (partitions can still be committed in the latter). Faust sends no revocation when it stops: use
`on_before_shutdown` for the last commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, ClassVar, cast

import faust
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP, ConsumerMessage

from streams.errors import ConfigurationError, ConsentinelError, DeliveryError
from streams.live.flow import Flow
from streams.live.group_member import ClaimListener, GroupMember, is_fatal
from streams.live.run import Run, RunSettings, settings_of

POLL_SECONDS = 0.1
"""How long one fetch waits for records; also how soon a partition that was at its bound is fetched again."""

IDLE_SECONDS = 0.5
"""How long the transport sleeps when no partition is wanted, unless one is opened or a run released."""

logger = logging.getLogger(__name__)


class RunApp(faust.App):
    """A Faust app that says which of its topics come in runs; its broker URL has the scheme `runs`."""

    def __init__(self, app_id: str, *, runs: RunSettings, **options: Any) -> None:
        self.runs = runs
        super().__init__(app_id, **options)

    def take_runs(self, topic: Any, taker: Callable[[Any], Awaitable[None]]) -> None:
        """Make the agent that takes the runs of a topic.

        As `agent` makes it, but for what finds agents in modules: that looks for the file of every module there is.
        """
        make: Any = self.conf.Agent
        made = make(taker, app=self, channel=topic, on_error=self._on_agent_error, use_reply_headers=True)
        self.agents[made.name] = made
        self.topics.beacon.add(made)


def run_topic(app: RunApp, *names: str) -> Any:
    """Declare topics that come in runs, for one agent; each message's value is a Run."""
    unknown = set(names) - app.runs.topics
    if unknown:
        raise ConfigurationError(f"not set to come in runs: {', '.join(sorted(unknown))}")
    return app.topic(*names, acks=False, key_serializer="raw", value_serializer="raw")


class RunConsumer(Consumer):
    """Faust's consumer, handing over runs."""

    RebalanceListener: ClassVar[type[ClaimListener]] = ClaimListener
    _thread: GroupMember

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = self._settings = settings_of(self.app)
        self._flow = Flow(max_runs=settings.max_runs, max_bytes=settings.max_bytes)
        self._settled: int | None = None
        self._failure: ConsentinelError | None = None
        self._wake = asyncio.Event()
        self._commit_turn = asyncio.Lock()

    def _new_consumer_thread(self) -> GroupMember:
        return GroupMember(self, loop=self.loop, beacon=self.beacon)

    # -- the pipeline's side ------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int | None:
        """The generation of the present assignment; None between a revocation and the next assignment."""
        return self._flow.generation

    @property
    def failure(self) -> ConsentinelError | None:
        """Why the transport stopped, once it did."""
        return self._failure

    def open(self, tp: TP, *, generation: int | None = None) -> bool:
        """Let a cold partition flow; False when it is not owned, or no longer in the generation given."""
        opened = self._flow.open(tp, generation)
        self._wake.set()
        return opened

    def release(self, run: Run) -> bool:
        """Give back the place of a finished run; False when there is nothing to give back. May be called twice."""
        released = self._flow.release(run)
        self._wake.set()
        return released

    def load(self, tp: TP) -> tuple[int, int]:
        """Return how many runs, and how many bytes, of a partition are in the pipeline's hands."""
        return self._flow.load(tp)

    def next_offset(self, tp: TP) -> int | None:
        """Return where the next run of an owned partition will begin; None before its position is settled."""
        return self._flow.expected(tp)

    def log_end(self, tp: TP) -> int | None:
        """Return the end of an owned partition's log as the last fetch saw it; None before the first."""
        return self._thread.log_end(tp) if tp in self._flow.owned else None

    async def commit_next(self, offsets: Mapping[TP, int], *, generation: int | None = None) -> bool:
        """Commit the next offset of some partitions; True when the broker took it.

        False when it was refused because the group or the assignment moved on (all of it: split the mapping to know
        more), or after a failure. `generation` names the generation the offsets come from; by default the present one.
        Raises DeliveryError when the broker does not answer (try again), ConfigurationError when it forbids the commit.
        """
        if self._failure is not None:
            return False
        wanted = self._flow.generation if generation is None else generation
        if wanted is None or wanted != self._flow.generation or not offsets.keys() <= self._flow.owned:
            return False
        limit = self.app.conf.broker_session_timeout + 1
        try:
            async with self._commit_turn, asyncio.timeout(limit):
                committed: bool = await self._thread.call_thread(self._thread.commit_next, dict(offsets), wanted)
        except TimeoutError as error:
            raise DeliveryError("the thread of the consumer did not answer a commit") from error
        except asyncio.CancelledError:
            # The thread may hand back its own cancellation; only the caller's own one is let through.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise DeliveryError("the thread of the consumer is being stopped") from None
        if committed:
            self.app.monitor.on_tp_commit(dict(offsets))
        return committed

    # -- Faust's side -------------------------------------------------------------------------------------------------

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin a generation: all partitions cold, nothing in hand."""
        own = {tp for tp in assigned if tp.topic in self._settings.topics}
        self._settled = None
        self._flow.begin(generation_id, own)
        room = self.app.conf.stream_buffer_maxsize // 2
        if len(own) * self._settings.max_runs > room:
            message = f"{len(own)} partitions of {self._settings.max_runs} runs each pass half of stream_buffer_maxsize"
            self._fail(ConfigurationError(f"{message} ({room})"))
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the app finish and commit, then end the generation."""
        try:
            await super().on_partitions_revoked(revoked)
        finally:
            self._flow.end()

    async def perform_seek(self) -> None:
        """Settle every position; called by Faust before the flow resumes, and again here if that did not work out."""
        generation = self.app.consumer_generation_id
        try:
            starts = await self._thread.call_thread(self._thread.settle, generation)
        except ConsentinelError as error:
            await self._trouble(error)
            return
        if starts and generation == self.app.consumer_generation_id:
            self._flow.settle(starts)
            self._read_offset.update(starts)
            self._committed_offset.update({tp: offset or None for tp, offset in starts.items()})
            self._settled = generation

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109, ARG002 - Faust's own.
        """Yield the next runs (and single records of other topics) as messages."""
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
        for run in await self._take():
            if self.flow_active and self._may_pass(run):
                for message in self._messages(run):
                    yield run.tp, message
            else:
                await self._put_back(run)

    async def _take(self) -> list[Run]:
        if self.should_stop:
            return []
        try:
            if self._failure is None and self._settled != self.app.consumer_generation_id:
                await self.perform_seek()
            wanted = self._wanted()
            if not wanted:
                await self._idle()
                return []
            taken: list[Run] = await self._thread.call_thread(self._thread.take, wanted, POLL_SECONDS)
        except ConsentinelError as error:
            await self._trouble(error)
            return []
        return taken

    def _wanted(self) -> frozenset[TP]:
        if self._failure is not None or self._settled is None:
            return frozenset()
        active = frozenset(self._get_active_partitions())
        others = frozenset(tp for tp in active if tp.topic not in self._settings.topics)
        return (active & self._flow.wanted()) | others

    async def _idle(self) -> None:
        # A pipeline that hangs on open partitions must in the end lose them; one that warms up must not.
        if self._failure is None and (self._flow.cold or not self._flow.owned):
            await self._thread.call_thread(self._thread.stay)
        self._wake.clear()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    def _may_pass(self, run: Run) -> bool:
        if run.topic in self._settings.topics:
            return self._flow.accepts(run)
        return run.generation == self.app.consumer_generation_id

    async def _put_back(self, run: Run) -> None:
        """Have a run read again that cannot be handed over now, from where its partition really stands."""
        offset = self._flow.expected(run.tp) if run.topic in self._settings.topics else run.first_offset
        if offset is not None:
            await self._thread.call_thread(self._thread.put_back, run.tp, offset, run.generation)

    def _messages(self, run: Run) -> list[ConsumerMessage]:
        tp = run.tp
        end = self.log_end(tp)
        if end is not None:
            self.app.monitor.track_tp_end_offset(tp, end)
        if run.topic not in self._settings.topics:
            return [self._to_message(tp, record) for record in run.records]
        self._flow.hand(run)
        return [self._as_message(run)]

    @staticmethod
    def _as_message(run: Run) -> ConsumerMessage:
        return ConsumerMessage(
            topic=run.topic,
            partition=run.partition,
            offset=run.first_offset,
            timestamp=run.records[0].timestamp / 1000.0,
            timestamp_type=run.records[0].timestamp_type,
            headers=None,
            key=None,
            value=cast("Any", run),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=run.size_bytes,
            tp=run.tp,
            generation_id=run.generation,
        )

    async def _trouble(self, error: ConsentinelError) -> None:
        if is_fatal(error):
            self._fail(error)
            return
        logger.warning("fetching again after: %s", error)
        await self.sleep(1.0)

    def _fail(self, error: ConsentinelError) -> None:
        if self._failure is None:
            self._failure = error
            logger.critical("the transport stops: %s", error)
            self._settings.on_failure(error)

    # -- what Faust would do by counting messages ---------------------------------------------------------------------

    def on_buffer_full(self, tp: TP) -> None:
        """Leave the flow of runs to the account."""
        if tp.topic not in self._settings.topics:
            super().on_buffer_full(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        """Leave the flow of runs to the account."""
        if tp.topic not in self._settings.topics:
            super().on_buffer_drop(tp)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing of a slow or cold partition in runs: the pipeline has its own watch."""
        if tp.topic not in self._settings.topics:
            super().verify_event_path(now, tp)


class RunTransport(Transport):
    """The transport Faust loads for `runs://host:port[;host:port...]`."""

    Consumer: ClassVar[type[RunConsumer]] = RunConsumer
