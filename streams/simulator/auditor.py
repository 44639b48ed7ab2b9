"""The auditor: compares what came out with what the stories expect, knowing nothing of how either was made.

Rules:
1. A violation is told apart by event, rule and status; of several messages about one violation the last counts.
2. A retracted violation is no violation; a contested one is still open.
3. Whatever was not expected is unexpected: a baseline event with a violation, a story with one too many.
4. What no single event breaches, a deadline or a window, is foreseen by controller and rule and not counted: whether it
   is said already depends on how long the run lasts.
5. Silence can be right or wrong: where the undetermined verdicts are given too, those expected are looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.verdict import Violation
from streams.simulator.expectation import Expectation


class Line(NamedTuple):
    """What one rule said about one event."""

    event_id: str
    rule_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The comparison; lines are sorted."""

    expected: Mapping[str, int]
    """How many violations, open or excused, were expected, by rule."""
    found: Mapping[str, int]
    """How many came out, by rule."""
    excused: Mapping[str, int]
    """How many of those found are excused, by rule."""
    missing: tuple[Line, ...]
    unexpected: tuple[Line, ...]
    twice: tuple[Line, ...]
    """Breaches that came out under two ids."""

    @property
    def agrees(self) -> bool:
        """Whether nothing is missing, unexpected or doubled."""
        return not (self.missing or self.unexpected or self.twice)


class Auditor:
    """Takes expectations and violations in any order and compares them on demand."""

    def __init__(self, foreseen: Collection[tuple[str, str]] = ()) -> None:
        self._foreseen = frozenset(foreseen)
        self._expected: set[Line] = set()
        self._found: dict[str, Line] = {}

    def expect(self, expectations: Iterable[Expectation]) -> None:
        """Take in what the stories expect."""
        self._expected.update(Line(each.event_id, each.rule_id, each.status) for each in expectations)

    def see(self, violation: Violation) -> None:
        """Take in what the monitor says; a later message about the same violation replaces an earlier one."""
        if violation.event_id is None and (violation.controller_id, violation.rule_id) in self._foreseen:
            return
        status = "open" if violation.status == "contested" else violation.status
        named = violation.event_id or violation.violation_id
        self._found[violation.violation_id] = Line(named, violation.rule_id, status)

    def audit(self, undetermined: Collection[tuple[str, str]] | None = None) -> Audit:
        """Compare; `undetermined` are the (event, rule) pairs without an answer, where somebody knows them."""
        said = Counter(line for line in self._found.values() if line.status != "retracted")
        expected = {line for line in self._expected if line.status != "undetermined"}
        missing = expected - said.keys()
        if undetermined is not None:
            missing |= {line for line in self._expected - expected if (line.event_id, line.rule_id) not in undetermined}
        return Audit(
            expected=_by_rule(expected),
            found=_by_rule(said.elements()),
            excused=_by_rule(line for line in said.elements() if line.status == "excused"),
            missing=tuple(sorted(missing)),
            unexpected=tuple(sorted(said.keys() - expected)),
            twice=tuple(sorted(line for line, times in said.items() if times > 1)),
        )


def _by_rule(lines: Iterable[Line]) -> dict[str, int]:
    return dict(sorted(Counter(line.rule_id for line in lines).items()))
