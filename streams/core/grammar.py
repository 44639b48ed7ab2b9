"""The grammar of conditions: SQL text into a type-correct tree, or a refusal with its line.

Rules:
1. `sqlglot` reads the text in the dialect of PostgreSQL; this file takes over only what it knows by name, argument by
   argument, so whatever a later sqlglot learns to read stays refused.
2. Every operand has the type its operator asks for; there are no casts and nothing is guessed.
3. A comparison that is itself an operand needs parentheses: readers and engines disagree on `a = b = c`.
4. NULL stands only as a result in CASE or COALESCE, where its neighbours give it a type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from sqlglot import Expr, exp
from sqlglot.errors import ParseError

from streams.core.canonical import to_sql
from streams.core.condition import (
    DEPTH_LIMIT,
    TYPE_NAMES,
    And,
    Arithmetic,
    ArithmeticOperator,
    Between,
    Cardinality,
    Case,
    Coalesce,
    Compare,
    CompareOperator,
    Condition,
    ConditionError,
    Constant,
    Contains,
    Fact,
    FactType,
    In,
    Is,
    IsState,
    Like,
    Member,
    Node,
    Not,
    Or,
    Overlap,
    PlainValue,
    When,
    arithmetic_type,
    depth,
    pattern_parts,
    type_of,
)
from streams.core.lexicon import DIALECT, line_place, words_of
from streams.core.literal import clip, read_interval, read_number, read_time
from streams.errors import Place

_COMPARISONS: Final[Mapping[type[Expr], CompareOperator]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: Final[Mapping[type[Expr], ArithmeticOperator]] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_SETS: Final[Mapping[type[Expr], str]] = {
    exp.ArrayOverlaps: "&&",
    exp.ArrayContainsAll: "@>",
    exp.ArrayContainedBy: "<@",
}
_LOOSE: Final = (*_COMPARISONS, *_SETS, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Like)
"""What binds as loosely as a comparison, so that it needs parentheses to be an operand."""

_ARGUMENTS: Final[Mapping[type[Expr], frozenset[str]]] = {
    exp.Is: frozenset({"this", "expression", "negate"}),
    exp.Like: frozenset({"this", "expression", "negate"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Case: frozenset({"ifs", "default"}),
    exp.If: frozenset({"this", "true"}),
    exp.Interval: frozenset({"this", "unit", "fraction_in_string"}),
    exp.Array: frozenset({"expressions"}),
    exp.Coalesce: frozenset({"this", "expressions"}),
    exp.Anonymous: frozenset({"this", "expressions"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.Literal: frozenset({"this", "is_string"}),
}
_ORDERED: Final = (FactType.NUMBER, FactType.TEXT, FactType.TIME, FactType.INTERVAL)
_TOO_DEEP: Final = f"too deep: expected at most {DEPTH_LIMIT} levels of operators within one another"
_OPERANDS: Final = frozenset({"this", "expression"})
"""The arguments of sqlglot's expressions that are read here; where none are named, the one or two operands."""

_TIMES: Final = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ)


def parse(text: str, facts: Mapping[str, FactType], *, place: Place) -> Condition:
    """The condition a text means over the facts of a catalogue.

    `place` is where the text begins; raises ConditionError, whose line counts on from there.
    """
    words = words_of(text, facts, place=place)
    try:
        tree = next(iter(DIALECT.parser().parse(words, text)), None)
        if tree is None:
            raise ParseError("no expression")  # noqa: TRY301 -- as the parser says all else
        reader = _Reader(facts, place)
        root = reader.boolean(tree, "a condition")
    except ParseError as problem:
        found = problem.errors[0] if problem.errors else {}
        near = f" near {found['highlight']!r}" if found.get("highlight") else ""
        message = f"expected a complete condition, it breaks off or has a word too many{near}"
        raise ConditionError(message, place=line_place(place, found.get("line"))) from problem
    except RecursionError as problem:
        raise ConditionError(_TOO_DEEP, place=place) from problem
    if depth(root) > DEPTH_LIMIT:
        raise ConditionError(_TOO_DEEP, place=place)
    return Condition(root, tuple(reader.used), text)


