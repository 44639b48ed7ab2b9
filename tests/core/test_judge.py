"""The judge: columns say what the interpreter says of each row, whatever the batch; a failing rule stops no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance_world import World, worlds
from condition_trees import CONDITIONS, ROWS, WHOLE_NUMBERS
from condition_trees import FACTS as TREE_FACTS
from pace import examples
from rule_texts import a_pack, a_rule
from settled_world import a_feed, a_match, a_settled_world, registry_record, views_of
from small_world import the_law
from streams.core import truth
from streams.core.case import assemble
from streams.core.columns import COLUMN_TYPES, Lists, to_polars
from streams.core.condition import Condition, Node, fact_names
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.instant import NEVER
from streams.core.judge import FEW_CASES, Outcome, Verdicts, judge, judge_row
from streams.core.rule import Excuse, Rule
from streams.core.rulebook import Rulebook, load

THE_LAW = the_law()
WHOLE = settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def verdicts_of(world: World, messages: Sequence[Any], law: Rulebook = THE_LAW) -> Verdicts:
    columns = MATCH_COLUMNS if world.kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
    cases = assemble(frame_of(messages, columns), world.kind, views_of(world.records), law.facts_of(world.kind))
    return judge(cases, world.kind, law)


def said(verdicts: Verdicts) -> Counter[tuple[str, str, Outcome]]:
    """Event, rule and outcome of everything that was said."""
    events = verdicts.cases["event_id"].to_list()
    return Counter((events[row], rule.column, outcome) for row, rule, outcome in verdicts.found(*Outcome))


def book(*rules: str, **pack: Any) -> Rulebook:
    return load([("test.yaml", a_pack(*rules, **pack))])


def settled_cases(law: Rulebook, *events: dict[str, Any]) -> pl.DataFrame:
    views = views_of([*a_settled_world(), a_feed()])
    frame = frame_of([a_match(**event) for event in events or ({},)])
    return assemble(frame, CaseKind.MATCH, views, law.facts_of(CaseKind.MATCH))


def outcome_of(law: Rulebook, **event: Any) -> Outcome:
    verdicts = judge(settled_cases(law, event), CaseKind.MATCH, law)
    (found,) = (outcome for _, _, outcome in verdicts.found(*Outcome))
    return found


# -- promises ---------------------------------------------------------------------------------------------------------


@WHOLE
@given(worlds())
def test_the_columns_say_what_the_interpreter_says_of_every_distributed_rule(world: World) -> None:
    verdicts = verdicts_of(world, world.messages)
    assert not verdicts.failed
    rows = verdicts.cases.to_dicts()
    for rule in verdicts.rules:
        assert verdicts.outcomes[rule.column].to_list() == [judge_row(rule, row) for row in rows], rule.id


@WHOLE
@given(worlds(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_verdicts_do_not_depend_on_the_size_and_the_order_of_batches(world: World, chance: Random, size: int) -> None:
    order = list(world.messages)
    chance.shuffle(order)
    pieces = [order[start : start + size] for start in range(0, len(order), size)]
    apart = sum((said(verdicts_of(world, piece)) for piece in pieces), Counter[tuple[str, str, Outcome]]())
    assert apart == said(verdicts_of(world, world.messages))


@WHOLE
@given(worlds(), st.sampled_from([0, FEW_CASES]))
def test_the_counts_add_up_and_every_undetermined_case_has_its_reason(world: World, few: int) -> None:
    verdicts = verdicts_of(world, world.messages)
    rows = verdicts.cases.to_dicts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.core.judge.FEW_CASES", few)
        counts, undetermined = verdicts.counts(), verdicts.undetermined()
        found = list(verdicts.found(*Outcome))
        left = list(verdicts.found(Outcome.UNDETERMINED))
    assert set(counts) == set(verdicts.rules)
    assert [(row, outcome) for row, _, outcome in found] == [
        (row, judge_row(rule, each)) for rule in verdicts.rules for row, each in enumerate(rows)
    ]
    assert left == [each for each in found if each[2] is Outcome.UNDETERMINED]
    said_of = Counter((rule, outcome) for _, rule, outcome in found)
    for rule in verdicts.rules:
        assert list(counts[rule]) == list(Outcome)
        assert sum(counts[rule].values()) == len(world.messages)
        assert all(said_of[rule, outcome] == counts[rule][outcome] for outcome in Outcome)
    assert undetermined == Counter((rule, verdicts.reason(rule, rows[row])) for row, rule, _ in left)


SELECTED = {
    "operation": st.sampled_from(["identification", "verification"]),
    "comparison_decision": st.sampled_from(["match", "non_match"]),
    "rank": st.sampled_from([0, 1]),
    "controller_type": st.sampled_from([None, "private", "school"]),
    "jurisdictions": st.none() | st.lists(st.sampled_from(["CN", "CN-SH", "EU"]), max_size=2),
}
TIMES = st.sampled_from([-10, 0, 10, NEVER])


def _micros(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"occurred_at": row["occurred_at"] or datetime(1970, 1, 1, tzinfo=UTC)}


def condition(node: Node) -> Condition:
    return Condition(node, fact_names(node), "by chance")


def _rule(root: Node, excuses: list[Node], judges: str, kinds: Any, where: Any, start: int, end: int) -> Rule:
    (example,) = book(a_rule()).rules
    changed = {
        "condition": condition(root),
        "excuses": tuple(Excuse(f"excuse_{at}", "Art. 1", condition(each)) for at, each in enumerate(excuses)),
        "judges": judges,
        "controller_types": kinds,
        "jurisdictions": where,
        "from_instant": min(start, end),
        "until_instant": max(start, end),
    }
    return replace(example, **changed)


RULES = st.builds(
    _rule,
    CONDITIONS,
    st.lists(CONDITIONS, max_size=2),
    st.sampled_from(["match", "probe", "subject"]),
    st.sampled_from([(), ("private",), ("private", "school")]),
    st.sampled_from([(), ("CN",), ("EU", "CN-SH")]),
    TIMES,
    TIMES,
)


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RULES, min_size=1, max_size=3), ROWS, st.lists(st.fixed_dictionaries(SELECTED), min_size=6, max_size=6))
def test_the_columns_say_what_the_interpreter_says_of_any_rules(
    drawn: list[Rule], facts: list[dict[str, Any]], selected: list[dict[str, Any]]
) -> None:
    rules = tuple(replace(rule, id=f"test.rule-{number}") for number, rule in enumerate(drawn))
    rows = [_micros(row) | more for row, more in zip(facts, selected, strict=False)]
    types = {name: COLUMN_TYPES[kind] for name, kind in TREE_FACTS.items()} | {WHOLE_NUMBERS: pl.Int64()}
    selectors = {"jurisdictions": pl.List(pl.String()), "rank": pl.Int64()}
    cases = pl.DataFrame(rows, schema=types | {name: selectors.get(name, pl.String()) for name in SELECTED})
    verdicts = judge(cases, CaseKind.MATCH, Rulebook(rules, "", ()))
    assert not verdicts.failed
    for rule in rules:
        assert verdicts.outcomes[rule.column].to_list() == [judge_row(rule, row) for row in rows]


# -- what applies -----------------------------------------------------------------------------------------------------


def pieces(messages: Sequence[Any]) -> pl.DataFrame:
    """The frame of messages in two chunks: the first one, and the rest."""
    return pl.concat([frame_of(messages[:1], MATCH_COLUMNS), frame_of(messages[1:], MATCH_COLUMNS)], rechunk=False)


@pytest.mark.parametrize("kept", [1, 2])
def test_an_event_left_behind_empty_chunks_is_judged_as_if_it_had_come_alone(kept: int) -> None:
    events = [a_match(event_id=f"event-{n}", inferred_attributes=["ethnicity", "age"]) for n in range(3)]
    table = pieces(events)
    left = table.filter(pl.Series([number == kept for number in range(3)]))
    assert left["inferred_attributes"].n_chunks() == 2, "without an empty chunk before the event nothing is tested"
    views = views_of([*a_settled_world(), a_feed()])
    cases = assemble(left, CaseKind.MATCH, views)
    alone = assemble(frame_of([events[kept]], MATCH_COLUMNS), CaseKind.MATCH, views)
    assert cases.to_dicts() == alone.to_dicts()
    verdicts = judge(cases, CaseKind.MATCH, THE_LAW)
    assert verdicts.failed == frozenset()
    assert verdicts.outcomes.rows() == judge(alone, CaseKind.MATCH, THE_LAW).outcomes.rows()


def test_the_judge_takes_cases_in_chunks() -> None:
    events = [a_match(event_id=f"event-{n}", inferred_attributes=["ethnicity", "age"]) for n in range(3)]
    cases = assemble(pieces(events), CaseKind.MATCH, views_of([*a_settled_world(), a_feed()]))
    split = pl.concat([cases[:1], cases[1:]], rechunk=False).filter(pl.Series([False, False, True]))
    assert split["inferred_attributes"].n_chunks() == 2
    verdicts = judge(split, CaseKind.MATCH, THE_LAW)
    assert verdicts.failed == frozenset()
    assert verdicts.outcomes.rows() == judge(cases[2:], CaseKind.MATCH, THE_LAW).outcomes.rows()


def test_dates_are_half_open_and_begin_at_midnight_where_the_law_is() -> None:
    dates = {"from": "2025-06-01", "until": "2025-07-01"}
    law = book(a_rule(condition="purpose_named"), timezone="Asia/Shanghai", in_force=dates)
    outcomes = {
        "2025-05-31T15:59:59.999999Z": Outcome.NOT_APPLICABLE,
        "2025-05-31T16:00:00Z": Outcome.VIOLATION,
        "2025-06-30T15:59:59.999999Z": Outcome.VIOLATION,
        "2025-06-30T16:00:00Z": Outcome.NOT_APPLICABLE,
    }
    assert {text: outcome_of(law, occurred_at=text) for text in outcomes} == outcomes
    together = judge(settled_cases(law, *({"occurred_at": text} for text in outcomes)), CaseKind.MATCH, law)
    assert [outcome for _, _, outcome in together.found(*Outcome)] == list(outcomes.values())


def test_a_rule_about_the_probe_judges_its_first_candidate_only() -> None:
    law = book(a_rule(judges="probe", condition="purpose_named"))
    assert outcome_of(law, rank=0) is Outcome.VIOLATION
    assert outcome_of(law, rank=1) is Outcome.NOT_APPLICABLE


def test_a_rule_about_a_person_does_not_judge_strangers() -> None:
    law = book(a_rule(judges="subject", condition="purpose_named"))
    stranger = {"subject_ref": None, "comparison_decision": "non_match"}
    assert outcome_of(law) is Outcome.VIOLATION
    assert outcome_of(law, **stranger) is Outcome.NOT_APPLICABLE
    assert outcome_of(law, **stranger | {"operation": "verification"}) is Outcome.VIOLATION


@pytest.mark.parametrize(
    ("selector", "here", "elsewhere", "unknown"),
    [
        ("jurisdictions", ["CN", "EU"], ["EU"], {"device_id": "gate-9"}),
        ("controller_types", ["private"], ["school", "employer"], {"controller_id": "mall"}),
    ],
)
def test_a_selector_says_where_a_rule_applies_and_an_unknown_one_leaves_it_open(
    selector: str, here: list[str], elsewhere: list[str], unknown: dict[str, str]
) -> None:
    chosen: list[dict[str, Any]] = [{selector: here}, {selector: elsewhere}]
    applies, not_here = (book(a_rule(condition="purpose_named", **each)) for each in chosen)
    assert outcome_of(applies) is Outcome.VIOLATION
    assert outcome_of(not_here) is Outcome.NOT_APPLICABLE
    assert outcome_of(applies, **unknown) is Outcome.UNDETERMINED
    verdicts = judge(settled_cases(applies, unknown), CaseKind.MATCH, applies)
    assert list(verdicts.undetermined()) == [(applies.rules[0], "not_registered")]
    before = book(a_rule(condition="purpose_named", **chosen[0]), in_force={"from": "2099-01-01"})
    assert outcome_of(before, **unknown) is Outcome.NOT_APPLICABLE, "the dates already say so"


def test_a_clear_case_is_not_left_open_by_an_unknown_fact_that_cannot_matter() -> None:
    law = book(a_rule(condition="NOT purpose_named AND original_image_retained"))
    assert outcome_of(law, original_image_retained=None) is Outcome.CLEAR


# -- what excuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "moved", "expected"),
    [
        (False, False, Outcome.VIOLATION),
        (True, False, Outcome.EXCUSED),
        (True, None, Outcome.EXCUSED),
        (False, None, Outcome.UNDETERMINED),
        (None, None, Outcome.UNDETERMINED),
    ],
)
def test_an_exception_excuses_where_it_holds_and_leaves_open_where_it_is_unknown(
    kept: bool | None, moved: bool | None, expected: Outcome
) -> None:
    excuses = {"one": "original_image_retained", "other": "internet_transfer"}
    law = book(a_rule(condition="purpose_named", exceptions=excuses))
    assert outcome_of(law, original_image_retained=kept, internet_transfer=moved) is expected
    unknown = book(a_rule(condition="timing = 'post'", exceptions=excuses))
    assert outcome_of(unknown, timing=None, original_image_retained=True) is Outcome.UNDETERMINED
    assert outcome_of(unknown, original_image_retained=kept, internet_transfer=moved) is Outcome.CLEAR


# -- what fails -------------------------------------------------------------------------------------------------------


def test_a_rule_that_fails_is_undetermined_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    law = book(
        a_rule("test.first", condition="purpose_named"),
        a_rule("test.fails", condition="original_image_retained IS NOT FALSE"),
        a_rule("test.last", condition="NOT purpose_named"),
    )
    cases = settled_cases(law, {}, {"event_id": "event-2"})

    def planted(node: Node, lists: Lists) -> pl.Expr:
        if fact_names(node) == ("original_image_retained",):
            raise RuntimeError("planted")
        return to_polars(node, lists)

    monkeypatch.setattr(truth, "to_polars", planted)
    verdicts = judge(cases, CaseKind.MATCH, law)
    by_id = {rule.id: verdicts.outcomes[rule.column].to_list() for rule in verdicts.rules}
    assert by_id == {
        "test.first": [Outcome.VIOLATION] * 2,
        "test.fails": [Outcome.UNDETERMINED] * 2,
        "test.last": [Outcome.CLEAR] * 2,
    }
    (failing,) = (rule for rule in law.rules if rule.id == "test.fails")
    assert verdicts.failed == {failing.column}
    assert verdicts.undetermined() == Counter({(failing, "rule_failed"): 2})
    assert verdicts.reason(failing, verdicts.cases.row(0, named=True)) == "rule_failed"


def test_a_rule_whose_fact_has_no_column_fails_alone() -> None:
    law = book(a_rule("test.first", condition="purpose_named"), a_rule("test.fails", condition="site_public"))
    cases = settled_cases(law).drop("site_public")
    verdicts = judge(cases, CaseKind.MATCH, law)
    assert {rule.id: outcome for _, rule, outcome in verdicts.found(*Outcome)} == {
        "test.first": Outcome.VIOLATION,
        "test.fails": Outcome.UNDETERMINED,
    }


# -- edges ------------------------------------------------------------------------------------------------------------


def test_no_rules_and_no_cases_are_no_trouble() -> None:
    none = Rulebook((), "", ())
    nothing = judge(settled_cases(none), CaseKind.MATCH, none)
    assert nothing.counts() == {}
    assert list(nothing.found(*Outcome)) == []
    law = book(a_rule(condition="purpose_named"))
    empty = judge(settled_cases(law).clear(), CaseKind.MATCH, law)
    assert list(empty.counts().values()) == [dict.fromkeys(Outcome, 0)]
    assert empty.undetermined() == Counter()


def test_a_rulebook_judges_a_kind_of_case_by_the_rules_about_it() -> None:
    law = book(a_rule("test.match", judges="match"), a_rule("test.door", judges="access_outcome"))
    verdicts = judge(settled_cases(law), CaseKind.MATCH, law)
    assert [rule.id for rule in verdicts.rules] == ["test.match"]


def test_an_outcome_is_a_word_on_a_label() -> None:
    assert [outcome.word for outcome in Outcome] == [
        *("not_applicable", "clear", "undetermined"),
        *("excused", "violation"),
    ]


def test_a_fact_that_a_record_does_not_state_is_not_reported() -> None:
    law = book(a_rule(condition="site_public"))
    site = registry_record("site", "gates", publicly_accessible=None)
    records = [record for record in a_settled_world() if record.model_dump()["kind"] != "site"]
    frame = frame_of([a_match()])
    cases = assemble(frame, CaseKind.MATCH, views_of([*records, site, a_feed()]), law.facts_of(CaseKind.MATCH))
    verdicts = judge(cases, CaseKind.MATCH, law)
    assert list(verdicts.undetermined()) == [(law.rules[0], "not_reported")]
