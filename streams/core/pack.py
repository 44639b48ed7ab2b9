"""The shape of a rule pack: what a lawyer writes in YAML, closed to unknown keys.

Rules:
1. Keys follow Sigma for metadata, Falco for exceptions, Prometheus for annotations; a rule's condition is SQL.
2. A draft was never law: its rules judge what would be if it were (`what_if`), are shown apart and never page.
3. Dates are local dates of the pack's time zone: the Measures began in Beijing, eight hours before Greenwich.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.vocabulary import ControllerType, Level

Judges = Literal["match", "probe", "subject", "access_outcome", "human_review", "disclosure"]
"""What a rule judges: every match event, only rank 0 of a probe, only events about a person, or an encounter."""

Verdict = Literal["violation", "clear", "undetermined", "excused", "not_applicable"]
Per = Literal["device", "site", "purpose", "subject", "controller"]
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9-]*){1,4}$", max_length=100)]
JurisdictionCode = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,8}){0,2}$")]
Line = Annotated[str, Field(min_length=3, max_length=300)]
Prose = Annotated[str, Field(min_length=3, max_length=4_000)]


class Shape(BaseModel):
    """A mapping of a pack: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class InForce(Shape):
    """When a rule holds: from the start of the first day up to, and without, the day `until`."""

    from_: Annotated[date, Field(alias="from")]
    until: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until <= self.from_:
            raise ValueError("expected 'until' after 'from'")
        return self


class ExceptionClause(Shape):
    """A ground on which a violation is excused: recorded, counted and shown, but not open."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    citation: Line
    condition: Prose


class Annotations(Shape):
    """What an alert says; it speaks of records that were not found, never of guilt."""

    summary: Line
    description: Prose
    runbook: Line


class RuleTest(Shape):
    """One small world and what the rule says of it; `streams.core.rule_world` has the parts that `given` may change."""

    name: Line
    """What is so in this world, as a sentence."""
    shape: Literal["firing", "clear", "unknown", "boundary", "excused", "silent"]
    given: dict[str, Any] = {}
    at: datetime | date | None = None
    """When the event happens, local time unless it has a zone; absent: noon of a day on which the rule is in force."""
    expect: Verdict
    why: Annotated[str, Field(pattern=r"^[a-z_]{3,40}$")] | None = None
    """The reason, where it is undetermined."""


class RuleShape(Shape):
    """One rule as it stands in a pack."""

    id: RuleId
    title: Line
    description: Prose
    citation: Line
    level: Level
    judges: Judges
    condition: Prose
    exceptions: tuple[ExceptionClause, ...] = ()
    per: Per
    annotations: Annotations
    revision: Annotated[int, Field(ge=1)] = 1
    in_force: InForce | None = None
    """Absent: that of the pack."""
    jurisdictions: tuple[JurisdictionCode, ...] | None = None
    """Absent: those of the pack; empty: everywhere."""
    controller_types: tuple[ControllerType, ...] = ()
    """Empty: every type."""
    kind: Literal["condition"] = "condition"
    on_unknown: Literal["undetermined"] = "undetermined"
    mode: Annotated[
        Literal["active", "shadow", "off"], BeforeValidator(lambda mode: "off" if mode is False else mode)
    ] = "active"
    confidence: Literal["firm", "likely", "unverified"] = "firm"
    limits: Prose | None = None
    """What the rule cannot see of the legal test."""
    references: tuple[Line, ...] = ()
    """Where to read more: texts of the law, guidance, decisions."""
    tests: tuple[RuleTest, ...] = ()


class PackShape(Shape):
    """One file of rules."""

    pack: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}(\.[a-z][a-z0-9-]{0,31})?$")]
    title: Line
    status: Literal["in_force", "draft"]
    description: Prose
    source: Prose
    jurisdictions: tuple[JurisdictionCode, ...] = ()
    timezone: str = "UTC"
    in_force: InForce
    """For a draft, the day of its publication."""
    rules: Annotated[tuple[RuleShape, ...], Field(min_length=1)]

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: Any) -> Any:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected an IANA time zone such as Asia/Shanghai") from None
        return name