class _Reader:
    """Reads sqlglot's tree into ours, and remembers the facts it met."""

    def __init__(self, facts: Mapping[str, FactType], place: Place) -> None:
        self.facts = facts
        self.place = place
        self.used: dict[str, None] = {}
        self.level = 0

    def refuse(self, message: str, tree: Expr) -> NoReturn:
        """Raise ConditionError at the first line sqlglot knows of this part."""
        lines = (part.meta.get("line") for part in tree.walk(bfs=False))
        line = next((line for line in lines if line is not None), None)
        raise ConditionError(message, place=line_place(self.place, line))

    def node(self, tree: Expr) -> Node:
        """The node of any value."""
        tree = tree.unnest()
        read = _READERS.get(type(tree))
        given = {name for name, value in tree.args.items() if value not in (None, False, [])}
        if read is None or given - _ARGUMENTS.get(type(tree), _OPERANDS):
            self.refuse(f"outside the condition language: {_shown(tree)}", tree)
        self.level += 1
        if self.level > DEPTH_LIMIT:
            self.refuse(_TOO_DEEP, tree)
        node = read(self, tree)
        self.level -= 1
        return node

    def constant(self, kind: FactType, read: Callable[[str], PlainValue], text: str, tree: Expr) -> Constant:
        """The constant a literal means; the function that reads it says what is wrong with it."""
        try:
            return Constant(kind, read(text))
        except ValueError as problem:
            self.refuse(str(problem), tree)

    def operand(self, tree: Expr) -> Node:
        """The node of a value beside an operator."""
        if isinstance(tree, _LOOSE):
            self.refuse(f"write parentheses around {_shown(tree)}, which is itself an operand", tree)
        return self.node(tree)

    def boolean(self, tree: Expr, what: str) -> Node:
        """The node of a value that has to be boolean."""
        return self.typed(self.node(tree), tree, what, FactType.BOOLEAN)

    def typed(self, node: Node, tree: Expr, what: str, *types: FactType) -> Node:
        """The node, if it has one of the types."""
        if type_of(node) not in types:
            wanted = " or ".join(TYPE_NAMES[one] for one in types)
            self.refuse(f"expected {wanted} as {what}, got {TYPE_NAMES[type_of(node)]}: {clip(to_sql(node))}", tree)
        return node

    def same_type(self, nodes: Sequence[Node], tree: Expr, what: str) -> FactType:
        """The one type of the nodes, which are at least one."""
        first = type_of(nodes[0])
        for node in nodes[1:]:
            if type_of(node) is not first:
                pair = {first, type_of(node)}
                hint = "; write TIMESTAMP '...' with a zone" if pair == {FactType.TIME, FactType.TEXT} else ""
                names = f"{TYPE_NAMES[first]} ({clip(to_sql(nodes[0]))}) and {TYPE_NAMES[type_of(node)]}"
                self.refuse(f"expected values of one type {what}, got {names} ({clip(to_sql(node))}){hint}", tree)
        return first

    def ordered(self, nodes: Sequence[Node], tree: Expr, what: str) -> None:
        """Refuse nodes of different types, and types without an order."""
        self.same_type(nodes, tree, what)
        self.typed(nodes[0], tree, f"what is compared {what}", *_ORDERED)

    def results(self, trees: Sequence[Expr], tree: Expr, what: str) -> list[Node]:
        """The nodes of results that share one type, which NULL takes over."""
        nodes = [None if isinstance(result.unnest(), exp.Null) else self.node(result) for result in trees]
        known = [node for node in nodes if node is not None]
        if not known:
            self.refuse(f"expected at least one result that is not NULL in {what}", tree)
        shared = self.same_type(known, tree, f"as the results of {what}")
        if shared is FactType.TEXTS:
            self.refuse(f"a list of texts is no result of {what}; ask the list itself", tree)
        return [Constant(shared, None) if node is None else node for node in nodes]


def _shown(tree: Expr) -> str:
    """A part of the text as sqlglot writes it, or the name of its kind where it cannot."""
    return clip(tree.sql(dialect="postgres"))


def _fact(reader: _Reader, tree: Expr) -> Node:
    name = tree.name.lower()
    if name not in reader.facts:
        reader.refuse(f"expected a fact, got {_shown(tree)}", tree)
    reader.used[name] = None
    return Fact(name, reader.facts[name])


