"""What is true of a batch: every part of the conditions of some rules, each worked out once however many rules ask it.

Rules:
1. A condition is taken apart at AND, OR and NOT. What is left asks about values; Polars works all of it out in one
   pass, and one part that three rules share is worked out once.
2. The rest is logic over columns of bits, three-valued as SQL has it; each part is worked out when it is first needed.
3. Row by row a column equals `interpret`; the property tests of the columns hold both to it.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import polars as pl

from streams.core.columns import Lists, to_polars
from streams.core.condition import And, Cardinality, Contains, Fact, Member, Node, Not, Or, Overlap, fact_names
from streams.core.scope import Places

LISTS = (Member, Overlap, Contains, Cardinality)
JOINED: Mapping[type, Callable[[pl.Series, pl.Series], pl.Series]] = {And: operator.and_, Or: operator.or_}


class Part(NamedTuple):
    """One part of a condition: the parts it joins or negates, or the expression that Polars works out."""

    kind: type[And | Or | Not] | None
    below: tuple[int, ...] = ()
    expression: pl.Expr | None = None
    facts: tuple[str, ...] = ()
    """The facts that the expression asks, where it asks lists: that costs by the row."""
    column: str = ""
    """The column that holds the answer: a fact of the frame, or what the expression is called."""


class Parts:
    """The parts of conditions, numbered; equal parts have one number."""

    __slots__ = ("_asks", "_lists", "_numbers", "all")

    def __init__(self, lists: Lists) -> None:
        self.all: list[Part] = []
        self._lists = lists
        self._numbers: dict[Node, int] = {}
        self._asks: list[frozenset[int]] = []

    def number(self, node: Node) -> int:
        """The number of a condition, which is taken apart where it is new."""
        known = self._numbers.get(node)
        if known is not None:
            return known
        part = self._part(node)
        number = self._numbers[node] = len(self.all)
        self.all.append(part)
        below = (self._asks[each] for each in part.below)
        self._asks.append(frozenset({number}) if part.expression is not None else frozenset[int]().union(*below))
        return number

    def _part(self, node: Node) -> Part:
        match node:
            case And() | Or():
                return Part(type(node), tuple(self.number(term) for term in node.terms))
            case Not():
                return Part(Not, (self.number(node.term),))
            case Fact():
                return Part(None, column=node.name)
        name = f"part {len(self.all)}"
        facts = fact_names(node) if isinstance(node, LISTS) else ()
        return Part(None, expression=to_polars(node, self._lists).alias(name), facts=facts, column=name)

    def asks(self, number: int) -> frozenset[int]:
        """The parts under a condition that Polars has to work out."""
        return self._asks[number]

    def asks_of(self, numbers: Iterable[int]) -> frozenset[int]:
        """The same under several."""
        return frozenset[int]().union(*(self._asks[each] for each in numbers))


class Truths:
    """The answers of one frame of facts, one row a case; NULL is unknown."""

    __slots__ = ("_frame", "_known", "_parts", "_places", "_where")

    def __init__(
        self, parts: Parts, frame: pl.DataFrame, places: Places, asked: Iterable[tuple[int, frozenset[int]]]
    ) -> None:
        """`asked` says of each condition that may be asked at which places somebody asks it."""
        self._parts = parts
        self._frame = frame
        self._places = places
        self._known: dict[int, pl.Series] = {}
        self._where: defaultdict[int, set[int]] = defaultdict(set)
        for number, asked_at in asked:
            for each in parts.asks(number):
                self._where[each] |= asked_at

    def ask(self, numbers: Iterable[int]) -> None:
        """Work out what Polars has to for some conditions, each where somebody asks it; elsewhere it is unknown."""
        at: defaultdict[frozenset[int] | None, list[int]] = defaultdict(list)
        for number in self._parts.asks_of(numbers) - self._known.keys():
            at[self._narrow(self._where[number]) if self._parts.all[number].facts else None].append(number)
        for places, asking in at.items():
            self._known.update(zip(asking, self._answers(asking, places), strict=True))

    def _narrow(self, places: set[int]) -> frozenset[int] | None:
        """The places, or None for everywhere where that is not much more."""
        rows = sum(self._places.counts[each] for each in places)
        return None if 2 * rows >= self._frame.height else frozenset(places)

    def _answers(self, numbers: Sequence[int], places: frozenset[int] | None) -> list[pl.Series]:
        parts = [self._parts.all[number] for number in numbers]
        expressions = [part.expression for part in parts if part.expression is not None]
        if places is None:
            return self._frame.select(expressions).get_columns()
        lies = pl.Series([each in places for each in range(len(self._places.counts))])[self._places.of_row]
        facts = list(dict.fromkeys(name for part in parts for name in part.facts))
        found = self._frame.select(facts).filter(lies).select(expressions)
        back = pl.select(pl.when(lies).then(lies.cum_sum() - 1)).to_series()
        return found[back].get_columns()

    def of(self, number: int) -> pl.Series:
        """The column of one condition; what Polars has to work out for it was asked before."""
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = self._worked_out(self._parts.all[number])
        return known

    def _worked_out(self, part: Part) -> pl.Series:
        below = [self.of(each) for each in part.below]
        if part.kind is None:
            return self._frame[part.column]
        return ~below[0] if part.kind is Not else reduce(JOINED[part.kind], below)
