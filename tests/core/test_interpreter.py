"""The meaning of every construct of the condition language, example by example, unknown values first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from condition_trees import FACTS
from streams.core.condition import And, Condition, Constant, Fact, FactType
from streams.core.grammar import parse
from streams.core.interpreter import all_true, any_true, interpret, negation, value_of
from streams.errors import Place

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@cache
def parsed(text: str) -> Condition:
    return parse(text, FACTS, place=Place("a test"))


def meaning(text: str, **facts: Any) -> bool | None:
    condition = parsed(text)
    return interpret(condition.root, {name: facts.get(name) for name in condition.facts})


def letter(value: bool | None) -> str:
    return {True: "T", False: "F", None: "U"}[value]


def table(text: str, rows: Iterable[tuple[bool | None, bool | None]]) -> str:
    return "".join(letter(meaning(text, consent_in_force=left, stranger=right)) for left, right in rows)


VALUES = (True, False, None)
PAIRS = [(left, right) for left in VALUES for right in VALUES]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("consent_in_force AND stranger", "TFU FFF UFU"),
        ("consent_in_force OR stranger", "TTT TFU TUU"),
        ("consent_in_force = stranger", "TFU FTU UUU"),
        ("consent_in_force <> stranger", "FTU TFU UUU"),
        ("NOT (consent_in_force AND stranger)", "FTU TTT UTU"),
        ("COALESCE(consent_in_force, stranger)", "TTT FFF TFU"),
        ("CASE WHEN consent_in_force THEN stranger ELSE NOT stranger END", "TFU FTU FTU"),
    ],
)
def test_two_truth_values_meet_as_sql_says(text: str, expected: str) -> None:
    assert table(text, PAIRS) == expected.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "true_false_unknown"),
    [
        ("NOT consent_in_force", "FTU"),
        ("consent_in_force IS TRUE", "TFF"),
        ("consent_in_force IS NOT TRUE", "FTT"),
        ("consent_in_force IS FALSE", "FTF"),
        ("consent_in_force IS NOT FALSE", "TFT"),
        ("consent_in_force IS NULL", "FFT"),
        ("consent_in_force IS NOT NULL", "TTF"),
        ("consent_in_force IS UNKNOWN", "FFT"),
        ("consent_in_force IS NOT UNKNOWN", "TTF"),
    ],
)
def test_not_keeps_the_unknown_and_is_ends_it(text: str, true_false_unknown: str) -> None:
    assert table(text, [(value, None) for value in VALUES]) == true_false_unknown


def test_many_terms_are_false_by_one_and_unknown_by_one() -> None:
    assert all_true([]) is True
    assert any_true([]) is False
    assert all_true([True, None, False]) is False
    assert all_true([True, None]) is None
    assert any_true([False, None, True]) is True
    assert any_true([False, None]) is None
    assert negation(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "device_zone = 'toilet'",
        "device_zone <> 'toilet'",
        "device_zone IN ('toilet', 'ward')",
        "device_zone NOT IN ('toilet', 'ward')",
        "device_zone LIKE '%'",
        "device_zone NOT LIKE '%'",
        "device_zone = ANY(ARRAY['toilet'])",
        "similarity < 0.5",
        "similarity + 1 > 0",
        "similarity BETWEEN 0 AND 1",
        "similarity NOT BETWEEN 0 AND 1",
        "similarity IN (1)",
        "occurred_at > TIMESTAMP '2025-06-01 00:00:00+08:00'",
        "occurred_at + INTERVAL '1 day' > occurred_at",
        "occurred_at - occurred_at = INTERVAL '0 seconds'",
        "'race' = ANY(inferred_attributes)",
        "inferred_attributes && ARRAY['race']",
        "inferred_attributes @> ARRAY['race']",
        "inferred_attributes <@ ARRAY['race']",
        "CARDINALITY(inferred_attributes) = 0",
        "NOT consent_in_force",
    ],
)
def test_an_unknown_fact_makes_the_answer_unknown(text: str) -> None:
    assert meaning(text) is None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.0, 3.0, True), (2.0, 2.0, True), (None, 3.0, None), (None, 1.0, False), (3.0, None, False), (3.0, 1.0, False)],
)
def test_between_is_missed_by_one_bound_even_if_the_other_is_unknown(
    low: float | None, high: float | None, expected: bool | None
) -> None:
    text = "2 BETWEEN similarity AND reviewers"
    assert meaning(text, similarity=low, reviewers=high) is expected


@pytest.mark.parametrize(
    ("pattern", "fits", "misses"),
    [
        ("hotel%", ["hotel", "hotel_room", "hotel\nroom"], ["a hotel", "Hotel", ""]),
        ("%room", ["room", "hotel_room", "a\nroom"], ["rooms", "roo"]),
        ("%tel%", ["hotel", "tel", "\ntel\n"], ["te\nl"]),
        ("_a", ["aa", "\na", "\U0001f600a"], ["a", "aaa", "e\u0301\u0301a"]),
        ("a%b%c", ["abc", "a1b\n2c", "abcbc"], ["acb", "ab"]),
        ("", [""], ["a", "\n"]),
        ("%", ["", "a", "\n\n"], []),
        (r"100\%", ["100%"], ["1000", "100"]),
        (r"a\_b", ["a_b"], ["acb"]),
        (r"a\\%", ["a\\", "a\\b"], ["ab"]),
        ("a.*", ["a.*"], ["abc"]),
        ("it''s", ["it's"], ["its"]),
    ],
)
def test_like_looks_at_the_whole_text(pattern: str, fits: list[str], misses: list[str]) -> None:
    for text in fits:
        assert meaning(f"device_zone LIKE '{pattern}'", device_zone=text) is True
        assert meaning(f"device_zone NOT LIKE '{pattern}'", device_zone=text) is False
    for text in misses:
        assert meaning(f"device_zone LIKE '{pattern}'", device_zone=text) is False


@pytest.mark.parametrize(
    ("text", "texts", "expected"),
    [
        ("'race' = ANY(inferred_attributes)", ["race", "age"], True),
        ("'race' = ANY(inferred_attributes)", ["age"], False),
        ("'race' = ANY(inferred_attributes)", [], False),
        ("inferred_attributes && ARRAY['race', 'health']", ["age", "health"], True),
        ("inferred_attributes && ARRAY['race', 'health']", [], False),
        ("inferred_attributes @> ARRAY['race', 'race']", ["age", "race"], True),
        ("inferred_attributes @> ARRAY['race', 'age']", ["race"], False),
        ("inferred_attributes <@ ARRAY['race', 'age']", ["race", "race"], True),
        ("inferred_attributes <@ ARRAY['race']", [], True),
        ("ARRAY['race'] <@ inferred_attributes", ["race"], True),
        ("CARDINALITY(inferred_attributes) = 2", ["race", "race"], True),
        ("CARDINALITY(inferred_attributes) = 0", [], True),
    ],
)
def test_lists_are_asked_for_their_texts_and_empty_is_known(text: str, texts: list[str], expected: bool) -> None:
    assert meaning(text, inferred_attributes=texts) is expected


def test_an_unknown_text_is_in_no_empty_list_and_perhaps_in_another() -> None:
    assert meaning("device_zone = ANY(inferred_attributes)", inferred_attributes=[]) is False
    assert meaning("device_zone = ANY(inferred_attributes)", inferred_attributes=["a"]) is None
    assert meaning("device_zone = ANY(inferred_attributes)", inferred_attributes=[None]) is None


LETTERS = ("a", "b")
LISTS = [
    [*known, *more]
    for size in range(3)
    for known in combinations(LETTERS, size)
    for more in ([], [None])
]  # fmt: skip


def completions(texts: list[str | None]) -> list[list[str]]:
    """The lists that a list may be in truth: itself, or with more texts where it has an unknown item."""
    known = [text for text in texts if text is not None]
    if len(known) == len(texts):
        return [known]
    return [[*known, *more] for size in range(4) for more in combinations((*LETTERS, "c"), size)]


@pytest.mark.parametrize("left", LISTS, ids=str)
@pytest.mark.parametrize(
    "text",
    [
        "'a' = ANY(inferred_attributes)",
        "inferred_attributes && ARRAY['a']",
        "inferred_attributes && ARRAY['a', 'b']",
        "inferred_attributes @> ARRAY['a', 'b']",
        "inferred_attributes <@ ARRAY['a']",
        "inferred_attributes && attributes_allowed",
        "inferred_attributes @> attributes_allowed",
        "inferred_attributes <@ attributes_allowed",
    ],
)
def test_a_question_to_a_list_is_answered_if_all_that_the_list_may_be_agree(text: str, left: list[str | None]) -> None:
    for right in LISTS:
        answers = {
            meaning(text, inferred_attributes=one, attributes_allowed=other)
            for one in completions(left)
            for other in completions(right)
        }
        agreed = answers.pop() if len(answers) == 1 else None
        assert meaning(text, inferred_attributes=left, attributes_allowed=right) is agreed


def test_how_many_texts_there_are_is_unknown_where_there_may_be_more() -> None:
    assert meaning("CARDINALITY(inferred_attributes) > 0", inferred_attributes=["a", None]) is None
    assert meaning("inferred_attributes IS NULL", inferred_attributes=[None]) is False


def test_a_case_takes_the_first_true_branch_and_passes_over_unknown_ones() -> None:
    text = "CASE WHEN consent_in_force THEN 'yes' WHEN stranger THEN 'no' ELSE NULL END = 'no'"
    assert meaning(text, consent_in_force=None, stranger=True) is True
    assert meaning(text, consent_in_force=True, stranger=True) is False
    assert meaning(text, consent_in_force=False, stranger=None) is None


def test_times_count_in_microseconds_and_lengths_compare() -> None:
    later = NOON + timedelta(microseconds=1)
    assert meaning("occurred_at < given_at", occurred_at=NOON, given_at=later) is True
    assert meaning("given_at - occurred_at = INTERVAL '0.000001 seconds'", occurred_at=NOON, given_at=later) is True
    assert meaning("occurred_at + INTERVAL '36 hours' = given_at", occurred_at=NOON,
                   given_at=NOON + timedelta(days=1.5)) is True  # fmt: skip
    assert meaning("occurred_at = TIMESTAMP '2025-06-01 20:00+08:00'", occurred_at=NOON) is True


def test_whole_numbers_and_fractions_are_one_kind() -> None:
    assert meaning("reviewers = 2.0", reviewers=2) is True
    assert meaning("reviewers IN (1, 2)", reviewers=2.0) is True
    assert meaning("similarity * 2 - 1 = 0 + reviewers", similarity=0.75, reviewers=0.5) is True


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)])
def test_a_number_that_is_not_finite_is_unknown(value: float) -> None:
    assert meaning("similarity < 1", similarity=value) is None
    assert meaning("similarity IS NULL", similarity=value) is True


def test_what_leaves_its_range_is_unknown_and_never_wraps_around() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    first = datetime.min.replace(tzinfo=UTC)
    assert meaning("similarity * similarity > 0", similarity=1e200) is None
    assert meaning("occurred_at + INTERVAL '1 second' > occurred_at", occurred_at=last) is None
    assert meaning("occurred_at - INTERVAL '1 second' < occurred_at", occurred_at=first) is None
    span = "(occurred_at - given_at)"
    assert meaning(f"{span} > INTERVAL '0 days'", occurred_at=last, given_at=first) is True
    assert meaning(f"{span} + {span} > INTERVAL '0 days'", occurred_at=last, given_at=first) is None
    assert meaning(f"{span} + INTERVAL '-1 day' + {span} > INTERVAL '0 days'", occurred_at=last, given_at=first) is None


def test_a_row_without_a_fact_is_a_bug_and_not_unknown() -> None:
    with pytest.raises(KeyError):
        interpret(Fact("stranger", FactType.BOOLEAN), {})


def test_a_tree_that_is_no_condition_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="boolean, not str"):
        interpret(Constant(FactType.TEXT, "a"), {})
    with pytest.raises(AssertionError, match="not a node"):
        value_of("a", {})  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="boolean, not float"):
        interpret(And((Constant(FactType.NUMBER, 1.0),)), {})
