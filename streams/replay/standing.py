"""What stands at the end of a range: deadlines and windows, as verdicts and counts of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from streams.core.docket import Docket
from streams.core.docket import Standing as Pending
from streams.core.instant import moment_of
from streams.core.judge import Outcome
from streams.core.obligation import Status
from streams.core.violation import violation_of
from streams.core.window import Window
from streams.replay.answer import TALLIES, VERDICTS
from streams.replay.judgement import Bench, entered
from streams.replay.question import Question


class Standing(NamedTuple):
    """What is breached or undetermined: a verdict each, and how many there are by day and place."""

    verdicts: pl.DataFrame
    tallies: pl.DataFrame


def settled(bench: Bench, question: Question, entries: Iterable[pl.DataFrame]) -> Standing:
    """Deadlines and windows of which something is to be said within the range, looked at as of its end."""
    first, after = question.span
    docket = Docket(bench.rulebook, bench.views.registry, bench.views.histories)
    for table in entries:
        for duty, case in entered(table):
            docket.enter(duty, case)
    until = after - 1
    breached = [each for each in docket.settle(until) if each.status is Status.BREACHED]
    while docket.busy:
        breached += [each for each in docket.settle(until) if each.status is Status.BREACHED]
    rows = [_row(each, Outcome.VIOLATION.word) for each in breached]
    rows += [_row(each, Outcome.UNDETERMINED.word) for each in docket.undetermined()]
    start = moment_of(first)
    held = [row for row in rows if row["occurred_at"] is None or row["occurred_at"] >= start or _reaches(row, start)]
    verdicts = pl.DataFrame(held, schema=VERDICTS, orient="row")
    return Standing(verdicts, _tallies(verdicts))


def _reaches(row: dict[str, Any], start: datetime) -> bool:
    """Whether a window that began before the range lasts into it."""
    return row["window_until"] is not None and row["window_until"] >= start


def _row(standing: Pending, outcome: str) -> dict[str, Any]:
    rule = standing.rule
    row: dict[str, Any] = dict.fromkeys(VERDICTS) | {
        "rule_id": rule.id,
        "revision": rule.revision,
        "level": rule.level,
        "standing": rule.standing,
        "outcome": outcome,
        "reason": None if standing.why is None else standing.why.value,
        "violation_id": standing.id,
        "event_version": 1,
    }
    if standing.status is Status.BREACHED or isinstance(standing, Window):
        message = violation_of(standing)
        told = {name: getattr(message, name) for name in MESSAGE}
        told["deciding_records"] = list(message.deciding_records) if outcome == Outcome.VIOLATION.word else None
        return row | told
    parts = {
        f"{part}_id": standing.parts.get(part) for part in ("controller", "site", "purpose", "device", "authority")
    }
    due = None if standing.due is None else moment_of(standing.due)
    subject = standing.parts.get("subject") if "subject" in rule.key else None
    return row | parts | {"event_kind": "deadline", "occurred_at": due, "subject_ref": subject}


MESSAGE = (
    *("event_kind", "occurred_at", "controller_id", "site_id", "device_id", "purpose_id", "subject_ref"),
    *("authority_id", "window_until", "bound"),
)
"""What a verdict takes over from the message of a breach."""


def _tallies(verdicts: pl.DataFrame) -> pl.DataFrame:
    dated = verdicts.filter(pl.col("occurred_at").is_not_null())
    days = dated.with_columns(day=pl.col("occurred_at").dt.convert_time_zone("UTC").dt.date())
    keys = [name for name in TALLIES if name != "n"]
    counted = days.group_by(keys).agg(n=pl.len())
    return counted.select(pl.col(name).cast(dtype) for name, dtype in TALLIES.items())
