"""The two ends of a drill: an estate that writes what happens, and a listener to what the monitor says of it.

Rules:
1. Every event of the baseline comes from a device that is not registered, so each breaks a rule by an absence that only
   heartbeats can earn, and a lost event is a lost violation; one in twenty goes to a wrong partition.
2. Some records about persons are written seconds after a heartbeat has vouched that all are there, and some matches are
   corrected to another person later: what was said of them has to be taken back, whoever lives by then.
3. The estate keeps what it wrote and when the broker had acknowledged it.
4. Told to go on, it writes for a while and rests: what happens next to the workers happens while it writes.
5. The listener is a consumer like any other: no group, from the beginning.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Generic, NamedTuple, TypeVar

from kafka import KafkaConsumer, TopicPartition

from schemas.match import MatchEvent
from schemas.registry import FeedRecord
from schemas.subject import SubjectRecord
from schemas.topics import TopicName
from streams.settings import Settings
from streams.simulator.log import finite_steps
from streams.simulator.publisher import Publisher
from streams.simulator.simulation import STEP, Opening, Simulation, Step
from streams.simulator.story import Event

Thing = TypeVar("Thing")

PARTITIONS = 4
UNLISTED_DEVICES = 16
MISPLACED_SHARE = 0.05
LATE_SHARE = 0.3
CORRECTED_SHARE = 0.02
LATE_STRIDES = 4
"""So many strides later, at most, a late record or a correction is written."""
STRIDE = 8
"""So many steps are written at once, two seconds': what a worker does for a run hardly depends on its length."""
BUSY_STRIDES = 10
"""So many strides an estate that may rest goes on: longer than a team takes to be whole again, on a quick machine.

On a slow one nothing more is written meanwhile, or what it takes so long for would become more and more.
"""
REST_SECONDS = 0.05


class Heard(NamedTuple):
    """One message of the violations topic, and when it was read (monotonic seconds)."""

    at: float
    partition: int
    value: bytes
    violation_id: str
    event_id: str


class Listener(threading.Thread):
    """Reads the violations topic from its beginning until stopped; `ids` are those of the violations heard of.

    Breaches of duties are left aside: they come when a deadline passes, and no event is lost with them.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.heard: list[Heard] = []
        self.ids: set[str] = set()
        self._stop_asked = threading.Event()
        self._consumer = reader(settings, TopicName.VIOLATIONS)

    def run(self) -> None:
        """Read until stopped."""
        while not self._stop_asked.is_set():
            for tp, records in self._consumer.poll(timeout_ms=100).items():
                now = time.monotonic()
                for record in records:
                    said = json.loads(record.value)
                    if "event_id" not in said:
                        continue
                    heard = Heard(now, tp.partition, record.value, said["violation_id"], said["event_id"])
                    self.heard.append(heard)
                    self.ids.add(heard.violation_id)
        self._consumer.close()

    def stop(self) -> None:
        """Stop reading."""
        self._stop_asked.set()
        self.join()


class Delayed(Generic[Thing]):
    """Things that are written some strides later than they could have been."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._waiting: list[tuple[int, Thing]] = []
        self._step = 0

    def keep(self, thing: Thing) -> None:
        """Write a thing with one of the next strides."""
        self._waiting.append((self._step + self._chance.randint(1, LATE_STRIDES), thing))

    def due(self, *, all_of_them: bool = False) -> list[Thing]:
        """What is to be written with the next stride."""
        self._step += 1
        ripe = [thing for step, thing in self._waiting if step <= self._step or all_of_them]
        self._waiting = [(step, thing) for step, thing in self._waiting if step > self._step and not all_of_them]
        return ripe


