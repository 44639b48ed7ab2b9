"""Reconciliation: what must be written to the log of violations so that it says what a replay found.

Rules:
1. Nobody is acquitted by a machine long after the alarm: a violation that the replay does not find is contested, and a
   person decides. Only who is told so retracts it, and vouches that the records came in time. What was excused was no
   alarm, and is retracted.
2. A breach that the log does not know is opened, or recorded as excused; one that was retracted or contested and stands
   again is opened again.
3. A correction goes to the partition where the breach stands already, else to that of the key of its case, with the
   cause `reconciled`. The same answer reconciled again finds nothing to write.
4. A deadline that the replay does not find is left as it is: what opened it may lie before the range.
5. A breach that the answer does not name is corrected only where it judged events of that device in that hour.
6. An answer that is not about all that happened, by the law of then, is no ground for a correction: one with holes, or
   of files without a manifest, or pinned to what was known at a time, or to the rules of one day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import polars as pl

from schemas.verdict import Violation
from streams.core.partition import partition_of
from streams.errors import InputError, Place
from streams.replay.answer import VERDICTS, Answer
from streams.replay.comparison import NOTHING, Difference, within
from streams.replay.violation_log import ViolationLog

Status = Literal["open", "retracted", "contested", "excused"]
COPIED = tuple(
    name for name in VERDICTS if name in Violation.model_fields and name not in ("excused_by", "event_version")
)
OF_CASES = ("match", "access_outcome", "human_review", "disclosure")


class Correction(NamedTuple):
    """One message for the log of violations, and where it goes."""

    partition: int
    violation: Violation
    was: Status | None
    """The status on the log; None where the log does not know the breach."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All corrections of one answer, sorted by violation id."""

    corrections: tuple[Correction, ...]
    compared: int
    """Breaches on which the answer or the log has a word."""
    not_judged: int
    """Breaches that the answer does not name, of a device and hour of which it judged nothing: they are left alone."""

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        """How many corrections there are by rule id, status on the log (`-`: unknown to it) and new status."""
        found = Counter((each.violation.rule_id, each.was or "-", each.violation.status) for each in self.corrections)
        return dict(sorted(found.items()))

    def changes(self) -> Mapping[tuple[str, str], int]:
        """How many corrections there are by rule id and by what becomes of the alarm; what is contested is none."""
        return Counter((each.violation.rule_id, _change(each).value) for each in self.corrections)


def _change(correction: Correction) -> Difference:
    match correction.was, correction.violation.status:
        case "open", _:
            return Difference.NO_LONGER_VIOLATING
        case _, "open":
            return Difference.NEWLY_VIOLATING
        case _:
            return Difference.OTHERWISE


def check_whole(answer: Answer, now: datetime) -> None:
    """Raise InputError where an answer is no ground for corrections, at the instant at which they would be written."""
    manifest, place = answer.manifest, Place(str(answer.folder))
    if manifest.until > now:
        raise InputError("expected an answer about a range that is over: what came since was not judged", place=place)
    if manifest.holes:
        raise InputError("expected an answer without holes: what is not replayable corrects nothing", place=place)
    if manifest.source.manifest_digest is None:
        raise InputError(
            "expected an answer from a log or an archive: of files nobody can say what is missing", place=place
        )
    if manifest.known_at is not None:
        raise InputError("expected an answer of all that is known now, not one with --known-at", place=place)
    if manifest.rules_as_of is not None:
        raise InputError("expected an answer by the rules of each instant, not one with --rules-as-of", place=place)


def reconcile(answer: Answer, log: ViolationLog, partitions: int, *, retract: bool = False) -> Reconciliation:
    """The corrections that make the log say what the answer says; `retract` retracts where else is contested.

    `log` holds the breaches on which the answer has a say; `partitions` is their count on the log.
    """
    rows = {row["violation_id"]: row for row in _rows(answer)}
    judged, found, not_judged = judged_by(answer), [], 0
    breaches = sorted(log.last.keys() | rows.keys())
    for violation_id in breaches:
        known, row = log.last.get(violation_id), rows.get(violation_id)
        status = _status(known, NOTHING if row is None else row["outcome"], retract=retract)
        if status is None:
            continue
        if row is None and known is not None and not _of_what_was_judged(known, judged):
            not_judged += 1
            continue
        if row is not None and status in ("open", "excused"):
            violation = _from_row(row, status)
        else:
            assert known is not None, "only what is known can be contested or retracted"
            violation = known.model_copy(update={"status": status, "cause": "reconciled"})
        home = log.partitions.get(violation_id)
        partition = partition_of(_key(violation), partitions) if home is None else home
        found.append(Correction(partition, violation, None if known is None else known.status))
    return Reconciliation(tuple(found), len(breaches), not_judged)


Judged: TypeAlias = frozenset[tuple[datetime, str, str | None]]
"""Hours, controllers and devices of which events were judged."""


def judged_by(answer: Answer) -> Judged:
    """Of what an answer judged events."""
    table = answer.table("coverage").filter(pl.col("judged") > 0)
    return frozenset(table.select("hour", "controller_id", "device_id").iter_rows())


def is_left_alone(known: Violation, outcome: str, judged: Judged) -> bool:
    """Whether nothing is corrected of a breach on the log, where the answer says `outcome` of it, or `NOTHING`."""
    if _status(known, outcome, retract=False) is None:
        return True
    return outcome == NOTHING and not _of_what_was_judged(known, judged)


def _of_what_was_judged(known: Violation, judged: Judged) -> bool:
    """Whether the answer judged events of the hour and the device, or, where no event is the breach, of the owner."""
    hour = known.occurred_at.replace(minute=0, second=0, microsecond=0)
    if known.event_kind in OF_CASES:
        return (hour, known.controller_id, known.device_id) in judged
    return any((hour, known.controller_id) == each[:2] for each in judged)


def _status(known: Violation | None, outcome: str, *, retract: bool) -> Status | None:
    """The status that a breach must get; None where it has it, or where nothing is to be said."""
    was = None if known is None else known.status
    if outcome == "violation":
        return None if was == "open" else "open"
    if outcome == "excused":
        return None if was == "excused" else "excused"
    if known is None or was == "retracted" or (known.event_kind == "deadline" and outcome == NOTHING):
        return None
    acquits = outcome == NOTHING and (retract or was == "excused")  # what is excused was no alarm
    wanted: Status = "retracted" if acquits else "contested"
    return None if was == wanted else wanted


def _rows(answer: Answer) -> Iterator[dict[str, Any]]:
    """The verdicts of an answer, one a breach."""
    verdicts = within(answer.verdicts.unique("violation_id", keep="last").collect(), answer.manifest)
    yield from verdicts.iter_rows(named=True)


def _from_row(row: Mapping[str, Any], status: Status) -> Violation:
    """The message of a breach that the replay found; fields that are null are left out."""
    told = {name: row[name] for name in COPIED if row[name] is not None}
    return Violation(
        **told,
        status=status,
        cause="reconciled",
        event_version=row["event_version"] or 1,
        excused_by=row["excused_by"] or (),
        obligation_id=row["violation_id"] if row["event_kind"] == "deadline" else None,
    )


def _key(violation: Violation) -> str:
    """The key of the case, which decides the partition: of an event its own, of a duty that of who holds it."""
    beside = violation.device_id if violation.event_kind in OF_CASES else violation.controller_id
    key = violation.subject_ref or beside
    assert key is not None, "an event names its device"
    return key
