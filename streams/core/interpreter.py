"""The meaning of a condition, one case at a time: the oracle its translation into columns is tested against.

Rules:
1. None is NULL, the unknown: an operator with an unknown operand is unknown, except where the answer does not depend on
   it (FALSE AND unknown, TRUE OR unknown, IS, COALESCE, CASE, membership in an empty list).
2. Plain Python and no cleverness: this file is the definition, so it must be readable beside the SQL standard.
3. A number that is not finite, a time outside the years 1 to 9999 and an interval longer than those are unknown.
4. An unknown item of a list says that it may have more texts, none or many: a question is answered where they could not
   change the answer.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any, Final, TypeAlias

from streams.core.condition import (
    INTERVAL_LIMIT,
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
    PlainValue,
    pattern_parts,
)

Row = Mapping[str, object]
Texts: TypeAlias = tuple[str | None, ...]
Value: TypeAlias = PlainValue | Texts
"""What a node can be; only a list of the row may hold unknown items, one that is written out does not."""

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CALCULATE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def interpret(node: Node, row: Row) -> bool | None:
    """TRUE, FALSE or None (unknown) for a boolean tree over one row of facts.

    The row holds every fact the tree names: bool, str, int or float, aware datetime, list of str or None, or None.
    """
    result = value_of(node, row)
    assert result is None or isinstance(result, bool), f"a condition is boolean, not {type(result).__name__}"
    return result


@singledispatch
def value_of(node: Node, row: Row) -> Value:
    """The value of any node over one row of facts; None is unknown."""
    raise AssertionError(f"not a node of a condition: {type(node).__name__} over {len(row)} facts")


def all_true(values: Iterable[bool | None]) -> bool | None:
    """Conjunction: FALSE if one value is, else unknown if one value is, else TRUE."""
    seen = set(values)
    return False if False in seen else None if None in seen else True


def negation(value: bool | None) -> bool | None:
    """The opposite; unknown stays unknown."""
    return None if value is None else not value


def any_true(values: Iterable[bool | None]) -> bool | None:
    """Disjunction: TRUE if one value is, else unknown if one value is, else FALSE."""
    return negation(all_true(negation(value) for value in values))


def known(value: Value) -> Value:
    """The value, or None if it is a number that is not finite or an interval that is too long."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, timedelta) and abs(value) > INTERVAL_LIMIT:
        return None
    return value


def _number(value: Any) -> Value:
    try:
        return known(float(value))
    except OverflowError:
        return None


def _compared(symbol: str, left: Value, right: Value) -> bool | None:
    return None if left is None or right is None else _COMPARE[symbol](left, right)


@value_of.register
def _(node: Fact, row: Row) -> Value:
    value: Any = row[node.name]
    if value is None:
        return None
    if node.type is FactType.NUMBER:
        return _number(value)
    return tuple(value) if node.type is FactType.TEXTS else value


@value_of.register
def _(node: Constant, row: Row) -> Value:  # noqa: ARG001 - every node is asked the same way
    return node.value


@value_of.register
def _(node: And, row: Row) -> Value:
    return all_true(interpret(term, row) for term in node.terms)


@value_of.register
def _(node: Or, row: Row) -> Value:
    return any_true(interpret(term, row) for term in node.terms)


@value_of.register
def _(node: Not, row: Row) -> Value:
    return negation(interpret(node.term, row))


@value_of.register
def _(node: Compare, row: Row) -> Value:
    return _compared(node.operator, value_of(node.left, row), value_of(node.right, row))


@value_of.register
def _(node: Is, row: Row) -> Value:
    return value_of(node.term, row) is {"NULL": None, "TRUE": True, "FALSE": False}[node.state]


@value_of.register
def _(node: In, row: Row) -> Value:
    value = value_of(node.term, row)
    return any_true(_compared("=", value, item.value) for item in node.items)


@value_of.register
def _(node: Between, row: Row) -> Value:
    value = value_of(node.term, row)
    low, high = value_of(node.low, row), value_of(node.high, row)
    return all_true((_compared("<=", low, value), _compared("<=", value, high)))


@value_of.register
def _(node: Like, row: Row) -> Value:
    value = value_of(node.term, row)
    if value is None:
        return None
    parts = pattern_parts(node.pattern)
    assert isinstance(value, str), "LIKE is asked of a text"
    assert parts is not None, "a pattern is checked when it is parsed"
    return _fits(value, parts)


def _fits(text: str, parts: list[str | None]) -> bool:
    """Whether the parts of a pattern cover the whole text, by the lengths that the parts so far can cover."""
    lengths = {0}
    for part in parts:
        if part is None:
            lengths = set(range(min(lengths), len(text) + 1))
        else:
            lengths = {at + 1 for at in lengths if at < len(text) and part in ("", text[at])}
        if not lengths:
            return False
    return len(text) in lengths


@value_of.register
def _(node: Case, row: Row) -> Value:
    for when in node.whens:
        if interpret(when.condition, row) is True:
            return value_of(when.result, row)
    return value_of(node.otherwise, row)


@value_of.register
def _(node: Coalesce, row: Row) -> Value:
    return next((value for term in node.terms if (value := value_of(term, row)) is not None), None)


@value_of.register
def _(node: Arithmetic, row: Row) -> Value:
    left, right = value_of(node.left, row), value_of(node.right, row)
    if left is None or right is None:
        return None
    try:
        return known(_CALCULATE[node.operator](left, right))
    except OverflowError:
        assert isinstance(left, datetime | timedelta), "only a time can leave its years"
        return None


def _list(node: Node, row: Row) -> Texts | None:
    texts = value_of(node, row)
    assert texts is None or isinstance(texts, tuple), "a question about lists is asked of lists"
    return texts


def _member(item: Value, texts: Texts) -> bool | None:
    return any_true(_compared("=", item, text) for text in texts)


@value_of.register
def _(node: Member, row: Row) -> Value:
    item, texts = value_of(node.item, row), _list(node.texts, row)
    return None if texts is None else _member(item, texts)


@value_of.register
def _(node: Overlap, row: Row) -> Value:
    left, right = _list(node.left, row), _list(node.right, row)
    if left is None or right is None:
        return None
    # Each text beside each: where one is unknown they may be the same, and where a list is empty there are none.
    return any_true(_member(text, right) for text in left)


@value_of.register
def _(node: Contains, row: Row) -> Value:
    left, right = _list(node.left, row), _list(node.right, row)
    if left is None or right is None:
        return None
    held = [_member(text, left) for text in right if text is not None]
    # More texts on the right may be missing on the left, even on an empty one; but perhaps there are none.
    return all_true([*held, None] if None in right else held)


@value_of.register
def _(node: Cardinality, row: Row) -> Value:
    texts = _list(node.texts, row)
    return None if texts is None or None in texts else float(len(texts))
