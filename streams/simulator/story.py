"""A story: a named breach, or a near miss, that knows which rules must speak and which must stay silent.

Rules:
1. Every story has premises of its own, so that no story can spoil another or the baseline.
2. A story is told again and again, each time about new people; `tell` is a pure function of the clerk and the instant.
3. Records of a telling hold from the instant of telling or later, so that no feed's promise is broken.
4. Verdicts are those of the law since 1 June 2025; the draft of 2023 is told apart by the prefix of its rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from schemas.encounter import Encounter
from schemas.match import MatchEvent
from schemas.registry import RegistryRecord
from schemas.subject import SubjectRecord
from streams.simulator.clerk import Clerk
from streams.simulator.expectation import Expectation, Status
from streams.simulator.premises import Plan, Premises, establish
from streams.simulator.source import Source, subject_source

FOUNDED_DAYS = 400
"""Premises were established so many days before the start."""

EARLIEST_START = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(days=1)
"""Stories know their verdicts under the Measures, in force from the first instant of 1 June 2025 in Beijing."""

Event = MatchEvent | Encounter


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a story, with the rules that must find it open, excused or undetermined."""

    event: Event
    open: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    undetermined: tuple[str, ...] = ()

    def expectations(self, story: str) -> Iterator[Expectation]:
        """What must come of the event."""
        said: tuple[tuple[Status, tuple[str, ...]], ...] = (
            ("open", self.open),
            ("excused", self.excused),
            ("undetermined", self.undetermined),
        )
        for status, rules in said:
            for rule_id in rules:
                yield Expectation(self.event.event_id, rule_id, status, story)


@dataclass(frozen=True, slots=True)
class Scene:
    """One telling: records to be written now, some of them to a wrong partition, and what happens then."""

    told: tuple[Told, ...]
    records: tuple[SubjectRecord, ...] = ()
    misplaced: tuple[SubjectRecord, ...] = ()


class Story:
    """What all stories share; a subclass names itself, makes its premises and tells."""

    name: ClassVar[str]
    plan: ClassVar[Plan]
    in_time: ClassVar[tuple[str, ...]] = ()
    """Rules on deadlines and windows that may speak of the story's controller once it was told often or long enough."""

    def __init__(self, clerk: Clerk) -> None:
        self.clerk = clerk
        self.premises = self.alter(establish(self.plan, clerk.before(days=FOUNDED_DAYS)))

    def alter(self, premises: Premises) -> Premises:
        """The one thing about the premises that is not in order; nothing, unless a story says so."""
        return premises

    def registry(self) -> Iterator[RegistryRecord]:
        """What the registry says of the story's premises."""
        yield from self.premises.records()

    def people(self) -> Iterator[SubjectRecord]:
        """Records of people who were there before the start."""
        yield from ()

    def sources(self) -> Iterator[Source]:
        """Where records about the story's people come from."""
        yield subject_source(self.premises.controller.id)

    def tell(self, at: datetime) -> Scene:
        """The story once more, from `at` on; everything in it happens within a second."""
        raise NotImplementedError


def after(at: datetime, seconds: float) -> datetime:
    """An instant some seconds later, exact to the microsecond."""
    return at + timedelta(microseconds=round(seconds * 1_000_000))
