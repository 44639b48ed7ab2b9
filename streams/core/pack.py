"""The shape of a rule pack: what a lawyer writes in YAML, closed to unknown keys.

Rules:
1. Keys follow Sigma for metadata, Falco for exceptions, Prometheus for annotations; a rule's condition is SQL.
2. A draft was never law: its rules judge what would be if it were (`what_if`), are shown apart and never page.
3. Dates are local dates of the pack's time zone: the Measures began in Beijing, eight hours before Greenwich.
4. A rule is of one kind: a condition over one case, a window that counts cases or stored persons, or a deadline that
   something opens and something else fulfils. Each kind has its own keys and refuses those of the others.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.vocabulary import ControllerType, Level

Judges = Literal["match", "probe", "subject", "access_outcome", "human_review", "disclosure"]
"""What a rule judges: every match event, only rank 0 of a probe, only events about a person, or an encounter."""

Verdict = Literal["violation", "clear", "undetermined", "excused", "not_applicable", "open", "fulfilled"]
"""What a test may expect; a duty is also `open` (due later) or `fulfilled`."""
Per = Literal["device", "site", "purpose", "subject", "controller"]
KeyPart = Literal["controller", "subject", "site", "purpose", "device", "authority", "event", "record"]
# fmt: off
RecordKind = Literal[
    "consent_given", "consent_withdrawn", "enrolment", "erasure_request", "deletion", "request_answer", "restriction",
    "controller", "site", "device", "purpose", "authority", "assessment", "notice", "filing", "gallery", "exception",
]
# fmt: on
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9-]*){1,4}$", max_length=100)]
JurisdictionCode = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,8}){0,2}$")]
Line = Annotated[str, Field(min_length=3, max_length=300)]
Prose = Annotated[str, Field(min_length=3, max_length=4_000)]


class Shape(BaseModel):
    """A mapping of a pack: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


