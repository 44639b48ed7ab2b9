"""The judgement of one piece of a log: its verdicts, counts, entries and blind spots, as tables.

Rules:
1. Like cases are judged once (`streams.core.likeness`), by the same judge as live; what it says is given back to rows.
2. A judgement is a function of the events of the piece and of what is known: pieces may be cut and done in any order.
3. Only what is not clear costs a row. What is clear is counted.
4. It has two halves: `judged` asks the views, which grow as they are asked, and `tables_of` only reads what it was
   given. So one thread may judge a piece while another one makes the tables of the piece before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

from schemas.registry import SiteRecord
from streams.core.case import Views, assemble
from streams.core.entry import PARTS, WHY, entered, happenings
from streams.core.facts import FACTS, CaseKind, Unknown
from streams.core.instant import SECOND
from streams.core.judge import Outcome, Verdicts, judge
from streams.core.likeness import Likeness, alike
from streams.core.profile import Profiles
from streams.core.reason import first_open
from streams.core.rule import DeadlineRule, Role
from streams.core.rulebook import Rulebook
from streams.core.violation import violation_ids
from streams.replay.answer import COVERAGE, TALLIES, VERDICTS
from streams.replay.evidence import Around, evidence

HOUR = 3_600 * SECOND
WORDS = [outcome.word for outcome in Outcome]
NOT_CLEAR = (Outcome.UNDETERMINED, Outcome.EXCUSED, Outcome.VIOLATION)
ENTRIES: Mapping[str, pl.DataType] = {
    "duty": pl.String(),
    "role": pl.String(),
    "known": pl.Boolean(),
    "event_id": pl.String(),
    "occurred_at": pl.Datetime("us", "UTC"),
    WHY: pl.String(),
    **{column: pl.String() for column in PARTS.values()},
}
SPOTS: Mapping[str, pl.DataType] = {
    "rule_id": pl.String(),
    "device_id": pl.String(),
    "fact": pl.String(),
    "cases": pl.Int64(),
}
TOLD: Mapping[str, pl.DataType] = {"device_id": pl.String(), "fact": pl.String()}
WITHDRAWN: Mapping[str, pl.DataType] = {
    "number": pl.UInt32(),
    "matches_after": pl.Int64(),
    "last_match_at": pl.Datetime("us", "UTC"),
}
TABLES: Mapping[str, Mapping[str, pl.DataType]] = {
    "verdicts": VERDICTS,
    "tallies": TALLIES,
    "coverage": COVERAGE,
    "entries": ENTRIES,
    "spots": SPOTS,
    "told": TOLD,
    "withdrawn": WITHDRAWN,
}
"""What a judgement consists of; `spots` and `told` become blind spots once all pieces are judged: those never told."""


@dataclass(frozen=True)
class Bench:
    """What all pieces are judged by: the rulebook, and the views of everything that is known."""

    rulebook: Rulebook
    views: Views
    withdrawals: pl.DataFrame
    """The withdrawals known: `number`, `subject_ref`, `controller_id`, `purposes`, `withdrawn_at`."""
    around: Around = field(default_factory=Around)
    """What evidence keeps from piece to piece."""

    @cached_property
    def profiles(self) -> Profiles:
        """The profiles of all persons."""
        return Profiles(self.views.histories)

    @cached_property
    def entering(self) -> Rulebook:
        """The rules that enter cases for duties, without those that can change nothing in this estate.

        What fulfils or extends a duty matters only where it holds; most laws hold at none of the sites.
        """
        registry = self.views.registry
        sites = {
            code
            for controller in registry.controllers()
            for site in registry.owned("site", controller)
            for each in registry.statements("site", site)
            if isinstance(each, SiteRecord)
            for code in each.jurisdictions
        }
        whole = self.rulebook.entering()
        return Rulebook(
            tuple(rule for rule in whole.rules if _matters(self.rulebook.roles[rule], sites)), whole.digest, whole.packs
        )


def _matters(role: Role, sites: set[str]) -> bool:
    answers = isinstance(role.duty, DeadlineRule) and not role.name.startswith("opens")
    return not answers or not role.duty.jurisdictions or not sites.isdisjoint(role.duty.jurisdictions)


class Judged(NamedTuple):
    """What was said of the events of one kind, before it is told as tables."""

    frame: pl.DataFrame
    kind: CaseKind
    likeness: Likeness
    verdicts: Verdicts
    around: pl.DataFrame
    withdrawn: pl.DataFrame


def judged(frame: pl.DataFrame, kind: CaseKind, bench: Bench) -> Judged:
    """Judge the events of one kind; `frame` has `recorded_at` and `conflicting` beside the contract's columns.

    A conflicting event has two contents in one version: what applies to it is undetermined.
    """
    likeness = alike(frame.drop("conflicting"), kind, bench.views, bench.profiles, bench.rulebook)
    verdicts = judge(likeness.cases, kind, bench.rulebook)
    withdrawn = _withdrawn(frame, bench) if kind is CaseKind.MATCH else pl.DataFrame(schema=WITHDRAWN)
    return Judged(frame, kind, likeness, verdicts, _around(frame, likeness), withdrawn)


def tables_of(said: Judged, bench: Bench) -> dict[str, pl.DataFrame]:
    """The tables of what was said."""
    frame, verdicts = said.frame, said.verdicts
    counted = _counted(frame, said.around)
    return {
        "verdicts": _verdicts(said, _said(verdicts, conflicts=frame["conflicting"].any()), bench),
        "tallies": _tallies(counted, verdicts),
        "coverage": _coverage(counted),
        "entries": _entries(said, bench),
        "spots": _spots(counted, verdicts),
        "told": _told(counted, verdicts),
        "withdrawn": said.withdrawn,
    }


def _around(frame: pl.DataFrame, likeness: Likeness) -> pl.DataFrame:
    """For each row its case, its context and whether it is in conflict."""
    return pl.DataFrame(
        {
            "case": likeness.which,
            "context": likeness.contexts,
            "site": pl.Series([row.facts.get("site_id") for row in likeness.rows], dtype=pl.String).gather(
                likeness.contexts
            ),
            "conflicting": frame["conflicting"],
        }
    )


def _counted(frame: pl.DataFrame, around: pl.DataFrame) -> pl.DataFrame:
    """How many rows there are of each case, context and hour; a context has one device, site and purpose."""
    hours = frame["occurred_at"].dt.epoch("us") // HOUR
    keys = around.select("case", "context", "conflicting").with_columns(hours.alias("hour"))
    # One number a row instead of four columns: to group by it takes half the time. Cases and contexts are at most as
    # many as rows, and hours few: their product is far below 2**63.
    number = pl.lit(0, pl.Int64)
    for value in (pl.col(name).cast(pl.Int64) for name in keys.columns):
        number = number * (value.max() - value.min() + 1) + value - value.min()
    counted = (
        keys.select(number.alias("number"), pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))
        .group_by("number")
        .agg(n=pl.len().cast(pl.Int64), row=pl.col("row").min())
        .sort("row")
    )
    first = counted["row"]
    return keys[first].with_columns(
        counted["n"],
        (pl.col("hour") * HOUR).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        *(frame[name].gather(first).alias(name) for name in ("controller_id", "device_id", "purpose_id")),
        around["site"].gather(first).alias("site_id"),
    )


# -- what is said -----------------------------------------------------------------------------------------------------


def _said(verdicts: Verdicts, *, conflicts: bool) -> pl.DataFrame:
    """Everything that is not clear: `case`, `conflicting`, `rule` (its number), `outcome`, `reason`."""
    parts: list[pl.DataFrame] = []
    for number, (rule, counts) in enumerate(verdicts.counts().items()):
        for outcome in (each for each in NOT_CLEAR if counts[each]):
            cases = (verdicts.outcomes[rule.column] == outcome.value).arg_true()
            reasons = verdicts.reasons(rule)["reason"] if outcome is Outcome.UNDETERMINED else None
            parts.append(_part(cases, number, outcome, reasons, conflicting=False))
        if conflicts and counts[Outcome.NOT_APPLICABLE] < verdicts.cases.height:
            cases = (verdicts.outcomes[rule.column] != Outcome.NOT_APPLICABLE.value).arg_true()
            reason = pl.Series([Unknown.CONFLICT.value]).new_from_index(0, len(cases))
            parts.append(_part(cases, number, Outcome.UNDETERMINED, reason, conflicting=True))
    return (
        pl.concat(parts) if parts else _part(pl.Series([], dtype=pl.UInt32), 0, Outcome.CLEAR, None, conflicting=False)
    )


def _part(
    cases: pl.Series, rule: int, outcome: Outcome, reasons: pl.Series | None, *, conflicting: bool
) -> pl.DataFrame:
    return pl.DataFrame({"case": cases.cast(pl.UInt32)}).with_columns(
        conflicting=pl.lit(conflicting),
        rule=pl.lit(rule, pl.UInt32),
        outcome=pl.lit(outcome.value, pl.UInt8),
        reason=pl.lit(None, pl.String) if reasons is None else reasons,
    )


def _verdicts(given: Judged, said: pl.DataFrame, bench: Bench) -> pl.DataFrame:
    """The verdicts that are not clear, in the columns of an answer."""
    if said.is_empty():
        return pl.DataFrame(schema=VERDICTS)
    frame, around, verdicts = given.frame, given.around, given.verdicts
    rows = around.select("case", "conflicting").with_row_index("row")
    held = rows.filter(pl.col("case").is_in(said["case"].unique().implode()))
    found = held.join(said, on=["case", "conflicting"], how="inner", maintain_order="left_right")
    names = ("event_id", "event_version", "occurred_at", "recorded_at", "controller_id", "device_id", "purpose_id")
    events = frame.select(*names, "subject_ref")[found["row"]].with_columns(
        around["site"].gather(found["row"]).alias("site_id"),
        around["context"].gather(found["row"]).alias("context"),
        event_kind=pl.lit(verdicts.kind.value),
    )
    whole = events.hstack(found.select("case", "rule", "outcome", "reason"))
    rules = pl.DataFrame(
        {
            "rule": pl.Series(range(len(verdicts.rules)), dtype=pl.UInt32),
            "rule_id": [rule.id for rule in verdicts.rules],
            "revision": [rule.revision for rule in verdicts.rules],
            "level": [rule.level for rule in verdicts.rules],
            "standing": [rule.standing for rule in verdicts.rules],
        }
    )
    whole = whole.join(rules, on="rule", how="left", maintain_order="left")
    rests = evidence(whole, verdicts, bench.around.within(given.likeness.rows), bench.views)
    return whole.with_columns(
        rests.deciding.alias("deciding_records"),
        rests.excuses.alias("excused_by"),
        rests.boundary.alias("boundary"),
        violation_ids(whole).alias("violation_id"),
        outcome=pl.col("outcome").replace_strict(dict(enumerate(WORDS)), return_dtype=pl.String),
        authority_id=pl.lit(None, pl.String),
        window_until=pl.lit(None, VERDICTS["window_until"]),
        bound=pl.lit(None, pl.Int64),
    ).select(pl.col(name).cast(dtype) for name, dtype in VERDICTS.items())


# -- counts -----------------------------------------------------------------------------------------------------------


def _tallies(counted: pl.DataFrame, verdicts: Verdicts) -> pl.DataFrame:
    by = ["case", "conflicting", "day", "controller_id", "site_id", "purpose_id"]
    days = counted.with_columns(pl.col("hour").dt.date().alias("day")).group_by(by).agg(pl.col("n").sum())
    parts = [pl.DataFrame(schema=TALLIES)]
    everywhere = None if days["conflicting"].any() else days.group_by(by[2:]).agg(pl.col("n").sum())
    for rule, counts in verdicts.counts().items():
        told = [outcome for outcome in Outcome if counts[outcome]]
        if told == [Outcome.NOT_APPLICABLE]:
            continue
        if len(told) == 1 and everywhere is not None:  # most rules find nothing in most pieces
            summed = everywhere.with_columns(outcome=pl.lit(told[0].value, pl.UInt8))
        else:
            summed = _summed_outcomes(days, verdicts.outcomes[rule.column], by[2:])
        if summed.height:
            parts.append(
                summed.with_columns(
                    rule_id=pl.lit(rule.id),
                    revision=pl.lit(rule.revision, pl.Int64),
                    outcome=pl.col("outcome").replace_strict(dict(enumerate(WORDS)), return_dtype=pl.String),
                ).select(*TALLIES)
            )
    return summed_up("tallies", parts)


def _summed_outcomes(days: pl.DataFrame, outcomes: pl.Series, by: Sequence[str]) -> pl.DataFrame:
    """How often a rule said what by day and place, of the cases to which it applies."""
    found = outcomes.gather(days["case"])
    held = pl.when(days["conflicting"] & (found > 0)).then(Outcome.UNDETERMINED.value).otherwise(found)
    told = days.with_columns(pl.select(held.alias("outcome")).to_series()).filter(pl.col("outcome") > 0)
    return told.group_by(*by, "outcome").agg(pl.col("n").sum())


def _coverage(counted: pl.DataFrame) -> pl.DataFrame:
    judged = counted.with_columns(judged=pl.col("n"), rejected=pl.lit(0, pl.Int64)).select(*COVERAGE)
    return summed_up("coverage", [judged])


SUMS: Mapping[str, tuple[str, ...]] = {
    "tallies": ("n",),
    "coverage": ("judged", "rejected"),
    "spots": ("cases",),
    "told": (),
}


def summed_up(name: str, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of counts as one, in the order of their keys."""
    schema, numbers = TABLES[name], SUMS[name]
    keys = [column for column in schema if column not in numbers]
    whole = pl.concat(parts, how="vertical").group_by(keys).agg(pl.col(number).sum() for number in numbers)
    return whole.sort(keys, nulls_last=False).select(pl.col(each).cast(dtype) for each, dtype in schema.items())


