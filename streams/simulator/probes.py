"""What devices and doors report: match events and encounters with every optional fact stated.

Rules:
1. A baseline event leaves nothing unknown; a story changes exactly the fields that it names.
2. `subject_ref` decides: with it the probe matched, without it the probe was a stranger's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from schemas.encounter import AccessOutcome, Disclosure, HumanReview
from schemas.match import MatchEvent
from streams.simulator.clerk import Clerk
from streams.simulator.premises import Premises

THRESHOLD = 0.8
SYSTEM = "sim-recogniser"
MODEL = "2026.2"


def probe(clerk: Clerk, premises: Premises, at: datetime, subject_ref: str | None = None, **changes: Any) -> MatchEvent:
    """A face that was compared at the device of a place; `changes` are fields of the event."""
    active = premises.plan.active
    score = clerk.chance.randrange(820, 1000) if subject_ref else clerk.chance.randrange(100, 780)
    fields: dict[str, Any] = {
        "event_id": clerk.number("me"),
        "probe_id": clerk.number("pb"),
        "occurred_at": at,
        "controller_id": premises.controller.id,
        "device_id": premises.device.id,
        "site_id": premises.site.id,
        "purpose_id": premises.purpose.id,
        "operation": premises.plan.operation,
        "timing": "realtime",
        "active_involvement": active,
        "subject_ref": subject_ref,
        "comparison_decision": "match" if subject_ref else "non_match",
        "comparison_score": score / 1000,
        "comparison_threshold": THRESHOLD,
        "inferred_attributes": (),
        "original_image_retained": False,
        "storage_location": "device",
        "internet_transfer": False,
        "reference_database_id": premises.gallery.id,
        "notice_id": premises.notice.id if active else None,
        "on_site_consent": None if subject_ref or not active else True,
        "decision_effect": ("admit" if subject_ref else "deny") if active else "none",
        "system_id": SYSTEM,
        "model_version": MODEL,
    }
    # Thousands a second are made here; the tests read every one of them back through the contract.
    return MatchEvent.model_construct(**fields | changes)


def entry(
    clerk: Clerk,
    premises: Premises,
    at: datetime,
    subject_ref: str | None,
    *,
    refused: bool,
    offered: bool,
    outcome: Literal["admitted", "denied"] = "admitted",
) -> AccessOutcome:
    """What happened at the door."""
    return AccessOutcome(
        event_id=clerk.number("ao"),
        occurred_at=at,
        controller_id=premises.controller.id,
        device_id=premises.device.id,
        site_id=premises.site.id,
        purpose_id=premises.purpose.id,
        subject_ref=subject_ref,
        face_scan_refused=refused,
        alternative_offered=offered,
        outcome=outcome,
    )


def review(clerk: Clerk, event: MatchEvent, at: datetime) -> HumanReview:
    """Two persons looked at a match and confirmed it."""
    return HumanReview(
        event_id=clerk.number("hr"),
        occurred_at=at,
        controller_id=event.controller_id,
        device_id=event.device_id,
        site_id=event.site_id,
        purpose_id=event.purpose_id,
        subject_ref=event.subject_ref,
        authority_id=event.authority_id,
        match_event_id=event.event_id,
        result="confirmed",
        reviewers=2,
    )


def disclosure(clerk: Clerk, premises: Premises, at: datetime, subject_ref: str, **changes: Any) -> Disclosure:
    """Face data of a person was given to another controller, on the person's consent unless `changes` say otherwise."""
    fields: dict[str, Any] = {
        "event_id": clerk.number("di"),
        "occurred_at": at,
        "controller_id": premises.controller.id,
        "device_id": premises.device.id,
        "site_id": premises.site.id,
        "purpose_id": premises.purpose.id,
        "subject_ref": subject_ref,
        "recipient_id": "co-insurer",
        "recipient_role": "other_controller",
        "legal_basis": "consent",
        "evidence_ref": f"doc-{clerk.number('ev')}",
    }
    return Disclosure(**fields | changes)