def _truth(reader: _Reader, tree: Expr) -> Node:  # noqa: ARG001 - every reader is called the same way
    return Constant(FactType.BOOLEAN, bool(tree.this))


def _literal(reader: _Reader, tree: Expr) -> Node:
    if tree.is_string:
        return Constant(FactType.TEXT, tree.name)
    return reader.constant(FactType.NUMBER, read_number, tree.name, tree)


def _negative(reader: _Reader, tree: Expr) -> Node:
    number = tree.this
    if not isinstance(number, exp.Literal) or number.is_string:
        reader.refuse(f"expected a number or a value before a minus sign, got {_shown(tree)}; write 0 - x", tree)
    return reader.constant(FactType.NUMBER, read_number, f"-{number.name}", tree)


def _null(reader: _Reader, tree: Expr) -> NoReturn:
    reader.refuse("NULL stands only as a result in CASE or COALESCE; to ask for the unknown write IS NULL", tree)


def _junction(reader: _Reader, tree: Expr) -> Node:
    kind, word = (And, "AND") if isinstance(tree, exp.And) else (Or, "OR")
    terms = [reader.boolean(term, f"a term of {word}") for term in tree.flatten(unnest=False)]
    return kind(tuple(part for term in terms for part in (term.terms if isinstance(term, kind) else (term,))))


def _not(reader: _Reader, tree: Expr) -> Node:
    return Not(reader.boolean(tree.this, "the term of NOT"))


def _negated(node: Node, tree: Expr) -> Node:
    return Not(node) if tree.args.get("negate") else node


def _comparison(reader: _Reader, tree: Expr) -> Node:
    symbol = _COMPARISONS[type(tree)]
    if isinstance(tree.expression, exp.Any):
        return _member(reader, tree, symbol)
    left, right = reader.operand(tree.this), reader.operand(tree.expression)
    shared = reader.same_type((left, right), tree, f"beside {symbol}")
    if shared is FactType.TEXTS:
        reader.refuse("lists are not compared; write 'x' = ANY(list), list && list or list @> list", tree)
    if shared is FactType.BOOLEAN and symbol not in ("=", "<>"):
        reader.refuse(f"expected = or <> between booleans, got {symbol}", tree)
    return Compare(symbol, left, right)


def _member(reader: _Reader, tree: Expr, symbol: str) -> Node:
    if symbol != "=":
        reader.refuse(f"expected = before ANY, got {symbol}; for the opposite write NOT ('x' = ANY(list))", tree)
    item = reader.typed(reader.operand(tree.this), tree, "what is looked for with ANY", FactType.TEXT)
    return Member(item, _texts(reader, tree.expression.this, "ANY"))


def _texts(reader: _Reader, tree: Expr, what: str) -> Node:
    return reader.typed(reader.node(tree), tree, f"the operand of {what}", FactType.TEXTS)


def _is(reader: _Reader, tree: Expr) -> Node:
    term, asked = reader.operand(tree.this), tree.expression
    if isinstance(asked, exp.Null):
        return _negated(Is(term, "NULL"), tree)
    if not isinstance(asked, exp.Boolean):
        reader.refuse(f"expected NULL, TRUE, FALSE or UNKNOWN after IS, got {_shown(asked)}", tree)
    state: IsState = "TRUE" if asked.this else "FALSE"
    return _negated(Is(reader.typed(term, tree, f"what IS {state} asks about", FactType.BOOLEAN), state), tree)


def _in(reader: _Reader, tree: Expr) -> Node:
    term = reader.operand(tree.this)
    items: list[Constant] = []
    for item in tree.expressions:
        node = reader.node(item)
        if not isinstance(node, Constant):
            reader.refuse(f"expected only literal values in the list of IN, got {_shown(item)}", item)
        items.append(node)
    if not items:
        reader.refuse("expected at least one value in the parentheses after IN", tree)
    reader.ordered((term, *items), tree, "by IN")
    return In(term, tuple(items))


def _between(reader: _Reader, tree: Expr) -> Node:
    term, low, high = (reader.operand(tree.args[name]) for name in ("this", "low", "high"))
    reader.ordered((term, low, high), tree, "by BETWEEN")
    return Between(term, low, high)


