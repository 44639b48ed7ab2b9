"""Why a case is undetermined: the reason of the first fact that a rule asks and that is unknown, be it in part.

Rules:
1. The selectors are asked first, then the condition and its exceptions; last the exception records.
2. By columns and row by row the same is said; the tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import polars as pl

from streams.core.columns import incomplete
from streams.core.condition import FactType
from streams.core.facts import FACTS, Source, Unknown, why
from streams.core.rule import Rule

SELECTORS = {"controller_types": "controller_type", "jurisdictions": "jurisdictions"}


@lru_cache(maxsize=4_096)
def facts_of(rule: Rule) -> list[str]:
    """The facts whose absence can leave a rule undetermined, selectors first."""
    selecting = [fact for selector, fact in SELECTORS.items() if getattr(rule, selector)]
    return list(dict.fromkeys([*selecting, *rule.facts]))


@lru_cache(maxsize=256)
def _facts_of_all(rules: tuple[Rule, ...]) -> frozenset[str]:
    return frozenset(name for rule in rules for name in facts_of(rule))


@lru_cache(maxsize=4_096)
def reason_column(rule: Rule, instruments: bool) -> pl.Expr:
    """Why an undetermined case is: the reason of the first fact asked that is unknown, be it in part."""
    reasons = [pl.when(_is_open_column(name)).then(_fact_reason(name)) for name in facts_of(rule)]
    if instruments:
        unclear = pl.coalesce(why(Source.DEVICE), pl.lit(Unknown.RECORD_UNREADABLE.value))
        reasons.append(pl.when(pl.col("perhaps_excused_rules").list.contains(rule.id)).then(unclear))
    return pl.coalesce(*reasons, pl.lit(Unknown.NOT_REPORTED.value)).alias("reason")


@lru_cache(maxsize=4_096)
def first_open(rule: Rule) -> tuple[pl.Expr, pl.Expr]:
    """Of an undetermined case the first fact asked that is unknown, as `fact`, and why it is, as `reason`."""
    named = [pl.when(_is_open_column(name)).then(pl.lit(name)) for name in facts_of(rule)]
    reasons = [pl.when(_is_open_column(name)).then(_fact_reason(name)) for name in facts_of(rule)]
    return pl.coalesce(*named).alias("fact"), pl.coalesce(*reasons).alias("reason")


def reason_of(rule: Rule, row: Mapping[str, object]) -> str:
    """Why a rule left one case undetermined."""
    for name in facts_of(rule):
        if _is_open(row[name]):
            return str(row.get(why(FACTS[name].source)) or Unknown.NOT_REPORTED.value)
    perhaps = row.get("perhaps_excused_rules")
    if isinstance(perhaps, list | tuple) and rule.id in perhaps:
        return str(row.get(why(Source.DEVICE)) or Unknown.RECORD_UNREADABLE.value)
    return Unknown.NOT_REPORTED.value


def unknown_facts(cases: pl.DataFrame, rules: tuple[Rule, ...]) -> list[dict[str, str]]:
    """Of each case the facts that are unknown of those that some rules ask, and why; for a handful of cases."""
    found: list[dict[str, str]] = [{} for _ in range(cases.height)]
    asked = _facts_of_all(rules)
    for column in cases:
        name = column.name
        if name not in asked or not (column.null_count() or isinstance(column.dtype, pl.List)):
            continue
        if rows := [row for row, value in enumerate(column.to_list()) if _is_open(value)]:
            source = why(FACTS[name].source)
            reasons = cases[source].to_list() if source in cases.columns else [None] * cases.height
            for row in rows:
                found[row][name] = reasons[row] or Unknown.NOT_REPORTED.value
    return found


def _is_open_column(name: str) -> pl.Expr:
    fact = pl.col(name)
    return fact.is_null() | incomplete(fact) if FACTS[name].type is FactType.TEXTS else fact.is_null()


def _is_open(value: object) -> bool:
    """Whether a fact is unknown, or a list that is known in part."""
    return value is None or (isinstance(value, list | tuple) and None in value)


def _fact_reason(name: str) -> pl.Expr:
    source = FACTS[name].source
    reported = pl.lit(Unknown.NOT_REPORTED.value)
    return reported if why(source) == why(FACTS["occurred_at"].source) else pl.coalesce(pl.col(why(source)), reported)
