"""States: what holds for one person towards one controller and purpose, worked out of the statements in force.

Rules:
1. Consent counts from its own instant up to its end; a withdrawal ends, at its own instant, every consent that it
   covers and that began then or before (PIPL Art. 15; at one instant withdrawal wins).
2. Nothing here knows whose statements they are, nor which of them were replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.core.claim import ENROLLED, GIVEN, RESTRICTED, WITHDRAWN, Claim
from streams.core.facts import Unknown
from streams.core.instant import NEVER
from streams.core.timeline import Statement

SEPARATE = frozenset({"separate", "written"})
EXPLICIT = SEPARATE | {"explicit"}
"""Forms in which somebody said yes to this very thing (GDPR Art. 9(2)(a))."""


class State(NamedTuple):
    """What holds for one person towards one controller and purpose on a stretch of time."""

    why: Unknown | None = None
    forms: tuple[str, ...] = ()
    givers: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    separate_actions: tuple[str, ...] = ()
    explicit_actions: tuple[str, ...] = ()
    withdrawn: bool = False
    age_band: str | None = None
    image_source: str | None = None
    restricted: bool = False
    stranger: bool = False
    """Nobody we could have a record of; what was agreed on the spot is all there is."""
    why_consent: Unknown | None = None
    """Why consent alone cannot be said."""

    @property
    def silent(self) -> bool:
        """Whether no record says anything of consent."""
        return not (self.forms or self.withdrawn)

    @property
    def rests_on_absence(self) -> bool:
        """Whether what is not consented to is said because no record was found; a withdrawal is a record."""
        return not (self.withdrawn or self.stranger or self.why or self.why_consent)


Own = list[Statement[Claim]]


class InForce(NamedTuple):
    """What of a person's statements is in force towards one controller and purpose at one instant."""

    consents: tuple[Claim, ...]
    withdrawn: bool
    age_band: str | None
    image_source: str | None
    restricted: bool


def in_force(own: Own, purpose_id: str | None, instant: int) -> InForce:
    """One pass over the statements towards one controller."""
    given: Own = []
    last_withdrawal, last_enrolment = -NEVER, (-NEVER, "")
    age_band: str | None = None
    image_source: str | None = None
    restricted = False
    for each in own:
        claim = each.content
        if each.valid_from > instant:
            continue
        if claim.kind == GIVEN:
            if purpose_id in claim.purposes:
                given.append(each)
        elif claim.kind == WITHDRAWN:
            if claim.withdraws(purpose_id):
                last_withdrawal = max(last_withdrawal, each.valid_from)
        elif claim.kind == ENROLLED:
            if (each.valid_from, each.record_id) > last_enrolment:
                last_enrolment = (each.valid_from, each.record_id)
                age_band, image_source = claim.age_band, claim.image_source
        elif claim.kind == RESTRICTED:
            restricted = restricted or instant < each.valid_until
    since = [each for each in given if each.valid_from > last_withdrawal]
    consents = tuple([each.content for each in since if instant < each.valid_until])
    return InForce(consents, last_withdrawal > -NEVER and not since, age_band, image_source, restricted)


def towards_no_purpose(own: Own, instant: int) -> State:
    """The state where no purpose is named: consent is known only if all purposes agree on it."""
    state = state_in_force(in_force(own, None, instant))
    named = {purpose for each in own for purpose in each.content.purposes}
    if all(state_in_force(in_force(own, purpose, instant)) == state for purpose in named):
        return state
    return State(
        why_consent=Unknown.NOT_REPORTED,
        age_band=state.age_band,
        image_source=state.image_source,
        restricted=state.restricted,
    )


def state_in_force(found: InForce) -> State:
    """The state that follows from what is in force."""
    separate = [claim for claim in found.consents if claim.form in SEPARATE]
    return State(
        forms=_words(claim.form for claim in found.consents),
        givers=_words(claim.giver for claim in found.consents),
        actions=_words(action for claim in found.consents for action in claim.actions),
        separate_actions=_words(action for claim in separate for action in claim.actions),
        explicit_actions=_words(a for claim in found.consents if claim.form in EXPLICIT for a in claim.actions),
        withdrawn=found.withdrawn,
        age_band=found.age_band,
        image_source=found.image_source,
        restricted=found.restricted,
    )


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))
