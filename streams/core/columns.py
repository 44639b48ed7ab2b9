"""A condition as one Polars expression: the meaning of `interpreter`, a whole column at once.

Rules:
1. Row by row the column equals `interpret`; the property tests hold both to it, eagerly, lazily and on empty frames.
2. A part that names no fact is worked out once, by the interpreter, into a literal of its exact type. A condition
   that names no fact at all still gives a column of the frame's length, not one value.
3. Where Polars differs from SQL a comment says so: `list.contains` takes NULL for an item, NaN is the largest number,
   times wrap around.
4. A fact's column has the type `COLUMN_TYPES` gives; a number may come as any integer or float.
5. To look for unknown items takes as long as the question itself, and hardly ever are there any: whoever knows that no
   list of the frame holds one says `Lists.WHOLE`, and gets the shorter expression.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import Enum
from functools import reduce, singledispatch
from typing import Any, Final

import polars as pl

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
    fact_names,
    pattern_parts,
    type_of,
)
from streams.core.interpreter import value_of

COLUMN_TYPES: Final[Mapping[FactType, pl.DataType]] = {
    FactType.BOOLEAN: pl.Boolean(),
    FactType.TEXT: pl.String(),
    FactType.NUMBER: pl.Float64(),
    FactType.TIME: pl.Datetime("us", "UTC"),
    FactType.TEXTS: pl.List(pl.String()),
    FactType.INTERVAL: pl.Duration("us"),
}
"""The Polars type of each type of fact."""

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], pl.Expr]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_MIRRORED: Final[Mapping[str, str]] = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Lists(Enum):
    """What is known of all lists of a frame: that none holds an unknown item, or nothing."""

    WHOLE = "whole"
    ANY = "any"


def to_polars(node: Node, lists: Lists = Lists.ANY) -> pl.Expr:
    """The boolean column of a condition over a frame of facts, one row a case, NULL where it is unknown."""
    if not fact_names(node):
        known = value_of(node, {})
        assert known is None or isinstance(known, bool), "a condition is TRUE, FALSE or unknown"
        return pl.repeat(known, pl.len(), dtype=pl.Boolean)
    return _column(node, lists)


def incomplete(texts: pl.Expr) -> pl.Expr:
    """Whether a list holds an unknown item; NULL for an unknown list."""
    return texts.list.eval(pl.element().is_null()).list.any()


def _column(node: Node, lists: Lists) -> pl.Expr:
    """The expression of any node; one without facts is a literal, which Polars spreads over the column beside it."""
    if fact_names(node):
        return _expression(node, lists)
    return pl.lit(value_of(node, {}), dtype=COLUMN_TYPES[type_of(node)])


def _finite(number: pl.Expr) -> pl.Expr:
    """The number, or NULL where it is infinite or NaN (which Polars would compare as the largest number)."""
    return pl.when(number.is_finite()).then(number)


@singledispatch
def _expression(node: Node, lists: Lists) -> pl.Expr:
    raise AssertionError(f"not a node of a condition: {type(node).__name__} over {lists.value} lists")


@_expression.register
def _(node: Fact, lists: Lists) -> pl.Expr:  # noqa: ARG001 - every node is asked the same way
    column = pl.col(node.name)
    return _finite(column.cast(pl.Float64)) if node.type is FactType.NUMBER else column


@_expression.register
def _(node: And, lists: Lists) -> pl.Expr:
    return reduce(operator.and_, [_column(term, lists) for term in node.terms])


@_expression.register
def _(node: Or, lists: Lists) -> pl.Expr:
    return reduce(operator.or_, [_column(term, lists) for term in node.terms])


@_expression.register
def _(node: Not, lists: Lists) -> pl.Expr:
    return ~_column(node.term, lists)


@_expression.register
def _(node: Compare, lists: Lists) -> pl.Expr:
    return _compared(node.operator, node.left, node.right, lists)


def _compared(symbol: str, left: Node, right: Node, lists: Lists) -> pl.Expr:
    """The comparison with a literal always on the right.

    With a literal on the left and a column that is NULL throughout, Polars 2.1 gives one row instead of all
    (`pl.lit("a") == pl.when(...).then(...)`, eagerly).
    """
    if not fact_names(left):
        symbol, left, right = _MIRRORED[symbol], right, left
    return _OPERATORS[symbol](_column(left, lists), _column(right, lists))


@_expression.register
def _(node: Is, lists: Lists) -> pl.Expr:
    term = _column(node.term, lists)
    match node.state:
        case "NULL":
            return term.is_null()
        case "TRUE":
            return term.fill_null(value=False)
        case "FALSE":
            return ~term.fill_null(value=True)


@_expression.register
def _(node: In, lists: Lists) -> pl.Expr:
    # A typed literal list: the plain Python list would let Polars guess the type of its items.
    items = pl.lit([item.value for item in node.items], dtype=pl.List(COLUMN_TYPES[type_of(node.term)]))
    return _column(node.term, lists).is_in(items)


@_expression.register
def _(node: Between, lists: Lists) -> pl.Expr:
    # Not `is_between`: here an unknown bound must not hide that the other one is missed.
    low, high = Compare(">=", node.term, node.low), Compare("<=", node.term, node.high)
    return _column(low, lists) & _column(high, lists)


@_expression.register
def _(node: Like, lists: Lists) -> pl.Expr:
    term, parts = _column(node.term, lists), pattern_parts(node.pattern)
    assert parts is not None, "a pattern is checked when it is parsed"
    wild = parts.count(None)
    text = "".join(part for part in parts if part)
    if "" not in parts and wild == 0:
        return term == pl.lit(text)
    if "" not in parts and wild == 1 and parts[-1] is None:
        return term.str.starts_with(pl.lit(text))
    if "" not in parts and wild == 1 and parts[0] is None:
        return term.str.ends_with(pl.lit(text))
    return term.str.contains(r"(?s)\A" + "".join(map(_regex, parts)) + r"\z")


def _regex(part: str | None) -> str:
    """One part of a pattern in the syntax of the Rust crate regex; every character by number, so none is special."""
    if part is None:
        return ".*"
    return rf"\x{{{ord(part):X}}}" if part else "."


@_expression.register
def _(node: Case, lists: Lists) -> pl.Expr:
    result = _column(node.otherwise, lists)
    for when in reversed(node.whens):
        # Polars takes an unknown predicate for FALSE, as SQL does.
        result = pl.when(_column(when.condition, lists)).then(_column(when.result, lists)).otherwise(result)
    return result


@_expression.register
def _(node: Coalesce, lists: Lists) -> pl.Expr:
    return pl.coalesce([_column(term, lists) for term in node.terms])


@_expression.register
def _(node: Arithmetic, lists: Lists) -> pl.Expr:
    result = _OPERATORS[node.operator](_column(node.left, lists), _column(node.right, lists))
    match type_of(node):
        case FactType.NUMBER:
            return _finite(result)
        case FactType.TIME:
            first, last = pl.lit(TIME_FIRST), pl.lit(TIME_LAST)
        case _:
            first, last = pl.lit(-INTERVAL_LIMIT), pl.lit(INTERVAL_LIMIT)
    # Both operands are within these bounds, so their sum cannot wrap around before it is seen here.
    return pl.when(result.is_between(first, last)).then(result)


@_expression.register
def _(node: Member, lists: Lists) -> pl.Expr:
    item = _column(node.item, lists)
    if not fact_names(node.texts):
        return item.is_in(_texts(node.texts))
    texts = _column(node.texts, lists)
    # `nulls_equal=False` makes an unknown item unknown; the second term makes it FALSE again in an empty list.
    return _or_unknown(texts.list.contains(item, nulls_equal=False), node.texts, lists) & (texts.list.len() > 0)


@_expression.register
def _(node: Overlap, lists: Lists) -> pl.Expr:
    for fact, other in ((node.left, node.right), (node.right, node.left)):
        if not fact_names(other):
            return _or_unknown(_among(fact, other).list.any(), fact, lists)
    left, right = _column(node.left, lists), _column(node.right, lists)
    common = left.list.set_intersection(right)
    if lists is Lists.WHOLE:
        return common.list.len() > 0
    # Nothing, known or not, is in common with an empty list.
    perhaps = (incomplete(left) & (right.list.len() > 0)) | (incomplete(right) & (left.list.len() > 0))
    return _any_known(common) | pl.when(~perhaps).then(pl.lit(value=False))


@_expression.register
def _(node: Contains, lists: Lists) -> pl.Expr:
    if not fact_names(node.left):
        return _and_unknown(_among(node.right, node.left).list.all(), node.right, lists)
    left = _column(node.left, lists)
    if not fact_names(node.right):
        held = reduce(operator.and_, [left.list.contains(pl.lit(text)) for text in _texts(node.right)])
        return _or_unknown(held, node.left, lists)
    missing = _column(node.right, lists).list.set_difference(left)
    if lists is Lists.WHOLE:
        return missing.list.len() == 0
    return _and_unknown(_or_unknown(~_any_known(missing), node.left, lists), node.right, lists)


def _or_unknown(found: pl.Expr, fact: Node, lists: Lists) -> pl.Expr:
    """TRUE where it was found; else unknown where a list that may have more items could yet make it TRUE."""
    if lists is Lists.WHOLE:
        return found
    return found | pl.when(~incomplete(_column(fact, lists))).then(pl.lit(value=False))


def _and_unknown(found: pl.Expr, fact: Node, lists: Lists) -> pl.Expr:
    """FALSE where it was missed; else unknown where a list that may have more items could yet make it FALSE."""
    if lists is Lists.WHOLE:
        return found
    return found & pl.when(~incomplete(_column(fact, lists))).then(pl.lit(value=True))


def _any_known(texts: pl.Expr) -> pl.Expr:
    """Whether a list has a known item; for the set operators of Polars two unknown items are the same."""
    return texts.list.eval(pl.element().is_not_null()).list.any()


def _among(fact: Node, constant: Node) -> pl.Expr:
    """Of each item of a list whether it is one of the constant texts.

    Not by the set operators of Polars: beside a literal they take twice as long (97 against 42 ns a row), and give a
    row where the frame has none. `list.any` and `list.all` pass over the unknown items.
    """
    return _column(fact, Lists.WHOLE).list.eval(pl.element().is_in(_texts(constant)))


def _texts(constant: Node) -> list[str]:
    assert isinstance(constant, Constant), "a list that is no fact is written out"
    assert isinstance(constant.value, tuple), "a list is written out as ARRAY"
    return list(constant.value)


@_expression.register
def _(node: Cardinality, lists: Lists) -> pl.Expr:
    texts = _column(node.texts, lists)
    count = texts.list.len().cast(pl.Float64)
    return count if lists is Lists.WHOLE or not fact_names(node.texts) else pl.when(~incomplete(texts)).then(count)
