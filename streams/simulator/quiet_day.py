"""The quiet day: places under every law that we judge, where every record is in order and everything is done right.

Rules:
1. No rule of any pack has anything to say of it, nothing is undetermined, and no device leaves a blind spot.
2. It is wide in law and small in people: the same few act again and again, each event with an id of its own.
3. A city department of San Francisco may not use recognition at all, so there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from schemas.registry import AuthorityRecord, FeedRecord, RegistryRecord
from schemas.subject import Enrolment, SubjectRecord
from schemas.vocabulary import (
    AuthorityObjective,
    AuthorityType,
    ConsentForm,
    ControllerType,
    Operation,
    SearchLogField,
    SiteKind,
)
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.simulator.clerk import Clerk
from streams.simulator.people import MEMBER_ACTIONS, Person, consent, enrolled
from streams.simulator.premises import Plan, Premises, establish
from streams.simulator.probes import disclosure, entry, probe, review
from streams.simulator.source import Source, registry_source
from streams.simulator.story import Event

FOUNDED_DAYS = 400
PEOPLE = 12
"""Persons at each place, each of whom matches, and one in four of whom has an encounter."""
SUBJECT_KINDS = (
    *("consent_given", "consent_withdrawn", "enrolment", "erasure_request", "deletion", "request_answer"),
    "restriction",
)
SEARCH_LOG: tuple[SearchLogField, ...] = SearchLogField.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietPlace:
    """A place under one law; `order` is the kind of authority under which it searches, where it needs one."""

    name: str
    law: tuple[str, ...]
    timezone: str
    site_kind: SiteKind = "shop"
    controller_type: ControllerType = "private"
    operation: Operation = "verification"
    public: bool = True
    order: AuthorityType | None = None
    objective: AuthorityObjective | None = None

    @property
    def plan(self) -> Plan:
        """The plan of its premises."""
        return Plan(
            name=f"quiet-{self.name}",
            title=f"A quiet place: {self.name}",
            site_kind=self.site_kind,
            province="QUIET",
            public=self.public,
            zone="entrance" if self.order is None else "street",
            controller_type=self.controller_type,
            operation=self.operation,
            active=self.order is None,
            category="access_control" if self.order is None else "public_security",
            legal_basis="consent" if self.order is None else "legal_obligation",
        )


QUIET_PLACES = (
    QuietPlace(name="zoo", law=("CN", "CN-ZJ"), timezone="Asia/Shanghai", site_kind="zoo", operation="identification"),
    QuietPlace(name="tower", law=("CN", "CN-GD"), timezone="Asia/Shanghai", controller_type="property_manager"),
    QuietPlace(name="school", law=("CN", "CN-BJ"), timezone="Asia/Shanghai", controller_type="school"),
    QuietPlace(
        name="search", law=("CN", "CN-BJ"), timezone="Asia/Shanghai", site_kind="street",
        controller_type="law_enforcement", operation="identification", order="administrative",
        objective="missing_person",
    ),
    QuietPlace(name="office", law=("EU", "IE"), timezone="Europe/Dublin", controller_type="employer"),
    QuietPlace(name="agency", law=("EU", "DE"), timezone="Europe/Berlin", controller_type="public_agency"),
    QuietPlace(
        name="station", law=("EU", "FR"), timezone="Europe/Paris", site_kind="station",
        controller_type="law_enforcement", operation="identification", order="judicial", objective="missing_person",
    ),
    QuietPlace(name="loop", law=("US", "US-IL"), timezone="America/Chicago"),
    QuietPlace(
        name="harbour", law=("US", "US-MA"), timezone="America/New_York", site_kind="street",
        controller_type="law_enforcement", operation="identification", order="court_order",
        objective="missing_person",
    ),
    QuietPlace(name="broadway", law=("US", "US-NY", "US-NY-NYC"), timezone="America/New_York"),
    QuietPlace(name="bridge", law=("US", "US-OR", "US-OR-PDX"), timezone="America/Los_Angeles", public=False),
    QuietPlace(name="ranch", law=("US", "US-TX"), timezone="America/Chicago"),
    QuietPlace(name="sound", law=("US", "US-WA"), timezone="America/Los_Angeles"),
    QuietPlace(
        name="cascade", law=("US", "US-WA"), timezone="America/Los_Angeles", site_kind="street",
        controller_type="public_agency", operation="identification", order="warrant", objective="missing_person",
    ),
)  # fmt: skip
"""One place at least under each law."""


class QuietDay:
    """The day: `day` is its first instant in UTC; the same seed and day give the same records and events."""

    def __init__(self, seed: int, day: datetime) -> None:
        self.day, self.ended = day, day + timedelta(days=1)
        self._clerk = Clerk(seed, day)
        since = self._clerk.before(days=FOUNDED_DAYS)
        self._places = [(place, self._establish(place, since)) for place in QUIET_PLACES]
        self._people = {
            place.name: [self._person(place, held, since) for _ in range(PEOPLE)] for place, held in self._places
        }

    def registry(self) -> Iterator[RegistryRecord]:
        """Every registry record, heartbeats that vouch for the whole day among them."""
        for place, premises in self._places:
            yield from premises.records()
            if place.order is not None:
                yield _order(place, premises, tuple(each.subject_ref for each in self._people[place.name]))
            source = Source(
                feed_id=f"fe-{place.name}", controller_id=premises.controller.id, covers=SUBJECT_KINDS,  # type: ignore[arg-type]
            )  # fmt: skip
            yield self._vouched(source)
        yield self._vouched(registry_source())

    def _vouched(self, source: Source) -> FeedRecord:
        return source.heartbeat(self.ended + timedelta(hours=1), self.ended + timedelta(hours=1), 1)

    def subjects(self) -> Iterator[SubjectRecord]:
        """Every record of the people."""
        for people in self._people.values():
            for person in people:
                yield from person.records

    def frames(self, at_least: int) -> Iterator[tuple[CaseKind, pl.DataFrame]]:
        """At least so many events as frames, a kind each, spread evenly over the day."""
        patterns = list(self._patterns())
        times = -(-at_least // len(patterns))
        for kind in CaseKind:
            own = [event for event in patterns if event.kind == kind.value]  # type: ignore[union-attr]  # every event says its kind
            columns = MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
            yield kind, _repeated(frame_of(own, columns), times, self.day)

    def _patterns(self) -> Iterator[Event]:
        for place, premises in self._places:
            for number, person in enumerate(self._people[place.name]):
                yield from self._events(place, premises, person, with_encounter=number % 4 == 0)

    def _events(
        self, place: QuietPlace, premises: Premises, person: Person, *, with_encounter: bool
    ) -> Iterator[Event]:
        clerk, at = self._clerk, self.day
        authority = None if place.order is None else f"au-{place.name}"
        match = probe(
            clerk, premises, at, person.subject_ref,
            authority_id=authority, confirmations=2, search_log_fields=SEARCH_LOG,
            timing="realtime" if place.order is None else "post",
        )  # fmt: skip
        yield match
        if not with_encounter:
            return
        yield review(clerk, match, at)
        if place.order is None:
            yield entry(clerk, premises, at, None, refused=True, offered=True).model_copy(update={"method": "other"})
            told = {"recipient_role": "processor", "legal_basis": "consent", "unsolicited": False, "for_value": False}
            yield disclosure(clerk, premises, at, person.subject_ref, **told)

    def _establish(self, place: QuietPlace, since: datetime) -> Premises:
        """Premises of the place's plan with what other laws than the Chinese ask for besides."""
        premises = establish(place.plan, since)
        premises = premises.but("controller", exemptions=(), retention_policy_ref=f"doc-policy-{place.name}")
        premises = premises.but("site", jurisdictions=place.law, timezone=place.timezone)
        basis = "explicit_consent" if place.order is None else "substantial_public_interest"
        kept = {"special_category_basis": basis, "commercial": place.order is None, "retention_days": 3_650}
        premises = premises.but("purpose", **kept)
        return premises.but("gallery", criteria=())

    def _person(self, place: QuietPlace, premises: Premises, since: datetime) -> Person:
        person = enrolled(self._clerk, premises, since)
        (record,) = person.records
        assert isinstance(record, Enrolment), "whoever is enrolled has an enrolment"
        record = record.model_copy(update={"purpose_id": premises.purpose.id, "source_of_image": "capture"})
        form: ConsentForm = "written" if place.law[0] == "US" else "separate"
        given = consent(self._clerk, premises, person, since, form=form, actions=(*MEMBER_ACTIONS, "share"))
        return replace(person, records=(record, given) if place.order is None else (record,))


