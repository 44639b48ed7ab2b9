"""An encounter: what happened at the door around a recognition: the outcome of access, a human review, a disclosure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.contract import Contract, Identifier, Message, SubjectRef, UtcTime
from schemas.vocabulary import ClaimedBasis


class Encounter(Message):
    """What all encounters share; `device_id` is the gate, desk or camera where it happened."""

    event_id: Identifier
    event_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    previous_key: Identifier | None = None
    occurred_at: UtcTime
    controller_id: Identifier
    device_id: Identifier
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    subject_ref: SubjectRef | None = None
    authority_id: Identifier | None = None
    exception_id: Identifier | None = None
    claimed_basis: ClaimedBasis | None = None

    @property
    def key(self) -> str:
        """The key of the encounter on its topic: the subject if known, else the device."""
        return self.subject_ref or self.device_id


class AccessOutcome(Encounter):
    """Whether somebody came in, and whether a way without the face was offered."""

    kind: Literal["access_outcome"] = "access_outcome"
    face_scan_refused: bool
    alternative_offered: bool | None = None
    """Whether another reasonable, convenient way was offered; absent: not reported."""
    outcome: Literal["admitted", "denied"]
    method: Literal["face", "other"] | None = None
    """How the person identified themselves in the end; absent: not reported."""


class HumanReview(Encounter):
    """A person confirmed or overruled what a recogniser said of one match event."""

    kind: Literal["human_review"] = "human_review"
    match_event_id: Identifier
    result: Literal["confirmed", "overruled"]
    reviewers: Annotated[int, Field(ge=1, le=100)] = 1
    """How many competent persons agreed, each on their own."""


class Disclosure(Encounter):
    """Face data of one person was given to somebody else."""

    kind: Literal["disclosure"] = "disclosure"
    recipient_id: Identifier
    recipient_role: Literal["other_controller", "processor", "authority", "subject"]
    legal_basis: Literal[
        "consent",
        "legal_obligation",
        "contract",
        "financial_transaction",
        "warrant",
        "missing_or_deceased",
        "none",
    ]
    """The last but one: to identify somebody missing or dead, with an earlier consent (Texas B&C 503.001(c)(1)(A))."""
    evidence_ref: Identifier | None = None
    for_value: bool = False
    unsolicited: bool | None = None
    """Whether it was received without being asked for (San Francisco Admin Code 19B.2); absent: not reported."""


AnyEncounter = Annotated[AccessOutcome | HumanReview | Disclosure, Field(discriminator="kind")]
ENCOUNTER: Contract[AccessOutcome | HumanReview | Disclosure] = Contract(AnyEncounter)
