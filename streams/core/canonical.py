"""The canonical text of a condition: SQL that parses to the same tree again.

Rules:
1. `parse(to_sql(tree)) == tree` for every tree, so a clause can be shown alone and a tree can be compared as text.
2. Parentheses stand wherever a reader might doubt, and nowhere else: around an AND in an OR, around a comparison that
   is itself compared.
3. The text means the same to PostgreSQL and its kin: a time carries its zone in the type.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import singledispatch

from streams.core.condition import (
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
    type_of,
)


@singledispatch
def to_sql(node: Node) -> str:
    """The canonical text of a tree, in SQL: parsing it gives the same tree, and so explains one clause alone."""
    raise AssertionError(f"not a node of a condition: {type(node).__name__}")


def _operand(node: Node) -> str:
    """The text of a node beside an operator: in parentheses unless it binds tighter than any comparison."""
    bare = isinstance(node, Fact | Constant | Case | Coalesce | Cardinality | Arithmetic)
    return to_sql(node) if bare else f"({to_sql(node)})"


def _list(nodes: tuple[Node, ...]) -> str:
    return ", ".join(to_sql(node) for node in nodes)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@to_sql.register
def _(node: Fact) -> str:
    return node.name


@to_sql.register
def _(node: Constant) -> str:
    match node.value:
        case bool():
            return "TRUE" if node.value else "FALSE"
        case str():
            return _quoted(node.value)
        case float():
            return repr(int(node.value)) if node.value.is_integer() and abs(node.value) < 1e15 else repr(node.value)
        case datetime():
            # With TIMESTAMP alone other engines drop the zone; with the zone in the type all read the same instant.
            return f"TIMESTAMPTZ '{node.value.isoformat(sep=' ')}'"
        case timedelta():
            return f"INTERVAL '{_interval(node.value)}'"
        case tuple():
            return f"ARRAY[{', '.join(map(_quoted, node.value))}]"
        case _:
            return "NULL"


def _interval(value: timedelta) -> str:
    """The length in the largest unit that gives a whole number, else in seconds with a fraction."""
    microseconds = value // timedelta(microseconds=1)
    for unit, size in (("days", 86_400_000_000), ("hours", 3_600_000_000), ("minutes", 60_000_000)):
        if microseconds and microseconds % size == 0:
            return f"{microseconds // size} {unit}"
    whole, fraction = divmod(abs(microseconds), 1_000_000)
    sign = "-" if microseconds < 0 else ""
    return f"{sign}{whole}{f'.{fraction:06}'.rstrip('0') if fraction else ''} seconds"


@to_sql.register
def _(node: And) -> str:
    return " AND ".join(f"({to_sql(term)})" if isinstance(term, Or) else to_sql(term) for term in node.terms)


@to_sql.register
def _(node: Or) -> str:
    return " OR ".join(f"({to_sql(term)})" if isinstance(term, And) else to_sql(term) for term in node.terms)


@to_sql.register
def _(node: Not) -> str:
    match node.term:
        case Is() | In() | Between() | Like():
            return _predicate(node.term, negated=True)
        case _:
            return f"NOT {_operand(node.term)}"


@to_sql.register
def _(node: Compare) -> str:
    return f"{_operand(node.left)} {node.operator} {_operand(node.right)}"


@to_sql.register(Is)
@to_sql.register(In)
@to_sql.register(Between)
@to_sql.register(Like)
def _predicate(node: Is | In | Between | Like, *, negated: bool = False) -> str:
    word, term = "NOT " if negated else "", _operand(node.term)
    match node:
        case Is():
            unknown = node.state == "NULL" and type_of(node.term) is FactType.BOOLEAN
            return f"{term} IS {word}{'UNKNOWN' if unknown else node.state}"
        case In():
            return f"{term} {word}IN ({_list(node.items)})"
        case Between():
            return f"{term} {word}BETWEEN {_operand(node.low)} AND {_operand(node.high)}"
        case Like():
            return f"{term} {word}LIKE {_quoted(node.pattern)}"


@to_sql.register
def _(node: Case) -> str:
    whens = " ".join(f"WHEN {to_sql(when.condition)} THEN {to_sql(when.result)}" for when in node.whens)
    return f"CASE {whens} ELSE {to_sql(node.otherwise)} END"


@to_sql.register
def _(node: Coalesce) -> str:
    return f"COALESCE({_list(node.terms)})"


@to_sql.register
def _(node: Arithmetic) -> str:
    product = node.operator == "*"
    left, right = to_sql(node.left), to_sql(node.right)
    if isinstance(node.left, Arithmetic) and product and node.left.operator != "*":
        left = f"({left})"
    if isinstance(node.right, Arithmetic) and (product or node.right.operator != "*"):
        right = f"({right})"
    return f"{left} {node.operator} {right}"


@to_sql.register
def _(node: Member) -> str:
    return f"{_operand(node.item)} = ANY({to_sql(node.texts)})"


@to_sql.register
def _(node: Overlap) -> str:
    return f"{to_sql(node.left)} && {to_sql(node.right)}"


@to_sql.register
def _(node: Contains) -> str:
    return f"{to_sql(node.left)} @> {to_sql(node.right)}"


@to_sql.register
def _(node: Cardinality) -> str:
    return f"CARDINALITY({to_sql(node.texts)})"
