"""A rule, compiled: what all rules have in common, and what a condition, a deadline and a window are beyond it.

Rules:
1. Id and revision together are the identity of a rule; of two objects only the same one is equal.
2. Time bounds are instants in microseconds: a rule holds from `from_instant` up to, and without, `until_instant`.
3. What a duty asks of cases is a rule of its own, judged by the same judge: where its verdict is a violation, the case
   opens, fulfils, extends or counts; such a rule is never shown and accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from schemas.vocabulary import Level
from streams.core.calendar import Period, Unit
from streams.core.condition import Condition
from streams.core.facts import CaseKind
from streams.core.pack import Annotations, Judges, KeyPart, RuleTest
from streams.core.record_facts import RECORDS, SUBJECT_RECORDS
from streams.errors import Place

JUDGED_KIND: Mapping[Judges, CaseKind] = {
    "match": CaseKind.MATCH,
    "probe": CaseKind.MATCH,
    "subject": CaseKind.MATCH,
    "access_outcome": CaseKind.ACCESS_OUTCOME,
    "human_review": CaseKind.HUMAN_REVIEW,
    "disclosure": CaseKind.DISCLOSURE,
}


class Kind(StrEnum):
    """What kind of rule it is."""

    CONDITION = "condition"
    WINDOW = "window"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class PlacedTest:
    """A rule's own test, and where it stands."""

    test: RuleTest
    place: Place


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnyRule:
    """What one revision of a rule of any kind has."""

    id: str
    revision: int
    pack: str
    title: str
    description: str
    citation: str
    level: Level
    standing: Literal["in_force", "what_if"]
    jurisdictions: tuple[str, ...]
    controller_types: tuple[str, ...]
    from_instant: int
    until_instant: int
    per: str
    annotations: Annotations
    confidence: str
    limits: str | None
    references: tuple[str, ...] = ()
    timezone: str = "UTC"
    off: bool = False
    """Kept in its pack, listed and locked, and judged nowhere."""
    place: Place | None = None
    """Where the rule stands."""
    tests: tuple[PlacedTest, ...] = ()

    @property
    def column(self) -> str:
        """The name of the rule's column of outcomes."""
        return f"{self.id}@{self.revision}"

    @property
    def rule_kind(self) -> Kind:
        """Whether it is a condition, a window or a deadline."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Excuse:
    """One exception of a rule, compiled."""

    name: str
    citation: str
    condition: Condition


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rule(AnyRule):
    """A condition over one case."""

    judges: Judges
    condition: Condition
    excuses: tuple[Excuse, ...] = ()
    facts: tuple[str, ...]
    """Every fact that its condition and excuses ask, in order of first use."""
    excusable: bool = True
    """Whether an exception record may excuse it."""

    @property
    def kind(self) -> CaseKind:
        """The kind of case that the rule judges."""
        return JUDGED_KIND[self.judges]

    @property
    def rule_kind(self) -> Kind:
        """A condition."""
        return Kind.CONDITION


@dataclass(frozen=True, slots=True)
class Amount:
    """How long a duty may take; `after` is a number or the name of a number of the trigger."""

    after: int | str
    unit: Unit
    calendar: str | None = None
    roll: bool = False
    counted_from: str | None = None
    from_end_of: Period | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """What opens, fulfils or extends a duty: a kind of record with a condition, a case, or a number of persons."""

    record: str | None = None
    condition: Condition | None = None
    """Over the fields of the record; of a case, `case` asks."""
    case: Rule | None = None
    stored_persons: int | None = None
    at: str | None = None
    earlier: bool = False
    due: Amount | None = None
    restarts: bool = False
    """An extension that counts from its own instant, not from the deadline."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeadlineRule(AnyRule):
    """A duty that something opens and something else has to fulfil in time."""

    opens: tuple[Clause, ...]
    fulfilled_by: tuple[Clause, ...]
    extended_by: tuple[Clause, ...]
    key: tuple[KeyPart, ...]
    once: Literal["each", "day", "month", "quarter", "year", "ever"]
    continuing: bool
    due: Amount

    @property
    def rule_kind(self) -> Kind:
        """A deadline."""
        return Kind.DEADLINE

    @property
    def of_subject(self) -> bool:
        """Whether it is a duty towards one person."""
        return "subject" in self.key

    def clauses(self) -> Iterator[tuple[str, Clause]]:
        """Every clause with its role, numbered within the rule."""
        for name, clauses in (("opens", self.opens), ("fulfils", self.fulfilled_by), ("extends", self.extended_by)):
            for number, clause in enumerate(clauses):
                yield f"{name}-{number}", clause


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WindowRule(AnyRule):
    """A count over whole local days that must not reach a bound."""

    days: int
    key: KeyPart
    count: Literal["cases", "subjects", "sites", "stored_persons"]
    at_least: int
    or_beyond: str | None
    """The number of an exception record beyond which cases that name it reach the bound too."""
    counts: Rule | None
    """Which cases count; None where persons whose data is stored do."""
    unless: Rule | None

    @property
    def rule_kind(self) -> Kind:
        """A window."""
        return Kind.WINDOW


Duty = DeadlineRule | WindowRule
"""A rule that no single case decides."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a case is to a duty: it opens, fulfils, extends, counts, or silences (`unless`)."""

    duty: Duty
    name: str

    @property
    def restarts(self) -> bool:
        """Whether only the latest case in it counts, since it restarts a deadline."""
        if isinstance(self.duty, WindowRule):
            return False
        return any(name == self.name and clause.restarts for name, clause in self.duty.clauses())


def entry_rules(duty: Duty) -> Iterator[tuple[Rule, Role]]:
    """The rules by which cases are entered for a duty."""
    if isinstance(duty, WindowRule):
        for name, rule in (("counts", duty.counts), ("unless", duty.unless)):
            if rule is not None:
                yield rule, Role(duty, name)
        return
    for name, clause in duty.clauses():
        if clause.case is not None:
            yield clause.case, Role(duty, name)


def asked_of_subjects(duties: Iterable[Duty]) -> dict[str, tuple[str, ...]]:
    """By kind of subject record, its fields that duties ask; joined ones come from elsewhere."""
    asked: dict[str, set[str]] = {}
    for duty in duties:
        if isinstance(duty, WindowRule):
            if duty.count == "stored_persons":
                _ask_stored(asked)
            continue
        for _, clause in duty.clauses():
            if clause.stored_persons is not None:
                _ask_stored(asked)
            if clause.record is None or clause.record not in SUBJECT_RECORDS:
                continue
            named = {clause.at, duty.due.counted_from, duty.due.after, *PART_FIELDS.values()}
            named |= set(clause.condition.facts) if clause.condition is not None else set()
            own = RECORDS[clause.record].model_fields.keys() - ALWAYS_HELD
            asked.setdefault(clause.record, set()).update(str(name) for name in named & own)
    return {kind: tuple(sorted(names)) for kind, names in sorted(asked.items())}


def _ask_stored(asked: dict[str, set[str]]) -> None:
    asked.setdefault("enrolment", set())
    asked.setdefault("deletion", set()).add("artefacts")


ALWAYS_HELD = {"record_id", "record_version", "valid_from", "valid_until", "controller_id"}
PART_FIELDS: Mapping[KeyPart, str] = {
    "purpose": "purpose_id",
    "site": "site_id",
    "device": "device_id",
    "authority": "authority_id",
    "record": "request_record_id",
}
"""In which field a record names what it is about."""
