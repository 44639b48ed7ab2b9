"""The tree of a condition: what a rule asks of one case, as frozen values, and its canonical text.

Rules:
1. A tree is type-correct by construction: only `streams.core.grammar.parse` (and the tests' generator) makes one.
2. Conjunctions and disjunctions are flat: an And never holds an And, an Or never holds an Or.
3. Every condition is TRUE, FALSE or NULL (unknown), by the three-valued logic of SQL; `interpreter` says what each node
   means, `columns` says the same in Polars.
4. A number is a finite float. A value that is not finite is unknown, and so is a time outside the years 1 to 9999 or an
   interval longer than those: an overflow must never read as clear.
5. The limits below bind what an author writes, so that one condition can neither exhaust the stack nor hide in its own
   length.

`grammar` reads text into a tree (`lexicon` first looks at its words), `canonical` writes a tree as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from streams.errors import RulebookError

TEXT_LIMIT: Final = 4000
"""Characters a condition may have. A rule that needs more should be several rules."""

DEPTH_LIMIT: Final = 24
"""Levels a tree may have. The SQL parser needs about 20 stack frames a level, and Python allows 1000 in all."""

TIME_FIRST: Final = datetime.min.replace(tzinfo=UTC)
TIME_LAST: Final = datetime.max.replace(tzinfo=UTC)
INTERVAL_LIMIT: Final = TIME_LAST - TIME_FIRST
"""The longest interval, either way: from the first to the last time there is."""


class ConditionError(RulebookError):
    """A condition is outside the language: it says what was expected, what came, and where."""


class FactType(StrEnum):
    """What kind of value a fact or an expression has; every kind may also be unknown."""

    BOOLEAN = "boolean"
    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    """A UTC instant in microseconds."""
    TEXTS = "texts"
    """A list of texts; an empty list is known, and an unknown item says that there may be more than those known."""
    INTERVAL = "interval"
    """A length of time in microseconds; only inside expressions, never a fact."""


TYPE_NAMES: Final[Mapping[FactType, str]] = {
    FactType.BOOLEAN: "a boolean",
    FactType.TEXT: "a text",
    FactType.NUMBER: "a number",
    FactType.TIME: "a time",
    FactType.TEXTS: "a list of texts",
    FactType.INTERVAL: "an interval",
}
"""How a message calls a value of each type."""

CompareOperator: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]
ArithmeticOperator: TypeAlias = Literal["+", "-", "*"]
IsState: TypeAlias = Literal["NULL", "TRUE", "FALSE"]
PlainValue: TypeAlias = bool | str | float | datetime | timedelta | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Fact:
    """The value of a named fact of the case."""

    name: str
    type: FactType


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the condition; None is NULL, whose type comes from its neighbours in a CASE or COALESCE."""

    type: FactType
    value: PlainValue


@dataclass(frozen=True, slots=True)
class And:
    """TRUE if all terms are, FALSE if one is; two terms or more, none of them an And."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """TRUE if one term is, FALSE if all are; two terms or more, none of them an Or."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    term: Node


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values of one type; texts compare by code point. Lists are not compared, booleans only by = and <>."""

    operator: CompareOperator
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Is:
    """Whether a value is unknown, or is known to be TRUE or FALSE: the one question that is never unknown itself."""

    term: Node
    state: IsState


@dataclass(frozen=True, slots=True)
class In:
    """Whether a value is one of the constants, of which there is at least one and none is NULL."""

    term: Node
    items: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """`low <= term AND term <= high`."""

    term: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class Like:
    """Whether the whole text fits the pattern; the pattern is kept as written, `pattern_parts` reads it."""

    term: Node
    pattern: str


@dataclass(frozen=True, slots=True)
class When:
    """One branch of a CASE."""

    condition: Node
    result: Node


@dataclass(frozen=True, slots=True)
class Case:
    """The result of the first branch whose condition is TRUE (unknown is not), else `otherwise`; all of one type."""

    whens: tuple[When, ...]
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Coalesce:
    """The first term that is known; all of one type."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Numbers by + - *; time and interval by + -; time - time is an interval."""

    operator: ArithmeticOperator
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Member:
    """`item = ANY(list)`: in an empty list nothing is, not even an unknown text."""

    item: Node
    texts: Node


@dataclass(frozen=True, slots=True)
class Overlap:
    """`left && right`: whether two lists have a text in common."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Contains:
    """`left @> right`: whether every text of the right list is in the left one, however often."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Cardinality:
    """The number of texts of a list; unknown where there may be more."""

    texts: Node


Node: TypeAlias = (
    Fact | Constant | And | Or | Not | Compare | Is | In | Between | Like | Case | Coalesce | Arithmetic | Member
    | Overlap | Contains | Cardinality
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean tree, the facts it names in the order of their first use, and the text it was read from."""

    root: Node
    facts: tuple[str, ...]
    text: str


def parts(node: Node) -> Iterator[Node]:
    """The nodes directly below a node, in the order they are written."""
    for field in fields(node):
        value = getattr(node, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, When):
                yield part.condition
                yield part.result
            elif isinstance(part, Node):
                yield part


def fact_names(node: Node) -> tuple[str, ...]:
    """The facts a tree names, each once, in the order of the tree."""
    if isinstance(node, Fact):
        return (node.name,)
    return tuple(dict.fromkeys(name for part in parts(node) for name in fact_names(part)))


def depth(node: Node) -> int:
    """The levels of a tree; a fact has one."""
    return 1 + max((depth(part) for part in parts(node)), default=0)


def type_of(node: Node) -> FactType:
    """The type of the values of a node."""
    match node:
        case Fact() | Constant():
            return node.type
        case Case():
            return type_of(node.otherwise)
        case Coalesce():
            return type_of(node.terms[0])
        case Cardinality():
            return FactType.NUMBER
        case Arithmetic():
            return arithmetic_type(node.operator, type_of(node.left), type_of(node.right)) or FactType.NUMBER
        case _:
            return FactType.BOOLEAN


def arithmetic_type(operator: ArithmeticOperator, left: FactType, right: FactType) -> FactType | None:
    """The type of a sum, difference or product, or None where the language has none."""
    number, time, interval = FactType.NUMBER, FactType.TIME, FactType.INTERVAL
    if left is right is number:
        return number
    results: dict[tuple[str, FactType, FactType], FactType] = {
        ("+", time, interval): time,
        ("+", interval, time): time,
        ("-", time, interval): time,
        ("-", time, time): interval,
        ("+", interval, interval): interval,
        ("-", interval, interval): interval,
    }
    return results.get((operator, left, right))


def clauses(node: Node) -> list[Node]:
    """The parts that all have to be TRUE for the condition to be: what an explanation shows one by one."""
    return list(node.terms) if isinstance(node, And) else [node]


def pattern_parts(pattern: str) -> list[str | None] | None:
    r"""A LIKE pattern as its characters, `""` for `_` (any one character) and None for `%` (any run of them).

    The result is None when a backslash stands before something else than `%`, `_` or a backslash.

    >>> pattern_parts(r"a_\%%")
    ['a', '', '%', None]
    """
    found: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, None)
            if escaped is None or escaped not in "%_\\":
                return None
            found.append(escaped)
        else:
            found.append({"%": None, "_": ""}.get(character, character))
    return found
