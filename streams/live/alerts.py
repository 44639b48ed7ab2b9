"""The alerts process: reads the log of violations, and tells the receivers of the settings.

Rules:
1. The log is the state: groups are folded from its beginning at every start. What lies before the committed offsets was
   told already, and is folded in silence.
2. Nobody is told anything before the log was read to its end: what was opened and retracted since wakes nobody.
3. The next offset is committed when every receiver was told, or its failure stands in the log of notifications.
4. Which groups a summary told of is read back from the log of notifications, so that a restart pages nobody again.
5. A record that is no violation is passed over, loudly: only its place is told.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from time import time

import aiohttp
import structlog
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from schemas.contract import ContractError
from schemas.notification import NOTIFICATION, Notification
from schemas.topics import TopicName
from schemas.verdict import VIOLATION
from streams.alerting.alert_group import AlertGroups, Effect, GroupKey, LogPlace
from streams.alerting.lane import Lane, Surroundings
from streams.alerting.storm import Budget, StormWatch
from streams.core.rulebook import Rulebook
from streams.errors import ConfigurationError, ConsentinelError
from streams.live.broker_wait import partitions_of_broker
from streams.live.group_offsets import GroupOffsets
from streams.live.journal import set_up_journal
from streams.live.log_reader import LogReader
from streams.live.outbox import Outbox, Outgoing
from streams.live.receivers import receivers
from streams.live.run import LogRecord
from streams.live.web import WebServer
from streams.metrics.alert_recorder import AlertRecorder
from streams.packs import rulebook as load_rulebook
from streams.screen import CLEAN, FAILED
from streams.settings import Settings

log = structlog.get_logger(__name__)


class AlertsProcess:
    """Everything that tells of violations, over one event loop."""

    def __init__(self, settings: Settings, rulebook: Rulebook, partitions: int) -> None:
        self._settings = settings
        self._groups = AlertGroups()
        self._storm = StormWatch(Budget(settings.alerts_per_minute))
        self._destinations = receivers(settings, rulebook, self._groups, self._storm)
        self.recorder = new_alert_recorder([each.name for each in self._destinations])
        self._reader = LogReader(settings.topic(TopicName.VIOLATIONS), brokers=settings.broker)
        self._outbox: Outbox | None = None
        self._partitions = partitions
        self._lanes: list[Lane] = []
        self._told_before: Mapping[int, int] = {}
        self._committed: dict[int, int] = {}
        self._summarised: dict[GroupKey, bool] = {}

    async def run(self) -> None:
        """Tell until it is told to stop; raises what no waiting mends."""
        settings = self._settings
        web = WebServer(self.recorder, self, host=settings.web_host, port=settings.alerts_port)
        await web.start()
        log.info("web_started", host=settings.web_host, port=web.port)
        try:
            await self._tell_until_stopped()
        finally:
            await web.stop()

    async def _tell_until_stopped(self) -> None:
        settings = self._settings
        offsets = GroupOffsets(
            self._reader.topic, group=settings.alerts_group, brokers=settings.broker, partitions=self._partitions
        )
        self._outbox = Outbox(AIOKafkaProducer(bootstrap_servers=settings.broker, acks="all"))
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with aiohttp.ClientSession() as session:
            work = asyncio.create_task(self._work(session, offsets))
            end = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
                await self._commit(offsets)
            finally:
                for task in (work, end):
                    task.cancel()
                await asyncio.gather(work, end, return_exceptions=True)
                await offsets.stop()
                await self._outbox.stop()

    async def _work(self, session: aiohttp.ClientSession, offsets: GroupOffsets) -> None:
        assert self._outbox is not None, "an outbox is made before anything is told"
        await self._outbox.start()
        await offsets.start()
        self._told_before = self._committed = await offsets.committed()
        await self._read_notifications()
        around = Surroundings(
            session=session,
            clock=time,
            record=self._record,
            recorder=self.recorder,
            frontier=lambda: dict(self._reader.frontier),
            give_up_seconds=self._settings.give_up_seconds,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reader.run(self._apply))
            await self._reader.caught_up.wait()
            log.info("violations_read", groups=sum(self._groups.states(time(), 0).values()))
            self._lanes = [Lane(each, around) for each in self._destinations]
            for lane in self._lanes:
                lane.done = dict(self._committed)
                tasks.create_task(lane.run())
            tasks.create_task(self._look_for_ever(offsets))

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _read_notifications(self) -> None:
        """Learn which groups a summary told of, from the log of notifications as it stands now."""
        reader = LogReader(self._settings.topic(TopicName.NOTIFICATIONS), brokers=self._settings.broker)
        reading = asyncio.create_task(reader.run(self._remember))
        caught_up = asyncio.create_task(reader.caught_up.wait())
        await asyncio.wait([reading, caught_up], return_when=asyncio.FIRST_COMPLETED)
        await reader.stop()
        await reading
        caught_up.cancel()

    def _remember(self, _topic: str, _partition: int, records: Sequence[LogRecord]) -> None:
        for record in records:
            try:
                said = NOTIFICATION.read(record.value or b"")
            except ContractError:
                log.warning("notification_unreadable", offset=record.offset)
                continue
            if said.about == "raised":
                key = GroupKey(said.rule_id, said.controller_id, said.site_id, said.severity)
                self._summarised[key] = said.in_storm

    def _apply(self, _topic: str, partition: int, records: Sequence[LogRecord]) -> None:
        """Fold the next records of the log; what was not told before is given to every receiver."""
        told_before = self._told_before.get(partition, 0)
        now = time()
        for record in records:
            try:
                violation = VIOLATION.read(record.value or b"")
            except ContractError as error:
                log.warning("violation_unreadable", partition=partition, offset=record.offset, reason=error.reason)
                continue
            change = self._groups.fold(violation, record.timestamp / 1000, LogPlace(partition, record.offset))
            if change is None:
                continue
            if record.offset < told_before:
                if change.effect is Effect.RAISED:
                    change.group.in_storm = self._summarised.get(change.group.key, False)
                continue
            self._storm.mark(change, now)
            for destination in self._destinations:
                destination.tell(change, now)

    # -- recording ----------------------------------------------------------------------------------------------------

    async def _record(self, told: Sequence[Notification]) -> None:
        """Write what was told, and return when the broker has acknowledged it."""
        assert self._outbox is not None, "an outbox is made before anything is told"
        topic = self._settings.topic(TopicName.NOTIFICATIONS)
        await self._outbox.deliver([Outgoing(topic, 0, each.key.encode(), each.to_json()) for each in told])

    async def _commit(self, offsets: GroupOffsets) -> None:
        """Commit up to where every receiver was told."""
        ready = {
            partition: min(lane.done.get(partition, 0) for lane in self._lanes)
            for partition in range(self._partitions)
            if self._lanes
        }
        news = {partition: offset for partition, offset in ready.items() if offset > self._committed.get(partition, 0)}
        if news:
            await offsets.commit(news)
            self._committed = {**self._committed, **news}

    async def _look_for_ever(self, offsets: GroupOffsets) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_seconds)
            await self._commit(offsets)
            now = time()
            self.recorder.groups(self._groups.states(now, self._settings.dormant_seconds))
            self.recorder.storm(storm=any(each.storms(now) for each in self._destinations))
            folded = self._reader.frontier
            untold = sum(folded[partition] - self._committed.get(partition, 0) for partition in folded)
            self.recorder.lag(untold + (self._reader.unread or 0))

    # -- health -------------------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """What keeps it from telling anybody; empty when it is ready."""
        if self._lanes:
            return []
        behind = self._reader.behind
        return ["the log of violations: " + ("not read yet" if behind is None else f"{behind} records behind")]

    def stalled_seconds(self) -> float | None:
        """Seconds for which the slowest lane has tried nothing; a receiver that is away is tried."""
        if not self._lanes:
            return None
        return max(0.0, time() - min(lane.progress_at for lane in self._lanes))


def new_alert_recorder(names: Sequence[str]) -> AlertRecorder:
    """Metrics of this process that say nothing yet, every series at zero."""
    return AlertRecorder(CollectorRegistry(), names, version=version("consentinel"), started_at=datetime.now(UTC))


def run_alerts(settings: Settings) -> int:
    """Tell the receivers until told to stop; returns the exit code, and raises what keeps it from starting."""
    set_up_journal(settings)
    book = load_rulebook(settings.rules)
    for line in settings.describe():
        log.info("settings", says=line)
    # Before the broker is waited for: a receiver that is not usable is told at once.
    names = [each.name for each in receivers(settings, book, AlertGroups(), StormWatch(Budget(1)))]
    pages = settings.model_copy(update={"web_port": settings.alerts_port})
    process = AlertsProcess(settings, book, partitions_of_broker(pages, new_alert_recorder(names)))
    failed: list[ConsentinelError] = []
    try:
        asyncio.run(process.run())
    except* ConsentinelError as faults:
        failed = list(_each(faults))
    for error in failed:
        if isinstance(error, ConfigurationError):
            raise error
        log.critical("alerts_failed", error=type(error).__name__, message=str(error))
    return FAILED if failed else CLEAN


def _each(faults: BaseExceptionGroup[ConsentinelError]) -> Iterator[ConsentinelError]:
    """The faults of a group, however deep they lie in it."""
    for fault in faults.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            yield from _each(fault)
        else:
            yield fault