# -- blind spots and withdrawals --------------------------------------------------------------------------------------


def _spots(counted: pl.DataFrame, verdicts: Verdicts) -> pl.DataFrame:
    """Cases that stay undetermined because a device did not report a fact."""
    by_device = counted.group_by("case", "device_id").agg(pl.col("n").sum())
    parts = [pl.DataFrame(schema=SPOTS)]
    for rule, counts in verdicts.counts().items():
        if not counts[Outcome.UNDETERMINED] or rule.column in verdicts.failed:
            continue
        index = (verdicts.outcomes[rule.column] == Outcome.UNDETERMINED.value).arg_true().alias("case")
        seen = verdicts.cases[index].select(*first_open(rule)).with_columns(index)
        seen = seen.filter((pl.col("reason") == Unknown.NOT_REPORTED.value) & pl.col("fact").is_not_null())
        found = seen.join(by_device, on="case").with_columns(rule_id=pl.lit(rule.id), cases=pl.col("n"))
        parts.append(found.select(pl.col(name).cast(dtype) for name, dtype in SPOTS.items()))
    return summed_up("spots", parts)


def _told(counted: pl.DataFrame, verdicts: Verdicts) -> pl.DataFrame:
    """Which facts some event of each device tells."""
    asked = sorted({name for rule in verdicts.rules for name in rule.facts if name in FACTS})
    there = verdicts.cases.select(pl.col(name).is_not_null() for name in asked)
    pairs = counted.select("device_id", "case").unique()
    told = pairs.select("device_id").hstack(there[pairs["case"]]) if asked else pairs.select("device_id")
    long = told.unpivot(asked, index="device_id", variable_name="fact", value_name="told") if asked else None
    return summed_up("told", [pl.DataFrame(schema=TOLD) if long is None else long.filter("told").select(*TOLD)])


