"""A condition as a column means what the interpreter says, row by row, be the lists whole or not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condition_trees import CONDITIONS, FACTS, ROWS, WHOLE_NUMBERS
from pace import examples
from streams.core.columns import COLUMN_TYPES, Lists, to_polars
from streams.core.condition import Node
from streams.core.grammar import parse
from streams.core.interpreter import interpret
from streams.errors import Place

SCHEMA = {name: pl.Int64() if name == WHOLE_NUMBERS else COLUMN_TYPES[kind] for name, kind in FACTS.items()}
PROPERTY = settings(max_examples=examples(350), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def tree(text: str) -> Node:
    return parse(text, FACTS, place=Place("a test")).root


def column(text: str, **facts: list[Any]) -> list[bool | None]:
    frame = pl.DataFrame(facts, schema={name: SCHEMA[name] for name in facts})
    return frame.select(to_polars(tree(text))).to_series().to_list()


@PROPERTY
@given(st.lists(CONDITIONS, min_size=1, max_size=2), ROWS)
def test_a_column_equals_the_interpreter_row_by_row(conditions: list[Node], rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    named = {f"rule{at}": to_polars(condition) for at, condition in enumerate(conditions)}
    expected = pl.DataFrame(
        {f"rule{at}": [interpret(one, row) for row in rows] for at, one in enumerate(conditions)},
        schema=dict.fromkeys(named, pl.Boolean()),
    )
    alone = pl.concat([frame.select(**{name: one}) for name, one in named.items()], how="horizontal")
    assert frame.select(**named).to_dict(as_series=False) == expected.to_dict(as_series=False)
    assert alone.to_dict(as_series=False) == expected.to_dict(as_series=False)
    assert frame.lazy().select(**named).collect().to_dict(as_series=False) == expected.to_dict(as_series=False)


@PROPERTY
@given(CONDITIONS, ROWS)
def test_where_lists_are_whole_the_shorter_expression_says_the_same(
    condition: Node, rows: list[dict[str, Any]]
) -> None:
    whole = [row for row in rows if not any(isinstance(value, list) and None in value for value in row.values())]
    answers = pl.DataFrame(whole, schema=SCHEMA).select(to_polars(condition, Lists.WHOLE)).to_series().to_list()
    assert answers == [interpret(condition, row) for row in whole]


ZONES = ["toilet", "lobby", None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TRUE", [True, True, True]),
        ("'a' = 'b'", [False, False, False]),
        ("COALESCE(NULL, TRUE) AND CASE WHEN FALSE THEN TRUE ELSE NULL END", [None, None, None]),
    ],
)
def test_a_condition_without_facts_still_fills_the_column(text: str, expected: list[bool | None]) -> None:
    frame = pl.DataFrame({"device_zone": ZONES})
    assert frame.select(to_polars(tree(text))).to_series().to_list() == expected
    assert frame.lazy().select(to_polars(tree(text))).collect().to_series().to_list() == expected
    assert frame.clear().select(to_polars(tree(text))).height == 0


def test_constants_beside_facts_give_no_row_where_there_is_none() -> None:
    everything = (
        "device_zone = 'a' OR 'x' = ANY(inferred_attributes) OR inferred_attributes && ARRAY['a'] "
        "OR inferred_attributes @> ARRAY['a', 'b'] OR ARRAY['a'] @> inferred_attributes OR TRUE"
    )
    frame = pl.DataFrame(schema=SCHEMA)
    for clause in everything.split(" OR "):
        assert frame.select(to_polars(tree(clause))).height == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("device_zone IN ('toilet')", [True, False, None]),
        ("device_zone NOT IN ('toilet')", [False, True, None]),
        ("(device_zone = 'toilet') IS TRUE", [True, False, False]),
        ("(device_zone = 'toilet') IS NOT TRUE", [False, True, True]),
        ("(device_zone = 'toilet') IS FALSE", [False, True, False]),
        ("device_zone IS NULL", [False, False, True]),
        ("device_zone LIKE 'toilet'", [True, False, None]),
        ("device_zone LIKE 'l%'", [False, True, None]),
        ("device_zone LIKE '%y'", [False, True, None]),
        ("device_zone LIKE '%o_b%'", [False, True, None]),
        ("device_zone LIKE '%o%l%'", [True, False, None]),
        ("CASE WHEN device_zone = 'toilet' THEN TRUE ELSE FALSE END", [True, False, False]),
        ("NOT COALESCE(device_zone, 'none') = 'none'", [True, True, False]),
    ],
)
def test_a_column_knows_the_unknown(text: str, expected: list[bool | None]) -> None:
    assert column(text, device_zone=ZONES) == expected


def test_a_long_pattern_is_no_match_and_no_failure() -> None:
    assert column(f"device_zone LIKE '{'_' * 3900}'", device_zone=["\n" * 3900, "a"]) == [True, False]


def test_a_constant_before_a_column_without_values_fills_the_column() -> None:
    text = "'a' {} CASE WHEN consent_in_force THEN device_zone ELSE NULL END"
    for symbol in ("=", "<>", "<", "<=", ">", ">="):
        assert column(text.format(symbol), consent_in_force=[None, None], device_zone=[None, None]) == [None, None]


@pytest.mark.parametrize("symbol", ["<", "<=", ">", ">=", "=", "<>"])
def test_a_comparison_is_the_same_from_both_sides(symbol: str) -> None:
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(symbol, symbol)
    numbers = [0.5, 1.0, 2.0, None]
    assert column(f"1 {symbol} similarity", similarity=numbers) == column(
        f"similarity {mirrored} 1", similarity=numbers
    )
    expected = [interpret(tree(f"1 {symbol} similarity"), {"similarity": number}) for number in numbers]
    assert column(f"1 {symbol} similarity", similarity=numbers) == expected


def test_a_list_is_asked_in_every_way_and_unknown_lists_stay_unknown() -> None:
    lists = [None, [], ["a"], ["a", "b"], ["c", "c"]]
    expected = {
        "'a' = ANY(inferred_attributes)": [None, False, True, True, False],
        "inferred_attributes && ARRAY['b', 'c']": [None, False, False, True, True],
        "ARRAY['b', 'c'] && inferred_attributes": [None, False, False, True, True],
        "inferred_attributes @> ARRAY['a', 'b']": [None, False, False, True, False],
        "inferred_attributes <@ ARRAY['a', 'c']": [None, True, True, False, True],
        "inferred_attributes && inferred_attributes": [None, False, True, True, True],
        "inferred_attributes @> inferred_attributes": [None, True, True, True, True],
        "CARDINALITY(inferred_attributes) = 2": [None, False, False, True, True],
    }
    for text, answers in expected.items():
        assert column(text, inferred_attributes=lists) == answers, text


def test_a_list_that_may_have_more_answers_what_more_could_not_change() -> None:
    lists = [[None], ["a", None], ["b", "a", None], ["a"], None]
    expected = {
        "'a' = ANY(inferred_attributes)": [None, True, True, True, None],
        "inferred_attributes && ARRAY['b', 'c']": [None, None, True, False, None],
        "inferred_attributes @> ARRAY['a', 'b']": [None, None, True, False, None],
        "inferred_attributes <@ ARRAY['a', 'c']": [None, None, False, True, None],
        "CARDINALITY(inferred_attributes) = 1": [None, None, None, True, None],
        "inferred_attributes IS NULL": [False, False, False, False, True],
        "inferred_attributes && attributes_allowed": [None, None, True, False, None],
        "inferred_attributes @> attributes_allowed": [None, None, True, False, None],
        "inferred_attributes <@ attributes_allowed": [None, False, False, False, None],
    }
    for text, answers in expected.items():
        others = {"attributes_allowed": [["b"]] * 5} if "attributes_allowed" in text else {}
        assert column(text, inferred_attributes=lists, **others) == answers, text


def test_nothing_is_in_common_with_an_empty_list_and_perhaps_with_an_unknown_item() -> None:
    left, right = [[], [None], [None], [None], ["a"]], [[None], [], [None], ["a"], [None]]
    facts = {"inferred_attributes": left, "attributes_allowed": right}
    assert column("inferred_attributes && attributes_allowed", **facts) == [False, False, None, None, None]
    assert column("inferred_attributes @> attributes_allowed", **facts) == [None, True, None, None, None]


def test_an_unknown_text_is_in_no_empty_list_and_perhaps_in_another() -> None:
    zones, lists = [None, None, None, "a"], [[], ["a"], None, []]
    assert column("device_zone = ANY(inferred_attributes)", device_zone=zones, inferred_attributes=lists) == [
        False,
        None,
        None,
        False,
    ]


def test_a_number_that_is_not_finite_is_unknown_in_a_column() -> None:
    assert column("similarity > 1", similarity=[float("nan"), float("inf"), 2.0]) == [None, None, True]
    assert column("similarity * similarity > 1", similarity=[1e200, 2.0, None]) == [None, True, None]


def test_a_time_never_wraps_around_in_a_column() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    noon = datetime(2025, 6, 1, 12, tzinfo=UTC)
    assert column("occurred_at + INTERVAL '1 day' > occurred_at", occurred_at=[last, noon, None]) == [None, True, None]


def test_a_thing_that_is_no_node_is_a_bug() -> None:
    from streams.core import columns

    with pytest.raises(AssertionError, match="not a node"):
        columns._expression("a", columns.Lists.ANY)  # type: ignore[arg-type]