def _like(reader: _Reader, tree: Expr) -> Node:
    term = reader.typed(reader.operand(tree.this), tree, "what LIKE looks at", FactType.TEXT)
    pattern = tree.expression.unnest()
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        reader.refuse(f"expected a literal pattern after LIKE, got {_shown(pattern)}", tree)
    if pattern_parts(pattern.name) is None:
        reader.refuse(r"expected %, _ or \ after a backslash in the pattern of LIKE", tree)
    return _negated(Like(term, pattern.name), tree)


def _case(reader: _Reader, tree: Expr) -> Node:
    branches, otherwise = tree.args["ifs"], tree.args.get("default")
    if otherwise is None:
        reader.refuse("expected ELSE in CASE; write ELSE NULL where nothing is known", tree)
    conditions = [reader.boolean(branch.this, "the condition after WHEN") for branch in branches]
    results = reader.results([*(branch.args["true"] for branch in branches), otherwise], tree, "CASE")
    return Case(tuple(map(When, conditions, results)), results[-1])


def _coalesce(reader: _Reader, tree: Expr) -> Node:
    terms = [tree.this, *tree.expressions]
    if len(terms) < 2:
        reader.refuse("expected at least two values in COALESCE", tree)
    return Coalesce(tuple(reader.results(terms, tree, "COALESCE")))


def _arithmetic(reader: _Reader, tree: Expr) -> Node:
    symbol = _ARITHMETIC[type(tree)]
    left, right = reader.operand(tree.this), reader.operand(tree.expression)
    if arithmetic_type(symbol, type_of(left), type_of(right)) is None:
        came = f"{TYPE_NAMES[type_of(left)]} {symbol} {TYPE_NAMES[type_of(right)]}"
        expected = "numbers, or times and intervals (time - time, time + interval, interval + interval)"
        reader.refuse(f"expected {expected} beside {symbol}, got {came}: {_shown(tree)}", tree)
    return Arithmetic(symbol, left, right)


def _sets(reader: _Reader, tree: Expr) -> Node:
    symbol = _SETS[type(tree)]
    left, right = _texts(reader, tree.this, symbol), _texts(reader, tree.expression, symbol)
    if symbol == "&&":
        return Overlap(left, right)
    return Contains(left, right) if symbol == "@>" else Contains(right, left)


def _function(reader: _Reader, tree: Expr) -> Node:
    if tree.name.lower() != "cardinality" or len(tree.expressions) != 1:
        reader.refuse(f"expected CARDINALITY(list), got {_shown(tree)}", tree)
    return Cardinality(_texts(reader, tree.expressions[0], "CARDINALITY"))


def _array(reader: _Reader, tree: Expr) -> Node:
    for item in tree.expressions:
        if not (isinstance(item, exp.Literal) and item.is_string):
            reader.refuse(f"expected only texts in ARRAY, got {_shown(item)}", tree)
    if not tree.expressions:
        reader.refuse("expected at least one text in ARRAY; for an empty list write CARDINALITY(list) = 0", tree)
    return Constant(FactType.TEXTS, tuple(item.name for item in tree.expressions))


def _time(reader: _Reader, tree: Expr) -> Node:
    if not tree.args["to"].is_type(*_TIMES) or not isinstance(tree.this, exp.Literal):
        reader.refuse(f"outside the condition language: {_shown(tree)}", tree)
    return reader.constant(FactType.TIME, read_time, tree.this.name, tree)


def _interval(reader: _Reader, tree: Expr) -> Node:
    unit = tree.args.get("unit")
    text = " ".join(part.name for part in (tree.this, unit) if part is not None)
    return reader.constant(FactType.INTERVAL, read_interval, text, tree)


_READERS: Final[Mapping[type[Expr], Callable[[_Reader, Expr], Node]]] = {
    exp.Column: _fact,
    exp.Boolean: _truth,
    exp.Literal: _literal,
    exp.Neg: _negative,
    exp.Null: _null,
    exp.And: _junction,
    exp.Or: _junction,
    exp.Not: _not,
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    exp.Is: _is,
    exp.In: _in,
    exp.Between: _between,
    exp.Like: _like,
    exp.Case: _case,
    exp.Coalesce: _coalesce,
    **dict.fromkeys(_SETS, _sets),
    exp.Anonymous: _function,
    exp.Array: _array,
    exp.Cast: _time,
    exp.Interval: _interval,
}