class Estate(threading.Thread):
    """Writes a simulated world at the pace of the clock until told to stop.

    `max_lag_seconds` is what feeds promise; where it is `late`, some records and corrections come after their time.
    """

    def __init__(
        self,
        settings: Settings,
        seed: int,
        *,
        rate: float,
        began: datetime | None = None,
        max_lag_seconds: int = 60,
        late: bool = False,
    ) -> None:
        super().__init__(daemon=True)
        self._publisher = Publisher(settings.brokers, settings.prefix)
        self._began = began or datetime.now(UTC)
        self._simulation = Simulation(seed, self._began, rate)
        self._chance = random.Random(f"estate/{seed}")
        self._late: Delayed[SubjectRecord] = Delayed(self._chance)
        self._corrected: Delayed[MatchEvent] = Delayed(self._chance)
        self._people: list[str] = []
        self._late_share, self._corrected_share = (LATE_SHARE, CORRECTED_SHARE) if late else (0.0, 0.0)
        self._max_lag_seconds = max_lag_seconds
        self._stop_asked = threading.Event()
        self._rests_at: int | None = None
        """With how many strides it rests; None: it writes until told to stop."""
        self._failure: BaseException | None = None
        opening = self._simulation.opening()
        self.opening: Opening = replace(opening, heartbeats=self._promised(opening.heartbeats))
        self.steps: list[Step] = []
        self.written_at: dict[str, float] = {}
        """When the broker had acknowledged each event (monotonic seconds), by id."""
        self._publisher.publish_opening(self.opening)
        self.opened_at = datetime.now(UTC)
        """Since when the broker has everything that is on record before the first step."""

    def run(self) -> None:
        """Write stride after stride, and what has begun when told to stop."""
        try:
            while not self._stop_asked.is_set():
                self._write_until_rest()
                while self._rests() and not self._stop_asked.is_set():
                    time.sleep(REST_SECONDS)
            for step in self._simulation.drain():
                self._write(step)
            self._write_late(self.steps[-1])
            self._publisher.close()
        except BaseException as error:  # noqa: BLE001 -- `stop` tells it, in the thread of the test
            self._failure = error

    def go_on(self) -> None:
        """Write `BUSY_STRIDES` strides and then rest; returns when the first events of them are written."""
        before = self.events
        self._rests_at = len(self.steps) + BUSY_STRIDES
        while self.events == before:
            assert self.is_alive(), "an estate that is to go on has begun, and nothing kept it from writing"
            time.sleep(REST_SECONDS)

    def _rests(self) -> bool:
        return self._rests_at is not None and len(self.steps) >= self._rests_at

    def _write_until_rest(self) -> None:
        for step in strides(self._simulation.steps(datetime.now(UTC))):
            time.sleep(max((step.at - datetime.now(UTC)).total_seconds(), STRIDE * STEP.total_seconds() / 2))
            self._write(step)
            if self._stop_asked.is_set() or self._rests():
                return

    def write_at_once(self, span: timedelta) -> None:
        """Write so much of the world's time in one go, as a backlog."""
        for step in finite_steps(self._simulation, self._began, span.total_seconds()):
            self._write(step)
        self._publisher.close()

    def stop(self) -> None:
        """Let what has begun be reported, and end; raises what kept it from writing."""
        self._stop_asked.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    @property
    def events(self) -> int:
        """How many events were written."""
        return sum(len(step.events) for step in self.steps)

    def _write(self, step: Step) -> None:
        baseline = tuple(self._unlisted(event) if isinstance(event, MatchEvent) else event for event in step.baseline)
        subjects = [each for each in step.subjects if not self._is_late(each)]
        self._note_people(baseline)
        self._publish(
            replace(
                step,
                baseline=(*baseline, *self._corrected.due()),
                subjects=(*subjects, *self._late.due()),
                heartbeats=self._promised(step.heartbeats),
            )
        )

    def _write_late(self, last: Step) -> None:
        """Write what is late still, after the last step."""
        late, corrected = self._late.due(all_of_them=True), self._corrected.due(all_of_them=True)
        self._publish(Step(last.at, tuple(late), (), (), tuple(corrected), (), ()))

    def _is_late(self, record: SubjectRecord) -> bool:
        late = self._chance.random() < self._late_share
        if late:
            self._late.keep(record)
        return late

    def _note_people(self, baseline: Iterable[Event]) -> None:
        """Let some matches be corrected later to a person who was matched before."""
        for each in baseline:
            if isinstance(each, MatchEvent) and each.subject_ref is not None:
                if self._people and self._chance.random() < self._corrected_share:
                    other = self._chance.choice(self._people)
                    changes = {"subject_ref": other, "event_version": 2, "previous_key": each.key}
                    self._corrected.keep(each.model_copy(update=changes))
                self._people.append(each.subject_ref)

    def _publish(self, step: Step) -> None:
        away = [
            each for each in step.baseline if isinstance(each, MatchEvent) and self._chance.random() < MISPLACED_SHARE
        ]
        gone = {(event.event_id, event.event_version) for event in away}
        here = tuple(each for each in step.baseline if (each.event_id, each.event_version) not in gone)
        self._publisher.publish(replace(step, baseline=here))
        self._publisher._send(TopicName.MATCHES, away, displacement=1)
        self._publisher.settle()
        now = time.monotonic()
        self.written_at.update((event.event_id, now) for event in step.events)
        self.steps.append(step)

    def _unlisted(self, event: MatchEvent) -> MatchEvent:
        return event.model_copy(update={"device_id": f"unlisted-{self._chance.randrange(UNLISTED_DEVICES):02d}"})

    def _promised(self, heartbeats: Iterable[FeedRecord]) -> tuple[FeedRecord, ...]:
        return tuple(each.model_copy(update={"max_lag_seconds": self._max_lag_seconds}) for each in heartbeats)


