"""What the monitor says: violations, receipts and rejections.

Rules:
1. A violation's id comes from rule, revision, event and subject alone, so a breach never has two.
2. No clock time of ours stands in a violation: a repeat after a crash is byte-identical.
3. A rejection never holds what looks like biometrics: those bytes stay where they were, and only their place is told.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.contract import Contract, Digest, Identifier, Message, Reason, SubjectRef, Text, UtcTime
from schemas.vocabulary import Level

REJECTION_BYTES_MAX = 143_360
"""A rejection is larger than the message it holds: 128 KiB of value, 4 KiB of key, and room for the rest."""

Offset = Annotated[int, Field(ge=0)]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class Violation(Message):
    """No rule's lawful record was found for one case, or the breach it indicates is excused."""

    kind: Literal["violation"] = "violation"
    violation_id: Digest
    status: Literal["open", "retracted", "contested", "excused"]
    cause: Literal["judged", "record", "event", "reconciled"] = "judged"
    """What led to this status: the first judgement, a late record, a corrected event, or a reconciling replay."""
    rule_id: Identifier
    revision: Annotated[int, Field(ge=1)]
    level: Level
    standing: Literal["in_force", "what_if"]
    """`what_if`: a draft that was never law, or a rule in shadow; shown apart and never paging."""
    excused_by: tuple[str, ...] = Field(default=(), strict=False)
    """Names of the rule's exceptions that hold."""
    event_id: Identifier
    event_version: Annotated[int, Field(ge=1)] = 1
    event_kind: Literal["match", "access_outcome", "human_review", "disclosure"]
    occurred_at: UtcTime
    controller_id: Identifier
    device_id: Identifier
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    subject_ref: SubjectRef | None = None
    deciding_records: tuple[Identifier, ...] = Field(default=(), strict=False)
    """Records in force at the match on which the verdict rests, `record_id` sorted."""


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
RECEIPT: Contract[Receipt] = Contract(Receipt)
REJECTION: Contract[Rejection] = Contract(Rejection, bytes_max=REJECTION_BYTES_MAX)
