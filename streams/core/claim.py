"""A claim: what one subject record says, without its id, its person and its times; whoever says the same shares it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from schemas.subject import ConsentGiven, ConsentWithdrawn, Enrolment, Restriction, SubjectRecord

GIVEN, WITHDRAWN, ENROLLED, RESTRICTED = "consent_given", "consent_withdrawn", "enrolment", "restriction"


class Claim(NamedTuple):
    """What of one record decides, without its id and times."""

    kind: str
    controller_id: str
    purposes: tuple[str, ...] = ()
    form: str = ""
    giver: str = ""
    actions: tuple[str, ...] = ()
    age_band: str | None = None
    image_source: str | None = None
    said: tuple[tuple[str, object], ...] = ()
    """The fields of the record that duties ask, by name."""

    def gives(self, purpose_id: str | None) -> bool:
        """Whether it is a consent to a purpose."""
        return self.kind == GIVEN and purpose_id in self.purposes

    def withdraws(self, purpose_id: str | None) -> bool:
        """Whether it withdraws consent to a purpose; a withdrawal that names none is about all."""
        return self.kind == WITHDRAWN and (not self.purposes or purpose_id in self.purposes)


Asked = Mapping[str, tuple[str, ...]]
"""By kind of record, the fields that duties ask of it."""


class Claims:
    """The claims of all records of some views, each kept for ever: one object, and one number, for all who make it."""

    __slots__ = ("_numbers", "asked", "made")

    def __init__(self, asked: Asked | None = None) -> None:
        self.asked: Asked = asked or {}
        self.made: list[Claim] = []
        """Every claim at the place of its number."""
        self._numbers: dict[Claim, int] = {}

    def number(self, record: SubjectRecord) -> int:
        """The number of the claim of a record."""
        claim = claim_of(record, self.asked)
        number = self._numbers.get(claim)
        if number is None:
            number = self._numbers[claim] = len(self.made)
            self.made.append(claim)
        return number

    def of(self, record: SubjectRecord) -> Claim:
        """The claim of a record."""
        return self.made[self.number(record)]

    def numbers(self, kinds: Collection[str]) -> list[int]:
        """The numbers of the claims of some kinds of record."""
        return [number for number, claim in enumerate(self.made) if claim.kind in kinds]


def claim_of(record: SubjectRecord, asked: Asked) -> Claim:
    """The claim of a record, with the fields that are asked of its kind."""
    claim = _claim(record)
    names = asked.get(claim.kind)
    return claim if not names else claim._replace(said=tuple([(name, said_by(record, name)) for name in names]))


def said_by(record: SubjectRecord, name: str) -> object:
    """What a record says in one field, as a condition sees it."""
    value = getattr(record, name)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _claim(record: SubjectRecord) -> Claim:
    match record:
        case ConsentGiven(controller_id=controller, purposes=purposes):
            return Claim(GIVEN, controller, purposes, record.consent_form, record.giver, record.actions)
        case ConsentWithdrawn(controller_id=controller, purposes=purposes):
            return Claim(WITHDRAWN, controller, purposes)
        case Enrolment(controller_id=controller, age_band=band, source_of_image=image):
            return Claim(ENROLLED, controller, age_band=None if band == "unknown" else band, image_source=image)
        case Restriction(controller_id=controller):
            return Claim(RESTRICTED, controller)
    return Claim(record.kind, record.controller_id)  # type: ignore[attr-defined]  # each kind fixes its own literal