class Amount(Shape):
    """How long a duty may take."""

    after: Annotated[int, Field(ge=0, le=36_500)] | Annotated[str, Field(pattern=r"^[a-z_]{2,64}$")]
    """A number, or the name of a number of the trigger, such as `purpose_retention_days`."""
    unit: Literal["minutes", "hours", "days", "months", "years", "working_days"]
    calendar: Annotated[str, Field(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|local)$")] | None = None
    """Whose working days: a country such as `CN`, or `local` for the place where the rule applies."""
    roll: Literal["next_working_day"] | None = None
    counted_from: Annotated[str, Field(pattern=r"^[a-z_]{2,64}$")] | None = None
    """A time of the trigger; absent: its own instant."""
    from_end_of: Literal["month", "quarter", "year"] | None = None
    """Counts from the end of the local period that the trigger lies in."""

    @model_validator(mode="after")
    def _has_calendar(self) -> Self:
        if (self.unit == "working_days" or self.roll) and self.calendar is None:
            raise ValueError("expected 'calendar' beside working days")
        return self


class Clause(Shape):
    """Something that happens to a duty: a record, or a case."""

    record: RecordKind | None = None
    case: Judges | None = None
    condition: Prose | None = None
    """Over the fields of the record, or the facts of the case; absent: any."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.record is None) == (self.case is None):
            raise ValueError("expected 'record' or 'case'")
        return self


class Opening(Clause):
    """What opens a duty: a record, a case, or a number of stored persons."""

    stored_persons: Annotated[int, Field(ge=1)] | None = None
    """Opens at the first local day's end at which a controller stores data of so many persons."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.record, self.case, self.stored_persons].count(None) != 2:
            raise ValueError("expected one of 'record', 'case' and 'stored_persons'")
        return self


class Fulfilment(Clause):
    """What fulfils a duty."""

    at: Annotated[str, Field(pattern=r"^[a-z_]{2,64}$")] | None = None
    """A time of the record, at which it counts; absent: its `valid_from`."""
    earlier: bool = False
    """One that came before the duty opened counts too, while it is in force."""


class Extension(Clause):
    """What extends a duty that is still open."""

    due: Amount
    restarts: bool = False
    """Counts from what extends it, not from the deadline."""


class DeadlineShape(Shape):
    """A duty: what opens it, until when, and what fulfils it."""

    opens: Annotated[tuple[Opening, ...], Field(min_length=1)]
    key: Annotated[tuple[KeyPart, ...], Field(min_length=1)]
    """What has to agree between the trigger and what fulfils it."""
    once: Literal["each", "day", "month", "quarter", "year", "ever"] = "each"
    """How many duties one key may open: one a trigger, one a local period, or one."""
    continuing: bool = False
    """The trigger is a state: one that held already when the rule came into force opens a duty then."""
    due: Amount
    fulfilled_by: tuple[Fulfilment, ...] = ()
    """None: the trigger is itself the breach, once the time has passed."""
    extended_by: tuple[Extension, ...] = ()


class WindowShape(Shape):
    """A count over whole local days."""

    days: Annotated[int, Field(ge=1, le=31)]
    key: Literal["site", "controller", "subject", "purpose", "device"]
    count: Literal["cases", "subjects", "sites", "stored_persons"] = "cases"
    at_least: Annotated[int, Field(ge=1)]
    or_beyond: Literal["max_hits"] | None = None
    """What one exception record allows a day: where more of the cases name it, the bound is reached too."""
    unless: Prose | None = None
    """One such case in the window and the rule is silent: then it speaks at the window's end only."""


class Later(Shape):
    """What arrives after a verdict was given, and what is said then."""

    arrives: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    """Records, written as those of `given.more`."""
    until: datetime | date | str | None = None
    expect: Verdict
    why: Annotated[str, Field(pattern=r"^[a-z_]{3,40}$")] | None = None


class RuleTest(Shape):
    """One small world and what the rule says of it; `streams.core.rule_world` has the parts that `given` may change."""

    name: Line
    """What is so in this world, as a sentence."""
    shape: Literal["firing", "clear", "unknown", "boundary", "excused", "silent"]
    given: dict[str, Any] = {}
    at: datetime | date | None = None
    """When the event happens, local time unless it has a zone; absent: noon of a day on which the rule is in force."""
    until: datetime | date | str | None = None
    """Up to when the world is watched, for deadlines and windows; absent: long after."""
    expect: Verdict
    why: Annotated[str, Field(pattern=r"^[a-z_]{3,40}$")] | None = None
    """The reason, where it is undetermined."""
    then: tuple[Later, ...] = ()
    """What arrives later, step by step."""


class RuleShape(Shape):
    """One rule as it stands in a pack."""

    id: RuleId
    title: Line
    description: Prose
    citation: Line
    level: Level
    judges: Judges | None = None
    """What kind of case; a deadline, and a count of stored persons, has none."""
    condition: Prose | None = None
    exceptions: tuple[ExceptionClause, ...] = ()
    excusable: bool = True
    """False: no exception record excuses it, whatever it says."""
    per: Per
    annotations: Annotations
    revision: Annotated[int, Field(ge=1)] = 1
    in_force: InForce | None = None
    """Absent: that of the pack."""
    jurisdictions: tuple[JurisdictionCode, ...] | None = None
    """Absent: those of the pack; empty: everywhere."""
    controller_types: tuple[ControllerType, ...] = ()
    """Empty: every type."""
    kind: Literal["condition", "window", "deadline"] = "condition"
    window: WindowShape | None = None
    deadline: DeadlineShape | None = None
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

    @model_validator(mode="after")
    def _allowance_of_a_day(self) -> Self:
        window = self.window
        if window is None or window.or_beyond is None:
            return self
        if (window.days, window.key, window.count) != (1, "controller", "cases"):
            raise ValueError("expected 'or_beyond' beside one day, the key 'controller' and the count 'cases'")
        return self

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Self:
        stored = self.window is not None and self.window.count == "stored_persons"
        wanted = {
            "judges": self.kind == "condition" or (self.kind == "window" and not stored),
            "condition": self.kind == "condition" or (self.kind == "window" and not stored),
            "window": self.kind == "window",
            "deadline": self.kind == "deadline",
        }
        for key, needed in wanted.items():
            if (getattr(self, key) is not None) != needed:
                raise ValueError(f"expected {'a' if needed else 'no'} {key!r} in a rule of the kind {self.kind}")
        if self.kind == "deadline" and self.exceptions:
            raise ValueError("expected no exceptions of a deadline: what excuses it belongs to what opens it")
        return self


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
