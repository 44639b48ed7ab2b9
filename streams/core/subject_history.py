"""What is known of each person, as states over time: consent per controller and purpose, age, restriction.

Rules:
1. A history is a pure fold over subject records, indifferent to their order and to duplicates.
2. Consent counts from its own instant up to its end; a withdrawal ends, at its own instant, every consent that it
   covers and that began then or before (PIPL Art. 15; at one instant withdrawal wins).
3. A state holds on a half-open stretch of time; states are interned, so a case carries a small integer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from schemas.subject import ConsentGiven, ConsentWithdrawn, Enrolment, Restriction, SubjectRecord
from streams.core.facts import Unknown
from streams.core.instant import NEVER, micros
from streams.core.timeline import Statement, Statements

SEPARATE = frozenset({"separate", "written"})
SEGMENTS_MAX = 64
"""Combinations of controller and purpose kept a person; a flood of made-up purposes must not fill the memory."""


class State(NamedTuple):
    """What holds for one person towards one controller and purpose on a stretch of time."""

    why: Unknown | None = None
    forms: tuple[str, ...] = ()
    givers: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    separate_actions: tuple[str, ...] = ()
    withdrawn: bool = False
    age_band: str | None = None
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


class History(Statements[SubjectRecord]):
    """All statements about one person."""

    __slots__ = ("_segments", "unreadable")

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = False
        self._segments: dict[tuple[str, str | None], tuple[list[int], list[int]]] = {}

    def changed(self) -> None:
        """Forget the states computed so far; a record came in."""
        self._segments.clear()

    def state_at(self, histories: Histories, controller_id: str, purpose_id: str | None, instant: int) -> int:
        """The interned state at `instant`."""
        segments = self._segments.get((controller_id, purpose_id))
        if segments is None:
            if len(self._segments) >= SEGMENTS_MAX:
                self._segments.clear()
            segments = self._segments[controller_id, purpose_id] = self._cut(histories, controller_id, purpose_id)
        starts, states = segments
        return states[bisect_right(starts, instant) - 1]

    def consent_records(self, controller_id: str, purpose_id: str | None, instant: int) -> list[str]:
        """The ids of the consents to a purpose that are in force, or of the withdrawals that ended them."""
        own = self._towards(controller_id)
        consents = [record.record_id for record in consents_in_force(own, purpose_id, instant)]
        if consents:
            return consents
        last = last_withdrawal(own, purpose_id, instant)
        if last is None or _given_after(own, purpose_id, last, instant):
            return []
        return [each.record_id for each in own if each.valid_from == last and _withdraws(each.content, purpose_id)]

    def enrolment_records(self, controller_id: str, instant: int) -> list[str]:
        """The id of the enrolment that tells the age at an instant."""
        last = _last_enrolment(self._towards(controller_id), instant)
        return [] if last is None else [last.record_id]

    def restriction_records(self, controller_id: str, instant: int) -> list[str]:
        """The ids of the restrictions in force."""
        return [each.record_id for each in self._towards(controller_id) if _restricts(each, instant)]

    def _towards(self, controller_id: str) -> list[Statement[SubjectRecord]]:
        return [statement for statement in self if statement.content.controller_id == controller_id]

    def _cut(self, histories: Histories, controller_id: str, purpose_id: str | None) -> tuple[list[int], list[int]]:
        own = self._towards(controller_id)
        edges = {edge for each in own for edge in (each.valid_from, each.valid_until) if edge < NEVER}
        starts = [-NEVER, *sorted(edges)]
        return starts, [histories.intern(self._state_of(own, purpose_id, start)) for start in starts]

    def _state_of(self, own: list[Statement[SubjectRecord]], purpose_id: str | None, instant: int) -> State:
        """The state towards a purpose; where none is named, consent is known only if all purposes agree on it."""
        state = self._state(own, purpose_id, instant)
        if purpose_id is not None:
            return state
        named = {each for statement in own for each in getattr(statement.content, "purposes", ())}
        if all(self._state(own, each, instant) == state for each in named):
            return state
        return State(why_consent=Unknown.NOT_REPORTED, age_band=state.age_band, restricted=state.restricted)

    def _state(self, own: list[Statement[SubjectRecord]], purpose_id: str | None, instant: int) -> State:
        if self.unreadable:
            return State(why=Unknown.RECORD_UNREADABLE)
        if self.conflicting:
            return State(why=Unknown.CONFLICT)
        consents = tuple(consents_in_force(own, purpose_id, instant))
        withdrawn = last_withdrawal(own, purpose_id, instant)
        enrolled = _last_enrolment(own, instant)
        return State(
            forms=_words(consent.consent_form for consent in consents),
            givers=_words(consent.giver for consent in consents),
            actions=_words(action for consent in consents for action in consent.actions),
            separate_actions=_words(
                action for consent in consents if consent.consent_form in SEPARATE for action in consent.actions
            ),
            withdrawn=withdrawn is not None and not _given_after(own, purpose_id, withdrawn, instant),
            age_band=None if enrolled is None or enrolled.age_band == "unknown" else enrolled.age_band,
            restricted=any(_restricts(each, instant) for each in own),
        )


class Histories:
    """The histories of all persons of a view, and the states they share."""

    __slots__ = ("_by_ref", "_ids", "states")

    def __init__(self) -> None:
        self._by_ref: dict[str, History] = {}
        self.states: list[State] = [State()]
        self._ids: dict[State, int] = {self.states[0]: 0}

    def add(self, record: SubjectRecord) -> None:
        """Take a record in; a readable record of a person ends an unreadable one."""
        history = self._by_ref.setdefault(record.subject_ref, History())
        until = NEVER if record.valid_until is None else micros(record.valid_until)
        changed = history.add(
            Statement(record.record_id, record.record_version, micros(record.valid_from), record, until)
        )
        if changed or history.unreadable:
            history.unreadable = False
            history.changed()

    def mark_unreadable(self, subject_ref: str) -> None:
        """Remember that the newest record of a person cannot be read."""
        history = self._by_ref.setdefault(subject_ref, History())
        history.unreadable = True
        history.changed()

    def discard(self, subject_ref: str) -> None:
        """Forget a person, because another worker has taken over the partition."""
        self._by_ref.pop(subject_ref, None)

    def state_at(self, subject_ref: str, controller_id: str, purpose_id: str | None, instant: int) -> int:
        """The index into `states` that holds; 0, the state of nobody, where no record is known."""
        history = self._by_ref.get(subject_ref)
        return 0 if history is None else history.state_at(self, controller_id, purpose_id, instant)

    def intern(self, state: State) -> int:
        """The index of a state, given once and kept."""
        if state not in self._ids:
            self._ids[state] = len(self.states)
            self.states.append(state)
        return self._ids[state]

    def history(self, subject_ref: str) -> History | None:
        """The history of one person, if any record is known."""
        return self._by_ref.get(subject_ref)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_ref)

    def __len__(self) -> int:
        return len(self._by_ref)


def consents_in_force(
    own: list[Statement[SubjectRecord]], purpose_id: str | None, instant: int
) -> Iterator[ConsentGiven]:
    """The consents that cover a purpose at an instant, of the statements towards one controller."""
    withdrawn = last_withdrawal(own, purpose_id, instant)
    for each in own:
        record = each.content
        if not isinstance(record, ConsentGiven) or purpose_id not in record.purposes:
            continue
        if each.valid_from <= instant < each.valid_until and (withdrawn is None or withdrawn < each.valid_from):
            yield record


def last_withdrawal(own: list[Statement[SubjectRecord]], purpose_id: str | None, instant: int) -> int | None:
    """The instant of the latest withdrawal at or before `instant` that covers a purpose."""
    instants = [each.valid_from for each in own if each.valid_from <= instant and _withdraws(each.content, purpose_id)]
    return max(instants, default=None)


def _withdraws(record: SubjectRecord, purpose_id: str | None) -> bool:
    """Whether a record withdraws consent to a purpose; a withdrawal that names none is about all."""
    return isinstance(record, ConsentWithdrawn) and (not record.purposes or purpose_id in record.purposes)


def _restricts(statement: Statement[SubjectRecord], instant: int) -> bool:
    return isinstance(statement.content, Restriction) and statement.valid_from <= instant < statement.valid_until


def _given_after(own: list[Statement[SubjectRecord]], purpose_id: str | None, withdrawn: int, instant: int) -> bool:
    return any(
        isinstance(each.content, ConsentGiven)
        and purpose_id in each.content.purposes
        and withdrawn < each.valid_from <= instant
        for each in own
    )


def _last_enrolment(own: list[Statement[SubjectRecord]], instant: int) -> Enrolment | None:
    found = [each for each in own if isinstance(each.content, Enrolment) and each.valid_from <= instant]
    last = max(found, key=lambda each: (each.valid_from, each.record_id), default=None)
    return last.content if last is not None and isinstance(last.content, Enrolment) else None


def _words(words: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))
