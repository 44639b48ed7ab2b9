"""The worker: a Faust app around the pipeline, with its views, its outbox and its web pages.

Rules:
1. Faust gives the consumer group, the assignment and the agent; offsets, flow and state are the pipeline's own.
2. No tables, windows, sinks or exactly-once: with tables Faust 0.15.3 loses input at rebalances, silently.
3. A failure that waiting does not mend ends the process at once with code 70, before anything more is committed; the
   supervisor starts it again, and it repeats what was not committed.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from time import monotonic, time
from typing import Any, NoReturn

import faust
import structlog
from aiokafka import AIOKafkaProducer
from faust.types import TP
from prometheus_client import CollectorRegistry

from schemas.topics import EVENTS, TopicName
from streams.core.expiry import Expiry, Stage
from streams.core.instant import moment_of
from streams.core.rulebook import Rulebook
from streams.core.watch import state_of
from streams.errors import ConsentinelError
from streams.live.broker_wait import partitions_of_broker
from streams.live.duties import Duties
from streams.live.journal import set_up_journal
from streams.live.judging_thread import JudgingThread
from streams.live.log_reader import LogReader
from streams.live.outbox import Outbox
from streams.live.pipeline import Pipeline
from streams.live.plan import Plan
from streams.live.run import RunSettings
from streams.live.takeover import Recollection
from streams.live.topic_names import TopicNames
from streams.live.transport import RunApp, RunConsumer, run_topic
from streams.live.views import LiveViews
from streams.live.web import WebServer
from streams.metrics.recorder import Recorder
from streams.packs import rulebook as load_rulebook
from streams.settings import Settings

EXIT_FAILED = 70
STDERR = 2
GAUGE_SECONDS = 1.0
PREMISES_SECONDS = 5.0
"""How often sites and devices are counted: as often as the shortest usual scrape asks."""
FETCH_BYTES = 4 * 1024 * 1024
"""Bytes a partition in one fetch: a run of some thousand records; with Faust's 1 MiB the columns stay short."""
GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""A view is millions of small objects without cycles; Python's own 700 would look through them all the time."""
BATCH_BYTES = 256 * 1024
"""What one request to write may carry a partition: after a crash a whole backlog of violations is written at once."""
ANSWER_MS = 15_000
"""How long one request to write may stay without an answer; then the same records are sent again."""
FRESH_SECONDS = 5.0
"""A view that has not reached the end of its log for so long is not fresh, however warm it once was."""
ARRIVALS_SPANS = 24
"""So many spans of the memory back it is kept when a record came: a worker may have been down for a day."""

log = structlog.get_logger(__name__)


def fail(error: BaseException) -> NoReturn:
    """End the process without a further commit, saying why; never shows a payload."""
    known = isinstance(error, ConsentinelError)
    said, trace = (str(error), None) if known else (None, error)
    log.critical("worker_failed", error=type(error).__name__, message=said, exc_info=trace)
    sys.stderr.flush()
    os._exit(EXIT_FAILED)


