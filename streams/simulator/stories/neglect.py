"""Small neglects: one paper missing or one setting wrong, so that every rule of every pack has a story."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from schemas.registry import RegistryRecord
from streams.simulator.people import Person, member, restriction
from streams.simulator.premises import Plan, Premises
from streams.simulator.probes import disclosure, entry, probe
from streams.simulator.story import Event, Scene, Story, Told, after


def _house(name: str, title: str, *, public: bool = False) -> Plan:
    return Plan(
        name=name,
        title=title,
        site_kind="hotel" if public else "office_building",
        province="FJ",
        zone="lobby",
        public=public,
        controller_type="private" if public else "property_manager",
    )


class Neglect(Story):
    """A member meets a place with one flaw; `changes` are fields of the event, `missing` a kind of record."""

    changes: ClassVar[Mapping[str, Any]] = {}
    missing: ClassVar[str] = ""
    expected: ClassVar[tuple[str, ...]]

    def registry(self) -> Iterator[RegistryRecord]:
        """The premises without the missing paper."""
        yield from (record for record in super().registry() if record.key.partition("/")[0] != self.missing)

    def tell(self, at: datetime) -> Scene:
        """One member, one event."""
        person = member(self.clerk, self.premises, at)
        return Scene((Told(self.event(after(at, 0.3), person), open=self.expected),), person.records)

    def event(self, at: datetime, person: Person) -> Event:
        """What is reported of the member."""
        return probe(self.clerk, self.premises, at, person.subject_ref, **self.changes)


class NoSign(Neglect):
    """A public place where nobody ever verified a sign."""

    name = "no_sign"
    plan = _house("unsigned", "Unsigned Inn", public=True)
    expected = ("cn2025.art13.sign", "cnpipl.art26.sign", "cn2023.art07.sign")

    def alter(self, premises: Premises) -> Premises:
        """No sign at the site, none at the device."""
        return premises.but("site", sign_verified_at=None).but("device", sign_verified_at=None)


class NoAssessment(Neglect):
    """Recognition began before anybody assessed its impact."""

    name = "no_assessment"
    plan = _house("unassessed", "Unassessed House")
    missing = "assessment"
    expected = ("cn2025.art09.pia", "cnpipl.art55.pia", "cn2023.art15.pia")


class NoNotice(Neglect):
    """Nobody was told anything."""

    name = "no_notice"
    plan = _house("silent", "Silent House")
    missing = "notice"
    changes: ClassVar[Mapping[str, Any]] = {"notice_id": None}
    expected = ("cn2025.art05.notice", "cnpipl.art17.notice")


class NoticeWithoutRetention(Neglect):
    """The notice forgets to say how long faces are kept, which only the Measures ask."""

    name = "notice_without_retention"
    plan = _house("vague", "Vague House")
    expected = ("cn2025.art05.notice",)

    def alter(self, premises: Premises) -> Premises:
        """A notice that does not state the period."""
        return premises.but("notice", states_retention=False)


class NoPrompt(Neglect):
    """A notice hangs in the lobby, but at the desk nobody says what the face is for; only the draft asked for that."""

    name = "no_prompt"
    plan = _house("hasty", "Hasty Hotel", public=True)
    changes: ClassVar[Mapping[str, Any]] = {"notice_id": None}
    expected = ("cn2023.art09.prompt",)


class FacesInTheCloud(Neglect):
    """Face data leaves the device over the internet without anybody's consent to that."""

    name = "faces_in_the_cloud"
    plan = _house("cloud", "Cloud House")
    changes: ClassVar[Mapping[str, Any]] = {"storage_location": "cloud", "internet_transfer": True}
    expected = ("cn2025.art08.offdevice",)


class OriginalKept(Neglect):
    """The original picture is kept, which only the draft forbade."""

    name = "original_kept"
    plan = _house("album", "Album House")
    changes: ClassVar[Mapping[str, Any]] = {"original_image_retained": True}
    expected = ("cn2023.art17.original",)


class FaceFirst(Neglect):
    """There is a card, but the face is what is offered first; only the draft minded."""

    name = "face_first"
    plan = _house("forward", "Forward House")
    expected = ("cn2023.art04.nonbiometric-first",)

    def alter(self, premises: Premises) -> Premises:
        """The face comes first at the door."""
        return premises.but("site", recognition_default=True)


class BystanderKept(Neglect):
    """A search finds nobody, and the picture of whoever stood there is kept; the draft minded twice."""

    name = "bystander_kept"
    plan = replace(_house("keen", "Keen House"), operation="identification")
    changes: ClassVar[Mapping[str, Any]] = {"original_image_retained": True}
    expected = ("cn2023.art17.original", "cn2023.art18.bystander")

    def event(self, at: datetime, person: Person) -> Event:  # noqa: ARG002 -- nobody is found
        """The search that finds nobody."""
        return probe(self.clerk, self.premises, at, None, **self.changes)


class RestrictedPerson(Neglect):
    """A person disputes the data: it may be stored, and is matched all the same."""

    name = "restricted_person"
    plan = _house("dispute", "Dispute House")
    expected = ("cnpipl.art47.restricted-use",)

    def tell(self, at: datetime) -> Scene:
        """Restricted a tenth of a second before the match."""
        scene = super().tell(at)
        person = Person(scene.records[0].subject_ref, scene.records)
        return Scene(scene.told, (*scene.records, restriction(self.clerk, self.premises, person, after(at, 0.2))))


class SharedWithoutConsent(Neglect):
    """A house hands its visitors' faces to an insurer, who asked nobody."""

    name = "shared_without_consent"
    plan = _house("generous", "Generous House")
    expected = ("cnpipl.art23.share",)

    def event(self, at: datetime, person: Person) -> Event:
        """The disclosure."""
        return disclosure(self.clerk, self.premises, at, person.subject_ref, for_value=True)


class TenantBarred(Neglect):
    """A property manager lets nobody in who declines the scan."""

    name = "tenant_barred"
    in_time = ("cn2025.art12.coercion",)
    plan = _house("barred", "Barred House")
    expected = ("cn2025.art10.refuser", "cnpipl.art16.refusal", "cn2023.art14.building")

    def event(self, at: datetime, person: Person) -> Event:
        """The refusal at the door."""
        return entry(self.clerk, self.premises, at, person.subject_ref, refused=True, offered=False, outcome="denied")


NEGLECTS: tuple[type[Story], ...] = (
    NoSign,
    NoAssessment,
    NoNotice,
    NoticeWithoutRetention,
    NoPrompt,
    FacesInTheCloud,
    OriginalKept,
    FaceFirst,
    BystanderKept,
    RestrictedPerson,
    SharedWithoutConsent,
    TenantBarred,
)
