"""What the monitor says: violations, duties, receipts and rejections.

Rules:
1. A violation's id comes from rule, revision, event and subject alone, so a breach never has two; where no single event
   is the breach, from rule, revision, key and what opened the duty, or the window.
2. No clock time of ours stands in a violation: a repeat after a crash is byte-identical.
3. Whoever folds violations by their id keeps the last word about the highest version of the event: a corrected event
   may move to another partition, and what is taken back on the old one may be read after what is said on the new one.
   A first word after a correction of the same version says nothing: it was written again (`Violation.is_overtaken`).
4. A rejection never holds what looks like biometrics: those bytes stay where they were, and only their place is told.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.contract import Contract, Digest, Identifier, Message, Reason, SubjectRef, Text, UtcTime
from schemas.vocabulary import Level

REJECTION_BYTES_MAX = 143_360
"""A rejection is larger than the message it holds: 128 KiB of value, 4 KiB of key, and room for the rest."""

Offset = Annotated[int, Field(ge=0)]
Cause = Literal["judged", "record", "event", "reconciled"]
"""What led to a status: the first judgement, a late record, a corrected event, or a comparison with the log."""
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class Violation(Message):
    """No lawful record was found for one case, or by a deadline, or a count reached a bound; or this is excused."""

    MINOR: ClassVar[int] = 1
    schema_version: str = "1.1"
    """Version of the contract; 1.1 added `boundary` and what a change tells of its reason."""
    kind: Literal["violation"] = "violation"
    violation_id: Digest
    status: Literal["open", "retracted", "contested", "excused"]
    cause: Cause = "judged"
    """What led to this status: the first judgement, a late record, a corrected event, or a reconciling replay."""
    rule_id: Identifier
    revision: Annotated[int, Field(ge=1)]
    level: Level
    standing: Literal["in_force", "what_if"]
    """`what_if`: a draft that was never law, or a rule in shadow; shown apart and never paging."""
    excused_by: tuple[str, ...] = Field(default=(), strict=False)
    """Names of the rule's exceptions that hold."""
    event_id: Identifier | None = None
    """Absent for a deadline and a window, which no single event breaches."""
    event_version: Annotated[int, Field(ge=1)] = 1
    event_kind: Literal["match", "access_outcome", "human_review", "disclosure", "deadline", "window"]
    occurred_at: UtcTime
    """When the event happened; of a deadline its last instant, of a window its first."""
    controller_id: Identifier
    device_id: Identifier | None = None
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    subject_ref: SubjectRef | None = None
    deciding_records: tuple[Identifier, ...] = Field(default=(), strict=False)
    """Records in force at the match on which the verdict rests, `record_id` sorted; of a deadline what opened it."""
    boundary: Literal[True] | None = None
    """There where the event lies within the skew of the clocks of an edge of a consent: either clock may be wrong."""
    changed_by: Annotated[tuple[Identifier, ...], Field(strict=False)] | None = None
    """The records that led to a change, sorted; absent on a first judgement."""
    in_force_since: UtcTime | None = None
    """Since when the latest of them is in force."""
    reached_log_at: UtcTime | None = None
    """When the broker took it: so much later than `in_force_since` it came."""
    authority_id: Identifier | None = None
    """The authority that a duty is about."""
    obligation_id: Digest | None = None
    """The duty whose deadline has passed."""
    window_until: UtcTime | None = None
    """The last instant of the window, which may be ahead."""
    bound: Annotated[int, Field(ge=1)] | None = None
    """The number that a window reached."""

    @property
    def corrects(self) -> bool:
        """Whether something was said of the violation before."""
        return self.cause != "judged"

    def is_overtaken(self, *, version: int, corrected: bool) -> bool:
        """Whether this says nothing any more, after a log that says so much of the violation already.

        An older version of the event says nothing after a newer one, and a first word nothing after a correction: a
        worker that was killed or frozen may write once more what it had in hand, behind those who went on.
        """
        if self.event_version != version:
            return self.event_version < version
        return corrected and not self.corrects

    @model_validator(mode="after")
    def _names_its_event(self) -> Self:
        of_case = self.event_kind not in ("deadline", "window")
        if of_case and (self.event_id is None or self.device_id is None):
            raise PydanticCustomError("names_its_event", "expected event_id and device_id of an event")
        if self.event_kind == "deadline" and self.obligation_id is None:
            raise PydanticCustomError("names_its_duty", "expected obligation_id of a deadline")
        return self


class Obligation(Message):
    """A duty was opened, fulfilled in time, or not; or it was said to be breached, and nothing opens it any more."""

    MINOR: ClassVar[int] = 1
    schema_version: str = "1.1"
    """Version of the contract; 1.1 added the status `void`."""
    kind: Literal["obligation"] = "obligation"
    obligation_id: Digest
    status: Literal["open", "fulfilled", "breached", "void"]
    rule_id: Identifier
    revision: Annotated[int, Field(ge=1)]
    level: Level
    standing: Literal["in_force", "what_if"]
    controller_id: Identifier
    subject_ref: SubjectRef | None = None
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    device_id: Identifier | None = None
    authority_id: Identifier | None = None
    opened_by: Identifier
    """The record or event that opened it, or the day on which a number of stored persons did."""
    opened_at: UtcTime
    due_at: UtcTime
    """The last instant in time."""
    fulfilled_by: Identifier | None = None


class Receipt(Message):
    """One line of the ledger: which offsets of a partition were judged, rejected or forwarded, by which rulebook."""

    kind: Literal["receipt"] = "receipt"
    topic: Topic
    partition: Annotated[int, Field(ge=0)]
    first_offset: Offset
    last_offset: Offset
    judged: Annotated[int, Field(ge=0)]
    rejected: Annotated[int, Field(ge=0)]
    forwarded: Annotated[int, Field(ge=0)]
    input_digest: Digest
    rulebook_digest: Digest
    frontier: dict[str, Annotated[tuple[int, ...], Field(strict=False)]]
    """Next offsets by partition of each record log that was known."""
    previous: Digest | None = None


class Rejection(Message):
    """A message that is no contract: where it was, why, and its bytes unless they may be biometric or are too many."""

    kind: Literal["rejection"] = "rejection"
    topic: Topic
    partition: Annotated[int, Field(ge=0)]
    offset: Offset
    reason: Annotated[Reason, Field(strict=False)]
    expected: Text
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Digest
    key_base64: Annotated[str, Field(max_length=4_096)] | None = None
    value_base64: Annotated[str, Field(max_length=131_072)] | None = None
    """The bytes; absent where they look biometric or exceed the bound of a message."""


VIOLATION: Contract[Violation] = Contract(Violation)
OBLIGATION: Contract[Obligation] = Contract(Obligation)
RECEIPT: Contract[Receipt] = Contract(Receipt)
REJECTION: Contract[Rejection] = Contract(Rejection, bytes_max=REJECTION_BYTES_MAX)
