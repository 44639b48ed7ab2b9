"""Tallies: what one partition tells the owner of a key, so that duties and counts may rest on cases of many partitions.

Rules:
1. A tally may come twice, since a crash writes it again: a case counts once by its event id, and a number of stored
   persons replaces the one that the same partition told before of the same year.
2. What is told of a case is corrected by telling it again: of two tallies about one case in one role the one of the
   higher `event_version` counts, and of these the one with the later `known_until`.
3. Nothing of a face, a place in a gallery or a score is in a tally.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.contract import Contract, Digest, Identifier, Message, SubjectRef, UtcTime


class CaseTally(Message):
    """One case that a rule enters for the holder of a key: it counts, silences, opens, fulfils or extends."""

    MINOR: ClassVar[int] = 2
    schema_version: str = "1.2"
    """Version of the contract; 1.1 added `exception_id` and `reason`, 1.2 `undone` and what follows it."""
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
    undone: Literal[True] | None = None
    """There where the case turned out to play the role no more."""
    event_version: Annotated[int, Field(ge=1)] | None = None
    known_until: UtcTime | None = None
    """Up to when the logs of records were read by whoever judged the case."""
    origin: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}/[0-9]{1,10}/[0-9]{1,19}$")] | None = None
    """Where the event lies: `topic/partition/offset`."""


class RestatedTally(Message):
    """A stretch of a log of events whose cases were told anew by whoever took it over: older tallies of it are void."""

    kind: Literal["restated"] = "restated"
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    partition: Annotated[int, Field(ge=0)]
    first_offset: Annotated[int, Field(ge=0)]
    end_offset: Annotated[int, Field(ge=0)]
    """The offset after the last one."""
    known_until: UtcTime
    """What was told with less knowledge of an event in between counts no more, unless it was told again."""


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


AnyTally = Annotated[CaseTally | RestatedTally | StoredTally | WindowTally, Field(discriminator="kind")]
TALLY: Contract[CaseTally | RestatedTally | StoredTally | WindowTally] = Contract(AnyTally)
