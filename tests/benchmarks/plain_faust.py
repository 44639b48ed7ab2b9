"""The peer of the live benchmark: a Faust agent as its documentation writes one, judging one event at a time.

Run as `plain_faust.py worker`; reads BROKER, TOPIC, OUT, GROUP and COUNT from the environment and prints, after COUNT
events, one JSON line with its rate and how many violations it wrote. Consents and devices are plain dictionaries,
filled before the first event: the peer pays nothing for what our views do.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from typing import Any

import faust
import live_job

COUNT = int(os.environ["COUNT"])


class Match(faust.Record, serializer="json"):
    """A match event."""

    event_id: str
    occurred_at: str
    device_id: str
    purpose_id: str
    operation: str
    timing: str
    subject_ref: str
    comparison_decision: str
    storage_location: str
    inferred_attributes: list[str]


class Violation(faust.Record, serializer="json"):
    """A violation."""

    rule_id: str
    event_id: str
    subject_ref: str


app = faust.App(
    os.environ["GROUP"],
    broker=f"kafka://{os.environ['BROKER']}",
    store="memory://",
    topic_disable_leader=True,
    broker_session_timeout=6,
    broker_heartbeat_interval=2,
    web_enabled=False,
)
matches = app.topic(os.environ["TOPIC"], value_type=Match, key_serializer="raw")
violations = app.topic(os.environ["OUT"], value_type=Violation)
consents = {each.subject_ref: each for each in live_job.subjects()}
zones = {f"cam-{device:04d}": live_job.zone_of(device) for device in range(live_job.DEVICES)}
seen: dict[str, Any] = {"count": 0, "violations": 0, "began": 0.0}


def facts_of(match: Match) -> dict[str, Any]:
    """The facts of one event."""
    consent = consents.get(match.subject_ref)
    at = datetime.fromisoformat(match.occurred_at)
    held = consent is not None and match.purpose_id in consent.purposes and consent.valid_from <= at
    actions = consent.actions if consent is not None and held else ()
    return {
        "occurred_at": at,
        "operation": match.operation,
        "timing": match.timing,
        "comparison_decision": match.comparison_decision,
        "storage_location": match.storage_location,
        "inferred_attributes": match.inferred_attributes,
        "device_zone": zones[match.device_id],
        "site_public": True,
        "sign_verified": True,
        "notice_in_force": True,
        "controller_type": "private",
        "purpose_category": "access_control",
        "legal_basis": "consent",
        "consent_in_force": held,
        "consent_withdrawn": False,
        "separate_consent_actions": actions,
        "consented_attributes": (),
    }


@app.agent(matches)
async def judge(stream: Any) -> None:
    """Judge event by event."""
    async for match in stream:
        if not seen["count"]:
            seen["began"] = time.perf_counter()
        facts = facts_of(match)
        for number, rule in enumerate(live_job.RULES):
            if rule.python(facts):
                await violations.send(
                    key=match.subject_ref, value=Violation(f"bench.r{number:02d}", match.event_id, match.subject_ref)
                )
                seen["violations"] += 1
        seen["count"] += 1
        if seen["count"] == COUNT:
            rate = COUNT / (time.perf_counter() - seen["began"])
            print(json.dumps({"rate": rate, "violations": seen["violations"]}), file=sys.__stdout__, flush=True)
            os._exit(0)


if __name__ == "__main__":
    app.main()
