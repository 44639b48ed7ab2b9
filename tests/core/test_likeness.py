"""What is said of the case of a likeness is what is said of each of its rows, by the judge and by the interpreter."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance_world import World, worlds
from pace import examples
from rule_texts import a_pack, a_rule
from settled_world import GRID, PEOPLE, a_feed, a_match, a_settled_world, registry_record, text_at, views_of
from small_world import the_law
from streams.core import likeness
from streams.core.case import assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.judge import judge, judge_row
from streams.core.likeness import Likeness, alike, classes
from streams.core.profile import Profiles
from streams.core.rulebook import Rulebook, load

THE_LAW = the_law()
WHOLE = settings(
    max_examples=examples(60), deadline=None, report_multiple_bugs=False, suppress_health_check=[HealthCheck.too_slow]
)


def likeness_of(records: list[Any], *events: dict[str, Any], law: Rulebook = THE_LAW) -> Likeness:
    views = views_of(records)
    frame = frame_of([a_match(**event) for event in events])
    return alike(frame, CaseKind.MATCH, views, Profiles(views.histories), law)


@WHOLE
@given(worlds(most=12), st.sampled_from([0, likeness.FEW_ROWS]))
def test_a_likeness_says_what_every_row_says(world: World, few: int) -> None:
    frame = frame_of(world.messages, MATCH_COLUMNS if world.kind is CaseKind.MATCH else ENCOUNTER_COLUMNS)
    views = views_of(world.records)
    wanted = THE_LAW.facts_of(world.kind)
    rows = assemble(frame, world.kind, views, wanted)
    with patch.object(likeness, "FEW_ROWS", few):
        found = alike(frame, world.kind, views, Profiles(views.histories), THE_LAW)
    facts = [name for name in rows.columns if name not in frame.columns or name in wanted]
    assert found.cases[found.which].select(facts).equals(rows.select(facts))
    each, one = judge(rows, world.kind, THE_LAW), judge(found.cases, world.kind, THE_LAW)
    assert not one.rules or one.outcomes[found.which].equals(each.outcomes)
    for index, row in enumerate(rows.iter_rows(named=True)):
        for rule in one.rules:
            assert one.outcomes[rule.column][found.which[index]] == judge_row(rule, row), rule.id


def test_rows_that_differ_in_what_no_fact_is_made_of_are_alike() -> None:
    events = [
        {"event_id": f"e-{number}", "comparison_score": number / 10, "probe_id": f"p-{number}"} for number in range(5)
    ]
    assert likeness_of([*a_settled_world(), a_feed()], *events).which.to_list() == [0] * 5


def test_many_devices_in_the_same_circumstances_make_one_case() -> None:
    devices = [
        registry_record("device", f"cam-{number}", controller_id="zoo", site_id="gates", zone="gate")
        for number in range(5)
    ]
    events = [{"event_id": f"e-{number}", "device_id": f"cam-{number}"} for number in range(5)]
    found = likeness_of([*a_settled_world(), a_feed(), *devices], *events)
    assert found.which.to_list() == [0] * 5
    assert found.contexts.n_unique() == 5


def test_an_instant_at_which_a_rule_begins_parts_rows() -> None:
    law = load(
        [
            (
                "test.yaml",
                a_pack(a_rule("test.late", in_force={"from": "2026-03-10", "until": None}, condition="purpose_named")),
            )
        ]
    )
    events = [{"event_id": "before", "occurred_at": text_at(-6_000)}, {"event_id": "after", "occurred_at": text_at(0)}]
    records = [*a_settled_world(), a_feed()]
    found = likeness_of(records, *events, law=law)
    assert found.cases.height == 2


@pytest.mark.parametrize(
    ("condition", "which"),
    [
        (f"occurred_at > TIMESTAMP '{text_at(1)}'", [0, 1, 2, 2]),
        (f"occurred_at >= TIMESTAMP '{text_at(1)}'", [0, 1, 2, 2]),
        (f"NOT occurred_at BETWEEN TIMESTAMP '{text_at(1)}' AND TIMESTAMP '{text_at(2)}'", [0, 1, 2, 3]),
        (f"occurred_at - INTERVAL '1' DAY > TIMESTAMP '{text_at(1)}'", [0, 1, 2, 3]),
    ],
)
def test_instants_that_a_rule_asks_for_part_rows(condition: str, which: list[int]) -> None:
    law = load([("test.yaml", a_pack(a_rule("test.at", condition=condition)))])
    events = [{"event_id": f"e-{number}", "occurred_at": text_at(number)} for number in range(4)]
    found = likeness_of([*a_settled_world(), a_feed()], *events, law=law)
    assert found.which.to_list() == which


@WHOLE
@given(data=st.data(), world=worlds(most=12))
def test_rules_that_ask_the_instant_are_judged_by_likeness_too(data: st.DataObject, world: World) -> None:
    at = f"TIMESTAMP '{text_at(data.draw(st.sampled_from(GRID)))}'"
    signs = [f"occurred_at {sign} {at}" for sign in ("<", "<=", "=", ">", ">=", "<>")]
    law = load([("test.yaml", a_pack(*(a_rule(f"test.r{n}", condition=sign) for n, sign in enumerate(signs))))])
    frame = frame_of(world.messages, MATCH_COLUMNS if world.kind is CaseKind.MATCH else ENCOUNTER_COLUMNS)
    views = views_of(world.records)
    if world.kind is not CaseKind.MATCH:
        return
    each = judge(assemble(frame, world.kind, views, law.facts_of(world.kind)), world.kind, law)
    found = alike(frame, world.kind, views, Profiles(views.histories), law)
    assert judge(found.cases, world.kind, law).outcomes[found.which].equals(each.outcomes)


def test_persons_who_said_the_same_have_one_state_and_others_another() -> None:
    records = [*a_settled_world(), a_feed()]
    events = [{"event_id": ref, "subject_ref": ref} for ref in (*PEOPLE, PEOPLE[0])]
    which = likeness_of(records, *events).which.to_list()
    assert which[0] == which[3]
    assert which[0] != which[1] == which[2]


def test_rows_of_one_hash_and_other_values_are_not_alike(monkeypatch: Any) -> None:
    monkeypatch.setattr(likeness, "FEW_ROWS", 0)
    monkeypatch.setattr(pl.Expr, "hash", lambda self, *_: self.is_null().cast(pl.UInt64))
    which, firsts = classes(
        pl.DataFrame(
            {"a": ["x", "y", None, "x"], "b": [[1], [1], None, [1]]},
            schema={"a": pl.String, "b": pl.List(pl.String)},
            strict=False,
        )
    )
    assert which.to_list() == [0, 1, 2, 0]
    assert firsts.to_list() == [0, 1, 2]
