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
from schemas.registry import RegistryRecord
from streams.core.case import Views, assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.instant import moment_of
from streams.core.judge import Outcome, judge, judge_row
from streams.core.rule_world import KEYS, Setting, event, events_given, noon, read_time, records
from streams.core.rulebook import PlacedTest, Rule, Rulebook
from streams.errors import Place

SHAPES = ("firing", "clear", "unknown", "boundary")
"""What every rule has at least one of."""
USUAL_DAY = date(2026, 3, 10)
EXPECTED_OF = {
    "firing": {"violation"},
    "clear": {"clear"},
    "unknown": {"undetermined"},
    "excused": {"excused"},
    "silent": {"not_applicable"},
    "boundary": {"violation", "clear", "undetermined", "excused", "not_applicable"},
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


def failures(rules: Iterable[Rule]) -> Iterator[Failure]:
    """Every failure of the rules' own tests, in the order of rules and tests."""
    for rule in rules:
        for placed in rule.tests:
            yield from _run(rule, placed)
        yield from _missing(rule)


def count(rules: Iterable[Rule]) -> int:
    """How many tests the rules have."""
    return sum(len(rule.tests) for rule in rules)


def setting_of(rule: Rule, placed: PlacedTest) -> Setting:
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


def _run(rule: Rule, placed: PlacedTest) -> Iterator[Failure]:
    test = placed.test
    said, why = _said(rule, placed)
    if test.expect not in EXPECTED_OF[test.shape]:
        yield Failure(rule.id, test.name, placed.place, f"a verdict that fits the shape {test.shape}", test.expect)
    if said != test.expect:
        yield Failure(rule.id, test.name, placed.place, test.expect, said)
    elif test.why is not None and test.why != why:
        yield Failure(rule.id, test.name, placed.place, f"undetermined because of {test.why}", str(why))


def _said(rule: Rule, placed: PlacedTest) -> tuple[str, str | None]:
    """What the rule says of the world, or why it cannot be asked."""
    given = placed.test.given
    for key in given:
        if key not in KEYS:
            nearest = difflib.get_close_matches(key, KEYS, n=1)
            return f"no part {key!r} of a world; {f'did you mean {nearest[0]!r}?' if nearest else sorted(KEYS)}", None
    if len(events_given(given)) > 1:
        return "more than one event", None
    try:
        setting = setting_of(rule, placed)
        views = Views()
        for record in records(given, setting):
            if isinstance(record, RegistryRecord):
                views.registry.add(record)
            else:
                views.histories.add(record)
        kind, message = event(given, setting)
    except (ContractError, ValueError) as error:
        return f"no world: {error}", None
    if kind is not rule.kind:
        return f"a {kind.value}, which the rule does not judge", None
    cases = assemble(frame_of([message], MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS), kind, views)
    verdicts = judge(cases, kind, Rulebook((rule,), "", (rule.pack,)))
    (row,) = verdicts.cases.to_dicts()
    columns = Outcome(verdicts.outcomes[rule.column][0])
    oracle = judge_row(rule, row)
    if columns is not oracle or verdicts.failed:
        return f"{columns.word} by columns and {oracle.word} by the interpreter", None
    return columns.word, verdicts.reason(rule, row) if columns is Outcome.UNDETERMINED else None


def _missing(rule: Rule) -> Iterator[Failure]:
    held = {placed.test.shape for placed in rule.tests}
    for shape in SHAPES:
        if shape not in held:
            yield Failure(rule.id, "its tests", rule.place, f"a case of the shape {shape}", "none")
