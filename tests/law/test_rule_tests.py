"""The tests inside the rules hold, and what runs them fails where it should."""

from __future__ import annotations

from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from small_world import the_law
from streams.core.rule import AnyRule
from streams.core.rule_test import failures
from streams.core.rulebook import load

LAW = the_law().every()
FIRING = {"name": "no purpose", "shape": "firing", "given": {"match": {"purpose_id": None}}, "expect": "violation"}
CLEAR = {"name": "a purpose", "shape": "clear", "expect": "clear"}


@pytest.mark.parametrize("rule", LAW, ids=[rule.column for rule in LAW])
def test_every_test_of_a_rule_holds_and_every_shape_is_there(rule: AnyRule) -> None:
    assert [str(each) for each in failures([rule])] == []
    assert len(rule.tests) >= 4


def told(*tests: Any, **changes: Any) -> list[tuple[str, str, str]]:
    """What fails of a rule with these tests, but for missing shapes."""
    book = load([("test.yaml", a_pack(a_rule(tests=list(tests), **changes)))])
    return [(each.name, each.expected, each.got) for each in failures(book.rules) if each.name != "its tests"]


def test_what_holds_is_not_told() -> None:
    assert told(FIRING, CLEAR) == []


def test_a_verdict_that_is_another_is_told_with_its_place() -> None:
    book = load([("test.yaml", a_pack(a_rule(tests=[CLEAR | FIRING | {"given": {}}])))])
    first = next(failures(book.rules))
    assert (first.expected, first.got) == ("violation", "clear")
    assert str(first).startswith("test.yaml:")


def test_missing_shapes_are_failures() -> None:
    book = load([("test.yaml", a_pack(a_rule(tests=[FIRING])))])
    missing = [each.expected for each in failures(book.rules)]
    assert missing == [f"a case of the shape {shape}" for shape in ("clear", "unknown", "boundary")]


def test_a_shape_binds_its_verdict() -> None:
    assert told(FIRING | {"shape": "clear"}) == [("no purpose", "a verdict that fits the shape clear", "violation")]


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({"devise": {}}, "no part 'devise' of a world; did you mean 'device'?"),
        ({"match": {}, "disclosure": {}}, "more than one event"),
        ({"disclosure": {}}, "a disclosure, which the rule does not judge"),
        ({"device": {"zone": "garden"}}, "no world: invalid_value"),
        ({"device": {"colour": "red"}}, "no world: unknown_field"),
        ({"consent": {"valid_from": "yesterday"}}, "no world: "),
    ],
)
def test_a_world_that_cannot_be_is_told_and_stops_nothing(given: dict[str, Any], got: str) -> None:
    said = told(CLEAR | {"given": given}, CLEAR | {"name": "another", "expect": "violation", "shape": "boundary"})
    assert [name for name, _, _ in said] == ["a purpose", "another"]
    assert said[0][2].startswith(got)


def test_the_reason_of_an_undetermined_case_is_compared() -> None:
    behind = {"purpose": None, "feed": {"complete_until": "at - 1 second"}}
    unknown = {"name": "behind", "shape": "unknown", "given": behind, "expect": "undetermined", "why": "feed_behind"}
    asks = "NOT purpose_registered"
    assert told(unknown, condition=asks) == []
    assert told(unknown | {"why": "conflict"}, condition=asks) == [
        ("behind", "undetermined because of conflict", "feed_behind")
    ]


@pytest.mark.parametrize(
    ("consent", "expect"),
    [
        ({"valid_from": "at"}, "clear"),
        ({"valid_from": "at + 1 microsecond"}, "violation"),
        ({"valid_until": "at"}, "violation"),
        ({"valid_from": "2026-03-10T12:00:00"}, "clear"),
        ({"valid_from": "2026-03-10T12:00:00.000001"}, "violation"),
        ({"valid_from": "2026-03-10T04:00:00Z"}, "clear"),
    ],
)
def test_times_beside_the_event_and_local_times_are_exact(consent: dict[str, Any], expect: str) -> None:
    case = {"name": "consent", "shape": "boundary", "given": {"consent": consent}, "expect": expect}
    rule = a_rule(tests=[case], condition="NOT consent_in_force")
    book = load([("test.yaml", a_pack(rule, timezone="Asia/Shanghai"))])
    assert [each for each in failures(book.rules) if each.name == "consent"] == []


def test_a_rule_that_begins_later_or_has_ended_is_tested_in_its_own_time() -> None:
    for dates in ({"from": "2031-01-01"}, {"from": "2020-02-01", "until": "2020-03-01"}):
        assert told(FIRING, CLEAR, in_force=dates) == []
    outside = {"name": "before", "shape": "silent", "at": "2030-12-31T23:59:59", "expect": "not_applicable"}
    assert told(outside, in_force={"from": "2031-01-01"}) == []