def _withdrawn(frame: pl.DataFrame, bench: Bench) -> pl.DataFrame:
    """Of each withdrawal the matches after it that `streams.core.withdrawal` counts: how many, and the last."""
    rows = frame.drop("conflicting").with_row_index("match")
    rows = rows.filter(
        (pl.col("comparison_decision") == "match")
        & pl.col("subject_ref").is_in(bench.withdrawals["subject_ref"].unique().implode())
    )
    if rows.is_empty():
        return pl.DataFrame(schema=WITHDRAWN)
    # Of the few rows of these persons the fact itself is asked, whether or not a rule asks it.
    cases = assemble(rows, CaseKind.MATCH, bench.views, WITHDRAWAL_FACTS).filter("consent_withdrawn")
    named = pl.col("purposes").list.contains(pl.col("purpose_id"))
    found = (
        cases.select("match", "subject_ref", "controller_id", "purpose_id", "occurred_at")
        .join(bench.withdrawals, on=["subject_ref", "controller_id"])
        .filter(pl.col("occurred_at") >= pl.col("withdrawn_at"), (pl.col("purposes").list.len() == 0) | named)
        .filter(pl.col("withdrawn_at") == pl.col("withdrawn_at").max().over("match"))
        .group_by("number")
        .agg(matches_after=pl.len().cast(pl.Int64), last_match_at=pl.col("occurred_at").max())
    )
    return found.select(*WITHDRAWN).sort("number")


