"""Entries: the cases of a batch that count, silence, open, fulfil or extend, as the rules of duties judge them.

Rules:
1. A case that a rule of a duty "violates" is entered; one that stays undetermined is entered as uncertain; an excused
   one is not.
2. What could change nothing is not entered: of cases that only restart a deadline all but the latest of each person, of
   cases that open one duty all but the first; of cases that silence a window, or count in one for a person or a site,
   all but the first of a day. What is in doubt extends nothing, and a case that names nobody is no matter of a person.
3. What is entered is where and when it was and whom it is about; nothing of the comparison itself.
4. All of this is decided in columns: only what is entered is ever looked at row by row.
5. What is entered of a case that is still remembered is stated with what was known; `streams.core.role_book` says it
   anew when more is known, also that the case plays the role no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from streams.core.calendar import Period
from streams.core.case_book import Stated
from streams.core.constant import constant
from streams.core.facts import CaseKind, Unknown
from streams.core.holder import about_subject
from streams.core.instant import NEVER
from streams.core.judge import FEW_CASES, Outcome, Verdicts, judge
from streams.core.obligation import Happening
from streams.core.rule import Role, Rule, WindowRule
from streams.core.rulebook import Rulebook
from streams.core.scope import Places
from streams.core.window import MEASURED

PARTS = {
    "controller": "controller_id",
    "subject": "subject_ref",
    "site": "site_in_force",
    "purpose": "purpose_id",
    "device": "device_id",
    "authority": "authority_id",
    "exception": "exception_id",
    "event": "match_event_id",
}
SEEN = ("event_id", "occurred_at", *PARTS.values())
"""What a duty sees of a case."""
PART = "part"
"""The column that says which rows are looked at together; without it all are."""
PLACED = ("row", "at", PART, "offset", "event_version")
"""Where a case lies; of these a frame may have some."""
WHY = "why"
"""The column that says why a row is in doubt."""
PERIODS: Mapping[Period, str] = {"day": "1d", "month": "1mo", "quarter": "1q", "year": "1y"}
PERIOD = "local period"


class Entry(NamedTuple):
    """One case entered for one duty, or taken out again; without `stated` it is entered for good."""

    row: int
    """The row of the batch, as the column `row` of its frame numbers it where it has one."""
    role: Role
    case: Happening
    stated: Stated | None = None
    offset: int = -1
    """Where the event lies in its log, where that matters."""


class Entered(NamedTuple):
    """The rows of a frame that one rule enters, certain (`known`) or in doubt."""

    role: Role
    known: bool
    rows: pl.DataFrame


def entries(
    cases: pl.DataFrame, kind: CaseKind, rulebook: Rulebook, places: Places | None = None
) -> Iterator[Entry]:
    """Every entry that the cases of one kind make, rule by rule, the certain ones first, in row order.

    `places` are those of the cases, where they were judged before.
    """
    if not any(rule.kind is kind for rule in rulebook.roles):
        return
    verdicts = judge(cases, kind, rulebook.entering(), places)
    frame = verdicts.cases
    if "row" not in frame.columns:
        frame = frame.with_row_index("row")
    for role, known, rows in entered(frame, verdicts, rulebook.roles):
        for row, case in zip(rows["row"].to_list(), happenings(rows, role.name, known=known), strict=True):
            yield Entry(row, role, case)


def entered(
    frame: pl.DataFrame, verdicts: Verdicts, roles: Mapping[Rule, Role], which: pl.Series | None = None
) -> Iterator[Entered]:
    """What of a frame is entered; `which` says for each of its rows the case that was judged for it, if not its own."""
    for role, known, rows in playing(frame, verdicts, roles, which):
        yield Entered(role, known, needed(rows, role))


def playing(
    frame: pl.DataFrame, verdicts: Verdicts, roles: Mapping[Rule, Role], which: pl.Series | None = None
) -> Iterator[Entered]:
    """All rows of a frame that play a role, also those that make no difference beside others."""
    columns = [frame[name] for name in (*PLACED, *SEEN) if name in frame.columns]
    missing = [constant(None, frame.height, pl.String).alias(name) for name in SEEN if name not in frame.columns]
    named = frame["subject_ref"].is_not_null()
    for rule, counts in verdicts.counts().items():
        role = roles[rule]
        for outcome in (Outcome.VIOLATION, Outcome.UNDETERMINED):
            known = outcome is Outcome.VIOLATION
            if not counts[outcome] or not (known or matters_in_doubt(role)):
                continue
            held = verdicts.outcomes[rule.column] == outcome.value
            held = held if which is None else held[which]
            if about_subject(role.duty):
                held = held & named
            seen = [*columns, *(() if known else (_why(verdicts, rule, which),)), *missing]
            yield Entered(role, known, _filtered(seen, held))


def _filtered(columns: Sequence[pl.Series], held: pl.Series) -> pl.DataFrame:
    """Some rows of some columns; few column by column, for a dozen of them are had before a query is planned."""
    if held.len() <= FEW_CASES:
        return pl.DataFrame([column.filter(held) for column in columns])
    return pl.DataFrame(columns).filter(held)


def _why(verdicts: Verdicts, rule: Rule, which: pl.Series | None) -> pl.Series:
    """Why a rule left each row undetermined, where it did."""
    found = verdicts.reasons(rule)
    reasons = constant(None, verdicts.cases.height, pl.String).alias(WHY)
    reasons = reasons.scatter(found["index"], found["reason"])
    return reasons if which is None else reasons[which]


def matters_in_doubt(role: Role) -> bool:
    """Whether a case counts for anything of which it is not certain that it plays the role."""
    return isinstance(role.duty, WindowRule) or not role.name.startswith("extends")


def needed(rows: pl.DataFrame, role: Role) -> pl.DataFrame:
    """Of cases that play one role, all certain or all in doubt, those that can make a difference, in their order."""
    if role.restarts:
        return _ends(rows, ["controller_id", "subject_ref"], last=True)
    keys, period = _keys(role)
    if not keys or rows.height < 2:
        return rows
    if period is None:
        return _ends(rows, keys, last=False)
    day = pl.col("occurred_at").dt.convert_time_zone(role.duty.timezone).dt.date()
    marked = rows.with_columns(day.dt.truncate(PERIODS[period]).alias(PERIOD))
    return _ends(marked, [*keys, PERIOD], last=False).drop(PERIOD)


def _keys(role: Role) -> tuple[list[str], Period | None]:
    """The columns that tell apart the duties or windows of a role of which one case says it all, and their period."""
    duty = role.duty
    if isinstance(duty, WindowRule):
        told_apart = [PARTS[MEASURED[duty.count]]] if role.name == "counts" and duty.count in MEASURED else []
        all_in_one = role.name == "unless" or told_apart
        return (["controller_id", PARTS[duty.key], *told_apart], "day") if all_in_one else ([], None)
    if not role.name.startswith("opens") or duty.once == "each" or {"record", "event"} & set(duty.key):
        return [], None  # each case that opens is a duty of its own
    return ["controller_id", *(PARTS[part] for part in duty.key)], None if duty.once == "ever" else duty.once


def reduces(role: Role) -> bool:
    """Whether of several cases in a role some make no difference, and are not entered."""
    return role.restarts or bool(_keys(role)[0])


def _ends(rows: pl.DataFrame, keys: Sequence[str], *, last: bool) -> pl.DataFrame:
    """Of each key the first or the last row by instant and id, in the order of the rows; each part for itself."""
    keys = list(dict.fromkeys([*(name for name in (PART,) if name in rows.columns), *keys]))
    if rows.height <= FEW_CASES:
        return _ends_of_few(rows, keys, last=last)
    placed = rows.select(*keys, "occurred_at", "event_id").with_row_index("place")
    # Of one event that is there twice the first row counts, at either end.
    ordered = placed.sort("occurred_at", "event_id", "place", descending=[False, False, last])
    return rows[ordered.unique(keys, keep="last" if last else "first")["place"].sort()]


def _ends_of_few(rows: pl.DataFrame, keys: Sequence[str], *, last: bool) -> pl.DataFrame:
    """The same row by row: of a handful it takes less than any of the queries."""
    chosen: dict[tuple[object, ...], tuple[object, ...]] = {}
    places: dict[tuple[object, ...], int] = {}
    order = zip(rows["occurred_at"].cast(pl.Int64).to_list(), rows["event_id"].to_list(), strict=True)
    names = zip(*(rows[name].to_list() for name in keys), strict=True)
    for place, (key, at) in enumerate(zip(names, order, strict=True)):
        if key not in chosen or (at > chosen[key] if last else at < chosen[key]):
            chosen[key], places[key] = at, place
    return rows if len(places) == rows.height else rows[sorted(places.values())]


def happenings(rows: pl.DataFrame, role: str, *, known: bool) -> Iterator[Happening]:
    """What a duty sees of cases in a role; `rows` has the columns of `SEEN`."""
    ids, instants = rows["event_id"].to_list(), rows["occurred_at"].dt.epoch("us").to_list()
    reasons = rows[WHY].to_list() if WHY in rows.columns else [None] * rows.height
    names = ("controller", "subject", "site", "purpose", "device", "authority", "exception", "event")
    values = (rows[PARTS[name]].to_list() for name in names)
    # Thousands of reviews a second are entered, one dictionary each: written out it costs three quarters of `zip`.
    for event_id, at, reason, controller, subject, site, purpose, device, authority, exception, event in zip(
        ids, instants, reasons, *values, strict=True
    ):
        parts: dict[str, str | None] = {
            "controller": controller,
            "subject": subject,
            "site": site,
            "purpose": purpose,
            "device": device,
            "authority": authority,
            "exception": exception,
        }
        if event is not None:
            parts["event"] = event
        yield Happening(role, event_id, at, NEVER, {}, parts, known, None if reason is None else Unknown(reason))
