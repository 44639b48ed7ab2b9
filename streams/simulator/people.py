"""The people of the simulated world: tokens with an enrolment, consents and withdrawals, never a name.

Rules:
1. A person is known to one controller, as the token of a vault is.
2. Records carry the instant from which they hold; who writes them later than that breaks the promise of a feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.subject import ConsentGiven, ConsentWithdrawn, Enrolment, Restriction, SubjectRecord
from schemas.vocabulary import AgeBand, ConsentAction, ConsentForm, Giver
from streams.simulator.clerk import Clerk
from streams.simulator.premises import Premises

MEMBER_ACTIONS: tuple[ConsentAction, ...] = ("collect", "identify", "other_use")


@dataclass(frozen=True, slots=True)
class Person:
    """A token and what is on record about its bearer."""

    subject_ref: str
    records: tuple[SubjectRecord, ...]


def enrolled(clerk: Clerk, premises: Premises, since: datetime, *, age_band: AgeBand = "adult") -> Person:
    """A person whose reference is stored, and nothing agreed to yet."""
    subject_ref = clerk.subject_ref()
    record = Enrolment(
        record_id=clerk.number("en"),
        controller_id=premises.controller.id,
        subject_ref=subject_ref,
        valid_from=since,
        age_band=age_band,
        reference_database_id=premises.gallery.id,
        guardian_known=age_band == "under_14",
    )
    return Person(subject_ref, (record,))


def consent(
    clerk: Clerk,
    premises: Premises,
    person: Person,
    since: datetime,
    *,
    form: ConsentForm = "separate",
    giver: Giver = "self",
    actions: tuple[ConsentAction, ...] = MEMBER_ACTIONS,
) -> ConsentGiven:
    """A consent to the purpose of the place."""
    return ConsentGiven(
        record_id=clerk.number("cg"),
        controller_id=premises.controller.id,
        subject_ref=person.subject_ref,
        valid_from=since,
        purposes=(premises.purpose.id,),
        actions=actions,
        consent_form=form,
        giver=giver,
        privacy_notice=premises.notice.id,
        evidence_ref=f"doc-{clerk.number('ev')}",
    )


def withdrawal(clerk: Clerk, premises: Premises, person: Person, at: datetime) -> ConsentWithdrawn:
    """The person takes consent back at `at`, for the purpose of the place."""
    return ConsentWithdrawn(
        record_id=clerk.number("cw"),
        controller_id=premises.controller.id,
        subject_ref=person.subject_ref,
        valid_from=at,
        purposes=(premises.purpose.id,),
    )


def restriction(clerk: Clerk, premises: Premises, person: Person, at: datetime) -> Restriction:
    """From `at` on, data of the person may be stored and nothing else."""
    return Restriction(
        record_id=clerk.number("re"),
        controller_id=premises.controller.id,
        subject_ref=person.subject_ref,
        valid_from=at,
        basis="dispute",
    )


def member(
    clerk: Clerk,
    premises: Premises,
    since: datetime,
    *,
    age_band: AgeBand = "adult",
    form: ConsentForm = "separate",
    actions: tuple[ConsentAction, ...] = MEMBER_ACTIONS,
) -> Person:
    """A person who is enrolled and agreed; with a child the guardian agreed."""
    person = enrolled(clerk, premises, since, age_band=age_band)
    giver: Giver = "guardian" if age_band == "under_14" else "self"
    given = consent(clerk, premises, person, since, form=form, giver=giver, actions=actions)
    return Person(person.subject_ref, (*person.records, given))
