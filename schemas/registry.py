"""Registry records: who runs which device where, for what, on which ground, and what was said, filed and allowed.

Rules:
1. Every record is about one thing, `kind/id`, and holds from `valid_from`; a later `valid_from` replaces the earlier
   state of the thing from then on, a higher `record_version` of one `record_id` corrects the statement itself.
2. A feed is the heartbeat of one source of records; without it no record can be said to be missing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.contract import Contract, Identifier, Identifiers, Interval, SubjectRef, Text, UtcTime, Word
from schemas.vocabulary import (
    Attribute,
    AuthorityBasis,
    AuthorityObjective,
    AuthorityStatus,
    AuthorityType,
    ControllerType,
    GalleryCriterion,
    LegalBasis,
    Operation,
    Provenance,
    PurposeCategory,
    RegistryKind,
    SiteKind,
    SpecialCategoryBasis,
    SubjectKind,
    Zone,
)

Jurisdiction = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,8}){0,2}$")]


class RegistryRecord(Interval):
    """What all registry records share; `id` names the thing within its kind."""

    record_id: Identifier
    record_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    id: Identifier

    @property
    def key(self) -> str:
        """The key of the record on its topic, `kind/id`."""
        return f"{self.kind}/{self.id}"  # type: ignore[attr-defined]  # each kind fixes its own literal


class Owned(RegistryRecord):
    """A registry record that belongs to one controller."""

    controller_id: Identifier


class ControllerRecord(RegistryRecord):
    """An organisation that runs recognition and answers for it (dpv:DataController)."""

    kind: Literal["controller"] = "controller"
    title: Text
    controller_type: ControllerType
    minor_rules: bool | None = None
    """Whether dedicated rules for persons under 14 exist (PIPL Art. 31); absent: not stated."""
    exemptions: Annotated[tuple[Word, ...], Field(strict=False, max_length=16)] | None = None
    """As what it is exempt, `glba` or `government_contractor` (Illinois, 740 ILCS 14/25); absent: not stated."""
    retention_policy_ref: Identifier | None = None
    """Its public policy on retention and destruction (740 ILCS 14/15(a))."""


class SiteRecord(Owned):
    """A place with its law."""

    kind: Literal["site"] = "site"
    title: Text
    site_kind: SiteKind
    jurisdictions: Annotated[tuple[Jurisdiction, ...], Field(strict=False, min_length=1, max_length=8)]
    """All that apply, from the widest: `CN`, `CN-SH`; `EU`, `IE`; `US`, `US-CA`, `US-CA-SF`."""
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$", max_length=64)]
    publicly_accessible: bool | None = None
    sign_verified_at: UtcTime | None = None
    """When somebody last saw the conspicuous sign at the entrances."""
    alternative_methods: Annotated[tuple[Word, ...], Field(strict=False, max_length=16)] | None = None
    """Ways in without the face; empty: none, absent: not stated."""
    recognition_default: bool | None = None
    """Whether the face is the way in that is offered first; absent: not stated."""
    face_required_by: Text | None = None
    """The state rule that prescribes recognition here, if one does."""


class DeviceRecord(Owned):
    """A biometric capture device in its zone."""

    MINOR: ClassVar[int] = 1
    schema_version: str = "1.1"
    """Version of the contract; 1.1 added `reports_every_seconds`."""
    kind: Literal["device"] = "device"
    site_id: Identifier
    zone: Zone
    sign_verified_at: UtcTime | None = None
    commissioned_at: UtcTime | None = None
    reports_every_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    """How often it sends an event at least; absent: its silence is not measured, as nothing says what to expect."""


class PurposeRecord(Owned):
    """A purpose of processing, with its ground and its bounds."""

    kind: Literal["purpose"] = "purpose"
    specific_text: Text | None = None
    necessity_ref: Identifier | None = None
    """Where the necessity is argued."""
    category: PurposeCategory
    legal_basis: LegalBasis
    basis_evidence_ref: Identifier | None = None
    """What proves a basis other than consent."""
    written_consent_required: bool = False
    necessary_for_service: bool | None = None
    """Whether the service cannot be had without it (PIPL Art. 16); absent: not stated."""
    operations: Annotated[tuple[Operation, ...], Field(strict=False, min_length=1, max_length=5)]
    attributes: Annotated[tuple[Attribute, ...], Field(strict=False, max_length=14)] = ()
    site_ids: Identifiers = ()
    """Where it may be pursued; empty: at every site of the controller."""
    retention_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    method_version: Identifier = "1"
    special_category_basis: SpecialCategoryBasis | None = None
    """The ground of GDPR Art. 9(2), where there is one."""
    commercial: bool | None = None
    """Whether it is a commercial purpose (Texas B&C 503.001, RCW 19.375); absent: not stated."""


class AuthorityRecord(Owned):
    """An order, warrant or security ground that permits what would else be a breach."""

    kind: Literal["authority"] = "authority"
    authority_type: AuthorityType
    basis: AuthorityBasis
    issuer: Text
    status: AuthorityStatus
    evidence_ref: Identifier | None = None
    """Where the paper lies; without it the authority is a claim and excuses nothing."""
    site_ids: Identifiers = ()
    device_ids: Identifiers = ()
    requested_by_subject: bool | None = None
    """Whether the person or an interested party asked for the search (draft of 2023, Art. 10)."""
    objective: AuthorityObjective | None = None
    offence_annex_ii: bool | None = None
    """Whether the offence is in Annex II of the EU AI Act; absent: not stated."""
    max_penalty_years: Annotated[int, Field(ge=0, le=200)] | None = None
    """The longest penalty of the offence where it is prosecuted."""
    target_refs: Annotated[tuple[SubjectRef, ...], Field(strict=False, max_length=1_000)] | None = None
    """Persons the authority names; empty or absent: none."""
    urgent: bool | None = None
    """Whether use began before it was asked for (EU AI Act, Art. 5(3)); absent: it did not."""
    requested_at: UtcTime | None = None
    fria_ref: Identifier | None = None
    """Fundamental rights impact assessment (EU AI Act, Art. 27)."""
    eu_registration_ref: Identifier | None = None
    """Registration in the EU database (EU AI Act, Art. 49)."""
    national_law_ref: Identifier | None = None
    """The national law that provides for the use (EU AI Act, Art. 5(5))."""
    written_request_ref: Identifier | None = None
    facts_ref: Identifier | None = None
    """Where the facts that justify it are stated."""
    case_ref: Identifier | None = None
    """Offence, proceeding, threat or missing person that it is about."""
    narrow: bool | None = None
    """Whether its scope is narrowly tailored; absent: not stated."""


class AssessmentRecord(Owned):
    """An impact assessment that was approved at `valid_from`, for purposes in one version of their method."""

    kind: Literal["assessment"] = "assessment"
    purpose_ids: Annotated[tuple[Identifier, ...], Field(strict=False, min_length=1, max_length=64)]
    method_version: Identifier
    archived_until: UtcTime | None = None


class NoticeRecord(Owned):
    """A notice to the persons concerned, as it stands from `valid_from` on."""

    kind: Literal["notice"] = "notice"
    purpose_ids: Annotated[tuple[Identifier, ...], Field(strict=False, min_length=1, max_length=64)]
    site_ids: Identifiers = ()
    """Where it is shown; empty: at every site of the controller."""
    method_version: Identifier
    states_retention: bool
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]


class FilingRecord(Owned):
    """A filing with an authority."""

    kind: Literal["filing"] = "filing"
    filing_type: Word
    filed_with: Text
    filed_at: UtcTime
    about: Annotated[str, Field(pattern=r"^[a-z_]{2,32}/[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")] | None = None
    """The thing that was filed, `kind/id`; absent: the controller itself."""
    reported_count: Annotated[int, Field(ge=0)] | None = None
    """How many persons' data the filing reports as stored."""


