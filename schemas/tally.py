"""Tallies: what one partition tells the owner of a key, so that duties and counts may rest on cases of many partitions.

Rules:
1. A tally may come twice, since a crash writes it again: a case counts once by its event id, and a number of stored
   persons replaces the one that the same partition told before of the same year.
2. Nothing of a face, a place in a gallery or a score is in a tally.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.contract import Contract, Digest, Identifier, Message, SubjectRef, UtcTime


class CaseTally(Message):
    """One case that a rule enters for the holder of a key: it counts, silences, opens, fulfils or extends."""

    MINOR: ClassVar[int] = 1
    schema_version: str = "1.1"
    """Version of the contract; 1.1 added `exception_id` and `reason`."""
    kind: Literal["case"] = "case"
    rule_id: Identifier
    revision: Annotated[int, Field(ge=1)]
    role: Annotated[str, Field(pattern=r"^(counts|unless|(opens|fulfils|extends)-[0-9]{1,2})$")]
    certain: bool = True
    """False where it could not be judged whether the case meets the condition."""
    reason: Annotated[str, Field(pattern=r"^[a-z_]{3,40}$")] | None = None
    """Why it could not be judged."""
    event_id: Identifier
    occurred_at: UtcTime
    controller_id: Identifier
    subject_ref: SubjectRef | None = None
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    device_id: Identifier | None = None
    authority_id: Identifier | None = None
    exception_id: Identifier | None = None
    match_event_id: Identifier | None = None
    """The match event that a human review is about."""


class StoredTally(Message):
    """How many persons of one partition a controller stored at the end of each local day on which that changed."""

    kind: Literal["stored"] = "stored"
    controller_id: Identifier
    partition: Annotated[int, Field(ge=0)]
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$", max_length=64)]
    year: Annotated[int, Field(ge=1970, le=2199)]
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=366)], ...], Field(strict=False, max_length=366)]
    """Days of the year, from 1."""
    persons: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, max_length=366)]
    """As many as `days`."""

    @model_validator(mode="after")
    def _in_step(self) -> Self:
        if len(self.days) != len(self.persons):
            raise PydanticCustomError("in_step", "expected as many persons as days")
        return self


class WindowTally(Message):
    """A window whose bound was reached, as was said, or was not after all: who takes the key over can take it back."""

    MINOR: ClassVar[int] = 1
    schema_version: str = "1.1"
    """Version of the contract; 1.1 added `undone` and what the window is about."""
    kind: Literal["window"] = "window"
    rule_id: Identifier
    revision: Annotated[int, Field(ge=1)]
    controller_id: Identifier
    window_id: Digest
    occurred_at: UtcTime
    """The first instant of the window."""
    undone: Literal[True] | None = None
    """There where it was said afterwards that the bound was not reached."""
    subject_ref: SubjectRef | None = None
    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    device_id: Identifier | None = None
    authority_id: Identifier | None = None


AnyTally = Annotated[CaseTally | StoredTally | WindowTally, Field(discriminator="kind")]
TALLY: Contract[CaseTally | StoredTally | WindowTally] = Contract(AnyTally)
