"""What stands at the end of a range: deadlines and windows, as verdicts and counts of an answer.

Rule: where a log of events has a hole, no duty is breached that an event in it may have fulfilled or put off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from streams.core.docket import Docket
from streams.core.facts import Unknown
from streams.core.holder import Standing as Pending
from streams.core.instant import SECOND, moment_of
from streams.core.judge import Outcome
from streams.core.obligation import Status
from streams.core.owed import owed
from streams.core.violation import violation_of
from streams.core.window import Window
from streams.phase import Done
from streams.replay.answer import TALLIES, VERDICTS
from streams.replay.judgement import Bench, happenings_of
from streams.replay.offline import WORD, said_of
from streams.replay.question import Question


class Standing(NamedTuple):
    """What is breached or undetermined: a verdict each, and how many there are by day and place."""

    verdicts: pl.DataFrame
    tallies: pl.DataFrame


def settled(bench: Bench, question: Question, entries: pl.DataFrame, done: Done, *, torn: bool = False) -> Standing:
    """Deadlines and windows of which something is to be said within the range, looked at as of its end.

    `entries` are the cases that count for them; `done` is told how many more were looked at; `torn` says that some
    events are lost.
    """
    first, after = question.span
    views, book = bench.views, bench.rulebook
    docket = Docket(book, views.registry, views.histories)
    docket.look_only_at(owed(book.duties, views.registry, views.histories, after - 1, _persons(entries)))
    latest: dict[str, Pending] = {}
    for until, table in _months(entries, after - 1):
        for duty, case in happenings_of(table):
            docket.enter(duty, case)
        latest |= said_of(docket, until)
        done(table.height)
    said = map(_doubted, latest.values()) if torn else latest.values()
    rows = [_row(each, WORD[each.status]) for each in said if each.status in WORD]
    start = moment_of(first)
    held = [row for row in rows if row["occurred_at"] is None or row["occurred_at"] >= start or _reaches(row, start)]
    verdicts = pl.DataFrame([{name: row[name] for name in VERDICTS} for row in held], schema=VERDICTS)
    return Standing(verdicts, _tallies(held))


def _doubted(standing: Pending) -> Pending:
    """A breach as unknown, where a lost event may have undone it."""
    if isinstance(standing, Window) or standing.status is not Status.BREACHED:
        return standing
    answers = (*standing.rule.fulfilled_by, *standing.rule.extended_by)
    if all(clause.case is None for clause in answers):
        return standing
    return replace(standing, status=Status.UNDETERMINED, why=Unknown.FEED_MISSING)


def _persons(entries: pl.DataFrame) -> list[str]:
    return entries["subject_ref"].drop_nulls().unique().to_list()


STEP = 30 * 86_400 * SECOND
"""The docket is looked at as often, as live: it forgets a case long after it was looked at, and not before."""


def _months(entries: pl.DataFrame, until: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """The entries in the order of time, a month at a time, each with the instant up to which it goes."""
    ordered = entries.sort("occurred_at", "event_id", "duty", "role")
    instants = ordered["occurred_at"].dt.epoch("us")
    begin = 0
    while begin < ordered.height and (end := int(instants[begin]) + STEP) < until:
        count = int(instants.search_sorted(end, side="right"))
        yield end, ordered[begin:count]
        begin = count
    yield until, ordered[begin:]


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
        "opened_at": None if isinstance(standing, Window) else moment_of(standing.opened_at),
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


def _tallies(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """How many there are by day: of the deadline or window; where no deadline is known, of what opened the duty."""
    days = [(row["occurred_at"] or row["opened_at"]).date() for row in rows]
    keys = [name for name in TALLIES if name not in ("day", "n")]
    frame = pl.DataFrame(
        [{"day": day, "n": 1, **{name: row[name] for name in keys}} for day, row in zip(days, rows, strict=True)],
        schema=TALLIES,
    )
    return frame.group_by("day", *keys).agg(pl.col("n").sum()).select(*TALLIES)
