"""Alert groups: a fold over the log of violations, one group for each rule, controller, site and severity.

Rules:
1. A group names no person, and never a rule alone: a second site is a second group, and is told for itself.
2. What a violation is, is what was said of it last: its last statement repeated changes nothing, nor does a first
   judgement that comes again after a correction, as both do after a crash. A correction that comes again after another
   one counts: that a crash repeats it cannot be told from a violation that goes to and fro, and both end alike.
3. A violation stands while it is open or contested. A group is resolved when none of its violations stands, and only
   then: one that falls quiet is dormant.
4. What-ifs and levels without a severity are in no group. Excused violations are counted in theirs and raise none.
5. Time is an argument: the broker's append time of a record, and for the state, now; both in seconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from schemas.notification import Severity
from schemas.verdict import Violation
from streams.alerting.severity import SEVERITIES
from streams.alerting.wording import correction

STANDING = frozenset({"open", "contested"})
EVENTS_SHOWN = 5
"""So many events of the latest violations an alert names; the count is exact."""


class GroupState(StrEnum):
    """What an alert group is: `dormant` has told nothing new for a while, and is no less open for it."""

    FIRING = "firing"
    DORMANT = "dormant"
    RESOLVED = "resolved"


class Effect(StrEnum):
    """What a statement does to its group; `quiet` changes a count that nobody is told of by itself."""

    RAISED = "raised"
    ADDED = "added"
    CORRECTED = "corrected"
    RESOLVED = "resolved"
    QUIET = "quiet"


class GroupKey(NamedTuple):
    """What makes a group: never a person, and never a rule alone."""

    rule_id: str
    controller_id: str
    site_id: str | None
    severity: Severity


class LogPlace(NamedTuple):
    """Where a statement stands on the log of violations: no other one stands there, however alike they are."""

    partition: int
    offset: int


class Happening(NamedTuple):
    """An event, a deadline or a window that a violation is about, by when it was."""

    occurred_at: datetime
    name: str


@dataclass(slots=True)
class AlertGroup:
    """The violations of a group as the log has them; times and events are those since it was raised last."""

    key: GroupKey
    counts: Counter[str] = field(default_factory=Counter)
    first_at: datetime | None = None
    last_at: datetime | None = None
    raised_at: float | None = None
    recorded_at: float = 0.0
    happenings: list[Happening] = field(default_factory=list)
    correction: str = ""
    in_storm: bool = False
    """Raised while so much was raised that a summary tells of it."""

    @property
    def standing(self) -> int:
        """How many violations stand: open or contested."""
        return self.counts["open"] + self.counts["contested"]

    @property
    def was_raised(self) -> bool:
        """Whether anybody could ever have been told of it."""
        return self.raised_at is not None

    def state(self, now: float, dormant_seconds: float) -> GroupState:
        """Whether it fires, has fallen quiet, or is over."""
        if not self.standing:
            return GroupState.RESOLVED
        quiet = now - self.recorded_at >= dormant_seconds
        return GroupState.DORMANT if quiet else GroupState.FIRING

    def stand(self, violation: Violation, recorded_at: float, *, raised: bool) -> None:
        """Take in a violation that stands from now on; the first one of all raises the group anew."""
        happening = Happening(violation.occurred_at, _name(violation))
        if raised or self.first_at is None or self.last_at is None:
            self.first_at = self.last_at = violation.occurred_at
            self.raised_at, self.happenings, self.correction = recorded_at, [], ""
        self.first_at = min(self.first_at, violation.occurred_at)
        self.last_at = max(self.last_at, violation.occurred_at)
        self.recorded_at = max(self.recorded_at, recorded_at)
        self.happenings = sorted({*self.happenings, happening})[-EVENTS_SHOWN:]

    def fall(self, violation: Violation) -> None:
        """Let go of a violation that stands no longer; the times stay those of the whole."""
        gone = Happening(violation.occurred_at, _name(violation))
        self.happenings = [each for each in self.happenings if each != gone]


@dataclass(frozen=True, slots=True)
class Change:
    """One statement that changed its group."""

    group: AlertGroup
    violation: Violation
    effect: Effect
    recorded_at: float
    place: LogPlace


@dataclass(slots=True)
class _Known:
    """What was said of one violation last."""

    group: AlertGroup
    status: str
    version: int
    corrected: bool


class AlertGroups:
    """All groups, folded from the log of violations."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, AlertGroup] = {}
        self._known: dict[bytes, _Known] = {}

    def __iter__(self) -> Iterator[AlertGroup]:
        return iter(self._groups.values())

    def __getitem__(self, key: GroupKey) -> AlertGroup:
        return self._groups[key]

    def states(self, now: float, dormant_seconds: float) -> Mapping[GroupState, int]:
        """How many groups that were ever raised are in each state."""
        return Counter(group.state(now, dormant_seconds) for group in self if group.was_raised)

    def fold(self, violation: Violation, recorded_at: float, place: LogPlace) -> Change | None:
        """Take one statement of the log in; None where it changes nothing."""
        severity = SEVERITIES[violation.level]
        if severity is None or violation.standing == "what_if":
            return None
        known = self._known.get(bytes.fromhex(violation.violation_id))
        if known is None:
            return self._first(violation, severity, recorded_at, place)
        if violation.is_overtaken(version=known.version, corrected=known.corrected):
            return None
        known.version, known.corrected = violation.event_version, violation.corrects
        if violation.status == known.status:
            return None
        return self._next(known, violation, recorded_at, place)

    def _first(self, violation: Violation, severity: Severity, recorded_at: float, place: LogPlace) -> Change:
        key = GroupKey(violation.rule_id, violation.controller_id, violation.site_id, severity)
        group = self._groups.setdefault(key, AlertGroup(key))
        known = _Known(group, "", violation.event_version, corrected=violation.corrects)
        self._known[bytes.fromhex(violation.violation_id)] = known
        return self._next(known, violation, recorded_at, place)

    @staticmethod
    def _next(known: _Known, violation: Violation, recorded_at: float, place: LogPlace) -> Change:
        """Move a violation to its new status, and say what that does to its group."""
        group, before, after = known.group, known.status, violation.status
        stood = bool(group.standing)
        if before:
            group.counts[before] -= 1
        group.counts[after] += 1
        known.status = after
        if after in STANDING and before not in STANDING:
            group.stand(violation, recorded_at, raised=not stood)
            effect = Effect.ADDED if stood else Effect.RAISED
        elif before not in STANDING:
            return Change(group, violation, Effect.QUIET, recorded_at, place)
        else:
            if after not in STANDING:
                group.fall(violation)
            effect = Effect.CORRECTED if group.standing else Effect.RESOLVED
        if before:
            group.correction = correction(violation)
        return Change(group, violation, effect, recorded_at, place)


def _name(violation: Violation) -> str:
    """How an alert names what a violation is about: the event's id, or what has none by the violation's."""
    return violation.event_id or f"{violation.event_kind}:{violation.violation_id[:12]}"
