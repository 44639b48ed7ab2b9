"""Subject records: what a person allowed, took back, asked for, and what was stored or deleted of them.

Rules:
1. A record is a statement with a `record_id`; the same id with a higher `record_version` replaces it.
2. `valid_from` is the instant in the world from which the statement holds; at one instant withdrawal and
   restriction win over consent.
3. Withdrawal is not retroactive (PIPL Art. 15(2), GDPR Art. 7(3)).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.contract import Contract, Identifier, Identifiers, Interval, SubjectRef, UtcTime
from schemas.vocabulary import AgeBand, ConsentAction, ConsentForm, Giver, ImageSource


class SubjectRecord(Interval):
    """What all subject records share."""

    record_id: Identifier
    """ISO/IEC TS 27560: record_id."""
    record_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    controller_id: Identifier
    subject_ref: SubjectRef
    """The person (ISO/IEC TS 27560: pii_principal_id), as a random token."""

    @property
    def key(self) -> str:
        """The key of the record on its topic."""
        return self.subject_ref


class ConsentGiven(SubjectRecord):
    """The person, or a guardian, agreed to purposes and actions (dpv:ConsentGiven)."""

    kind: Literal["consent_given"] = "consent_given"
    purposes: Annotated[tuple[Identifier, ...], Field(strict=False, min_length=1, max_length=64)]
    """Purposes agreed to, by the id of their registry record (ISO/IEC TS 27560: purposes)."""
    actions: Annotated[tuple[ConsentAction, ...], Field(strict=False, min_length=1, max_length=20)]
    consent_form: ConsentForm
    giver: Giver = "self"
    privacy_notice: Identifier | None = None
    """Notice that was shown before (ISO/IEC TS 27560: privacy_notice)."""
    evidence_ref: Identifier | None = None


class ConsentWithdrawn(SubjectRecord):
    """The person took consent back (dpv:ConsentWithdrawn), for some purposes or, with an empty list, for all."""

    kind: Literal["consent_withdrawn"] = "consent_withdrawn"
    purposes: Identifiers = ()


class Enrolment(SubjectRecord):
    """A biometric reference of the person was stored; the only source of age."""

    kind: Literal["enrolment"] = "enrolment"
    age_band: AgeBand
    purpose_id: Identifier | None = None
    """Purpose the reference was stored for; its record says how long it may be kept."""
    source_of_image: ImageSource | None = None
    """Where the image came from; absent: not stated."""
    reference_database_id: Identifier | None = None
    guardian_known: bool = False


class ErasureRequest(SubjectRecord):
    """The person, a court or an authority asked for deletion."""

    kind: Literal["erasure_request"] = "erasure_request"
    requested_by: Literal["subject", "guardian", "court", "authority"] = "subject"
    purposes: Annotated[tuple[Identifier, ...], Field(strict=False, max_length=64)] | None = None
    """Purposes whose data is to go; absent: all."""


class Deletion(SubjectRecord):
    """Face data of the person was deleted."""

    kind: Literal["deletion"] = "deletion"
    artefacts: Annotated[tuple[Literal["reference", "image", "video", "log"], ...], Field(strict=False, min_length=1)]
    recipients_notified: bool = False
    captured_until: UtcTime | None = None
    """When the newest of what was deleted had been captured; absent: not stated."""


class RequestAnswer(SubjectRecord):
    """The person was told what became of a request (GDPR Art. 12(3), PIPL Art. 50)."""

    kind: Literal["request_answer"] = "request_answer"
    request_record_id: Identifier
    """The record of the request that is answered."""
    outcome: Literal["completed", "refused", "extended"]


class Restriction(SubjectRecord):
    """Face data of the person may be stored and protected, and nothing else (PIPL Art. 47(2), GDPR Art. 18)."""

    kind: Literal["restriction"] = "restriction"
    basis: Literal["statutory_period", "technical", "dispute", "request"]


AnySubjectRecord = Annotated[
    ConsentGiven | ConsentWithdrawn | Enrolment | ErasureRequest | Deletion | Restriction | RequestAnswer,
    Field(discriminator="kind"),
]
SUBJECT: Contract[SubjectRecord] = Contract(AnySubjectRecord)
