"""A world in which everything is on record, and the parts to change in it.

Rules:
1. Instants lie on a grid of ten seconds around `START`; `tick` and `text_at` say them as the core and the contracts do.
2. A record is whole by default; a test names only what matters to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.contract import Message, time_text
from schemas.match import MATCH
from schemas.registry import REGISTRY, FeedRecord, RegistryRecord
from schemas.subject import SUBJECT, SubjectRecord
from streams.core.case import Views
from streams.core.feed import Feeds
from streams.core.instant import SECOND, moment_of

START = 1_773_115_200 * SECOND
"""2026-03-10 12:00 in Shanghai: every pack that is in force is in force around it."""
STEP = 10 * SECOND
GRID = range(-4, 9)

CONTROLLERS, SITES, DEVICES = ("zoo", "mall"), ("gates", "hall"), ("gate-1", "gate-2")
PURPOSES, NOTICES = ("entry", "ads"), ("notice-1", "notice-2")
PEOPLE = ("s_first_0000000000001", "s_second_000000000002", "s_third_0000000000003")
COVERED = (
    *("controller", "site", "device", "purpose", "notice", "assessment", "gallery", "authority", "exception"),
    *("consent_given", "consent_withdrawn", "enrolment", "restriction"),
)


def tick(number: int, beside: int = 0) -> int:
    """The instant of a point of the grid, or `beside` microseconds from it."""
    return START + number * STEP + beside


def text_at(number: int, beside: int = 0) -> str:
    """The same instant as the contracts write it."""
    return time_text(moment_of(tick(number, beside)))


def a_feed(**changes: Any) -> FeedRecord:
    """A heartbeat that covers everything of everybody, complete far beyond the grid."""
    whole = {
        "kind": "feed",
        "record_id": "heartbeat-1",
        "id": "everything",
        "valid_from": text_at(-9),
        "covers": list(COVERED),
        "complete_until": text_at(1_000),
        "max_lag_seconds": 60,
    }
    record = REGISTRY.fit(said(whole | changes))
    assert isinstance(record, FeedRecord)
    return record


def registry_record(kind: str, thing: str, **fields: Any) -> RegistryRecord:
    """A registry record from the beginning of the grid on; `fields` complete and change it."""
    whole = {"kind": kind, "id": thing, "record_id": f"{kind}-{thing}", "valid_from": text_at(-9)}
    return REGISTRY.fit(said(whole | COMPLETE.get(kind, {}) | fields))


def subject_record(kind: str, **fields: Any) -> SubjectRecord:
    """A record about the first person towards the zoo; `fields` complete and change it."""
    about = {"controller_id": "zoo", "subject_ref": PEOPLE[0]}
    whole = {"kind": kind, "record_id": kind, "valid_from": text_at(0)} | about
    return SUBJECT.fit(said(whole | COMPLETE.get(kind, {}) | fields))


def a_match(**fields: Any) -> Any:
    """A match of the first person at the first gate of the zoo, at the start of the grid."""
    return MATCH.fit(said({"occurred_at": text_at(0), **EVENT} | fields))


COMPLETE: Mapping[str, dict[str, Any]] = {
    "controller": {"title": "Somebody", "controller_type": "private", "minor_rules": True, "exemptions": ["glba"]},
    "site": {
        "controller_id": "zoo",
        "title": "Somewhere",
        "site_kind": "zoo",
        "jurisdictions": ["CN"],
        "timezone": "Asia/Shanghai",
        "publicly_accessible": True,
        "sign_verified_at": text_at(-9),
        "alternative_methods": ["card"],
        "recognition_default": False,
    },
    "device": {"controller_id": "zoo", "site_id": "gates", "zone": "gate"},
    "purpose": {
        "controller_id": "zoo",
        "specific_text": "Entry",
        "necessity_ref": "memo-1",
        "category": "access_control",
        "legal_basis": "consent",
        "necessary_for_service": False,
        "operations": ["identification"],
        "attributes": ["age"],
        "retention_days": 30,
        "commercial": False,
    },
    "notice": {
        "controller_id": "zoo",
        "purpose_ids": ["entry"],
        "method_version": "1",
        "states_retention": True,
        "language": "zh",
    },
    "assessment": {"controller_id": "zoo", "purpose_ids": ["entry"], "method_version": "1"},
    "authority": {
        "controller_id": "zoo",
        "authority_type": "warrant",
        "basis": "public_security",
        "issuer": "A bureau",
        "status": "granted",
        "evidence_ref": "paper-1",
        "objective": "missing_person",
        "offence_annex_ii": False,
        "max_penalty_years": 3,
        "target_refs": [PEOPLE[0]],
        "requested_at": text_at(-9),
        "case_ref": "case-1",
        "narrow": True,
    },
    "exception": {
        "controller_id": "zoo",
        "rule_ids": ["core.purpose.drift"],
        "legal_basis": "A decree",
        "reason": "A reason",
        "author_id": "desk-1",
        "approver_id": "desk-2",
        "evidence_ref": "paper-2",
    },
    "attestation": {"controller_id": "zoo", "attested_by": "auditor-1", "evidence_ref": "paper-7"},
    "gallery": {"controller_id": "zoo", "provenance": "enrolment", "criteria": []},
    "consent_given": {"purposes": ["entry"], "actions": ["collect", "identify"], "consent_form": "separate"},
    "enrolment": {"age_band": "adult", "source_of_image": "capture"},
    "restriction": {"basis": "dispute"},
}
EVENT: Mapping[str, Any] = {
    "kind": "match",
    "event_id": "event-1",
    "probe_id": "probe-1",
    "controller_id": "zoo",
    "device_id": "gate-1",
    "site_id": "gates",
    "purpose_id": "entry",
    "operation": "identification",
    "timing": "realtime",
    "active_involvement": True,
    "subject_ref": PEOPLE[0],
    "comparison_decision": "match",
    "inferred_attributes": [],
    "original_image_retained": False,
    "storage_location": "device",
    "internet_transfer": False,
    "decision_effect": "admit",
    "confirmations": 0,
    "search_log_fields": [],
    "reference_database_id": "members",
}


def a_settled_world() -> list[Message]:
    """Records that leave nothing to object to in `a_match`, without a feed."""
    return [
        registry_record("controller", "zoo"),
        registry_record("site", "gates"),
        registry_record("device", "gate-1"),
        registry_record("purpose", "entry"),
        registry_record("notice", "notice-1"),
        registry_record("assessment", "pia-1"),
        registry_record("gallery", "members"),
        registry_record("authority", "order-1", requested_by_subject=False),
        registry_record("exception", "excuse-1"),
        subject_record("consent_given", valid_from=text_at(-9)),
        subject_record("enrolment", valid_from=text_at(-9)),
        subject_record("restriction", valid_from=text_at(-9), valid_until=text_at(-8)),
    ]


def views_of(records: Iterable[Message]) -> Views:
    """The views that records make, in their order."""
    views = Views()
    for record in records:
        if isinstance(record, RegistryRecord):
            views.registry.add(record)
        else:
            assert isinstance(record, SubjectRecord)
            views.histories.add(record)
    return views


def feeds_of(*heartbeats: FeedRecord) -> Feeds:
    """The feeds that heartbeats make, in their order."""
    feeds = Feeds()
    for heartbeat in heartbeats:
        feeds.add(heartbeat)
    return feeds


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something: a None leaves its field out."""
    return {name: value for name, value in fields.items() if value is not None}
