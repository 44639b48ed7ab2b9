"""What is known of each person, as states over time: consent per controller and purpose, age, restriction.

Rules:
1. A history is a pure fold over subject records, indifferent to their order and to duplicates.
2. Consent counts from its own instant up to its end; a withdrawal ends, at its own instant, every consent that it
   covers and that began then or before (PIPL Art. 15; at one instant withdrawal wins).
3. A state holds on a half-open stretch of time; states are interned, so a case carries a small integer.
4. Of a record only its claim is kept: a million records must fit a worker, and the first case of a person must not
   cost more than the others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import ItemsView, Iterable, Iterator
from typing import NamedTuple

from schemas.subject import SubjectRecord
from streams.core.claim import ENROLLED, GIVEN, RESTRICTED, WITHDRAWN, Asked, Claim, Claims
from streams.core.facts import Unknown
from streams.core.instant import NEVER, micros
from streams.core.timeline import Statement, Statements

SEPARATE = frozenset({"separate", "written"})
EXPLICIT = SEPARATE | {"explicit"}
"""Forms in which somebody said yes to this very thing (GDPR Art. 9(2)(a))."""
SEGMENTS_MAX = 64
"""Combinations of controller and purpose kept a person; a flood of made-up purposes must not fill the memory."""


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
Stretches = tuple[list[int], list[int]]
"""First instants, and what holds from each."""


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


class History(Statements[Claim]):
    """All statements about one person.

    Most persons made one statement, and there are millions of them: one costs no table of its own.
    """

    __slots__ = ("_segments", "only", "unreadable")

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = False
        self.only: Statement[Claim] | None = None
        """The statement of a person who made one, which is most of them."""
        self._segments: dict[tuple[str, str | None], Stretches] | None = None

    def changed(self) -> None:
        """Forget the states computed so far; a record came in."""
        alone = len(self) == 1 and not self.conflicting and not self.unreadable
        self.only = next(iter(self)) if alone else None
        self._segments = None

    def state_at(self, histories: Histories, controller_id: str, purpose_id: str | None, instant: int) -> int:
        """The interned state at `instant`, of a person who made more than one statement."""
        if self._segments is None or len(self._segments) >= SEGMENTS_MAX:
            self._segments = {}
        segments = self._segments.get((controller_id, purpose_id))
        if segments is None:
            segments = self.stretches(histories, controller_id, purpose_id)
            self._segments[controller_id, purpose_id] = segments
        starts, states = segments
        return states[bisect_right(starts, instant) - 1]

    def consent_records(self, controller_id: str, purpose_id: str | None, instant: int) -> list[str]:
        """The ids of the consents to a purpose that are in force, or of the withdrawals that ended them."""
        begun = [each for each in self._towards(controller_id) if each.valid_from <= instant]
        last = max((each.valid_from for each in begun if each.content.withdraws(purpose_id)), default=-NEVER)
        since = [each for each in begun if each.content.gives(purpose_id) and each.valid_from > last]
        if since:
            return [each.record_id for each in since if instant < each.valid_until]
        return [each.record_id for each in begun if each.valid_from == last and each.content.withdraws(purpose_id)]

    def withdrawn_at(self, controller_id: str, purpose_id: str | None, instant: int) -> int | None:
        """The latest withdrawal of consent to a purpose up to an instant, in microseconds; None where there is none."""
        begun = (each for each in self._towards(controller_id) if each.valid_from <= instant)
        return max((each.valid_from for each in begun if each.content.withdraws(purpose_id)), default=None)

    def consent_ends(self) -> list[int]:
        """The ends (microseconds) of the consents that have one and were not withdrawn before it, a value a purpose."""
        found: list[int] = []
        for each in self:
            if each.content.kind == GIVEN and each.valid_until != NEVER:
                own = self._towards(each.content.controller_id)
                for purpose_id in each.content.purposes:
                    withdrawn = (other.valid_from for other in own if other.content.withdraws(purpose_id))
                    if not any(each.valid_from <= at < each.valid_until for at in withdrawn):
                        found.append(each.valid_until)
        return found

    def near_consent_edge(self, controller_id: str, instant: int, skew: int) -> bool:
        """Whether a consent or a withdrawal begins or ends within `skew` microseconds of an instant."""
        return any(
            abs(edge - instant) <= skew
            for each in self._towards(controller_id)
            if each.content.kind in (GIVEN, WITHDRAWN)
            for edge in (each.valid_from, each.valid_until)
        )

    def enrolment_records(self, controller_id: str, instant: int) -> list[str]:
        """The id of the enrolment that tells the age at an instant."""
        own = self._towards(controller_id)
        begun = [each for each in own if each.content.kind == ENROLLED and each.valid_from <= instant]
        last = max(begun, key=lambda each: (each.valid_from, each.record_id), default=None)
        return [] if last is None else [last.record_id]

    def restriction_records(self, controller_id: str, instant: int) -> list[str]:
        """The ids of the restrictions in force."""
        own = [each for each in self._towards(controller_id) if each.content.kind == RESTRICTED]
        return [each.record_id for each in own if each.valid_from <= instant < each.valid_until]

    def _towards(self, controller_id: str) -> Own:
        return [statement for statement in self if statement.content.controller_id == controller_id]

    def stretches(self, histories: Histories, controller_id: str, purpose_id: str | None) -> Stretches:
        """First instants of the stretches on which one state holds, and the states; not kept."""
        if self.unreadable:
            return [-NEVER], [histories.intern(State(why=Unknown.RECORD_UNREADABLE))]
        if self.conflicting:
            return [-NEVER], [histories.intern(State(why=Unknown.CONFLICT))]
        own = self._towards(controller_id)
        edges = {edge for each in own for edge in (each.valid_from, each.valid_until)}
        edges.discard(NEVER)
        starts = sorted(edges)
        if purpose_id is None:
            states = [histories.intern(_towards_no_purpose(own, start)) for start in starts]
        else:
            states = [histories.state_of(in_force(own, purpose_id, start)) for start in starts]
        return [-NEVER, *starts], [NOTHING_KNOWN, *states]


def _towards_no_purpose(own: Own, instant: int) -> State:
    """The state where no purpose is named: consent is known only if all purposes agree on it."""
    state = _state(in_force(own, None, instant))
    named = {purpose for each in own for purpose in each.content.purposes}
    if all(_state(in_force(own, purpose, instant)) == state for purpose in named):
        return state
    return State(
        why_consent=Unknown.NOT_REPORTED,
        age_band=state.age_band,
        image_source=state.image_source,
        restricted=state.restricted,
    )


def _state(found: InForce) -> State:
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


ONES_MAX = 100_000
NOTHING_KNOWN = 0
"""The state before the first statement about a person, and of a person nobody spoke of."""
UNNAMED = -1
"""No state: a case that names nobody."""


class Histories:
    """The histories of all persons of a view, and the claims and states they share."""

    __slots__ = ("_by_ref", "_changes", "_ids", "_in_force", "_ones", "claims", "states")

    def __init__(self, claims: Claims | Asked | None = None) -> None:
        """`claims` may be shared with other histories; else the fields that duties ask are enough."""
        self.claims = claims if isinstance(claims, Claims) else Claims(claims)
        self._changes: dict[str, None] = {}
        self._by_ref: dict[str, History] = {}
        self._in_force: dict[InForce, int] = {}
        self._ones: dict[tuple[int, str | None, bool], int] = {}
        self.states: list[State] = [State()]
        self._ids: dict[State, int] = {self.states[NOTHING_KNOWN]: NOTHING_KNOWN}

    def add(self, record: SubjectRecord) -> int | None:
        """Take a record in; a readable record of a person ends an unreadable one.

        Gives the first instant at which an answer about the person may differ now; None where none does.
        """
        until = NEVER if record.valid_until is None else micros(record.valid_until)
        since, claim = micros(record.valid_from), self.claims.of(record)
        return self.put(record.subject_ref, Statement(record.record_id, record.record_version, since, claim, until))

    def put(self, subject_ref: str, statement: Statement[Claim]) -> int | None:
        """Take a statement in as `add` does, of a claim that these histories keep."""
        history = self._by_ref.get(subject_ref)
        if history is None:
            history = self._by_ref[subject_ref] = History()
        since = history.change(statement)
        if history.unreadable:
            history.unreadable, since = False, -NEVER
        if since is not None:
            history.changed()
            if statement.content.kind in self.claims.asked:
                self._changes[subject_ref] = None
        return since

    def mark_unreadable(self, subject_ref: str) -> None:
        """Remember that the newest record of a person cannot be read."""
        history = self._by_ref.setdefault(subject_ref, History())
        history.unreadable = True
        history.changed()
        if self.claims.asked:
            self._changes[subject_ref] = None

    def discard(self, subject_ref: str) -> None:
        """Forget a person, because another worker has taken over the partition."""
        self._by_ref.pop(subject_ref, None)

    def states_at(self, asked: Iterable[tuple[str | None, str, str | None, int]]) -> list[int]:
        """For each person, controller, purpose and instant the index into `states` that holds.

        NOTHING_KNOWN where no record is known, UNNAMED where nobody is. One loop without a call a row: it is run
        for every event, and calls took more than half of it.
        """
        found: list[int] = []
        add, history_of, one_of = found.append, self._by_ref.get, self._ones.get
        for subject_ref, controller_id, purpose_id, instant in asked:
            if subject_ref is None:
                add(UNNAMED)
                continue
            history = history_of(subject_ref)
            if history is None:
                add(NOTHING_KNOWN)
                continue
            only = history.only
            if only is None:
                add(history.state_at(self, controller_id, purpose_id, instant))
                continue
            content = only.content
            if instant < only.valid_from or content.controller_id != controller_id:
                add(NOTHING_KNOWN)
                continue
            # A claim is kept for ever, so its identity names it; hashing its words would cost more than all the rest.
            state = one_of((id(content), purpose_id, instant < only.valid_until))
            add(self._state_of_one(only, purpose_id, instant) if state is None else state)
        return found

    def consent_ends(self, subject_ref: str) -> list[int]:
        """The ends of a person's consents that run out, in microseconds."""
        history = self._by_ref.get(subject_ref)
        return [] if history is None else history.consent_ends()

    def take_changes(self) -> list[str]:
        """The persons of whom a kind of record that duties ask has changed since this was asked."""
        changes, self._changes = self._changes, {}
        return list(changes)

    def state_of(self, found: InForce) -> int:
        """The index of the state that follows from what is in force; computed once for all persons."""
        known = self._in_force.get(found)
        if known is None:
            known = self._in_force[found] = self.intern(_state(found))
        return known

    def _state_of_one(self, only: Statement[Claim], purpose_id: str | None, instant: int) -> int:
        """The index of the state that follows from a statement that has begun and stands alone; computed once."""
        if len(self._ones) >= ONES_MAX:
            self._ones.clear()
        if purpose_id is None:
            state = self.intern(_towards_no_purpose([only], instant))
        else:
            state = self.state_of(in_force([only], purpose_id, instant))
        self._ones[id(only.content), purpose_id, instant < only.valid_until] = state
        return state

    def intern(self, state: State) -> int:
        """The index of a state, given once and kept."""
        if state not in self._ids:
            self._ids[state] = len(self.states)
            self.states.append(state)
        return self._ids[state]

    def history(self, subject_ref: str) -> History | None:
        """The history of one person, if any record is known."""
        return self._by_ref.get(subject_ref)

    def items(self) -> ItemsView[str, History]:
        """Every person of whom a record speaks, with their history."""
        return self._by_ref.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_ref)

    def __len__(self) -> int:
        return len(self._by_ref)
