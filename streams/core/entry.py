"""Entries: the cases of a batch that count, silence, open, fulfil or extend, as the rules of duties judge them.

Rules:
1. A case that a rule of a duty "violates" is entered; one that stays undetermined is entered as uncertain; an excused
   one is not.
2. Of cases that only restart a deadline the latest of each person in a batch is entered: no other would count.
3. What is entered is where and when it was and whom it is about; nothing of the comparison itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from streams.core.docket import restarts
from streams.core.facts import CaseKind
from streams.core.instant import NEVER, micros
from streams.core.judge import Outcome, Verdicts, judge
from streams.core.obligation import Happening
from streams.core.rule import Role, Rule
from streams.core.rulebook import Rulebook

PARTS = {
    "controller": "controller_id",
    "subject": "subject_ref",
    "site": "site_in_force",
    "purpose": "purpose_id",
    "device": "device_id",
    "authority": "authority_id",
    "event": "match_event_id",
}

Found = tuple[int, Rule, Outcome]
"""Row, rule and outcome."""


class Entry(NamedTuple):
    """One case entered for one duty."""

    row: int
    """The row of the batch, as the column `row` of its frame numbers it where it has one."""
    role: Role
    case: Happening


def entries(cases: pl.DataFrame, kind: CaseKind, rulebook: Rulebook) -> Iterator[Entry]:
    """Every entry that the cases of one kind make, rule by rule in row order."""
    if any(rule.kind is kind for rule in rulebook.roles):
        yield from _entries(judge(cases, kind, rulebook.entering()), rulebook.roles)


def _entries(verdicts: Verdicts, roles: Mapping[Rule, Role]) -> Iterator[Entry]:
    found = list(_needed(list(verdicts.found(Outcome.VIOLATION, Outcome.UNDETERMINED)), verdicts.cases, roles))
    wanted = sorted({row for row, _, _ in found})
    columns = [name for name in ("row", "event_id", "occurred_at", *PARTS.values()) if name in verdicts.cases.columns]
    rows = dict(zip(wanted, verdicts.cases.select(columns)[wanted].iter_rows(named=True), strict=True))
    for row, rule, outcome in found:
        known = outcome is Outcome.VIOLATION
        yield Entry(rows[row].get("row", row), roles[rule], happening(rows[row], roles[rule].name, known=known))


def _needed(found: Sequence[Found], cases: pl.DataFrame, roles: Mapping[Rule, Role]) -> Iterator[Found]:
    """What has to be entered: of cases that only restart a deadline, the latest of each person is all that counts."""
    rows: dict[Rule, list[int]] = {}
    for row, rule, _ in found:
        if restarts(roles[rule].duty, roles[rule].name):
            rows.setdefault(rule, []).append(row)
    latest = {rule: _latest(cases, held) for rule, held in rows.items()}
    return (each for each in found if each[1] not in latest or each[0] in latest[each[1]])


def _latest(cases: pl.DataFrame, rows: list[int]) -> frozenset[int]:
    who = ["controller_id", "subject_ref"]
    held = cases.select("occurred_at", "event_id", *who)[rows].with_columns(place=pl.Series(rows, dtype=pl.UInt32))
    last = held.sort("occurred_at", "event_id").unique(subset=who, keep="last", maintain_order=True)
    return frozenset(last["place"].to_list())


def happening(row: Mapping[str, Any], role: str, *, known: bool) -> Happening:
    """What a duty sees of a case in a role; `row` has the columns of `PARTS`, its id and its instant."""
    parts = {part: row.get(column) for part, column in PARTS.items()}
    if parts["event"] is None:
        del parts["event"]
    return Happening(role, row["event_id"], micros(row["occurred_at"]), NEVER, {}, parts, known)
