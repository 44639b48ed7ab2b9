"""To what a rule applies, and how far that reaches in a batch.

Rules:
1. A rule applies by its dates, jurisdictions, controller types and what it judges; one selector that says no decides,
   else one that is unknown leaves it unknown.
2. Selectors that several scopes share are worked out once for a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from operator import and_
from typing import NamedTuple

import polars as pl

from streams.core.constant import constant
from streams.core.instant import NEVER, micros
from streams.core.rule import Rule


class Scope(NamedTuple):
    """To what a rule applies; the bounds of time are None where they do not cut the batch."""

    judges: str
    jurisdictions: tuple[str, ...]
    controller_types: tuple[str, ...]
    from_instant: int | None
    until_instant: int | None


class Places(NamedTuple):
    """Where the cases of a batch are and whom they bind: few combinations for many rows."""

    of_row: pl.Series
    """The number of the combination of each row."""
    combinations: tuple[tuple[frozenset[str] | None, str | None], ...]
    """Jurisdictions and controller type of each; None is unknown."""
    counts: tuple[int, ...]


class Reach(NamedTuple):
    """How far a scope reaches in a batch."""

    applies: pl.Series | None
    """Whether it holds each row; None where it holds all."""
    holds: pl.Series | None
    """For each row 1 where it holds it and 0 where not; None where that is unknown somewhere."""
    nowhere: bool
    """Whether it surely holds no row."""
    places: frozenset[int]
    """The combinations that it may hold."""


def scope_of(rule: Rule, span: tuple[int, int]) -> Scope:
    """The scope of a rule for cases from the first to the last instant of `span`."""
    return Scope(
        rule.judges if rule.judges in ("probe", "subject") else "",
        rule.jurisdictions,
        rule.controller_types,
        rule.from_instant if rule.from_instant > span[0] else None,
        rule.until_instant if rule.until_instant <= span[1] else None,
    )


def span_of(cases: pl.DataFrame) -> tuple[int, int]:
    """The first and the last instant of some cases, in microseconds."""
    if cases.is_empty():
        return 0, 0
    instant = pl.col("occurred_at").dt.epoch("us")
    first, last = cases.select(instant.min().alias("first"), instant.max().alias("last")).row(0)
    return first, last


def places_of(cases: pl.DataFrame) -> Places:
    """The places of some cases."""
    keys = [name for name in ("jurisdictions", "controller_type") if name in cases.columns]
    marked = cases.select(*keys, pl.int_range(pl.len(), dtype=pl.UInt32).alias("first"))
    marked = marked.select(pl.col("first").min().over(keys) if keys else pl.col("first") * 0)
    of_row = marked["first"].rank("dense") - 1
    found = marked["first"].value_counts().sort("first")
    rows = cases.select(keys)[found["first"]]
    where = rows["jurisdictions"].to_list() if "jurisdictions" in keys else [None] * found.height
    types = rows["controller_type"].to_list() if "controller_type" in keys else [None] * found.height
    held = [None if each is None else frozenset(each) for each in where]
    return Places(of_row, tuple(zip(held, types, strict=True)), tuple(found["count"].to_list()))


def reach_of(cases: pl.DataFrame, scopes: Iterable[Scope], places: Places) -> dict[Scope, Reach]:
    """How far each scope reaches."""
    wanted = {scope: _row_selectors(scope) for scope in scopes}
    asked = {name: each for selectors in wanted.values() for name, each in selectors.items()}
    answers = cases.select(each.alias(name) for name, each in asked.items()) if asked else ()
    known = dict(zip(asked, answers, strict=True))
    telling = {name: each for name, each in known.items() if not each.all(ignore_nulls=False)}
    return {
        scope: _reach(cases.height, scope, places, [telling[name] for name in selectors if name in telling])
        for scope, selectors in wanted.items()
    }


def _reach(height: int, scope: Scope, places: Places, rows: Sequence[pl.Series]) -> Reach:
    held = [_holds(scope, *each) for each in places.combinations]
    reached = frozenset(number for number, each in enumerate(held) if each is not False)
    if not reached:
        zeros = constant(0, height, pl.UInt8)
        return Reach(zeros.cast(pl.Boolean), zeros, height > 0, reached)
    if all(held) and not rows:
        return Reach(None, constant(1, height, pl.UInt8), nowhere=False, places=reached)
    there = pl.Series(held, dtype=pl.Boolean)[places.of_row]
    if not rows:
        holds = None if None in held else pl.Series(held, dtype=pl.UInt8)[places.of_row]
        return Reach(there, holds, nowhere=False, places=reached)
    applies = reduce(and_, rows, there)
    holds = None if applies.null_count() else applies.cast(pl.UInt8)
    return Reach(applies, holds, applies.any(ignore_nulls=False) is False, reached)


def _holds(scope: Scope, where: frozenset[str] | None, controller_type: str | None) -> bool | None:
    """Whether a scope holds the cases of a place."""
    bound, within = (None if controller_type is None else controller_type in scope.controller_types), None
    if where is not None:
        within = not where.isdisjoint(scope.jurisdictions)
    parts = [*([bound] if scope.controller_types else []), *([within] if scope.jurisdictions else [])]
    return False if False in parts else None if None in parts else True


@lru_cache(maxsize=4_096)
def _row_selectors(scope: Scope) -> Mapping[str, pl.Expr]:
    """What has to hold of each row beside its place, by what it asks."""
    instant = pl.col("occurred_at").dt.epoch("us")
    found: dict[str, pl.Expr] = {}
    if scope.from_instant is not None:
        found[f"from {scope.from_instant}"] = instant >= scope.from_instant
    if scope.until_instant is not None:
        found[f"until {scope.until_instant}"] = instant < scope.until_instant
    if scope.judges == "probe":
        found["probe"] = pl.col("rank") == 0
    if scope.judges == "subject":
        found["subject"] = ~pl.col("stranger")
    return found


def applies_to_row(rule: Rule, row: Mapping[str, object]) -> bool | None:
    """Whether a rule applies to one case, without columns: the oracle of `reach_of`."""
    instant = micros(row["occurred_at"])  # type: ignore[arg-type]  # the contract of a case row
    parts: list[bool | None] = [rule.from_instant <= instant < min(rule.until_instant, NEVER)]
    if rule.judges == "probe":
        parts.append(row["rank"] == 0)
    if rule.judges == "subject":
        stranger = row["stranger"]
        parts.append(None if stranger is None else not stranger)
    if rule.controller_types:
        held = row["controller_type"]
        parts.append(None if held is None else held in rule.controller_types)
    if rule.jurisdictions:
        where = row["jurisdictions"]
        parts.append(None if where is None else bool(set(rule.jurisdictions) & set(where)))  # type: ignore[call-overload]  # the contract of a case row
    return False if False in parts else None if None in parts else True
