"""Records that are not there: never written, never linked, or not heard of since Friday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.subject import SubjectRecord
from schemas.vocabulary import SubjectKind
from streams.simulator.clerk import Clerk
from streams.simulator.people import Person, enrolled, member
from streams.simulator.premises import Plan
from streams.simulator.probes import probe
from streams.simulator.source import SUBJECT_KINDS, Source, friday_evening_before
from streams.simulator.story import Scene, Story, Told, after

CONSENT_RULES = ("cn2025.art06.consent", "cnpipl.art13.consent", "cn2023.art05.consent")


def _offices(name: str, title: str) -> Plan:
    return Plan(name=name, title=title, site_kind="office_building", province="SC", zone="entrance", public=False)


class PurposeNeverRegistered(Story):
    """The event names a purpose that no registry knows."""

    name = "purpose_never_registered"
    plan = _offices("loft", "The Loft")

    def tell(self, at: datetime) -> Scene:
        """A member is matched, for whatever reason."""
        person = member(self.clerk, self.premises, at)
        event = probe(self.clerk, self.premises, after(at, 0.3), person.subject_ref, purpose_id="pu-somebodys-idea")
        expected = ("core.purpose.unknown", "cn2025.art04.purpose", "cnpipl.art06.purpose", "cn2023.art04.purpose")
        return Scene((Told(event, open=expected),), person.records)


class UnregisteredCamera(Story):
    """A camera that nobody registered: where it stands, and so which law holds, is unknown."""

    name = "unregistered_camera"
    in_time = ("core.record.missing",)
    plan = _offices("annex", "The Annex")

    def tell(self, at: datetime) -> Scene:
        """A member is matched by a camera out of nowhere."""
        person = member(self.clerk, self.premises, at)
        event = probe(
            self.clerk, self.premises, after(at, 0.3), person.subject_ref, device_id="de-out-of-nowhere", site_id=None
        )
        told = Told(event, open=("core.device.unregistered",), undetermined=CONSENT_RULES)
        return Scene((told,), person.records)


class IdNobodyLinked(Story):
    """The recogniser knows an id that the vault does not: nobody can say whose consent to look for."""

    name = "id_nobody_linked"
    plan = _offices("studio", "The Studio")

    def tell(self, at: datetime) -> Scene:
        """A match without a person."""
        event = probe(
            self.clerk,
            self.premises,
            after(at, 0.3),
            comparison_decision="match",
            comparison_score=0.97,
            on_site_consent=None,
            decision_effect="admit",
        )
        return Scene((Told(event, undetermined=CONSENT_RULES),))


class DeadFeed(Story):
    """The consent feed of one controller died on Friday evening: since then nobody knows, and nobody is accused."""

    name = "dead_feed"
    plan = _offices("quiet-house", "Quiet House")
    CONSENT_KINDS: tuple[SubjectKind, ...] = ("consent_given", "consent_withdrawn")

    def __init__(self, clerk: Clerk) -> None:
        super().__init__(clerk)
        since = clerk.before(days=60)
        self.agreed: Person = member(clerk, self.premises, since)
        self.silent: Person = enrolled(clerk, self.premises, since)

    def people(self) -> Iterator[SubjectRecord]:
        """One who agreed long ago, one of whom nothing but the enrolment is known."""
        yield from self.agreed.records
        yield from self.silent.records

    def sources(self) -> Iterator[Source]:
        """The dead feed of consents, and a living one of everything else."""
        controller_id = self.premises.controller.id
        yield Source(
            feed_id=f"fe-{controller_id}-consents",
            controller_id=controller_id,
            covers=self.CONSENT_KINDS,
            max_lag_seconds=3600,
            died_at=friday_evening_before(self.clerk.start),
        )
        others = tuple(kind for kind in SUBJECT_KINDS if kind not in self.CONSENT_KINDS)
        yield Source(feed_id=f"fe-{controller_id}", controller_id=controller_id, covers=others)

    def tell(self, at: datetime) -> Scene:
        """Both are matched."""
        matches = [
            probe(self.clerk, self.premises, after(at, seconds), person.subject_ref)
            for seconds, person in ((0.3, self.agreed), (0.5, self.silent))
        ]
        return Scene(tuple(Told(event, undetermined=CONSENT_RULES) for event in matches))