class GalleryRecord(Owned):
    """A biometric reference database and where its references came from."""

    kind: Literal["gallery"] = "gallery"
    purpose_ids: Identifiers = ()
    provenance: Provenance
    criteria: Annotated[tuple[GalleryCriterion, ...], Field(strict=False, max_length=4)] | None = None
    """By what persons were put into it; absent: not stated."""


class ExceptionRecord(Owned):
    """A legal instrument that excuses rules within a scope and a time."""

    MINOR: ClassVar[int] = 1
    schema_version: str = "1.1"
    """Version of the contract; 1.1 added `max_hits`."""
    kind: Literal["exception"] = "exception"
    rule_ids: Annotated[tuple[Identifier, ...], Field(strict=False, min_length=1, max_length=64)]
    legal_basis: Text
    reason: Text
    author_id: Identifier
    approver_id: Identifier
    site_ids: Identifiers = ()
    device_ids: Identifiers = ()
    purpose_ids: Identifiers = ()
    evidence_ref: Identifier | None = None
    max_hits: Annotated[int, Field(ge=1)] | None = None
    """So many events a day may name it; more are overuse. It never changes the verdict on any of them."""

    @model_validator(mode="after")
    def _four_eyes(self) -> Self:
        if self.author_id == self.approver_id:
            raise PydanticCustomError("four_eyes", "expected an approver who is not the author")
        return self


class AttestationRecord(Owned):
    """Somebody vouches for a fact that a device or purpose does not deliver by itself."""

    kind: Literal["attestation"] = "attestation"
    about: Annotated[str, Field(pattern=r"^(device|purpose)/[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
    fact: Word
    value: bool | Word | Annotated[tuple[Word, ...], Field(strict=False, max_length=64)]
    attested_by: Identifier
    evidence_ref: Identifier


class FeedRecord(RegistryRecord):
    """The heartbeat of one source of records: what it covers, up to when it is complete, how late it may be."""

    kind: Literal["feed"] = "feed"
    controller_id: Identifier | None = None
    """The controller whose records it brings; absent: those of every controller."""
    covers: Annotated[tuple[SubjectKind | RegistryKind, ...], Field(strict=False, min_length=1, max_length=19)]
    complete_until: UtcTime
    """Every record with an earlier `valid_from`, of these kinds, is on the log."""
    max_lag_seconds: Annotated[int, Field(ge=1, le=31_536_000)]


AnyRegistryRecord = Annotated[
    ControllerRecord
    | SiteRecord
    | DeviceRecord
    | PurposeRecord
    | AuthorityRecord
    | AssessmentRecord
    | NoticeRecord
    | FilingRecord
    | GalleryRecord
    | ExceptionRecord
    | AttestationRecord
    | FeedRecord,
    Field(discriminator="kind"),
]
REGISTRY: Contract[RegistryRecord] = Contract(AnyRegistryRecord)
REGISTRY_KINDS: tuple[RegistryKind, ...] = RegistryKind.__args__  # type: ignore[attr-defined]
