"""A zoo with duties: rules of deadlines and windows, and what happens to a docket of theirs, in hours from a noon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rule_texts import a_rule
from schemas.contract import time_text
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT
from streams.core.docket import Docket
from streams.core.instant import NEVER, micros
from streams.core.obligation import Happening

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = 3_600_000_000
AT = micros(NOON)
NO_CASE: dict[str, Any] = {"judges": None, "condition": None, "kind": "deadline"}
REVIEWED = a_rule(
    "test.reviewed",
    **NO_CASE
    | {
        "deadline": {
            "opens": [{"case": "match", "condition": "decision_effect = 'adverse'"}],
            "key": ["controller", "event"],
            "due": {"after": 24, "unit": "hours"},
            "fulfilled_by": [{"case": "human_review"}],
        }
    },
)
ANSWERED = a_rule(
    "test.answered",
    **NO_CASE
    | {
        "deadline": {
            "opens": [{"record": "erasure_request"}],
            "key": ["controller", "subject", "record"],
            "due": {"after": 24, "unit": "hours"},
            "fulfilled_by": [{"record": "request_answer", "condition": "outcome <> 'extended'"}],
            "extended_by": [{"record": "request_answer", "condition": "outcome = 'extended'",
                             "due": {"after": 24, "unit": "hours"}}],
        }
    },
)  # fmt: skip
FILED = a_rule(
    "test.filed",
    jurisdictions=["CN"],
    controller_types=["private"],
    **NO_CASE
    | {
        "deadline": {
            "opens": [{"record": "device", "condition": "site_public"}],
            "key": ["controller", "device"],
            "due": {"after": 24, "unit": "hours"},
            "fulfilled_by": [{"record": "filing", "earlier": True}],
        }
    },
)
CROWDED = a_rule(
    "test.crowded", kind="window", condition="purpose_named", window={"days": 1, "key": "site", "at_least": 3}
)
QUIET = a_rule(
    "test.quiet",
    kind="window",
    condition="purpose_named",
    window={"days": 1, "key": "site", "at_least": 2, "unless": "NOT purpose_named"},
)


def say(docket: Docket, kind: str, at: datetime = NOON, **fields: Any) -> None:
    """A record of the zoo, or of a person towards it."""
    whole: dict[str, Any] = {"kind": kind, "valid_from": time_text(at), "controller_id": "zoo"} | fields
    if kind in ("controller", "feed"):
        del whole["controller_id"]
    if kind in ("erasure_request", "request_answer"):
        docket.histories.add(SUBJECT.fit({"subject_ref": "s_member_0000000000001"} | whole))
    else:
        docket.registry.add(REGISTRY.fit(whole))


def request(docket: Docket, at: datetime = NOON) -> None:
    say(docket, "erasure_request", at, record_id="request-1")


def answer(docket: Docket, at: datetime, word: str = "completed", number: int = 1) -> None:
    say(docket, "request_answer", at, record_id=f"answer-{number}", request_record_id="request-1", outcome=word)


def heartbeat(docket: Docket, until: datetime, *kinds: str) -> None:
    say(docket, "feed", until, record_id=f"beat-{micros(until)}", id="feed-1", covers=list(kinds),
        complete_until=time_text(until), max_lag_seconds=60)  # fmt: skip


def hours(count: float) -> datetime:
    return NOON + timedelta(hours=count)


def a_case(role: str, number: int, hour: float = 0, *, known: bool = True, **parts: str | None) -> Happening:
    about = {"controller": "zoo", "site": "gates"} | parts
    return Happening(role, f"event-{number}", AT + round(hour * HOUR), NEVER, {}, about, known)


def enter(docket: Docket, rule: str, *cases: Happening) -> None:
    for case in cases:
        docket.enter(f"{rule}@1", case)
