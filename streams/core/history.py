"""The history of one person: what records say of them, and which state follows from it on which stretch of time.

Rules:
1. A history is a pure fold over statements, indifferent to their order and to duplicates.
2. What it knows of states is worked out when somebody asks, and forgotten when a record comes.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from streams.core.claim import ENROLLED, GIVEN, RESTRICTED, WITHDRAWN, Claim
from streams.core.facts import Unknown
from streams.core.instant import NEVER
from streams.core.subject_state import Own, State, in_force, towards_no_purpose
from streams.core.timeline import Statement, Statements

if TYPE_CHECKING:
    from streams.core.subject_history import Histories

SEGMENTS_MAX = 64
"""Combinations of controller and purpose kept a person; a flood of made-up purposes must not fill the memory."""
NOTHING_KNOWN = 0
"""The state before the first statement about a person, and of a person nobody spoke of."""
Stretches = tuple[list[int], list[int]]
"""First instants, and what holds from each."""


class History(Statements[Claim]):
    """All statements about one person.

    Most persons made one statement, and there are millions of them: one costs no table of its own.
    """

    __slots__ = ("_segments", "only", "stored", "unreadable")

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = False
        self.stored = False
        """Whether columns say the same, so that it need not be kept."""
        self.only: Statement[Claim] | None = None
        """The statement of a person who made one, which is most of them."""
        self._segments: dict[tuple[str, str | None], Stretches] | None = None

    def changed(self) -> None:
        """Forget the states computed so far; a record came in."""
        self.stored = False
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
            states = [histories.intern(towards_no_purpose(own, start)) for start in starts]
        else:
            states = [histories.state_of(in_force(own, purpose_id, start)) for start in starts]
        return [-NEVER, *starts], [NOTHING_KNOWN, *states]
