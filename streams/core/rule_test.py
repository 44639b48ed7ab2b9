"""Running the tests inside a rule: each small world is judged by columns and by the interpreter, and both must agree.

Rules:
1. A test that cannot be run (a record that is no record, a part that is none) is a failure with its place, no crash.
2. Every rule has a firing, a clear, an unknown and a boundary case; what is missing is a failure too.
3. A rule is tested alone, so what other rules say of the same world does not matter.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

from schemas.contract import ContractError
from streams.core.facts import FACTS
from streams.core.instant import moment_of
from streams.core.rule import AnyRule, PlacedTest, WindowRule
from streams.core.rule_trial import Said, Trial
from streams.core.rule_world import KEYS, Setting, noon, read_time
from streams.errors import Place

SHAPES = ("firing", "clear", "unknown", "boundary")
"""What every rule has at least one of."""
USUAL_DAY = date(2026, 3, 10)
EXPECTED_OF = {
    "firing": {"violation"},
    "clear": {"clear", "open", "fulfilled"},
    "unknown": {"undetermined"},
    "excused": {"excused"},
    "silent": {"not_applicable", "clear"},
    "boundary": {"violation", "clear", "undetermined", "excused", "not_applicable", "open", "fulfilled"},
}
"""Which verdicts a test of each shape may expect."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that did not hold, or one that is missing."""

    rule: str
    name: str
    place: Place | None
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.name}: expected {self.expected}, got {self.got}"


def failures(rules: Iterable[AnyRule]) -> Iterator[Failure]:
    """Every failure of the rules' own tests, in the order of rules and tests."""
    for rule in rules:
        for placed in rule.tests:
            yield from _run(rule, placed)
        yield from _missing(rule)


def count(rules: Iterable[AnyRule]) -> int:
    """How many tests the rules have."""
    return sum(len(rule.tests) for rule in rules)


def setting_of(rule: AnyRule, placed: PlacedTest) -> Setting:
    """Where and when a test of a rule plays; raises ValueError where its time is none."""
    usual = noon(USUAL_DAY, rule.timezone)
    begun = moment_of(rule.from_instant) + timedelta(days=1)
    ended = moment_of(rule.until_instant) - timedelta(days=1) if rule.until_instant < 2**61 else None
    day = max(usual, begun) if ended is None else min(max(usual, begun), ended)
    local = noon(day.astimezone(ZoneInfo(rule.timezone)).date(), rule.timezone)
    kind = rule.controller_types[0] if rule.controller_types else "private"
    setting = Setting(rule.jurisdictions, rule.timezone, kind, local)
    if placed.test.at is None:
        return setting
    moment = read_time(placed.test.at, setting).astimezone(UTC)
    return Setting(rule.jurisdictions, rule.timezone, kind, moment)


def _run(rule: AnyRule, placed: PlacedTest) -> Iterator[Failure]:
    test = placed.test
    if test.expect not in EXPECTED_OF[test.shape]:
        yield Failure(rule.id, test.name, placed.place, f"a verdict that fits the shape {test.shape}", test.expect)
    steps = [(test.expect, test.why), *((later.expect, later.why) for later in test.then)]
    for (verdict, reason), (said, why) in zip(steps, _said(rule, placed), strict=False):
        if said != verdict:
            yield Failure(rule.id, test.name, placed.place, verdict, said)
        elif reason is not None and reason != why:
            yield Failure(rule.id, test.name, placed.place, f"undetermined because of {reason}", str(why))


def _said(rule: AnyRule, placed: PlacedTest) -> Iterator[Said]:
    """What the rule says of the world, step by step, or why it cannot be asked."""
    test = placed.test
    for key in test.given:
        if key not in KEYS:
            nearest = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else str(sorted(KEYS))
            yield f"no part {key!r} of a world; {hint}", None
            return
    try:
        trial = Trial(rule, test.given, setting_of(rule, placed))
        yield trial.says(test.until)
        for later in test.then:
            trial.arrive(later.arrives)
            yield trial.says(later.until or test.until)
    except (ContractError, ValueError) as error:
        yield f"no world: {error}", None


def _missing(rule: AnyRule) -> Iterator[Failure]:
    held = {placed.test.shape for placed in rule.tests}
    for shape in SHAPES:
        if shape not in held and (shape != "unknown" or _may_be_unknown(rule)):
            yield Failure(rule.id, "its tests", rule.place, f"a case of the shape {shape}", "none")


def _may_be_unknown(rule: AnyRule) -> bool:
    """Whether anything that a rule asks can be unknown; a claim that an event makes or does not make cannot."""
    if rule.jurisdictions or rule.controller_types or not isinstance(rule, WindowRule) or rule.counts is None:
        return True
    return any(FACTS[name].unknown_when != "never" for name in rule.counts.facts)
