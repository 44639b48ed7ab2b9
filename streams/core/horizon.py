"""Horizons: every fact becomes unknown whose source cannot be relied on at the instant of its row.

Rules:
1. Beyond the promise of a feed all that rests on it is unknown; within it only what a missing record would undo: every
   negative answer. What a record grants stands.
2. A claim that nobody made needs no feed, and a stranger has no records.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import polars as pl

from streams.core.columns import COLUMN_TYPES
from streams.core.condition import FactType
from streams.core.facts import FACTS, Source, Unknown, why
from streams.core.feed import Horizon
from streams.core.instant import NEVER, micros
from streams.core.registry import Registry

KINDS: Mapping[Source, tuple[str, ...]] = {
    Source.DEVICE: ("device",),
    Source.SITE: ("device", "site"),
    Source.CONTROLLER: ("controller",),
    Source.PURPOSE: ("purpose",),
    Source.NOTICE: ("purpose", "notice"),
    Source.ASSESSMENT: ("purpose", "assessment"),
    Source.GALLERY: ("gallery",),
    Source.AUTHORITY: ("authority",),
    Source.EXCEPTION: ("exception",),
    Source.CONSENT: ("consent_given", "consent_withdrawn"),
    Source.ENROLMENT: ("enrolment",),
    Source.RESTRICTION: ("restriction",),
}
"""The kinds of record on which the facts of a source rest."""


def absent(source: Source) -> str:
    """The name of the column that says whether a negative answer of `source` rests on a missing record."""
    return f"absent_{source}"


APPLIES: Mapping[Source, pl.Expr] = {
    Source.PURPOSE: pl.col("purpose_id").is_not_null(),
    Source.NOTICE: pl.col("purpose_id").is_not_null(),
    Source.ASSESSMENT: pl.col("purpose_id").is_not_null(),
    Source.GALLERY: pl.col("reference_database_id").is_not_null(),
    Source.AUTHORITY: pl.col("authority_id").is_not_null(),
    Source.EXCEPTION: pl.col("exception_id").is_not_null(),
    Source.CONSENT: ~pl.col("nobody"),
    Source.ENROLMENT: ~pl.col("nobody"),
    Source.RESTRICTION: ~pl.col("nobody"),
}
"""Where a source is asked at all: a claim that nobody made needs no feed, and a stranger has no records."""


def within_horizons(
    table: pl.DataFrame, registry: Registry, sources: Sequence[Source], names: Collection[str]
) -> pl.DataFrame:
    """The table with every fact unknown whose source cannot be relied on at the instant of its row."""
    controllers = table["controller_id"].unique().to_list()
    last = table["occurred_at"].max()
    latest = micros(last) if isinstance(last, datetime) else 0
    masked: dict[str, pl.Expr] = {}
    for source in sources:
        horizons = {each: _horizon(registry, each, source) for each in controllers}
        if all(each is not None and latest < min(each) for each in horizons.values()):
            continue
        masked |= _masked(source, horizons, [fact for fact in names if FACTS[fact].source is source])
    table = table.with_columns(**masked) if masked else table
    gone = {absent(source) for source in sources}
    return table[[name for name in table.columns if name not in gone]]


def _horizon(registry: Registry, controller_id: str, source: Source) -> Horizon | None:
    """How far the records of a source can be relied on: as far as the poorest of its kinds."""
    found = [registry.feeds.horizon(controller_id, kind) for kind in KINDS[source]]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    return Horizon(min(each.complete_until for each in known), min(each.fresh_until for each in known))


def _masked(source: Source, horizons: Mapping[str, Horizon | None], names: Collection[str]) -> dict[str, pl.Expr]:
    """The facts of a source and their reason, where the horizon of the row's controller allows them."""
    instant = pl.col("occurred_at").dt.epoch("us")
    controller = pl.col("controller_id")
    complete, fresh = (_by_controller({key: _bound(each, which) for key, each in horizons.items()}) for which in (0, 1))
    missing = controller.is_in([key for key, each in horizons.items() if each is None])
    applies = APPLIES.get(source, pl.lit(True))
    stale = (instant >= fresh) & applies
    unearned = (instant >= complete) & pl.col(absent(source)) & applies
    ours = pl.col(why(source)).is_null() | (pl.col(why(source)) == Unknown.NOT_REGISTERED.value)
    reason = pl.when(missing).then(pl.lit(Unknown.FEED_MISSING.value)).otherwise(pl.lit(Unknown.FEED_BEHIND.value))
    facts = {name: pl.when(~(stale | (unearned & _negative(name)))).then(_stands(name, unearned)) for name in names}
    return facts | {why(source): pl.when((stale | unearned) & ours).then(reason).otherwise(pl.col(why(source)))}


def _by_controller(values: Mapping[str, int]) -> pl.Expr:
    """A number for the controller of each row; one that is the same for all is no column, which is most of the time."""
    distinct = set(values.values())
    if len(distinct) == 1:
        return pl.lit(distinct.pop(), pl.Int64)
    return pl.col("controller_id").replace_strict(values, return_dtype=pl.Int64)


def _stands(name: str, unearned: pl.Expr) -> pl.Expr:
    """What stands of a fact where no more than an absence is in doubt: a list in part, all else as it is."""
    fact = pl.col(name)
    if FACTS[name].type is not FactType.TEXTS:
        return fact
    return pl.when(unearned).then(fact.list.concat(pl.lit([None], COLUMN_TYPES[FactType.TEXTS]))).otherwise(fact)


def _negative(name: str) -> pl.Expr:
    """Whether a fact is the answer that a missing record gives; another record could not undo the others."""
    if name == "consent_withdrawn":
        # Not an accusation: while the feed keeps its promise, a consent on record is taken as not withdrawn.
        return pl.col("silent")
    match FACTS[name].type:
        case FactType.BOOLEAN:
            return ~pl.col(name)
        case FactType.TEXTS:
            return pl.lit(value=False)
        case _:
            return pl.lit(True)


def _bound(horizon: Horizon | None, which: int) -> int:
    return -NEVER if horizon is None else horizon[which]
