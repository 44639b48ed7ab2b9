"""An answer with the verdicts a test names, written by the writer of answers: as a replay leaves it, without a replay.

Rules:
1. A verdict is whole by default; a test names only what matters to it.
2. Tables that a test does not give are empty; but some events of the gate were judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from schemas.verdict import Violation
from settled_world import PEOPLE, text_at, tick
from streams.core.instant import moment_of
from streams.core.violation import violation_id
from streams.replay.answer import ANSWER, TABLES, VERDICTS, Answer, finish, write_table, write_verdicts

RULES = ("test.consent", "test.sign", "test.deadline")
DIGEST = "1" * 64


COVERED: Mapping[str, Any] = {
    "hour": moment_of(tick(0)),
    "controller_id": "zoo",
    "site_id": "gates",
    "device_id": "gate-1",
    "judged": 3,
    "rejected": 0,
}
"""One hour in which events of the gate were judged."""


def a_verdict(event: str, rule: str = RULES[0], **fields: Any) -> dict[str, Any]:
    """A violation of a match event of the first person at the gate of the zoo."""
    subject = fields.get("subject_ref", PEOPLE[0])
    whole = dict.fromkeys(VERDICTS) | {
        "event_id": event,
        "event_version": 1,
        "event_kind": "match",
        "occurred_at": moment_of(tick(0)),
        "controller_id": "zoo",
        "site_id": "gates",
        "device_id": "gate-1",
        "purpose_id": "entry",
        "subject_ref": subject,
        "rule_id": rule,
        "revision": 1,
        "level": "high",
        "standing": "in_force",
        "outcome": "violation",
        "deciding_records": ["device-gate-1"],
        "excused_by": [],
        "violation_id": violation_id(rule, 1, "zoo", event, subject),
    }
    return whole | fields


def an_answer(
    folder: Path, verdicts: Iterable[Mapping[str, Any]] = (), tables: Mapping[str, Any] | None = None, **manifest: Any
) -> Answer:
    """The answer that holds some verdicts, and `tables` by name as rows; `manifest` changes what was asked and told."""
    given = {"coverage": [COVERED]} | dict(tables or {})
    for name, schema in TABLES.items():
        rows = pl.DataFrame(given.get(name, []), schema=schema, orient="row")
        write_table(rows, folder / f"{name}.parquet")
    write_verdicts(pl.DataFrame(list(verdicts), schema=VERDICTS, orient="row"), folder / "verdicts" / "part-0.parquet")
    return finish(folder, whole_manifest() | manifest)


def of(verdict: dict[str, Any], status: str) -> Violation:
    """The message on the log about the breach of a verdict."""
    names = [name for name in verdict if name in Violation.model_fields and verdict[name] is not None]
    return Violation.model_validate({**{name: verdict[name] for name in names}, "status": status}, strict=False)


def whole_manifest() -> dict[str, Any]:
    """What an answer says of a question about the time around the start of the grid."""
    rules = [
        {
            "id": rule,
            "revision": 1,
            "title": f"The rule {rule}",
            "citation": "A law, Art. 1",
            "level": "high",
            "standing": "in_force",
            "kind": "deadline" if rule == RULES[2] else "condition",
        }
        for rule in RULES
    ]
    return {
        "consentinel": "0",
        "command": "consentinel replay --from a --to b",
        "from": text_at(-9),
        "to": text_at(9),
        "source": {"kind": "parquet", "location": "archive", "manifest_digest": DIGEST},
        "rulebook_digest": DIGEST,
        "packs": [{"id": "test", "title": "Tests", "standing": "in_force", "digest": DIGEST, "rules": rules}],
        "counts": {
            **dict.fromkeys(("read", "duplicates", "superseded", "not_yet_known", "records", "refused_records"), 0),
            "judged": {"match": 3},
            "rejected": {},
        },
    }


def with_a_hole(folder: Path) -> None:
    """Say of an answer that something was not replayable."""
    file = folder / ANSWER
    hole = {"topic": "matches", "partition": 0, "first_offset": 3, "last_offset": 5, "reason": "expired"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"holes": [hole]}))
