"""The docket: what is pending by deadline and window rules, for the persons and controllers of one partition.

Rules:
1. The docket keeps no second copy of records: it looks at the views when something of a holder has changed, when a
   deadline passes, or when a feed has come far enough to say what was missing.
2. A case is entered once, by duty, role and event id; the order of entries changes nothing in the end.
3. `settle` gives what has changed since it was last said; what a holder owes is worked out whole each time, so a docket
   rebuilt from the logs says the same.
4. What was said of a breach is taken back where it is none any more, by whatever record or case came late. Only a feed
   that fell behind takes nothing back: it was complete when the breach was said.
5. A case stays entered for `KEEP`, as `streams.core.case_book` says, or until it is stated to play its role no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from itertools import chain, islice

from streams.core.arrival import Arrivals
from streams.core.breach import Breaches
from streams.core.case_book import CORRECTABLE, CaseBook, Stated, Stretch
from streams.core.happenings import of_controller, of_subject, stays_of
from streams.core.holder import Holder, Standing
from streams.core.instant import NEVER, SECOND
from streams.core.obligation import Happening, Known, Obligation, Status, obligations
from streams.core.owed import Owed
from streams.core.registry import Registry
from streams.core.rule import DeadlineRule, Duty, WindowRule
from streams.core.rulebook import Rulebook
from streams.core.stored_total import STORED_KINDS, StoredTotal
from streams.core.subject_history import Histories
from streams.core.surroundings import Surroundings
from streams.core.window import Window, stored_window, window_end, windows

KEEP = 200 * 86_400 * SECOND
"""Longer than a quarter and the time after it in which the quarter is reported; see `streams.core.compiler`."""
RESHAPING = frozenset({"site", "controller", "purpose", "device"})
"""Kinds of registry record that may change whether, and for how long, a person is owed something."""


class Docket:
    """Everything pending, over the views of one partition or of a set of files; `owns` says whose controllers."""

    def __init__(
        self,
        rulebook: Rulebook,
        registry: Registry,
        histories: Histories,
        owns: Callable[[str], bool] = lambda _: True,
        arrivals: Arrivals | None = None,
        correctable: int = CORRECTABLE,
    ) -> None:
        self.registry, self.histories = registry, histories
        self.late = 0
        """Cases that came after they would have been dropped again."""
        self.stored = StoredTotal(rulebook.duties)
        self._owns = owns
        self._around = Surroundings(registry)
        self._duties: Mapping[str, Duty] = {duty.column: duty for duty in rulebook.duties}
        deadlines = [duty for duty in rulebook.duties if isinstance(duty, DeadlineRule)]
        self._deadlines = {
            "subject": tuple(duty for duty in deadlines if duty.of_subject),
            "controller": tuple(duty for duty in deadlines if not duty.of_subject),
        }
        self._openings = {duty: _openings(duty) for duty in deadlines}
        self._windows = tuple(duty for duty in rulebook.duties if isinstance(duty, WindowRule))
        self._kinds = {name: _record_kinds(duties) for name, duties in self._deadlines.items()}
        self._cases = CaseBook(rulebook.duties, correctable)
        self._breaches = Breaches(arrivals or Arrivals(), registry.feeds)
        self._unsaid: dict[Holder, tuple[Standing, ...]] = {}
        self._dirty: dict[str, dict[Holder, None]] = {"subject": {}, "controller": {}}
        self._due: list[tuple[int, Holder]] = []
        self._blocked: defaultdict[tuple[str, tuple[str, ...]], list[tuple[int, Holder]]] = defaultdict(list)
        self._scheduled: set[tuple[int, Holder, tuple[str, ...]]] = set()
        self._changes_seen = 0
        self._until = -NEVER
        self._only: Owed | None = None

    def look_only_at(self, owed: Owed) -> None:
        """Look at no other persons, but those for whom a case is entered; the others are counted as stored."""
        self._only = owed
        for zone, controller, day, step in owed.stored:
            self.stored.add(zone, controller, day, step)
            if self._owns(controller):
                self._touch(Holder("controller", controller))

    # -- what comes in ------------------------------------------------------------------------------------------------

    def enter(self, duty_column: str, case: Happening, stated: Stated | None = None) -> None:
        """Enter a case for a duty, or take it out; what is known changes nothing, nor does a rule of another book."""
        duty = self._duties.get(duty_column)
        if duty is None:
            return
        if case.at < self._until - KEEP:
            self.late += 1
            return
        if (holder := self._cases.enter(duty, case, stated)) is not None:
            self._touch(holder)

    def state_anew(self, stretch: Stretch) -> None:
        """Let go what was said before of the cases of a stretch, which were stated anew."""
        for holder in sorted(self._cases.state_anew(stretch)):
            self._touch(holder)

    def look_at(self, controller_id: str) -> None:
        """Look at a controller anew, because the numbers of its stored persons have changed."""
        self._touch(Holder("controller", controller_id))

    def duty(self, rule_id: str, revision: int) -> Duty | None:
        """The duty of an id and a revision; None where it is of another book."""
        return self._duties.get(f"{rule_id}@{revision}")

    def told(self, standing: Standing) -> None:
        """Learn from the log what was said before."""
        self._breaches.note(standing)

    @property
    def busy(self) -> bool:
        """Whether there is more to look at now."""
        return any(self._dirty.values())

    @property
    def counting(self) -> bool:
        """Whether persons are still to be looked at, so that nobody knows how many of them are stored."""
        return bool(self._dirty["subject"])

    def _touch(self, holder: Holder) -> None:
        self._dirty[holder.kind][holder] = None

    # -- what comes out -----------------------------------------------------------------------------------------------

    def settle(self, until: int, holders_max: int | None = None) -> list[Standing]:
        """Look at what may have changed up to `until`, at most `holders_max` holders; gives what is to be said."""
        self._until = max(self._until, until)
        self._absorb()
        self._ripen(until)
        found: list[Standing] = []
        # Persons first: what is said of a controller may rest on how many of them it stores.
        holders = list(islice(chain(*self._dirty.values()), holders_max))
        self.histories.fetch(holder.id for holder in holders if holder.kind == "subject")
        for holder in holders:
            del self._dirty[holder.kind][holder]
            found.extend(self._look(holder, until))
        return found

    def _absorb(self) -> None:
        """Mark the holders about whom records have come."""
        if not self._duties:
            return
        for ref in self.histories.take_changes():
            if self._only is None or ref in self._only.persons:
                self._touch(Holder("subject", ref))
        fresh = self.registry.changes[self._changes_seen :]
        self._changes_seen += len(fresh)
        for controller in {owner for _, owner in fresh}:
            if self._owns(controller):
                self._touch(Holder("controller", controller))
        reshaped = {owner for kind, owner in fresh if kind in RESHAPING}
        if reshaped and self._deadlines["subject"]:
            for ref in self.histories.towards(reshaped):
                if self._only is None or ref in self._only.persons:
                    self._touch(Holder("subject", ref))

    def _ripen(self, until: int) -> None:
        """Mark the holders of whom a deadline has passed, or whose feed has come far enough."""
        while self._due and self._due[0][0] < until:
            self._wake(self._due, ())
        for (controller, kinds), waiting in self._blocked.items():
            complete = self._complete(controller, kinds)
            while waiting and waiting[0][0] < complete:
                self._wake(waiting, kinds)

    def _wake(self, waiting: list[tuple[int, Holder]], kinds: tuple[str, ...]) -> None:
        instant, holder = heappop(waiting)
        self._scheduled.discard((instant, holder, kinds))
        self._touch(holder)

    def _complete(self, controller: str, kinds: tuple[str, ...]) -> int:
        horizons = [self.registry.feeds.horizon(controller, kind) for kind in kinds]
        return min((-NEVER if each is None else each.complete_until for each in horizons), default=NEVER)

    def _schedule(self, instant: int, holder: Holder, controller: str = "", kinds: tuple[str, ...] = ()) -> None:
        if (instant, holder, kinds) not in self._scheduled:
            self._scheduled.add((instant, holder, kinds))
            heappush(self._blocked[controller, kinds] if kinds else self._due, (instant, holder))

    # -- looking at one holder ----------------------------------------------------------------------------------------

    def _look(self, holder: Holder, until: int) -> Iterator[Standing]:
        known = Known(self._around, self.registry.feeds.horizon, self.registry.hidden, until)
        unsaid: list[Standing] = []
        standings: list[Standing] = [*self._owed(holder, known), *self._counted(holder, known)]
        gone = self._breaches.gone(holder, {each.id for each in standings}, kept_since=until - KEEP)
        for standing in (*standings, *gone):
            self._await(standing, holder)
            if (now := self._breaches.next(standing)) is not None:
                yield now
            unsaid += [standing] if self._breaches.untold(standing) else []
        self._unsaid.pop(holder, None)
        if unsaid:
            self._unsaid[holder] = tuple(unsaid)
        self._cases.drop(holder, until - KEEP)

    def standings(self) -> Iterator[Standing]:
        """Everything that is pending or settled, looked at anew; for a small world, not for an estate."""
        known = Known(self._around, self.registry.feeds.horizon, self.registry.hidden, self._until)
        holders = {Holder("subject", ref) for ref in self.histories} | set(self._cases)
        holders |= {Holder("controller", each) for each in self.registry.controllers()}
        for holder in sorted(holders):
            yield from self._owed(holder, known)
            yield from self._counted(holder, known)

    def undetermined(self) -> Iterator[Standing]:
        """Everything of which nothing can be said yet, each with its reason."""
        for standings in self._unsaid.values():
            yield from standings

    def _await(self, standing: Standing, holder: Holder) -> None:
        if isinstance(standing, Window):
            return
        if standing.status is Status.OPEN and standing.due is not None:
            self._schedule(standing.due, holder)
        if standing.waits_for and standing.due is not None:
            self._schedule(standing.due, holder, str(standing.parts["controller"]), standing.waits_for)

    def _await_begin(self, holder: Holder, happened: Iterable[Happening], until: int) -> None:
        """Look again when what is still to come has begun; a rule that is not in force yet begins with all it binds."""
        ahead = [each.at for each in happened]
        ahead += [duty.from_instant for duty in self._deadlines[holder.kind] if duty.continuing]
        soon = min((instant for instant in ahead if instant > until), default=None)
        if soon is not None:
            self._schedule(soon, holder)

    def _owed(self, holder: Holder, known: Known) -> Iterator[Obligation]:
        records = list(self._records(holder))
        self._await_begin(holder, (*records, *self._cases.of(holder).values()), known.until)
        for duty in self._deadlines[holder.kind]:
            own = self._cases.of_duty(holder, duty)
            happened = [*records, *own, *self._stored_happenings(duty, holder, known)]
            if any(self._may_open(duty, each) for each in happened):
                yield from obligations(duty, happened, known)

    def _may_open(self, duty: DeadlineRule, each: Happening) -> bool:
        """Whether something may open a duty at all: of most duties, most persons have nothing that does."""
        roles, kinds = self._openings[duty]
        if each.what in roles:
            return True
        return each.what in kinds and self._around.may_bind(duty.jurisdictions, each.parts, each.at)

    def _records(self, holder: Holder) -> Iterator[Happening]:
        if holder.kind == "controller":
            yield from of_controller(self.registry, holder.id, self._kinds["controller"])
        elif (history := self.histories.history(holder.id)) is not None:
            yield from of_subject(history, holder.id, self._kinds["subject"])
            for controller in self.stored.put(holder.id, stays_of(history)) if self.stored else ():
                if self._owns(controller):
                    self._touch(Holder("controller", controller))

    def _counted(self, holder: Holder, known: Known) -> Iterator[Window]:
        for duty in self._windows:
            if duty.count == "stored_persons":
                yield from self._stored_windows(duty, holder, known)
                continue
            own = self._cases.of_duty(holder, duty)
            found = list(windows(duty, own, known.until, self.registry.max_hits))
            yield from found
            if any(each.known is False for each in own) or duty.unless is not None:
                self._await_ends(duty, own, holder, known.until)

    def _await_ends(self, duty: WindowRule, own: list[Happening], holder: Holder, until: int) -> None:
        """Look again when a window ends that is not decided by its cases alone."""
        for last in {window_end(duty, each.at) for each in own}:
            if last >= until:
                self._schedule(last, holder)

    # -- stored persons -----------------------------------------------------------------------------------------------

    def _stored_happenings(self, duty: DeadlineRule, holder: Holder, known: Known) -> Iterator[Happening]:
        if holder.kind != "controller":
            return
        for number, clause in enumerate(duty.opens):
            if clause.stored_persons is not None:
                for since, until in self._stays_above(duty, holder, clause.stored_persons, known):
                    end = NEVER if until is None else until
                    yield Happening(f"opens-{number}", f"stored-{since}", since, end, {}, {"controller": holder.id})

    def _stored_windows(self, duty: WindowRule, holder: Holder, known: Known) -> Iterator[Window]:
        if holder.kind != "controller":
            return
        for since, _ in self._stays_above(duty, holder, duty.at_least, known):
            yield from stored_window(duty, holder.id, since, known)

    def _stays_above(
        self, duty: Duty, holder: Holder, at_least: int, known: Known
    ) -> Iterator[tuple[int, int | None]]:
        """From and until when a controller stores so many, as far as the feeds of enrolment and deletion reach."""
        complete = min(known.until, self._complete(holder.id, STORED_KINDS))
        yield from self.stored.above(duty.timezone, holder.id, at_least, complete)
        if (next_end := self.stored.next_end(duty.timezone, holder.id, complete)) is not None:
            self._schedule(next_end, holder)
            self._schedule(next_end, holder, holder.id, STORED_KINDS)


def _record_kinds(duties: tuple[DeadlineRule, ...]) -> tuple[str, ...]:
    kinds = {clause.record for duty in duties for _, clause in duty.clauses() if clause.record is not None}
    return tuple(sorted(kinds))


def _openings(duty: DeadlineRule) -> tuple[frozenset[str], frozenset[str]]:
    """The roles of the cases that open a duty, and the kinds of the records that may."""
    opens = [(role, clause) for role, clause in duty.clauses() if role.startswith("opens")]
    kinds = frozenset(clause.record for _, clause in opens if clause.record is not None and clause.case is None)
    return frozenset(role for role, _ in opens), kinds
