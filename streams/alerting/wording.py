"""The sentences of alerts: what a violation says, and why what was said is corrected.

Rules:
1. "No valid record was found" is all that is claimed; no sentence accuses anybody.
2. No sentence names a person or a record: a record's id may lead to a person. Times are UTC, to the second.
3. Fields that an older message does not have are left out of the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from schemas.verdict import Violation

CLAIM: Final = "No valid record was found"
CAUTION: Final = "It indicates a breach and proves none."

CAUSES: Mapping[str, str] = {
    "judged": "it was judged again",
    "record": "a record reached the log after the event was judged",
    "event": "its source corrected the event",
    "reconciled": "a comparison with the whole log found otherwise",
}
OUTCOMES: Mapping[str, str] = {
    "retracted": "Retracted",
    "contested": "Contested, a person has to decide",
    "excused": "Excused by a ground on record",
    "open": "Open again",
}


def moment(at: datetime) -> str:
    """A moment for people: UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def correction(violation: Violation) -> str:
    """Why the status of a violation is another than before: one sentence without a name."""
    reached = getattr(violation, "reached_log_at", None)
    cause = CAUSES[violation.cause]
    if violation.cause == "record" and isinstance(reached, datetime):
        late = reached - violation.occurred_at
        cause = f"a record reached the log {length(late)} late" if late > timedelta(0) else cause
    return f"{OUTCOMES[violation.status]}: {cause}."


def length(span: timedelta) -> str:
    """A span in the largest unit that says it well."""
    seconds = span.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