def reader(settings: Settings, *names: TopicName) -> KafkaConsumer:
    """A consumer of all partitions of some topics from their beginning, in no group."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.brokers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=False,
    )
    tps = [TopicPartition(settings.topic(name), partition) for name in names for partition in range(PARTITIONS)]
    consumer.assign(tps)
    consumer.seek_to_beginning(*tps)
    return consumer


def strides(steps: Iterator[Step]) -> Iterator[Step]:
    """Each `STRIDE` steps as one that is written when the last of them is due."""
    while stride := list(islice(steps, STRIDE)):
        yield Step(
            stride[-1].at,
            tuple(chain.from_iterable(step.subjects for step in stride)),
            tuple(chain.from_iterable(step.misplaced for step in stride)),
            tuple(chain.from_iterable(step.heartbeats for step in stride)),
            tuple(chain.from_iterable(step.baseline for step in stride)),
            tuple(chain.from_iterable(step.told for step in stride)),
            tuple(chain.from_iterable(step.expectations for step in stride)),
        )


Place = tuple[TopicName, int]
"""A topic and a partition."""


def committed(settings: Settings, names: Sequence[TopicName]) -> dict[Place, int]:
    """The offsets that the group of the settings has committed; 0 where none."""
    consumer = KafkaConsumer(bootstrap_servers=settings.brokers, group_id=settings.group, enable_auto_commit=False)
    offsets = {
        (name, partition): consumer.committed(TopicPartition(settings.topic(name), partition)) or 0
        for name in names
        for partition in range(PARTITIONS)
    }
    consumer.close()
    return offsets


def event_ids(settings: Settings, names: Sequence[TopicName]) -> dict[Place, list[str]]:
    """The id of the event at each offset, by reading: a broker may list the start of its last batch as the end."""
    consumer = reader(settings, *names)
    found: dict[Place, list[str]] = {(name, partition): [] for name in names for partition in range(PARTITIONS)}
    bare = {settings.topic(name): name for name in names}
    while not all(_at_end(consumer, tp) for tp in consumer.assignment()):
        for tp, records in consumer.poll(timeout_ms=200).items():
            found[bare[tp.topic], tp.partition] += [json.loads(record.value)["event_id"] for record in records]
    consumer.close()
    return found


def _at_end(consumer: KafkaConsumer, tp: TopicPartition) -> bool:
    end = consumer.highwater(tp)
    return end is not None and consumer.position(tp) >= end
