"""What was told of violations: to which receiver, about which group, and whether it arrived.

Rules:
1. It names a rule, a controller and a site, and never a person.
2. A failure that is recorded here is no longer owed: who reads the topic knows what a receiver never got.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.contract import Contract, Digest, Identifier, Message

Severity = Literal["critical", "warning", "info"]
"""How loud an alert is; a level of a rule maps to one of them, or to none."""


class Notification(Message):
    """One receiver was told something about a group of violations, or could not be told."""

    kind: Literal["notification"] = "notification"
    receiver: Identifier
    result: Literal["delivered", "failed"]
    about: Literal["raised", "corrected", "resolved", "violation", "summary"]
    """A group that began, was corrected or ended; one change of one violation; or many of a group at once."""
    rule_id: Identifier
    controller_id: Identifier
    site_id: Identifier | None = None
    severity: Severity
    violations: Annotated[int, Field(ge=0)]
    """How many stood in the group; in a summary, how many changes it tells of."""
    in_storm: bool = False
    """Told by a summary instead of by itself."""
    violation_id: Digest | None = None
    status: Literal["open", "retracted", "contested", "excused"] | None = None
    failure: Literal["unreachable", "busy", "refused"] | None = None
    http_status: Annotated[int, Field(ge=100, le=999)] | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if (self.result == "failed") != (self.failure is not None):
            raise PydanticCustomError("says_why", "expected failure where, and only where, the result is failed")
        return self

    @property
    def key(self) -> str:
        """The receiver."""
        return self.receiver


NOTIFICATION: Contract[Notification] = Contract(Notification)
