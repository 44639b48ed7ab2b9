"""The simulation: the world and its stories as steps of a quarter of a second, each with what is then to be written.

Rules:
1. Pure: the same seed, start and rate give the same steps, byte for byte; nothing here looks at a clock.
2. What happens is reported `REPORTED_AFTER` later, as gateways do; records are written the moment they hold.
3. Within a step: records, then heartbeats, then events. A heartbeat vouches for the steps before its own, so nothing
   that it promises is still on its way when it is written.
4. The first round of stories is told at the first step, so the shortest run tells every story.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.registry import FeedRecord, RegistryRecord
from schemas.subject import SubjectRecord
from streams.errors import ConfigurationError
from streams.simulator.clerk import Clerk
from streams.simulator.expectation import Expectation
from streams.simulator.source import registry_source
from streams.simulator.stories import STORIES
from streams.simulator.story import EARLIEST_START, Event, Told
from streams.simulator.world import MEMBERS, World

STEP = timedelta(milliseconds=250)
REPORTED_AFTER = timedelta(milliseconds=1_200)
HEARTBEAT_STEPS = 2
ROUND_STEPS = 8
"""All stories are told anew every two seconds."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What is on record before anything happens."""

    registry: tuple[RegistryRecord, ...]
    subjects: tuple[SubjectRecord, ...]
    heartbeats: tuple[FeedRecord, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What is written at `at`, in this order; `misplaced` records go to a partition that is not their key's."""

    at: datetime
    subjects: tuple[SubjectRecord, ...]
    misplaced: tuple[SubjectRecord, ...]
    heartbeats: tuple[FeedRecord, ...]
    baseline: tuple[Event, ...]
    told: tuple[Event, ...]
    expectations: tuple[Expectation, ...]
    """What must come of the events that were told, and nothing else must come of any."""

    @property
    def events(self) -> tuple[Event, ...]:
        """All events of the step."""
        return self.baseline + self.told


class Simulation:
    """A seeded run; `rate` is baseline events a second, stories come on top."""

    def __init__(self, seed: int, start: datetime, rate: float, *, members: int = MEMBERS) -> None:
        if start.tzinfo is None or start < EARLIEST_START:
            raise ConfigurationError(f"expected a start with a zone, not before {EARLIEST_START:%Y-%m-%d}")
        if not 0 <= rate <= 100_000:
            raise ConfigurationError("expected a rate from 0 to 100000 events a second")
        self.clerk = Clerk(seed, start)
        self.rate = rate
        self.world = World(self.clerk, members=members)
        self.stories = tuple(story(self.clerk) for story in STORIES)
        self._sources = [registry_source(), *self.world.sources()]
        self._sources += [source for story in self.stories for source in story.sources()]
        self._heartbeats_said = 0
        self._at = start
        self._pending: deque[tuple[datetime, Told, str]] = deque()
        self._owed = 0.0

    def opening(self) -> Opening:
        """The records of before the start, and the first heartbeats, complete up to the start."""
        registry = [*self.world.registry(), *(record for story in self.stories for record in story.registry())]
        subjects = [*self.world.people(), *(record for story in self.stories for record in story.people())]
        dead = [source.last_words() for source in self._sources if source.died_at is not None]
        alive = self._heartbeats(self.clerk.start, self.clerk.start)
        return Opening(tuple(registry), tuple(subjects), (*dead, *alive))

    def foreseen(self) -> frozenset[tuple[str, str]]:
        """The controllers and rules of deadlines and windows that the stories lead to in time."""
        return frozenset((story.premises.controller.id, rule) for story in self.stories for rule in story.in_time)

    def steps(self, begin: datetime) -> Iterator[Step]:
        """Steps from `begin` on, without end; `drain` gives the last ones once the caller has had enough."""
        assert begin >= self.clerk.start, "the world is there before anything happens in it"
        self._at = begin
        number = 0
        while True:
            yield self._step(number, begin)
            number += 1

    def drain(self) -> Iterator[Step]:
        """The steps after the last telling: everything that happened is still reported, nothing new begins."""
        while self._pending:
            yield self._write((), (), beat=True, baseline=())

    def _step(self, number: int, begin: datetime) -> Step:
        subjects: list[SubjectRecord] = []
        misplaced: list[SubjectRecord] = []
        if number % ROUND_STEPS == 0:
            told: list[tuple[datetime, Told, str]] = []
            for story in self.stories:
                scene = story.tell(self._at)
                subjects += scene.records
                misplaced += scene.misplaced
                told += [(each.event.occurred_at, each, story.name) for each in scene.told]
            self._pending.extend(sorted(told, key=lambda each: (each[0], each[1].event.event_id)))
        return self._write(
            tuple(subjects), tuple(misplaced), beat=number % HEARTBEAT_STEPS == 0, baseline=self._baseline(begin)
        )

    def _baseline(self, begin: datetime) -> tuple[Event, ...]:
        first = self._at - REPORTED_AFTER - STEP
        if first < begin:
            return ()
        self._owed += self.rate * STEP.total_seconds()
        count = int(self._owed)
        self._owed -= count
        instants = sorted(self.clerk.within(first, STEP) for _ in range(count))
        return tuple(self.world.traffic(instant) for instant in instants)

    def _write(
        self,
        subjects: tuple[SubjectRecord, ...],
        misplaced: tuple[SubjectRecord, ...],
        *,
        beat: bool,
        baseline: tuple[Event, ...],
    ) -> Step:
        at = self._at
        events: list[Event] = []
        expectations: list[Expectation] = []
        while self._pending and self._pending[0][0] + REPORTED_AFTER <= at:
            _, told, story = self._pending.popleft()
            events.append(told.event)
            expectations += told.expectations(story)
        self._at = at + STEP
        heartbeats = self._heartbeats(at - STEP, at) if beat and at - STEP >= self.clerk.start else ()
        return Step(at, subjects, misplaced, heartbeats, baseline, tuple(events), tuple(expectations))

    def _heartbeats(self, complete_until: datetime, said_at: datetime) -> tuple[FeedRecord, ...]:
        self._heartbeats_said += 1
        number = self._heartbeats_said
        alive = [source for source in self._sources if source.died_at is None]
        return tuple(source.heartbeat(complete_until, said_at, number) for source in alive)