class WorkerApp(RunApp):
    """The Faust app of one worker; everything else hangs on its start and stop."""

    _listening_since: float | None = None
    """Since when this worker hears everything that comes, in seconds since 1970."""

    def __init__(self, settings: Settings, rulebook: Rulebook, partitions: int, recorder: Recorder) -> None:
        self.settings = settings
        self.names = TopicNames(settings.prefix)
        super().__init__(
            settings.group,
            runs=RunSettings(
                topics=frozenset(self.names[name] for name in EVENTS),
                on_failure=fail,
                max_runs=settings.max_queued_runs,
                max_bytes=settings.max_queued_bytes,
            ),
            broker="runs://" + ";".join(settings.broker),
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            broker_session_timeout=settings.session_timeout_seconds,
            broker_heartbeat_interval=max(1.0, settings.session_timeout_seconds / 4),
            broker_max_poll_records=settings.max_poll_records,
            consumer_max_fetch_size=FETCH_BYTES,
        )
        self.recorder = recorder
        self.thread = JudgingThread()
        self.views = LiveViews(
            new_reader=lambda name: LogReader(self.names[name], brokers=settings.broker),
            partitions=partitions,
            thread=self.thread,
            recorder=self.recorder,
            on_failure=fail,
            asked=rulebook.asked(),
            skew=round(settings.skew_seconds * 1e6),
            # A record that came before every case that can be remembered corrects none.
            arrivals_since=round((time() - ARRIVALS_SPANS * settings.memory_seconds) * 1e6),
        )
        self._plan = new_plan(settings, rulebook, self.names, partitions)
        self.pipeline: Pipeline | None = None
        self.refusal: ConsentinelError | None = None
        self._expiries_told: set[Expiry] = set()
        self.duties: Duties | None = None
        self._outbox: Outbox | None = None
        self._web = WebServer(self.recorder, self, host=settings.web_host, port=settings.web_port)
        self._background: list[asyncio.Task[None]] = []
        self._starting: asyncio.Task[None] | None = None

    # -- Faust's side -------------------------------------------------------------------------------------------------

    async def on_first_start(self) -> None:
        """Create no directory: this worker keeps nothing on disk."""

    async def on_start(self) -> None:
        """Start what judging needs, before the first partition is assigned."""
        try:
            await super().on_start()
            await self._start_judging()
        except ConsentinelError as error:
            # Faust turns whatever leaves here into an exit code of 1, which is another's.
            self.refusal = error
            raise

    async def _start_judging(self) -> None:
        # A task of its own: who is told to end while the broker is waited for cancels it, and it cannot finish later.
        self._starting = asyncio.create_task(self._prepare())
        await asyncio.wait([self._starting])
        if not self._starting.cancelled():
            self._starting.result()

    async def _prepare(self) -> None:
        self._outbox = Outbox(
            AIOKafkaProducer(
                bootstrap_servers=self.settings.broker,
                acks="all",
                linger_ms=2,
                max_batch_size=BATCH_BYTES,
                max_request_size=2**20,
                request_timeout_ms=ANSWER_MS,
            )
        )
        self.duties = Duties(
            plan=self._plan,
            new_reader=lambda name: LogReader(self.names[name], brokers=self.settings.broker),
            views=self.views,
            thread=self.thread,
            outbox=self._outbox,
            recorder=self.recorder,
            on_failure=fail,
        )
        self.pipeline = Pipeline(
            plan=self._plan,
            views=self.views,
            recollection=Recollection(
                self.settings.broker,
                span_seconds=self.settings.memory_seconds,
                bytes_max=self.settings.memory_bytes,
            ),
            duties=self.duties,
            thread=self.thread,
            outbox=self._outbox,
            recorder=self.recorder,
            consumer=lambda: self.run_consumer,
            on_failure=fail,
        )
        await self._web.start()
        log.info("web_started", host=self.settings.web_host, port=self._web.port)
        await self._outbox.start()
        self.views.start()
        self._background = [
            asyncio.create_task(self.pipeline.commit_for_ever()),
            asyncio.create_task(self._gauge_for_ever()),
            asyncio.create_task(self.duties.look_for_ever(self._judged_until)),
        ]
        for task in self._background:
            task.add_done_callback(_loud)

    async def on_stop(self) -> None:
        """Finish and commit what is in hand, leave the group, then let go of everything."""
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if self.pipeline is not None:
            await self.pipeline.finish()
        await super().on_stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self.duties is not None:
            await self.duties.stop()
        await self.views.stop()
        if self._outbox is not None:
            await self._outbox.stop()
        await self._web.stop()
        self.thread.stop()

    @property
    def run_consumer(self) -> RunConsumer:
        """The consumer, which is ours."""
        consumer = self.consumer
        assert isinstance(consumer, RunConsumer)
        return consumer

    # -- health -------------------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """What keeps the worker from judging; empty when it is ready."""
        if self.pipeline is None or self.run_consumer.generation is None:
            return ["the consumer group: not joined"]
        if self.pipeline.generation != self.run_consumer.generation:
            # A moment after the join nothing is known of any partition, and so none would be missing.
            return ["the consumer group: partitions not taken over"]
        duties = self.duties.missing() if self.duties is not None else []
        return [*self.views.missing(), *duties, *self.pipeline.warming()]

    def stalled_seconds(self) -> float | None:
        """Seconds for which a run in hand has not come through; None while nothing waits."""
        if self.pipeline is None or not self.pipeline.busy:
            return None
        return monotonic() - self.pipeline.progress_at

    async def _gauge_for_ever(self) -> None:
        premises_at = -PREMISES_SECONDS
        while True:
            await asyncio.sleep(GAUGE_SECONDS)
            missing = self.missing()
            self.recorder.warm(warm=not missing)
            for topic, readers in self.views.readers().items():
                behind = [reader.behind for reader in readers]
                known = sum(each or 0 for each in behind)
                self.recorder.view(topic, lag_records=known, fresh=all(self._fresh(reader) for reader in readers))
            self.recorder.feeds(await self.views.feeds_behind(time()))
            if self.pipeline is not None:
                await self.thread.run(self.pipeline.gauge)
            self._tell_expiries(await self.views.expiries(time()))
            if monotonic() - premises_at >= PREMISES_SECONDS:
                premises_at = monotonic()
                await self._tell_premises(listening=not missing)
            for tp in self.pipeline.tps() if self.pipeline is not None else ():
                if (lag := self._lag(tp)) is not None:
                    self.recorder.lag(self._bare(tp.topic), tp.partition, lag)

    async def _tell_premises(self, *, listening: bool) -> None:
        """Count sites and devices; how long a device is silent counts from when this worker began to listen."""
        now = time()
        self._listening_since = (self._listening_since or now) if listening else None
        since, until = self._listening_since or now, self._judged_until(now)
        heard = self.pipeline.heard if self.pipeline is not None else {}
        await self.views.count_expired(now)
        sites, posts = await self.views.premises(now)
        states = [state_of(each, heard=heard.get(each.device_id), since=since, until=until, now=now) for each in posts]
        self.recorder.premises(sites, zip(posts, states, strict=True))

    def _tell_expiries(self, found: list[Expiry]) -> None:
        """Count instruments by stage, and say once of each that it is about to end or has ended."""
        self.recorder.instruments(Counter((each.key.partition("/")[0], each.stage.value) for each in found))
        for each in found:
            if each.stage is not Stage.IN_FORCE and each not in self._expiries_told:
                log.warning("instrument_ends", stage=each.stage, instrument=each.key, end=str(moment_of(each.end)))
        self._expiries_told = {each for each in found if each.stage is not Stage.IN_FORCE}

    def _lag(self, tp: TP) -> int | None:
        end, position = self.run_consumer.log_end(tp), self.run_consumer.next_offset(tp)
        return None if end is None or position is None else max(0, end - position)

    def _judged_until(self, now: float) -> float | None:
        return None if self.pipeline is None else self.pipeline.judged_until(now, self._lag)

    @staticmethod
    def _fresh(reader: LogReader) -> bool:
        reached = reader.reached_end_at
        return reached is not None and monotonic() - reached < FRESH_SECONDS

    def _bare(self, topic: str) -> TopicName:
        return TopicName(topic.removeprefix(self.settings.prefix))


