"""The evidence of verdicts: the records on which each rests and what excuses it, by columns."""

from __future__ import annotations

import polars as pl

from streams.core.case import Views
from streams.core.context import Context
from streams.core.instant import NEVER
from streams.core.judge import Outcome, Verdicts
from streams.core.likeness import classes
from streams.core.rule import Rule
from streams.core.subject_history import Histories
from streams.core.violation import asks_of_person, excused_by, records_behind

BETWEEN = "\x00"
"""No identifier of the contracts holds it."""
ASKED = ("controller_id", "subject_ref", "purpose_id", "occurred_at", "context", "case", "rule", "outcome")


def evidence(whole: pl.DataFrame, verdicts: Verdicts, views: Views) -> tuple[pl.Series, pl.Series]:
    """For each verdict the records behind it, and what excuses it; worked out once for verdicts that rest on the same.

    A context has one controller and one purpose, so what can part its verdicts is the person and what has begun or
    ended about them; and that only for a rule that asks of persons.
    """
    contexts, histories = views.contexts.rows, views.histories
    personal = pl.Series([asks_of_person(rule) for rule in verdicts.rules], dtype=pl.Boolean).gather(whole["rule"])
    decided = pl.col("outcome") != Outcome.UNDETERMINED.value
    resting = whole.select(
        "rule",
        "outcome",
        pl.when(decided).then("context"),
        pl.when(outcome=Outcome.EXCUSED.value).then("case").alias("case"),
        pl.when(decided & personal).then("subject_ref").alias("subject_ref"),
        pl.when(decided & personal).then(_stretches(whole, histories)).alias("stretch"),
    )
    which, firsts = classes(resting)
    deciding: list[str | None] = []
    excuses: list[str | None] = []
    for row in whole.select(ASKED)[firsts].iter_rows(named=True):
        if row["outcome"] == Outcome.UNDETERMINED.value:
            deciding.append(None)
            excuses.append(None)
            continue
        rule, context = verdicts.rules[row["rule"]], contexts[row["context"]]
        deciding.append(BETWEEN.join(records_behind(rule, row, context, histories)))
        excused = row["outcome"] == Outcome.EXCUSED.value
        excuses.append(BETWEEN.join(_excuses(verdicts, rule, row["case"], context)) if excused else "")
    return _lists(deciding).gather(which), _lists(excuses).gather(which)


def _stretches(whole: pl.DataFrame, histories: Histories) -> pl.Series:
    """For each verdict the last instant up to it at which something about its person began or ended."""
    persons = whole["subject_ref"].drop_nulls().unique().to_list()
    found = ((ref, history) for ref in persons if (history := histories.history(ref)) is not None)
    rows = [
        (ref, edge)
        for ref, history in found
        for edge in {edge for each in history for edge in (each.valid_from, each.valid_until)}
        if edge != NEVER
    ]
    edges = pl.DataFrame(rows, schema={"subject_ref": pl.String(), "edge": pl.Int64()}, orient="row").sort("edge")
    asked = whole.select("subject_ref", edge=pl.col("occurred_at").dt.epoch("us")).with_row_index("verdict")
    joined = asked.sort("edge").join_asof(
        edges.with_columns(stretch="edge"), on="edge", by="subject_ref", check_sortedness=False
    )
    return joined.sort("verdict")["stretch"]


def _lists(texts: list[str | None]) -> pl.Series:
    """Joined texts as lists: many times as fast as lists of Python are taken in."""
    joined = pl.col("joined")
    split = pl.when(joined == "").then(pl.lit([], dtype=pl.List(pl.String))).otherwise(joined.str.split(BETWEEN))
    return pl.DataFrame({"joined": texts}, schema={"joined": pl.String()}).select(split).to_series()


def _excuses(verdicts: Verdicts, rule: Rule, case: int, context: Context) -> list[str]:
    return list(excused_by(rule, verdicts.cases.row(case, named=True), context))
