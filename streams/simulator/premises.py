"""Premises: a controller with one site, one device and one purpose, all papers in order until a story changes one.

Rules:
1. What `establish` gives breaks no rule of any pack, the draft of 2023 included; a story says what it breaks.
2. Every fact is stated, so nothing is unknown by neglect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from schemas.registry import (
    AssessmentRecord,
    ControllerRecord,
    DeviceRecord,
    GalleryRecord,
    NoticeRecord,
    PurposeRecord,
    RegistryRecord,
    SiteRecord,
)
from schemas.vocabulary import ControllerType, LegalBasis, Operation, PurposeCategory, SiteKind, Zone

RETENTION_DAYS = 30
METHOD = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What kind of place it is; `province` is the part of the jurisdiction after `CN-`."""

    name: str
    title: str
    site_kind: SiteKind
    province: str
    zone: Zone
    public: bool = True
    controller_type: ControllerType = "private"
    category: PurposeCategory = "access_control"
    legal_basis: LegalBasis = "consent"
    purpose_text: str = "Let enrolled visitors enter without a card"
    operation: Operation = "verification"
    active: bool = True
    """Whether the person takes part knowingly, as at a gate."""
    alternatives: tuple[str, ...] = ("staffed_desk", "card")


@dataclass(frozen=True, slots=True)
class Premises:
    """The records of one place, and how its device works."""

    plan: Plan
    controller: ControllerRecord
    site: SiteRecord
    device: DeviceRecord
    purpose: PurposeRecord
    notice: NoticeRecord
    assessment: AssessmentRecord
    gallery: GalleryRecord

    def records(self) -> Iterator[RegistryRecord]:
        """Everything the registry says of the place, things before papers about them."""
        yield from (self.controller, self.site, self.device, self.purpose, self.gallery, self.notice, self.assessment)

    def but(self, part: str, **changes: Any) -> Premises:
        """The same place with one record changed, as the registry tells it from the first day."""
        record = getattr(self, part)
        return replace(self, **{part: record.model_copy(update=changes)})


def establish(plan: Plan, since: datetime) -> Premises:
    """A place that does everything right, with records in force from `since`."""
    name = plan.name
    purpose_id = f"pu-{name}"
    return Premises(
        plan=plan,
        controller=ControllerRecord(
            record_id=f"r-co-{name}",
            id=f"co-{name}",
            valid_from=since,
            title=plan.title,
            controller_type=plan.controller_type,
            minor_rules=True,
        ),
        site=SiteRecord(
            record_id=f"r-si-{name}",
            id=f"si-{name}",
            controller_id=f"co-{name}",
            valid_from=since,
            title=plan.title,
            site_kind=plan.site_kind,
            jurisdictions=("CN", f"CN-{plan.province}"),
            timezone="Asia/Shanghai",
            publicly_accessible=plan.public,
            sign_verified_at=since,
            alternative_methods=plan.alternatives,
        ),
        device=DeviceRecord(
            record_id=f"r-de-{name}",
            id=f"de-{name}",
            controller_id=f"co-{name}",
            valid_from=since,
            site_id=f"si-{name}",
            zone=plan.zone,
            sign_verified_at=since,
            commissioned_at=since,
        ),
        purpose=_purpose(plan, purpose_id, since),
        notice=NoticeRecord(
            record_id=f"r-no-{name}",
            id=f"no-{name}",
            controller_id=f"co-{name}",
            valid_from=since,
            purpose_ids=(purpose_id,),
            site_ids=(f"si-{name}",),
            method_version=METHOD,
            states_retention=True,
            language="zh-CN",
        ),
        assessment=AssessmentRecord(
            record_id=f"r-as-{name}",
            id=f"as-{name}",
            controller_id=f"co-{name}",
            valid_from=since,
            purpose_ids=(purpose_id,),
            method_version=METHOD,
            archived_until=since + timedelta(days=3 * 366 + 1),
        ),
        gallery=GalleryRecord(
            record_id=f"r-ga-{name}",
            id=f"ga-{name}",
            controller_id=f"co-{name}",
            valid_from=since,
            purpose_ids=(purpose_id,),
            provenance="enrolment",
        ),
    )


def _purpose(plan: Plan, purpose_id: str, since: datetime) -> PurposeRecord:
    return PurposeRecord(
        record_id=f"r-pu-{plan.name}",
        id=purpose_id,
        controller_id=f"co-{plan.name}",
        valid_from=since,
        specific_text=plan.purpose_text,
        necessity_ref=f"doc-necessity-{plan.name}",
        category=plan.category,
        legal_basis=plan.legal_basis,
        basis_evidence_ref=None if plan.legal_basis == "consent" else f"doc-basis-{plan.name}",
        necessary_for_service=False,
        operations=(plan.operation,),
        site_ids=(f"si-{plan.name}",),
        retention_days=RETENTION_DAYS,
        method_version=METHOD,
    )