def _order(place: QuietPlace, premises: Premises, targets: tuple[str, ...]) -> AuthorityRecord:
    assert place.order is not None, "a place that needs no order has none"
    return AuthorityRecord(
        record_id=f"r-au-{place.name}",
        id=f"au-{place.name}",
        controller_id=premises.controller.id,
        valid_from=premises.site.valid_from,
        authority_type=place.order,
        basis="public_security",
        issuer="A court",
        status="granted",
        evidence_ref=f"doc-order-{place.name}",
        site_ids=(premises.site.id,),
        requested_by_subject=True,
        objective=place.objective,
        offence_annex_ii=True,
        max_penalty_years=10,
        target_refs=targets,
        urgent=False,
        requested_at=premises.site.valid_from,
        fria_ref=f"doc-fria-{place.name}",
        eu_registration_ref=f"doc-register-{place.name}",
        national_law_ref=f"doc-law-{place.name}",
        written_request_ref=f"doc-request-{place.name}",
        facts_ref=f"doc-facts-{place.name}",
        case_ref=f"doc-case-{place.name}",
        narrow=True,
    )


def _repeated(pattern: pl.DataFrame, times: int, day: datetime) -> pl.DataFrame:
    """The rows of a pattern so many times over, each with an id and an instant of its own."""
    count = pattern.height * times
    number = pl.int_range(count)
    step = 86_400_000_000 // max(1, count)
    instant = pl.lit(day, dtype=pl.Datetime("us", "UTC")) + pl.duration(microseconds=number * step)
    frame = pl.concat([pattern] * times, rechunk=True)
    suffix = pl.format("-{}", number // pattern.height)
    ids = [name for name in ("event_id", "probe_id", "match_event_id") if name in frame.columns]
    return frame.with_columns(*((pl.col(name) + suffix).alias(name) for name in ids), occurred_at=instant)
