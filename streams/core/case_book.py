"""Case book: the cases that are entered for duties, by who holds their keys, each as it was last said.

Rules:
1. A case is entered once, by duty, role and event id. Statements about it may come in any order and more than once:
   what counts is the highest version of the event, and of that what was said with the most knowledge.
2. Whoever takes over a log states its cases anew. What was said of that stretch before, and is not said again, counts
   no more, even if a worker that was frozen still says it.
3. What can be corrected no more is kept as it stands, without how it was said. So old, a case that only restarts a
   deadline goes where there is a later one.
4. A case stays for as long as whoever keeps the book says, and one that restarts a deadline while it is the latest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from streams.core.holder import Holder, holder_of
from streams.core.instant import SECOND
from streams.core.obligation import Happening
from streams.core.rule import Duty, entry_rules

CORRECTABLE = 2 * 3_600 * SECOND
"""For how long after a statement another one about the same case may come: twice the memory of an hour."""


class Stated(NamedTuple):
    """What a statement about a case in a role rests on; of two about one case the higher counts, in this order."""

    version: int
    """The version of its event."""
    known_until: int
    """Up to when (microseconds) the logs of records were read."""
    plays: bool
    """Whether the case plays the role; of two versions in one breath the one that does is the later."""
    origin: Origin | None = None
    """Where the event lies."""


class Origin(NamedTuple):
    """A place in a log of events."""

    topic: str
    partition: int
    offset: int


class Stretch(NamedTuple):
    """A part of a log whose cases were stated anew by whoever took it over, with what was known then (microseconds)."""

    topic: str
    partition: int
    first: int
    end: int
    known_until: int

    def overtakes(self, stated: Stated) -> bool:
        """Whether a statement was made before, about a case of this stretch."""
        at = stated.origin
        return (
            at is not None
            and (at.topic, at.partition) == (self.topic, self.partition)
            and self.first <= at.offset < self.end
            and stated.known_until < self.known_until
        )


class Place(NamedTuple):
    """Under what a case is entered: the column of the duty, the role and the event."""

    duty: str
    role: str
    event_id: str


class CaseBook:
    """The cases of one docket; `correctable` microseconds after it was said a case is as it is."""

    def __init__(self, duties: Iterable[Duty], correctable: int = CORRECTABLE) -> None:
        self._restarting = {
            (duty.column, role.name) for duty in duties for _, role in entry_rules(duty) if role.restarts
        }
        self._correctable = correctable
        self._cases: defaultdict[Holder, dict[Place, Happening]] = defaultdict(dict)
        self._stated: dict[tuple[Holder, Place], Stated] = {}
        self._stretches: list[Stretch] = []

    def enter(self, duty: Duty, case: Happening, stated: Stated | None = None) -> Holder | None:
        """Take a statement in; gives the holder for whom something has changed by it."""
        holder, place = holder_of(duty, case), Place(duty.column, case.what, case.id)
        if stated is not None and not self._counts(holder, place, stated):
            return None
        cases = self._cases.get(holder, {})
        held = cases.get(place)
        plays = stated is None or stated.plays
        if plays and _differs(case, held, certain_counts=stated is None):
            self._cases[holder][place] = case
        elif not plays and held is not None:
            del cases[place]
        else:
            return None
        self._keep_latest(holder, place)
        return holder

    def state_anew(self, stretch: Stretch) -> set[Holder]:
        """Let go what was said before of a stretch that is stated anew; gives those for whom something has changed."""
        self._stretches.append(stretch)
        changed: set[Holder] = set()
        for (holder, place), stated in self._stated.items():
            if stated.plays and stretch.overtakes(stated):
                self._stated[holder, place] = stated._replace(plays=False)
                if self._cases.get(holder, {}).pop(place, None) is not None:
                    changed.add(holder)
        return changed

    def _counts(self, holder: Holder, place: Place, stated: Stated) -> bool:
        """Whether a statement says more than what was said before; it is then the last one."""
        before = self._stated.get((holder, place))
        if before is not None and before[:3] >= stated[:3]:
            return False
        if any(stretch.overtakes(stated) for stretch in self._stretches):
            return False
        self._stated.pop((holder, place), None)  # the latest stand last
        self._stated[holder, place] = stated
        self._settle(stated.known_until - self._correctable)
        return True

    def _settle(self, before: int) -> None:
        """Forget how cases were stated that can be corrected no more."""
        while self._stated:
            (holder, place), oldest = next(iter(self._stated.items()))
            if oldest.known_until >= before:
                break
            del self._stated[holder, place]
            self._keep_latest(holder, place)
        self._stretches = [each for each in self._stretches if each.known_until >= before]

    def _keep_latest(self, holder: Holder, place: Place) -> None:
        """Of the cases that restart a deadline let those go that are not the latest and can be corrected no more."""
        if (place.duty, place.role) not in self._restarting:
            return
        cases = self._cases.get(holder, {})
        alike = [each for each in cases if each[:2] == place[:2]]
        latest = max(alike, key=lambda each: (cases[each].known, cases[each].at, each.event_id), default=None)
        for each in alike:
            if each != latest and (holder, each) not in self._stated:
                del cases[each]

    # -- what is asked ------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Holder]:
        return iter(self._cases)

    def of(self, holder: Holder) -> Mapping[Place, Happening]:
        """The cases of a holder."""
        return self._cases.get(holder, {})

    def of_duty(self, holder: Holder, duty: Duty) -> list[Happening]:
        """The cases of a holder that are entered for one duty."""
        return [case for place, case in self.of(holder).items() if place.duty == duty.column]

    def drop(self, holder: Holder, before: int) -> None:
        """Forget the cases of a holder that happened before an instant."""
        cases = self._cases.get(holder)
        if cases is None:
            return
        for place in [each for each, case in cases.items() if case.at < before and each[:2] not in self._restarting]:
            del cases[place]
        if not cases:
            del self._cases[holder]


def _differs(case: Happening, held: Happening | None, *, certain_counts: bool) -> bool:
    """Whether a case changes what is held; where nobody says when it was said, what is certain or later counts."""
    if held is None or not certain_counts:
        return case != held
    return (case.known, case.at, case.id, case.why or "") > (held.known, held.at, held.id, held.why or "")
