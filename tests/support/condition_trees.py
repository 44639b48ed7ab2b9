"""Random type-correct conditions, and rows of facts to ask them of.

Rules:
1. A tree is what the parser could have given: conjunctions flat, NULL only as a result, one known result at least.
2. Values are few and repeated, so that comparisons meet equal ones, and every edge is among them: empty lists, lists
   with an unknown item, line breaks, characters beyond the basic plane, the first and last time, numbers too large.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from streams.core.condition import (
    INTERVAL_LIMIT,
    TIME_FIRST,
    TIME_LAST,
    And,
    Arithmetic,
    Between,
    Cardinality,
    Case,
    Coalesce,
    Compare,
    Constant,
    Contains,
    Fact,
    FactType,
    In,
    Is,
    Like,
    Member,
    Node,
    Not,
    Or,
    Overlap,
    When,
)

BOOLEAN, TEXT, NUMBER = FactType.BOOLEAN, FactType.TEXT, FactType.NUMBER
TIME, TEXTS, INTERVAL = FactType.TIME, FactType.TEXTS, FactType.INTERVAL

FACTS = {
    "consent_in_force": BOOLEAN,
    "stranger": BOOLEAN,
    "device_zone": TEXT,
    "site_kind": TEXT,
    "similarity": NUMBER,
    "reviewers": NUMBER,
    "occurred_at": TIME,
    "given_at": TIME,
    "inferred_attributes": TEXTS,
    "attributes_allowed": TEXTS,
}
WHOLE_NUMBERS = "reviewers"
"""The fact whose column holds integers."""

_NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
_FEW_TEXTS = ["", "a", "b", "ab", "A", "a\nb", "\n", "%", "_", "\\", "a'b", "é", "e\u0301", "\U0001f600", "toilet"]
_CHARACTERS = st.characters(exclude_categories=["Cs"])
_TEXTS = st.sampled_from(_FEW_TEXTS) | st.text(_CHARACTERS, max_size=4)
_NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.1, 2.5, 1e200, -1e200, 1e308, 2.0**53, 1e-320]) | st.floats(
    allow_nan=False, allow_infinity=False
)
_TIMES = st.sampled_from([_NOON, _NOON + timedelta(microseconds=1), TIME_FIRST, TIME_LAST]) | st.datetimes(
    timezones=st.just(UTC)
)
_INTERVALS = st.sampled_from(
    [timedelta(0), timedelta(microseconds=1), timedelta(days=-7), timedelta(hours=36), INTERVAL_LIMIT, -INTERVAL_LIMIT]
) | st.timedeltas(min_value=-INTERVAL_LIMIT, max_value=INTERVAL_LIMIT)
_PATTERNS = st.lists(st.sampled_from(["%", "_", r"\%", r"\_", r"\\", "a", "b", "\n", "é", ".", "*", "'"]), max_size=5)
_VALUES: dict[FactType, st.SearchStrategy[Any]] = {
    BOOLEAN: st.booleans(),
    TEXT: _TEXTS,
    NUMBER: _NUMBERS,
    TIME: _TIMES,
    TEXTS: st.lists(_TEXTS, min_size=1, max_size=3).map(tuple),
    INTERVAL: _INTERVALS,
}
_ORDERED = (TEXT, NUMBER, TIME, INTERVAL)
_SUMS = {TIME: [("+", TIME, INTERVAL), ("+", INTERVAL, TIME), ("-", TIME, INTERVAL)],
         INTERVAL: [("-", TIME, TIME), ("+", INTERVAL, INTERVAL), ("-", INTERVAL, INTERVAL)],
         NUMBER: [("+", NUMBER, NUMBER), ("-", NUMBER, NUMBER), ("*", NUMBER, NUMBER)]}  # fmt: skip


def _constant(kind: FactType) -> st.SearchStrategy[Node]:
    return st.builds(Constant, st.just(kind), _VALUES[kind])


@cache
def _leaf(kind: FactType) -> st.SearchStrategy[Node]:
    facts: list[Node] = [Fact(name, type_) for name, type_ in FACTS.items() if type_ is kind]
    # Mostly facts: a condition of constants alone says little about columns.
    return st.one_of(st.sampled_from(facts), st.sampled_from(facts), _constant(kind)) if facts else _constant(kind)


@cache
def nodes(kind: FactType, levels: int) -> st.SearchStrategy[Node]:
    """Trees of one type with at most `levels` levels (a negated predicate counts as one)."""
    if levels <= 1 or kind is TEXTS:
        return _leaf(kind)
    below = levels - 1
    choices = [_leaf(kind), _case(kind, below), _coalesce(kind, below)]
    if kind in _SUMS:
        choices += [_sum(symbol, left, right, below) for symbol, left, right in _SUMS[kind]]
    if kind is NUMBER:
        choices.append(st.builds(Cardinality, nodes(TEXTS, below)))
    if kind is BOOLEAN:
        choices += _booleans(below)
    return st.one_of(choices)


def _sum(symbol: str, left: FactType, right: FactType, levels: int) -> st.SearchStrategy[Node]:
    return st.builds(Arithmetic, st.just(symbol), nodes(left, levels), nodes(right, levels))


def _booleans(levels: int) -> list[st.SearchStrategy[Node]]:
    boolean, text, texts = nodes(BOOLEAN, levels), nodes(TEXT, levels), nodes(TEXTS, levels)
    anything = st.sampled_from(list(FactType)).flatmap(lambda kind: nodes(kind, levels))
    ordered = st.sampled_from(_ORDERED)
    terms = st.lists(boolean, min_size=2, max_size=3)
    return [
        terms.map(lambda found: And(_flat(And, found))),
        terms.map(lambda found: Or(_flat(Or, found))),
        st.builds(Not, boolean),
        ordered.flatmap(lambda kind: _compare(kind, levels, ["=", "<>", "<", "<=", ">", ">="])),
        _compare(BOOLEAN, levels, ["=", "<>"]),
        st.builds(Is, anything, st.just("NULL")),
        st.builds(Is, boolean, st.sampled_from(["TRUE", "FALSE"])),
        ordered.flatmap(lambda kind: _in(kind, levels)),
        ordered.flatmap(lambda kind: st.builds(Between, *(nodes(kind, levels) for _ in range(3)))),
        st.builds(Like, text, _PATTERNS.map("".join)),
        st.builds(Member, text, texts),
        st.builds(Overlap, texts, texts),
        st.builds(Contains, texts, texts),
    ]


def _flat(kind: type[And | Or], terms: list[Node]) -> tuple[Node, ...]:
    return tuple(part for term in terms for part in (term.terms if isinstance(term, kind) else (term,)))


def _compare(kind: FactType, levels: int, symbols: list[str]) -> st.SearchStrategy[Node]:
    return st.builds(Compare, st.sampled_from(symbols), nodes(kind, levels), nodes(kind, levels))


def _in(kind: FactType, levels: int) -> st.SearchStrategy[Node]:
    items = st.lists(_constant(kind), min_size=1, max_size=4).map(tuple)
    return st.builds(In, nodes(kind, levels), items)


def _results(kind: FactType, levels: int, at_least: int) -> st.SearchStrategy[list[Node]]:
    null = st.just(Constant(kind, None))
    result = st.one_of(nodes(kind, levels), nodes(kind, levels), null)
    found = st.lists(result, min_size=at_least, max_size=3)
    return found.filter(lambda results: any(one != Constant(kind, None) for one in results))


def _case(kind: FactType, levels: int) -> st.SearchStrategy[Node]:
    def build(results: list[Node], conditions: list[Node]) -> Node:
        return Case(tuple(map(When, conditions, results[:-1])), results[-1])

    conditions = st.lists(nodes(BOOLEAN, levels), min_size=2, max_size=2)
    return st.builds(build, _results(kind, levels, 2), conditions)


def _coalesce(kind: FactType, levels: int) -> st.SearchStrategy[Node]:
    return _results(kind, levels, 2).map(lambda results: Coalesce(tuple(results)))


CONDITIONS = nodes(BOOLEAN, 4)


def _fact_values(name: str, kind: FactType) -> st.SearchStrategy[Any]:
    values = _VALUES[kind]
    if name == WHOLE_NUMBERS:
        values = st.sampled_from([0, 1, 2, 2**53 + 1, -(2**63), 2**63 - 1])
    elif kind is NUMBER:
        values = values | st.sampled_from([float("nan"), float("inf"), -float("inf")])
    elif kind is TEXTS:
        # An unknown item says that there may be more.
        values = st.lists(_TEXTS, max_size=3) | st.lists(st.none() | _TEXTS, max_size=3)
    return st.one_of(st.none(), values, values)


ROWS = st.lists(st.fixed_dictionaries({name: _fact_values(name, kind) for name, kind in FACTS.items()}), max_size=6)
