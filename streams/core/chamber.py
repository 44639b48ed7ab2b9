"""The chamber: all that is judged of one partition of one topic; what is new, what was held, and what is corrected.

Rules:
1. Time is an argument. `heard` is the instant up to which both logs of records were read; it decides when something is
   said, never what.
2. A case is judged when it comes. What a record in flight may change is held and judged again when its feeds have come
   far enough, at the latest when `due` has passed; the rest is said at once.
3. A record that came late judges exactly the remembered cases again that it may touch: those about its person or with
   its thing in their combination, from the first instant at which an answer may differ. So does a feed that moved: what
   it left undetermined, and where it fell back, everything in between.
4. What is said in the end depends on the records and the events alone, not on their order, their batches or repeats.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.verdict import Cause, Violation
from streams.core.arrival import Arrival
from streams.core.case import COMBINATION, Views, assemble
from streams.core.context import Combination, things
from streams.core.entry import Entry
from streams.core.facts import CaseKind
from streams.core.feed import Horizon, moves
from streams.core.hold import ALL_KINDS, awaited, left_behind
from streams.core.instant import NEVER
from streams.core.judge import Outcome, Verdicts, judge
from streams.core.memory import Memory, Part, Placed
from streams.core.role_book import Places, RoleBook
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook
from streams.core.told import EventKey, Judgement, Reason, Said, ToldBook
from streams.core.violation import at_boundary, deciding_records, violations

AGAIN_ROWS = 20_000
"""Cases judged again in one go: a tenth of a second or two in which nothing else is judged."""


@dataclass(slots=True)
class Opinion:
    """What a look or a batch led to."""

    verdicts: list[Verdicts] = field(default_factory=list)
    """First judgements: each case is in one of them once."""
    said: list[Said] = field(default_factory=list)
    entered: list[Entry] = field(default_factory=list)
    repeats: int = 0
    duplicates: int = 0
    deferred: int = 0
    """Corrected events that may correct one which is forgotten."""
    in_conflict: Counter[CaseKind] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.verdicts or self.said or self.entered or self.repeats or self.duplicates)


class Chamber:
    """Judges the cases of one partition over its views; `span` (microseconds) and `bytes_max` bound the memory."""

    def __init__(self, rulebook: Rulebook, views: Views, *, span: int, bytes_max: int) -> None:
        self._rulebook, self._views = rulebook, views
        self.memory = Memory(span=span, bytes_max=bytes_max)
        self.told = ToldBook()
        self._roles = RoleBook(rulebook)
        self._people: dict[str, int] = {}
        self._things: dict[tuple[str, str], int] = {}
        self._arrivals: defaultdict[object, list[Arrival]] = defaultdict(list)
        self._again: dict[Part, set[int]] = {}
        self._revised: set[EventKey] = set()
        self._logged: set[EventKey] = set()
        self.log_until = NEVER
        """Until when (microseconds) what was told before may be about events that are still to come."""
        self._horizons: dict[str, dict[str, Horizon | None]] = {}
        self._feeds_seen = -1
        self._looked_at_feeds = -1
        self._rules = {(rule.id, rule.revision): rule for rule in rulebook.rules}

    # -- what comes in ------------------------------------------------------------------------------------------------

    def learn(self, message: Violation) -> None:
        """Take in from the log what was told before; of a rule that is not loaded nothing can be compared."""
        rule = self._rules.get((message.rule_id, message.revision))
        if rule is not None and message.event_id is not None:
            self.told.learn(message, rule)
            self._logged.add(EventKey(message.controller_id, message.event_id))

    def person_changed(self, subject_ref: str, since: int, arrival: Arrival | None = None) -> bool:
        """Note that answers about a person may differ from an instant on, and by which record.

        Whether cases that are forgotten may be among them, which no look can correct.
        """
        self._people[subject_ref] = min(since, self._people.get(subject_ref, NEVER))
        return self._note(subject_ref, since, arrival)

    def thing_changed(self, kind: str, thing: str, since: int, arrival: Arrival | None = None) -> bool:
        """The same of a thing of the registry."""
        self._things[kind, thing] = min(since, self._things.get((kind, thing), NEVER))
        return self._note((kind, thing), since, arrival)

    def _note(self, about: object, since: int, arrival: Arrival | None) -> bool:
        if arrival is not None:
            self._arrivals[about].append(arrival)
        return since > -NEVER and self.memory.forgets(since)

    def enter(
        self, frame: pl.DataFrame, *, due: int, heard: int, first_offset: int = 0, cause: Cause = "judged"
    ) -> Opinion:
        """Judge events; what a record in flight may change is held until `due`, as far as the logs were read."""
        opinion = Opinion()
        self._roles.hear(heard)
        admission = self.memory.admit(frame, first_offset, due)
        opinion.duplicates, opinion.deferred = admission.duplicates, admission.deferred
        self._revised |= {key for key in admission.replaced if key in self.told}
        for key, version, row in admission.in_conflict:
            self._say(Judgement(key, row, None, version, in_conflict=True), Reason("event"), opinion)
            opinion.in_conflict[CaseKind(frame["kind"][0]) if "kind" in frame.columns else CaseKind.MATCH] += 1
        part = admission.part
        if part.recorded_from > self.log_until:
            self._logged.clear()
        self._watch_feeds(part)
        opinion.entered += self._roles.leave(admission.gone, self._judged)
        for verdicts in self._judged(part.frame):
            waiting = awaited(verdicts, self._views.registry.feeds, heard) if heard < due else None
            if waiting is not None and waiting.any():
                part.held.update(verdicts.cases["at"].filter(waiting).to_list())
                self._first(verdicts.where(~waiting), part, opinion, cause)
            else:
                self._first(verdicts, part, opinion, cause)
        self._tidy()
        return _sorted(opinion)

    def supersede(self, key: EventKey, version: int, row: int = 0) -> Opinion:
        """Take back what was told of an event whose newer version lies on another partition."""
        opinion = Opinion()
        news, gone = self.memory.supersede(key, version)
        self._roles.hear(-NEVER)
        opinion.entered += self._roles.leave([gone] if gone is not None else [], self._judged)
        if news:
            self._say(Judgement(key, row, None, version), Reason("event"), opinion)
        return opinion

    # -- what is looked at again --------------------------------------------------------------------------------------

    def look(self, heard: int) -> Opinion:
        """Judge what was held and can be said now, and what late records and moved feeds have touched."""
        opinion = Opinion()
        self._roles.hear(heard)
        self._release(heard, opinion)
        self._find_touched()
        self._correct(opinion)
        self._tidy()
        return opinion

    @property
    def busy(self) -> bool:
        """Whether there is more to be judged again."""
        return bool(self._again or self._people or self._things)

    @property
    def calm(self) -> bool:
        """Whether a look would find nothing but what is held: no record has touched a case, and no feed has moved."""
        return not self.busy and self._feeds_seen == self._views.registry.feeds.revision

    @property
    def held_cases(self) -> int:
        """How many cases are held."""
        return sum(len(part.held) for part in self.memory.parts)

    @property
    def held_bytes(self) -> int:
        """The bytes of the batches some of whose cases are held."""
        return sum(part.size_bytes for part in self.memory.parts if part.held)

    def earliest_held(self) -> tuple[int, int] | None:
        """An offset at or below the first held case, and when it was recorded; None where nothing is held."""
        found = [
            (min(part.frame["offset"][sorted(part.held)].to_list()), part.recorded_from)
            for part in self.memory.parts
            if part.held
        ]
        return min(found, default=None)

    @property
    def size_bytes(self) -> int:
        """Bytes that the memory takes, with what was told."""
        return self.memory.size_bytes + self.told.size_bytes

    def _release(self, heard: int, opinion: Opinion) -> None:
        holding = [part for part in self.memory.parts if part.held]
        revision = self._views.registry.feeds.revision
        moved = revision != self._looked_at_feeds or self._people or self._things
        if not holding or not (moved or any(part.due <= heard for part in holding)):
            return
        self._looked_at_feeds = revision
        frame, places = _gathered([Placed(part, sorted(part.held)) for part in holding])
        overdue = pl.Series([part.due <= heard for part, _ in places], dtype=pl.Boolean)
        for verdicts in self._judged(frame):
            waiting = awaited(verdicts, self._views.registry.feeds, heard) & ~overdue[verdicts.cases["at"]]
            ready = verdicts.where(~waiting) if waiting.any() else verdicts
            for at in ready.cases["at"].to_list():
                part, row = places[at]
                part.held.discard(row)
            self._first(ready, places, opinion, "judged")

    def _find_touched(self) -> None:
        """Find the cases that records have touched since the last look, and those that moved feeds have settled."""
        people, self._people = self._people, {}
        changed, self._things = self._things, {}
        if people:
            for part, rows in self.memory.about(people):
                refs = part.frame["subject_ref"][rows].to_list()
                instants = part.frame["occurred_at"][rows].dt.epoch("us").to_list()
                late = [at for at, ref, row in zip(instants, refs, rows, strict=True) if at >= people[ref]]
                if late:
                    kept = zip(rows, refs, instants, strict=True)
                    self._queue(part, [row for row, ref, at in kept if at >= people[ref]])
        if changed:
            since = min(changed.values())
            registry, every = self._views.registry, since == -NEVER

            def touches(each: Combination) -> bool:
                return every or not changed.keys().isdisjoint(things(registry, each))

            for part, rows in self.memory.with_combination(touches):
                self._queue(part, part.since(rows, since))
        self._find_moved()

    def _queue(self, part: Part, rows: Collection[int]) -> None:
        if rows:
            self._again.setdefault(part, set()).update(rows)

    def _correct(self, opinion: Opinion) -> None:
        """Judge the touched cases again, at most so many in one go."""
        chosen: list[Placed] = []
        room = AGAIN_ROWS
        for part in list(self._again):
            rows = sorted(self._again.pop(part))
            if len(rows) > room:
                self._again[part] = set(rows[room:])
            now = [row for row in rows[:room] if row not in part.gone and row not in part.held]
            chosen += [Placed(part, now)] if now else []
            room -= len(rows[:room])
            if room <= 0:
                break
        if chosen:
            frame, places = _gathered(chosen)
            for verdicts in self._judged(frame):
                entered, doubted = self._roles.enter_again(verdicts, places, self._judged)
                opinion.entered += entered
                self._settle(verdicts, places, doubted)
                self._say_all(verdicts, opinion, "record", everything=True)
        if not self._again:
            self._arrivals.clear()

    # -- feeds --------------------------------------------------------------------------------------------------------

    def _watch_feeds(self, part: Part) -> None:
        for controller in part.frame["controller_id"].unique().to_list():
            if controller not in self._horizons:
                self._horizons[controller] = self._horizons_of(controller)

    def _horizons_of(self, controller_id: str) -> dict[str, Horizon | None]:
        return {kind: self._views.registry.feeds.horizon(controller_id, kind) for kind in ALL_KINDS}

    def _find_moved(self) -> None:
        """Find the cases that feeds have settled which came further, or fell back."""
        revision = self._views.registry.feeds.revision
        if revision == self._feeds_seen:
            return
        self._feeds_seen = revision
        for controller, before in list(self._horizons.items()):
            now = self._horizons[controller] = self._horizons_of(controller)
            ahead, back = moves(before, now)
            for (first, last), unsettled in ((ahead, True), (back, False)):
                if first < last:
                    for part, rows in self.memory.between(controller, first, last, unsettled=unsettled):
                        self._queue(part, rows)

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judged(self, frame: pl.DataFrame, rulebook: Rulebook | None = None) -> Iterator[Verdicts]:
        """The verdicts on each kind of case of a frame, of all rules or of some (`rulebook`).

        The column `at` of the cases numbers the rows of the frame.
        """
        if frame.is_empty():
            return
        frame = frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("at"))
        kinds = frame["kind"].unique(maintain_order=True).to_list() if "kind" in frame.columns else [CaseKind.MATCH]
        for word in kinds:
            kind = CaseKind(word)
            own = frame if len(kinds) == 1 else frame.filter(pl.col("kind") == word)
            cases = assemble(own, kind, self._views, self._rulebook.facts_of(kind))
            yield judge(cases, kind, rulebook or self._rulebook)

    def _first(self, verdicts: Verdicts, places: Places, opinion: Opinion, cause: Cause) -> None:
        """Say what was judged for the first time and is held no longer."""
        if verdicts.cases.is_empty():
            return
        opinion.verdicts.append(verdicts)
        entered, doubted = self._roles.enter(verdicts, places)
        opinion.entered += entered
        self._settle(verdicts, places, doubted)
        self._say_all(verdicts, opinion, cause, everything=False)

    @staticmethod
    def _settle(verdicts: Verdicts, places: Places, doubted: pl.Series | None) -> None:
        """Remember which cases a feed has left undetermined, or (`doubted`) their roles."""
        found = left_behind(verdicts)
        found = doubted if found is None else found if doubted is None else found | doubted
        if isinstance(places, Part):
            if found is not None:
                places.settle(verdicts.cases["at"], found)
            return
        mask = [False] * verdicts.cases.height if found is None else found.to_list()
        by_part: defaultdict[Part, tuple[list[int], list[bool]]] = defaultdict(lambda: ([], []))
        for at, unsettled in zip(verdicts.cases["at"].to_list(), mask, strict=True):
            part, row = places[at]
            by_part[part][0].append(row)
            by_part[part][1].append(unsettled)
        for part, (rows, flags) in by_part.items():
            part.settle(pl.Series(rows, dtype=pl.Int64), pl.Series(flags, dtype=pl.Boolean))

    def _say_all(self, verdicts: Verdicts, opinion: Opinion, cause: Cause, *, everything: bool) -> None:
        """Tell what has changed with the events of some cases; `everything` looks at all that was told of them."""
        cases = verdicts.cases
        found: dict[int, dict[str, tuple[Rule, Violation]]] = {}
        for index, rule, message in violations(verdicts, self._views):
            found.setdefault(index, {})[message.violation_id] = (rule, message)
        wanted = sorted(found.keys() | set(self._to_compare(cases, everything=everything)))
        for index, row in zip(wanted, cases[wanted].to_dicts(), strict=True):
            key = EventKey(row["controller_id"], row["event_id"])
            rules = {told.rule for told in self.told.of(key).values() if told.rule in verdicts.rules}
            now = Judgement(
                key,
                row["row"],
                row["subject_ref"],
                row["event_version"],
                found.get(index, {}),
                {rule: Outcome(verdicts.outcomes[rule.column][index]) for rule in rules},
                {rule: deciding_records(rule, row, self._views) for rule in rules},
                [rule for rule in rules if at_boundary(rule, row, self._views)],
            )
            led = "event" if cause == "judged" and key in self._revised else cause
            self._say(now, Reason(led, self._touching(row) if cause == "record" else ()), opinion)
            self._revised.discard(key)
            self._logged.discard(key)

    def _to_compare(self, cases: pl.DataFrame, *, everything: bool) -> list[int]:
        """The rows of events of which something was told before."""
        known = self.told if everything else self._revised | self._logged
        if not known:
            return []
        rows = cases.select("controller_id", "event_id").iter_rows()
        return [index for index, row in enumerate(rows) if EventKey(*row) in known]

    def _touching(self, row: Mapping[str, Any]) -> tuple[Arrival, ...]:
        """The records that came and may have changed the answer about a case."""
        found = list(self._arrivals.get(row["subject_ref"], ()))
        asked = {key for key in self._arrivals if isinstance(key, tuple)}
        if asked:
            asked &= things(self._views.registry, Combination(*(row[name] for name in COMBINATION)))
        return (*found, *(each for key in sorted(asked) for each in self._arrivals[key]))

    def _say(self, now: Judgement, reason: Reason, opinion: Opinion) -> None:
        said, repeats = self.told.say(now, reason, self._views.arrivals, self._views.registry.feeds)
        opinion.said.extend(said)
        opinion.repeats += repeats

    def _tidy(self) -> None:
        """Forget what is too old, and keep the parts few."""
        lost = self.memory.forget()
        self.told.forget(lost)
        self._again = {part: rows for part, rows in self._again.items() if part in self.memory.parts}
        if not self._again:
            self.memory.gather()


def _gathered(placed: Sequence[Placed]) -> tuple[pl.DataFrame, list[tuple[Part, int]]]:
    """Rows of several parts as one frame, and where each came from."""
    frame = pl.concat([part.frame[rows] for part, rows in placed]).rechunk()
    return frame, [(part, row) for part, rows in placed for row in rows]


def _sorted(opinion: Opinion) -> Opinion:
    opinion.said.sort(key=lambda each: each.row)
    return opinion
