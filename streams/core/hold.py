"""The hold: which cases a record that is still in flight may change, so that nothing is said of them yet.

Rules:
1. A case waits only for what a rule left undetermined or found wrong; the clear never wait, and neither does what no
   record could undo.
2. A record may be in flight where its feed is not complete beyond the event and keeps its promise. A feed that has
   broken its promise is not waited for, nor is one that does not exist.
3. The time up to which the logs were read is an argument: a worker that was cut off must not take the silence of its
   own ears for that of a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import or_

import polars as pl

from streams.core.constant import constant
from streams.core.facts import BEHIND, FACTS, Source, why
from streams.core.feed import Feeds
from streams.core.horizon import KINDS
from streams.core.instant import NEVER
from streams.core.judge import Outcome, Verdicts
from streams.core.rule import Rule

OPEN = (Outcome.VIOLATION, Outcome.EXCUSED, Outcome.UNDETERMINED)
WORDS = [reason.value for reason in BEHIND]
REASONS = tuple(why(source) for source in Source)
ALL_KINDS = tuple(sorted({kind for kinds in KINDS.values() for kind in kinds}))


@lru_cache(maxsize=4_096)
def kinds_of(rule: Rule) -> tuple[str, ...]:
    """The kinds of record on which a verdict of a rule may rest."""
    sources = {FACTS[name].source for name in rule.facts}
    sources |= {Source.SITE} if rule.jurisdictions else set()
    sources |= {Source.CONTROLLER} if rule.controller_types else set()
    sources |= {Source.EXCEPTION, Source.DEVICE} if rule.excusable else set()
    return tuple(sorted({kind for source in sources for kind in KINDS.get(source, ())}))


def awaited(verdicts: Verdicts, feeds: Feeds, heard: int) -> pl.Series:
    """For each case whether a record in flight may change it, as far as the logs were read (`heard`, microseconds)."""
    cases = verdicts.cases
    nothing = constant(False, cases.height, pl.Boolean)
    if cases.is_empty():
        return nothing
    controllers = cases["controller_id"].unique().to_list()
    latest = cases.select(pl.col("occurred_at").dt.epoch("us").max()).item()
    # Most batches of a backlog lie whole before every bound, and pay no more than this.
    if all(_bound(feeds, controller, ALL_KINDS, heard) > latest for controller in controllers):
        return nothing
    instants = cases["occurred_at"].dt.epoch("us")
    waiting = nothing
    for rule, counts in verdicts.counts().items():
        if not any(counts[outcome] for outcome in OPEN):
            continue
        bounds = {controller: _bound(feeds, controller, kinds_of(rule), heard) for controller in controllers}
        if all(bound > latest for bound in bounds.values()):
            continue
        beyond = instants >= cases["controller_id"].replace_strict(bounds, return_dtype=pl.Int64)
        waiting = waiting | (beyond & verdicts.outcomes[rule.column].is_in([outcome.value for outcome in OPEN]))
    return waiting


def _bound(feeds: Feeds, controller_id: str, kinds: tuple[str, ...], heard: int) -> int:
    """The first instant of which a record of some kind may still be in flight."""
    horizons = (feeds.horizon(controller_id, kind) for kind in kinds)
    return min(
        (each.complete_until for each in horizons if each is not None and heard < each.fresh_until), default=NEVER
    )


def left_behind(verdicts: Verdicts) -> pl.Series | None:
    """Which cases a rule left undetermined while a feed is behind or missing; None where none."""
    if not any(counts[Outcome.UNDETERMINED] for counts in verdicts.counts().values()):
        return None
    names = [name for name in REASONS if name in verdicts.cases.columns]
    if verdicts.few:
        return _left_behind_of_few(verdicts, names)
    behind = verdicts.cases.select(pl.any_horizontal(_is_behind(name) for name in names)).to_series()
    if not behind.any():
        return None
    left = verdicts.outcomes.select(pl.any_horizontal(pl.all() == Outcome.UNDETERMINED.value)).to_series()
    return behind.fill_null(value=False) & left


def _left_behind_of_few(verdicts: Verdicts, names: Sequence[str]) -> pl.Series | None:
    """The same row by row: a dozen reasons of a handful of cases are read before a query has begun."""
    columns = [verdicts.cases[name].to_list() for name in names]
    behind = {row for column in columns for row, word in enumerate(column) if word in WORDS}
    if not behind:
        return None
    left = {row for rule in verdicts.rules for row in verdicts.said(rule, Outcome.UNDETERMINED)}
    return pl.Series([row in behind and row in left for row in range(verdicts.cases.height)], dtype=pl.Boolean)


@lru_cache
def _is_behind(name: str) -> pl.Expr:
    """Whether a reason is one of `WORDS`: `is_in` takes a quarter of a millisecond for each of a dozen columns."""
    return reduce(or_, (pl.col(name) == word for word in WORDS))
