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
    FilingRecord,
    GalleryRecord,
    NoticeRecord,
    PurposeRecord,
    RegistryRecord,
    SiteRecord,
)
from schemas.vocabulary import ControllerType, LegalBasis, Operation, PurposeCategory, SiteKind, Zone

RETENTION_DAYS = 30
METHOD = "1"
REPORTS_SECONDS = 120
"""How often a device of the estate sends an event at least; its quietest place may well be silent for so long."""
ARCHIVED = timedelta(days=3 * 366 + 1)
"""Assessments are kept for three years and a day (PIPL Art. 56)."""


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
    filing: FilingRecord
    """Of the camera, with the police."""

    def records(self) -> Iterator[RegistryRecord]:
        """Everything the registry says of the place, things before papers about them."""
        yield from (self.controller, self.site, self.device, self.purpose, self.gallery)
        yield from (self.notice, self.assessment, self.filing)

    def but(self, part: str, **changes: Any) -> Premises:
        """The same place with one record changed, as the registry tells it from the first day."""
        record = getattr(self, part)
        return replace(self, **{part: record.model_copy(update=changes)})


def establish(plan: Plan, since: datetime) -> Premises:
    """A place that does everything right, with records in force from `since`."""
    return Premises(
        plan=plan,
        controller=ControllerRecord(
            record_id=f"r-co-{plan.name}",
            id=f"co-{plan.name}",
            valid_from=since,
            title=plan.title,
            controller_type=plan.controller_type,
            minor_rules=True,
        ),
        site=_site(plan, since),
        device=DeviceRecord(
            **_owned("de", plan, since),
            site_id=f"si-{plan.name}",
            zone=plan.zone,
            sign_verified_at=since,
            commissioned_at=since,
            reports_every_seconds=REPORTS_SECONDS,
        ),
        purpose=_purpose(plan, since),
        notice=NoticeRecord(
            **_owned("no", plan, since),
            purpose_ids=(f"pu-{plan.name}",),
            site_ids=(f"si-{plan.name}",),
            method_version=METHOD,
            states_retention=True,
            language="zh-CN",
        ),
        assessment=AssessmentRecord(
            **_owned("as", plan, since),
            purpose_ids=(f"pu-{plan.name}",),
            method_version=METHOD,
            archived_until=since + ARCHIVED,
        ),
        gallery=GalleryRecord(**_owned("ga", plan, since), purpose_ids=(f"pu-{plan.name}",), provenance="enrolment"),
        filing=FilingRecord(
            **_owned("fi", plan, since),
            filing_type="police_video",
            filed_with="Public security bureau",
            filed_at=since,
            about=f"device/de-{plan.name}",
        ),
    )


def _owned(kind: str, plan: Plan, since: datetime) -> dict[str, Any]:
    """What every record of the controller says first; `kind` is the mark of its ids."""
    return {
        "record_id": f"r-{kind}-{plan.name}",
        "id": f"{kind}-{plan.name}",
        "controller_id": f"co-{plan.name}",
        "valid_from": since,
    }


def _site(plan: Plan, since: datetime) -> SiteRecord:
    return SiteRecord(
        **_owned("si", plan, since),
        title=plan.title,
        site_kind=plan.site_kind,
        jurisdictions=("CN", f"CN-{plan.province}"),
        timezone="Asia/Shanghai",
        publicly_accessible=plan.public,
        sign_verified_at=since,
        alternative_methods=plan.alternatives,
        recognition_default=False,
    )


def _purpose(plan: Plan, since: datetime) -> PurposeRecord:
    return PurposeRecord(
        **_owned("pu", plan, since),
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
