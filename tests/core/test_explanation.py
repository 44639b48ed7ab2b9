"""An explanation says nothing that the judge does not say, and its smallest change is a change that is small."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from small_world import CLEAR, IN_PASSING, UNDETERMINED, VIOLATION, a_world
from streams.core.condition import Fact
from streams.core.explanation import Explanation, explain, nodes, shown
from streams.core.interpreter import interpret
from streams.core.judge import Outcome, judge_row
from streams.core.rulebook import load

WORLDS: list[dict[str, Any]] = [
    {},
    {"consent": {"consent_form": "bundled"}},
    {"consent": None, "enrolment": {"age_band": "under_14"}},
    {"event": {"subject_ref": None}},
    {"event": IN_PASSING | {"inferred_attributes": ["ethnicity"]}, "notice": None},
    {"device": {"zone": "toilet"}, "site": {"sign_verified_at": None, "alternative_methods": []}},
    {"device": None},
    {"purpose": None},
    {"event": {"rank": 3, "original_image_retained": True, "inferred_attributes": None}},
    {"at": "2024-01-01T00:00:00Z"},
    {"door": {"alternative_offered": False, "outcome": "denied"}},
    {"handover": {"legal_basis": "none"}},
]


def explained(world: dict[str, Any]) -> tuple[dict[str, Any], list[Explanation]]:
    verdicts = a_world(**world).verdicts
    (row,) = verdicts.cases.to_dicts()
    return row, [explain(rule, row) for rule in verdicts.rules]


def of(rule_id: str, world: dict[str, Any]) -> Explanation:
    (found,) = [each for each in explained(world)[1] if each.rule.id == rule_id]
    return found


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_it_agrees_with_the_oracle_on_every_rule(world: dict[str, Any]) -> None:
    row, explanations = explained(world)
    for each in explanations:
        assert each.outcome is judge_row(each.rule, row)
        assert bool(each.not_for) or each.outcome is not Outcome.NOT_APPLICABLE
        if each.outcome is Outcome.NOT_APPLICABLE:
            assert each.clauses == ()
        else:
            assert each.clauses[0].value is interpret(each.rule.condition.root, row)
            asked = {node.name for node in nodes(each.rule.condition.root) if isinstance(node, Fact)}
            assert {name for clause in each.clauses for name in clause.facts} == asked


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_a_smallest_change_makes_it_clear_and_no_part_of_it_does(world: dict[str, Any]) -> None:
    row, explanations = explained(world)
    for each in explanations:
        if not each.change:
            continue
        assert each.outcome in (Outcome.VIOLATION, Outcome.UNDETERMINED)
        changes = [change.split(" = ", 1) for change in each.change]
        for kept in product((True, False), repeat=len(changes)):
            some = {name: read(value) for (name, value), keep in zip(changes, kept, strict=True) if keep}
            assert (interpret(each.rule.condition.root, row | some) is False) == all(kept)


def read(value: str) -> object:
    """The value behind its words; the changes of these worlds are booleans, texts and lists."""
    if value.startswith("["):
        return [each for each in value[1:-1].split(", ") if each]
    return {"TRUE": True, "FALSE": False}.get(value, value)


def test_every_violation_of_these_worlds_could_have_been_clear() -> None:
    for world in WORLDS:
        for each in explained(world)[1]:
            assert each.change or each.outcome is not Outcome.VIOLATION, each.rule.id


@pytest.mark.parametrize(
    ("rule_id", "world", "change"),
    [
        ("cn2025.art06.consent", {"consent": None}, "separate_consent_actions = [identify]"),
        ("cn2025.art06.bundled", {"consent": {"consent_form": "bundled"}}, "consent_forms = [bundled, another]"),
        ("cn2025.art13.sign", {"site": {"sign_verified_at": None}}, "sign_verified = TRUE"),
        ("cn2025.art10.sole-method", {"site": {"alternative_methods": []}}, "alternative_available = TRUE"),
        ("cn2025.art13.private-space", {"device": {"zone": "toilet"}}, "device_zone = another"),
        ("cn2025.art05.notice", {"notice": {"states_retention": False}}, "notice_states_retention = TRUE"),
        ("cn2023.art17.original", {"event": {"original_image_retained": None}}, "original_image_retained = FALSE"),
    ],
)
def test_the_change_is_one_that_somebody_could_have_made(rule_id: str, world: dict[str, Any], change: str) -> None:
    assert change in of(rule_id, world).change


def judged_by(condition: str, **parts: Any) -> Explanation:
    """What a rule of one's own says of a world, explained."""
    (rule,) = load([("a.yaml", a_pack(a_rule(condition=condition)))]).rules
    (row,) = a_world(**parts).verdicts.cases.to_dicts()
    return explain(rule, row)


@pytest.mark.parametrize(
    ("condition", "parts", "change"),
    [
        ("retention_days > 20", {}, ("retention_days = 20",)),
        ("retention_days >= 20", {}, ("retention_days = 19",)),
        ("retention_days <> 20", {}, ("retention_days = 20",)),
        ("retention_days IS NULL", {"purpose": {"retention_days": None}}, ()),
        ("occurred_at < TIMESTAMP '2026-03-11 00:00:00+00:00'", {}, ("occurred_at = 2026-03-11T00:00:00Z",)),
        ("occurred_at > TIMESTAMP '2026-03-09 00:00:00+00:00'", {}, ("occurred_at = 2026-03-08T23:59:59.999999Z",)),
    ],
)
def test_numbers_and_instants_are_changed_to_the_nearest_that_is_clear(
    condition: str, parts: dict[str, Any], change: tuple[str, ...]
) -> None:
    found = judged_by(condition, **parts)
    assert (found.outcome.word, found.change) == (VIOLATION, change)


def test_what_is_clear_has_no_change_and_all_its_clauses() -> None:
    found = of("cn2025.art06.consent", {})
    assert (found.outcome.word, found.change) == (CLEAR, ())
    assert [clause.joint for clause in found.clauses if clause.depth == 0] == ["all of"]


def test_why_a_rule_does_not_apply_is_said_with_what_holds() -> None:
    (early,) = of("cn2025.art13.sign", {"at": "2024-01-01T00:00:00Z"}).not_for
    assert early == "in force only from 2025-05-31T16:00:00+00:00"
    (elsewhere,) = of("cn2025.art13.sign", {"site": {"jurisdictions": ["EU", "IE"]}}).not_for
    assert elsewhere == "for CN; the site is in [EU, IE]"
    assert "judges a probe once, at rank 0; this is rank 3" in of("cn2025.art13.sign", {"event": {"rank": 3}}).not_for
    nowhere = of("cn2025.art13.sign", {"device": None})
    assert nowhere.outcome.word == UNDETERMINED
    assert nowhere.not_for == ("for CN; the site is in unknown",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "unknown"),
        (True, "TRUE"),
        ("gate", "gate"),
        (3, "3"),
        (30.0, "30"),
        (0.5, "0.5"),
        ([], "[]"),
        (["identify", None], "[identify and perhaps more]"),
    ],
)
def test_values_are_shown_in_words(value: object, words: str) -> None:
    assert shown(value) == words


def test_an_exception_is_shown_with_its_value() -> None:
    world = {"notice": None, "event": {"authority_id": "order-1"}, "authority": {"basis": "emergency"}}
    found = of("cn2025.art05.notice", world)
    assert found.outcome is Outcome.EXCUSED
    assert ("emergency_notice_later", True) in found.excuses
    assert ("research", False) in found.excuses
    assert of("cn2025.art05.notice", {"notice": None}).outcome.word == VIOLATION