WITHDRAWAL_FACTS = frozenset({"consent_withdrawn"})


# -- entries ----------------------------------------------------------------------------------------------------------


def _entries(said: Judged, bench: Bench) -> pl.DataFrame:
    """The cases that are entered for duties."""
    kind, likeness = said.kind, said.likeness
    if not any(rule.kind is kind for rule in bench.entering.rules):
        return pl.DataFrame(schema=ENTRIES)
    verdicts = judge(likeness.cases, kind, bench.entering, said.verdicts.places)
    placed = said.frame.with_columns(said.around["site"].alias(PARTS["site"]))
    parts = [pl.DataFrame(schema=ENTRIES)]
    for role, known, rows in entered(placed, verdicts, bench.rulebook.roles, likeness.which):
        marked = rows.with_columns(duty=pl.lit(role.duty.column), role=pl.lit(role.name), known=pl.lit(known))
        marked = marked.with_columns(pl.lit(None, pl.String).alias(WHY)) if known else marked
        parts.append(marked.select(pl.col(name).cast(dtype) for name, dtype in ENTRIES.items()))
    return pl.concat(parts)


def happenings_of(entries: pl.DataFrame) -> Iterator[tuple[str, Any]]:
    """The duty's column and the happening of each entry, as the docket takes them."""
    for (duty, role, known), rows in entries.group_by("duty", "role", "known", maintain_order=True):
        for case in happenings(rows, role, known=known):
            yield duty, case
