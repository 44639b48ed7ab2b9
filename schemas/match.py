"""A match event: one probe that was searched or compared, and at most one subject.

Rules:
1. A probe with several candidates at or above the threshold is several events of one `probe_id`, ranked from 0.
2. A non-match is an event too: searching a stranger's face is processing.
3. An absent field says "not reported"; the judge takes it for unknown, never for harmless.
4. What the event claims of itself (site, controller, basis) decides nothing; it reveals drift from the registry.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.contract import Contract, Identifier, Message, SubjectRef, UtcTime
from schemas.vocabulary import (
    Attribute,
    ClaimedBasis,
    ComparisonDecision,
    DecisionEffect,
    Operation,
    SearchLogField,
    StorageLocation,
    Timing,
)

Ratio = Annotated[float, Field(ge=0.0, le=1.0)]


class MatchEvent(Message):
    """One comparison of one probe with at most one subject, as the gateway of a recogniser reports it."""

    kind: Literal["match"] = "match"
    event_id: Identifier
    """Unique within the controller; the same id with a higher `event_version` corrects the event."""
    event_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    previous_key: Identifier | None = None
    """Key of the lower version, where a correction changed the subject."""
    probe_id: Identifier
    """Biometric probe (ISO/IEC 2382-37, 37.03.14) that was searched or compared."""
    rank: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Place in the biometric candidate list, from 0; rules about the probe judge rank 0 only."""
    occurred_at: UtcTime
    controller_id: Identifier
    """Controller whose gateway reports the event."""
    device_id: Identifier
    """Biometric capture device."""
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    operation: Operation
    timing: Timing | None = None
    active_involvement: bool | None = None
    """Whether the person takes part knowingly, as at a gate (EU AI Act, Art. 3(41))."""
    subject_ref: SubjectRef | None = None
    """Random token of the person, issued by the controller's vault; absent: a stranger, or an id nobody linked."""
    comparison_decision: ComparisonDecision
    comparison_score: Ratio | None = None
    comparison_threshold: Ratio | None = None
    inferred_attributes: Annotated[tuple[Attribute, ...], Field(strict=False, max_length=14)] | None = None
    """Traits inferred from the face; empty: none were, absent: the system does not say."""
    original_image_retained: bool | None = None
    storage_location: StorageLocation | None = None
    internet_transfer: bool | None = None
    reference_database_id: Identifier | None = None
    """Biometric reference database (37.03.17) that was searched: the `gallery` of the registry."""
    notice_id: Identifier | None = None
    """Notice that was given to this person at this probe, by screen, text or voice."""
    on_site_consent: bool | None = None
    """Whether this person agreed on the spot, for this probe alone; absent: not reported."""
    authority_id: Identifier | None = None
    exception_id: Identifier | None = None
    claimed_basis: ClaimedBasis | None = None
    decision_effect: DecisionEffect | None = None
    confirmations: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many competent persons confirmed the result, each on their own, before the decision took effect."""
    search_log_fields: Annotated[tuple[SearchLogField, ...], Field(strict=False, max_length=8)] | None = None
    """What was documented of the search; absent: not reported."""
    system_id: Identifier | None = None
    model_version: Identifier | None = None

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if self.comparison_decision == "non_match" and self.operation == "identification" and self.subject_ref:
            raise PydanticCustomError("subject", "expected no subject_ref on the non-match of an identification")
        if self.rank > 0 and self.comparison_decision == "non_match":
            raise PydanticCustomError("rank", "expected rank 0 on a non-match")
        return self

    @property
    def key(self) -> str:
        """The key of the event on its topic: the subject if known, else the device."""
        return self.subject_ref or self.device_id


MATCH: Contract[MatchEvent] = Contract(MatchEvent)
