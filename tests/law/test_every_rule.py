"""The laws of every rule, applied to all packs: what holds of a rule whoever wrote it and whatever it asks."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml

from small_world import the_law
from streams.core.case import assemble
from streams.core.facts import FACTS, CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.judge import Outcome, judge, judge_row
from streams.core.rule import AnyRule, Rule
from streams.core.rule_lock import broken, from_text, unlocked
from streams.core.rule_test import setting_of
from streams.core.rule_trial import Trial
from streams.core.rulebook import load, of_rules
from streams.packs import distributed, lock_file, pack_schema
from streams.rule_page import anchor, pages

ROOT = Path(__file__).parents[2]
EVERY = the_law().every()
every_rule = pytest.mark.parametrize("rule", EVERY, ids=[rule.column for rule in EVERY])
every_condition = pytest.mark.parametrize("rule", the_law().rules, ids=[rule.column for rule in the_law().rules])


def trials_of(rule: AnyRule) -> list[tuple[Trial, Any]]:
    return [(Trial(rule, each.test.given, setting_of(rule, each)), each.test) for each in rule.tests]


@cache
def cases_of(rule: Rule) -> pl.DataFrame:
    """The cases of all tests of a rule, one row each."""
    book = of_rules([rule])
    frames = []
    for trial, _ in trials_of(rule):
        ((kind, message),) = trial.cases
        columns = MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
        frames.append(assemble(frame_of([message], columns), kind, trial.views, book.facts_of(kind)))
    return pl.concat(frames, how="diagonal_relaxed").with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32))


def outcomes(rule: Rule, cases: pl.DataFrame) -> list[int]:
    verdicts = judge(cases, rule.kind, of_rules([rule]))
    assert not verdicts.failed
    return verdicts.outcomes[rule.column].to_list()


@every_condition
def test_a_rule_is_a_function_of_the_case_indifferent_to_order_and_repeats(rule: Rule) -> None:
    cases = cases_of(rule)
    said = outcomes(rule, cases)
    places = [*range(cases.height), *range(cases.height)]
    random.Random(rule.id).shuffle(places)
    assert outcomes(rule, cases[places]) == [said[place] for place in places]
    assert said == outcomes(rule, cases)


@every_condition
def test_a_rule_of_which_every_fact_is_missing_is_undetermined_and_never_clear(rule: Rule) -> None:
    cases = cases_of(rule)
    hidden = [name for name in rule.facts if FACTS[name].unknown_when != "never"]
    emptied = cases.with_columns(pl.lit(None, dtype=cases.schema[name]).alias(name) for name in hidden)
    for before, row in zip(outcomes(rule, cases), emptied.to_dicts(), strict=True):
        after = judge_row(rule, row)
        if before == Outcome.NOT_APPLICABLE.value:
            assert after is Outcome.NOT_APPLICABLE
        elif set(rule.facts) == set(hidden):
            assert after is Outcome.UNDETERMINED
        else:  # what an event always says may decide alone, but then it decides as it did
            assert after is Outcome.UNDETERMINED or after.value == before


@every_condition
def test_one_fact_more_unknown_never_turns_a_violation_into_a_clear_case(rule: Rule) -> None:
    cases = cases_of(rule)
    said = outcomes(rule, cases)
    for name in rule.facts:
        if FACTS[name].unknown_when == "never":
            continue
        emptied = cases.with_columns(pl.lit(None, dtype=cases.schema[name]).alias(name))
        for before, after in zip(said, outcomes(rule, emptied), strict=True):
            assert after in (before, Outcome.UNDETERMINED.value), name


@every_rule
def test_a_rule_says_the_same_of_a_world_told_twice_and_backwards(rule: AnyRule) -> None:
    for trial, test in trials_of(rule):
        if isinstance(rule, Rule):
            return  # of one case there is no order; its records are told in any order by the tests of the views
        forwards = trial.says(test.until)
        again = Trial(rule, test.given, setting_of(rule, next(each for each in rule.tests if each.test is test)))
        again.cases = [*reversed(again.cases), *again.cases]
        assert again.says(test.until) == forwards, test.name


@every_rule
def test_a_rule_cites_its_law_and_has_its_pages(rule: AnyRule) -> None:
    assert any(letter.isdigit() for letter in rule.citation)
    page = ROOT / "docs" / "rules" / f"{rule.pack.replace('.', '-')}.md"
    assert f'<a id="{anchor(rule)}"></a>' in page.read_text(encoding="utf-8")


def test_every_rule_is_locked_and_says_what_its_lock_says() -> None:
    lock = from_text(lock_file([]).read_text(encoding="utf-8"), "rules.lock")
    assert [str(each) for each in (*broken(lock, EVERY), *unlocked(lock, EVERY))] == []


def test_the_rulebook_is_a_function_of_its_texts() -> None:
    assert load(list(reversed(distributed()))).digest == the_law().digest


def test_the_pages_of_rules_are_those_of_the_packs_byte_for_byte() -> None:
    folder = ROOT / "docs" / "rules"
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == dict(pages(the_law()))


def test_the_schema_of_packs_is_the_one_of_the_code_byte_for_byte() -> None:
    assert lock_file([]).with_name("pack.schema.json").read_text(encoding="utf-8") == pack_schema()


@pytest.mark.parametrize(("file", "text"), distributed(), ids=[file for file, _ in distributed()])
def test_a_pack_names_its_schema_in_its_first_line_and_keeps_to_it(file: str, text: str) -> None:
    assert text.splitlines()[0] == "# yaml-language-server: $schema=pack.schema.json"
    validator = jsonschema.Draft202012Validator(yaml.safe_load(pack_schema()))
    problems = [each.message for each in validator.iter_errors(_as_json(yaml.safe_load(text)))]
    assert problems == []


def _as_json(value: Any) -> Any:
    """What an editor sees: dates as texts."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else value.isoformat()
