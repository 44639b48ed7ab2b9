"""The world: seven lawful places, their people, and the traffic that no rule of any pack should speak about.

Rules:
1. Everything here is in order, under the draft of 2023 too; a violation on baseline traffic is a bug of ours.
2. Every optional fact is stated, so nothing on baseline traffic is undetermined either.
3. The street camera searches under an evidenced order that a family asked for; under any other ground the draft of
   2023 would have spoken (Art. 10), as the story of the search that nobody asked for shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.match import MatchEvent
from schemas.registry import RegistryRecord
from schemas.subject import SubjectRecord
from schemas.vocabulary import AgeBand
from streams.simulator.clerk import Clerk
from streams.simulator.people import MEMBER_ACTIONS, Person, enrolled, member
from streams.simulator.premises import Plan, Premises, establish
from streams.simulator.probes import disclosure, entry, probe, review
from streams.simulator.source import Source, subject_source
from streams.simulator.stories.authority import order
from streams.simulator.story import FOUNDED_DAYS, Event

MEMBERS = 400
"""People known at each place."""
STRANGER_SHARE = 0.12
ENCOUNTER_SHARE = 0.01
AGE_BANDS: tuple[tuple[AgeBand, float], ...] = (("adult", 0.9), ("from_14_to_17", 0.06), ("under_14", 0.04))

MALL = Plan(
    name="grand-mall",
    title="Grand Avenue Mall",
    site_kind="mall",
    province="SH",
    zone="shop_floor",
    operation="identification",
    category="marketing",
    purpose_text="Greet members who look into the kiosk",
)
OFFICE = Plan(
    name="harbour-tower",
    title="Harbour Tower",
    site_kind="office_building",
    province="GD",
    zone="entrance",
    public=False,
    controller_type="property_manager",
    purpose_text="Let tenants and their guests in",
)
AIRPORT = Plan(
    name="west-airport",
    title="Western Airport",
    site_kind="airport",
    province="SC",
    zone="gate",
    operation="identification",
    category="boarding",
    purpose_text="Board passengers who chose the face lane",
    alternatives=("staffed_gate",),
)
HOTEL = Plan(
    name="garden-hotel",
    title="Garden Hotel",
    site_kind="hotel",
    province="GD",
    zone="lobby",
    purpose_text="Check guests in who chose the kiosk",
)
ZOO = Plan(
    name="forest-zoo",
    title="Forest Zoo",
    site_kind="zoo",
    province="ZJ",
    zone="gate",
    operation="identification",
    purpose_text="Let holders of a season ticket in who chose the face lane",
    alternatives=("paper_ticket", "card"),
)
HOSPITAL = Plan(
    name="city-hospital",
    title="City Hospital",
    site_kind="hospital",
    province="HB",
    zone="lobby",
    controller_type="public_agency",
    purpose_text="Find the file of a patient who checks in",
)
STREET = Plan(
    name="street-police",
    title="Police of the Central District",
    site_kind="street",
    province="BJ",
    zone="street",
    controller_type="law_enforcement",
    operation="identification",
    active=False,
    category="public_security",
    legal_basis="legal_obligation",
    purpose_text="Find missing persons whose families asked for the search",
)
PLANS = (MALL, OFFICE, AIRPORT, HOTEL, ZOO, HOSPITAL, STREET)
MEMBER_SINCE_DAYS = (300.0, 30.0)


@dataclass(frozen=True, slots=True)
class Place:
    """Premises and the people known there; `authority_id` names the order under which it works, if it needs one."""

    premises: Premises
    people: tuple[Person, ...]
    authority_id: str | None = None


class World:
    """The lawful places and their traffic, drawn from the clerk's chance."""

    def __init__(self, clerk: Clerk, *, members: int = MEMBERS) -> None:
        self.clerk = clerk
        since = clerk.before(days=FOUNDED_DAYS)
        self.places = tuple(self._place(establish(plan, since), members) for plan in PLANS)
        self._last_hit: MatchEvent | None = None

    def registry(self) -> Iterator[RegistryRecord]:
        """What the registry says of all places."""
        for place in self.places:
            yield from place.premises.records()
            if place.authority_id is not None:
                yield order(place.premises, evidenced=True, requested_by_subject=True)

    def people(self) -> Iterator[SubjectRecord]:
        """What is on record of all people."""
        for place in self.places:
            for person in place.people:
                yield from person.records

    def sources(self) -> Iterator[Source]:
        """Where records about the people come from."""
        for place in self.places:
            yield subject_source(place.premises.controller.id)

    def traffic(self, at: datetime) -> Event:
        """Something lawful that happens at `at`."""
        chance = self.clerk.chance
        place = chance.choice(self.places)
        if chance.random() < ENCOUNTER_SHARE:
            return self._encounter(place, at)
        stranger = place.premises.plan.operation == "identification" and chance.random() < STRANGER_SHARE
        return self._probe(place, at, None if stranger else chance.choice(place.people).subject_ref)

    def _probe(self, place: Place, at: datetime, subject_ref: str | None) -> MatchEvent:
        if place.authority_id is None:
            return probe(self.clerk, place.premises, at, subject_ref)
        event = probe(self.clerk, place.premises, at, subject_ref, authority_id=place.authority_id)
        self._last_hit = event if subject_ref is not None else self._last_hit
        return event

    def _encounter(self, place: Place, at: datetime) -> Event:
        chance = self.clerk.chance
        subject_ref = chance.choice(place.people).subject_ref
        if place.authority_id is not None:
            hit = self._last_hit
            return self._probe(place, at, subject_ref) if hit is None else review(self.clerk, hit, at)
        if place.premises.plan is HOSPITAL:
            return disclosure(self.clerk, place.premises, at, subject_ref)
        refused = chance.random() < 0.3
        return entry(self.clerk, place.premises, at, None if refused else subject_ref, refused=refused, offered=True)

    def _place(self, premises: Premises, members: int) -> Place:
        if premises.plan is STREET:
            people = tuple(enrolled(self.clerk, premises, self._joined()) for _ in range(members))
            return Place(premises, people, authority_id=f"au-{premises.plan.name}")
        return Place(premises, tuple(self._member(premises) for _ in range(members)))

    def _member(self, premises: Premises) -> Person:
        bands, weights = zip(*AGE_BANDS, strict=True)
        age_band = self.clerk.chance.choices(bands, weights)[0]
        actions = (*MEMBER_ACTIONS, "share") if premises.plan is HOSPITAL else MEMBER_ACTIONS
        return member(self.clerk, premises, self._joined(), age_band=age_band, actions=actions)

    def _joined(self) -> datetime:
        earliest, latest = (self.clerk.before(days=days) for days in MEMBER_SINCE_DAYS)
        return self.clerk.within(earliest, latest - earliest)