def _loud(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        fail(error)


def new_plan(settings: Settings, rulebook: Rulebook, names: TopicNames, partitions: int) -> Plan:
    """What stays the same while a worker of these settings lives."""
    return Plan(
        rulebook=rulebook,
        names=names,
        partitions=partitions,
        hold_seconds=settings.hold_seconds,
        commit_seconds=settings.commit_interval_seconds,
        future_seconds=settings.future_seconds,
        memory_seconds=settings.memory_seconds,
        memory_bytes=settings.memory_bytes,
        held_bytes=settings.max_queued_bytes,
    )


def new_recorder(rulebook: Rulebook) -> Recorder:
    """Metrics of this process that say nothing yet, every series at zero."""
    return Recorder(CollectorRegistry(), rulebook, version=version("consentinel"), started_at=datetime.now(UTC))


class WorkerProcess(faust.Worker):
    """Faust's process; asked by SIGUSR1 where it stands, it shows its stacks and not what their variables hold."""

    async def _cry(self) -> None:
        faulthandler.dump_traceback(file=STDERR, all_threads=True)


def new_app(settings: Settings, rulebook: Rulebook, partitions: int, recorder: Recorder) -> WorkerApp:
    """The app with its agent and its signals connected."""
    app = WorkerApp(settings, rulebook, partitions, recorder)
    source = run_topic(app, *(app.names[name] for name in EVENTS))

    @app.on_partitions_assigned.connect
    async def assigned(_: Any, /, *arguments: Any, **_named: Any) -> None:
        assert app.pipeline is not None
        await app.pipeline.assigned(arguments[0])

    @app.on_partitions_revoked.connect
    async def revoked(_: Any, /, *arguments: Any, **_named: Any) -> None:
        if app.pipeline is not None:
            await app.pipeline.revoked(arguments[0])

    async def judge(stream: Any) -> None:
        async for run in stream:
            assert app.pipeline is not None
            try:
                await app.pipeline.take(run)
            except Exception as error:  # noqa: BLE001 - what leaves an agent is an event lost
                fail(error)

    app.take_runs(source, judge)
    return app


def run_worker(settings: Settings) -> int:
    """Run a worker until it is told to stop; returns the exit code, and raises what keeps it from starting."""
    set_up_journal(settings)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    rulebook = load_rulebook(settings.rules)
    for line in settings.describe():
        log.info("settings", says=line)
    log.info("rulebook", digest=rulebook.digest[:12], rules=len(rulebook.rules), packs=list(rulebook.packs))
    recorder = new_recorder(rulebook)
    app = new_app(settings, rulebook, partitions_of_broker(settings, recorder), recorder)
    worker = WorkerProcess(app, loglevel=settings.log_level, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None  # It would draw on the standard output, which a log shipper reads line by line.
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        if app.refusal is not None:
            raise app.refusal from None
        return EXIT_FAILED if stop.code else 0
