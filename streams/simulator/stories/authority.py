"""What an authority may do, with its papers and without them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from schemas.match import MatchEvent
from schemas.registry import AuthorityRecord, RegistryRecord
from streams.simulator.people import enrolled
from streams.simulator.premises import Plan, Premises
from streams.simulator.probes import probe
from streams.simulator.story import Scene, Story, Told, after

SENSITIVE = ("cnpipl.art28.sensitive-inference", "cn2023.art11.sensitive")


def order(premises: Premises, *, evidenced: bool, requested_by_subject: bool) -> AuthorityRecord:
    """A granted ground of public security for one site."""
    return AuthorityRecord(
        record_id=f"r-au-{premises.plan.name}",
        id=f"au-{premises.plan.name}",
        controller_id=premises.controller.id,
        valid_from=premises.site.valid_from,
        authority_type="administrative",
        basis="public_security",
        issuer="Bureau of Public Security",
        status="granted",
        evidence_ref=f"doc-order-{premises.plan.name}" if evidenced else None,
        site_ids=(premises.site.id,),
        requested_by_subject=requested_by_subject,
    )


class _AuthoritySearch(Story):
    """Recorded material is searched for one person, and ethnicity is inferred on the way."""

    evidenced: ClassVar[bool]

    def alter(self, premises: Premises) -> Premises:
        """The purpose itself allows the attribute, so that there is no drift."""
        return premises.but("purpose", attributes=("ethnicity",))

    def registry(self) -> Iterator[RegistryRecord]:
        """The premises and the order."""
        yield from super().registry()
        yield order(self.premises, evidenced=self.evidenced, requested_by_subject=True)

    def search(self, at: datetime, subject_ref: str) -> MatchEvent:
        """A hit in recorded material."""
        return probe(
            self.clerk,
            self.premises,
            at,
            subject_ref,
            timing="post",
            inferred_attributes=("ethnicity",),
            authority_id=f"au-{self.plan.name}",
            claimed_basis="public_security",
        )


def _street(name: str, title: str) -> Plan:
    return Plan(
        name=name,
        title=title,
        site_kind="street",
        province="BJ",
        zone="street",
        controller_type="law_enforcement",
        operation="identification",
        active=False,
        category="public_security",
        legal_basis="legal_obligation",
        purpose_text="Find persons named in an order",
    )


class AuthorityWithEvidence(_AuthoritySearch):
    """The order is on record with its paper: recorded as excused, never hidden."""

    name = "authority_with_evidence"
    plan = _street("police-east", "Police of the Eastern District")
    evidenced = True

    def tell(self, at: datetime) -> Scene:
        """One search under an order."""
        wanted = enrolled(self.clerk, self.premises, at)
        return Scene((Told(self.search(after(at, 0.3), wanted.subject_ref), excused=SENSITIVE),), wanted.records)


class AuthorityWithoutEvidence(_AuthoritySearch):
    """The same with an order that nobody can show: the claim excuses nothing and is a finding of its own."""

    name = "authority_without_evidence"
    in_time = ("core.exception.overuse",)
    plan = _street("police-west", "Police of the Western District")
    evidenced = False

    def tell(self, at: datetime) -> Scene:
        """One search under a claim."""
        wanted = enrolled(self.clerk, self.premises, at)
        event = self.search(after(at, 0.3), wanted.subject_ref)
        return Scene((Told(event, open=(*SENSITIVE, "core.exception.unevidenced")),), wanted.records)


class SearchThatNobodyAskedFor(Story):
    """A live search of a street under an evidenced order that no interested party asked for.

    The law in force has no rule against it; the draft of 2023 would have had one (Art. 10), so only it speaks.
    """

    name = "search_that_nobody_asked_for"
    plan = _street("police-south", "Police of the Southern District")

    def registry(self) -> Iterator[RegistryRecord]:
        """The premises and the order."""
        yield from super().registry()
        yield order(self.premises, evidenced=True, requested_by_subject=False)

    def tell(self, at: datetime) -> Scene:
        """A passer-by is searched and not found."""
        event = probe(self.clerk, self.premises, after(at, 0.3), authority_id=f"au-{self.plan.name}")
        return Scene((Told(event, open=("cn2023.art10.remote",)),))
