"""A log told in any order: records and events of a small world, put into a chamber in batches, and what it says.

Rules:
1. When the broker took something is a part of it: telling the same log in another order changes no time.
2. What must be left at the end is said by the pure core from everything at once, by the highest version of each event.
3. What is said is folded as a consumer folds it: the last message about the highest version of the event counts.
4. A crash leaves the logs and nothing else, and perhaps not all that was being said; whoever takes over has no more.
5. What was said of cases that are entered for duties may be read in any order, as after a worker that was frozen.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from schemas.contract import Message
from schemas.registry import FeedRecord, RegistryRecord
from schemas.subject import SubjectRecord
from schemas.verdict import Violation
from streams.core.arrival import Arrival
from streams.core.case import Views, assemble
from streams.core.case_book import Origin, Stated, Stretch
from streams.core.chamber import Chamber, Opinion
from streams.core.docket import Docket
from streams.core.entry import entries
from streams.core.facts import CaseKind
from streams.core.frame import MATCH_COLUMNS, frame_of
from streams.core.instant import NEVER, SECOND, micros
from streams.core.judge import judge
from streams.core.obligation import Happening
from streams.core.partition import partition_of
from streams.core.registry import owner_of
from streams.core.rulebook import Rulebook
from streams.core.told import NEW, EventKey
from streams.core.violation import violations

HOUR = 3_600 * SECOND


class Logged(NamedTuple):
    """A record or a match event, and when the broker took it (microseconds)."""

    message: Any
    recorded_at: int


def apply(views: Views, logged: Logged, chambers: Iterable[Chamber] = ()) -> None:
    """Take a record into the views, as a worker does, and tell the chambers."""
    record, recorded_at = logged
    if isinstance(record, FeedRecord):
        views.registry.add(record)
        return
    of_registry = isinstance(record, RegistryRecord)
    since = views.registry.add(record, recorded_at) if of_registry else views.histories.add(record)
    if since is None:
        return
    controller = owner_of(record) if of_registry else record.controller_id
    arrival = Arrival(record.record_id, record.kind, controller, micros(record.valid_from), recorded_at)
    views.arrivals.note(arrival)
    for chamber in chambers:
        if of_registry:
            chamber.thing_changed(record.kind, record.id, since, arrival)
        else:
            chamber.person_changed(record.subject_ref, since, arrival)


def frame(events: Sequence[Logged]) -> pl.DataFrame:
    """The frame of a batch of match events."""
    return frame_of([each.message for each in events], MATCH_COLUMNS).with_columns(
        pl.Series("row", range(len(events)), dtype=pl.UInt32),
        pl.Series("recorded_at", [each.recorded_at for each in events], dtype=pl.Int64),
    )


class Folded:
    """What was said, in order, and the last word on each violation."""

    def __init__(self, said: Sequence[Violation]) -> None:
        self.said = said
        self.messages: dict[str, Violation] = {}
        for each in said:
            known = self.messages.get(each.violation_id)
            if known is None or not each.is_overtaken(version=known.event_version, corrected=known.corrects):
                self.messages[each.violation_id] = each

    def verdicts(self) -> dict[str, bytes]:
        """The violations that stand, each as a first judgement writes it."""
        return {each.violation_id: plain(each) for each in self.messages.values() if each.status in ("open", "excused")}


def plain(message: Violation) -> bytes:
    """A message without what a change adds to it."""
    return message.model_copy(update=dict(NEW)).to_json()


class Note(NamedTuple):
    """What tells a partition that a newer version of an event lies elsewhere."""

    key: EventKey
    version: int


class Tally(NamedTuple):
    """What was said of a case and a duty."""

    duty: str
    case: Happening
    stated: Stated


@dataclass
class Bench:
    """One partition: its chamber, its log, what was said of it, and up to where the group has committed."""

    chamber: Chamber
    log: list[Logged | Note] = field(default_factory=list)
    said: list[Violation] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    number: int = 0
    committed: int = 0
    before: tuple[int, int, int] = (0, 0, 0)
    """How much was said and tallied, and what was committed, when the last thing began: a crash may leave less."""

    def take(self, opinion: Opinion) -> None:
        """Write what a chamber said, and commit below the earliest case that it holds."""
        self.before = (len(self.said), len(self.tallies), self.committed)
        self.said += [each.message for each in opinion.said]
        for entry in opinion.entered:
            assert entry.stated is not None
            stated = entry.stated._replace(origin=Origin("matches", self.number, entry.offset))
            self.tallies.append(Tally(entry.role.duty.column, entry.case, stated))
        held = self.chamber.earliest_held()
        self.committed = len(self.log) if held is None else held[0]


class Court:
    """Chambers of one or several partitions over one world; everything is heard at once."""

    def __init__(self, rulebook: Rulebook, partitions: int = 1, *, span: int = HOUR, bytes_max: int = 2**30) -> None:
        self._new_chamber = partial(Chamber, rulebook, span=span, bytes_max=bytes_max)
        self._records: list[Logged] = []
        self.views = Views()
        self.benches = [Bench(chamber, number=number) for number, chamber in enumerate(self._chambers(partitions))]
        self.stretches: list[Stretch] = []
        self.heard = -NEVER
        self._rulebook = rulebook

    def _chambers(self, partitions: int) -> list[Chamber]:
        others = [self.views.beside(self.views.histories) for _ in range(partitions - 1)]
        return [self._new_chamber(each) for each in (self.views, *others)]

    @property
    def chambers(self) -> list[Chamber]:
        """The chambers of all partitions."""
        return [bench.chamber for bench in self.benches]

    @property
    def folded(self) -> Folded:
        """What was said of all partitions, folded as a consumer does."""
        return Folded([each for bench in self.benches for each in bench.said])

    def tell(self, logged: Sequence[Logged], *, hold: int = 0) -> None:
        """Take records in, and judge events in one batch a partition."""
        by_home: dict[int, list[Logged]] = {}
        for each in logged:
            if isinstance(each.message, RegistryRecord | SubjectRecord):
                self._records.append(each)
                apply(self.views, each, self.chambers)
            else:
                by_home.setdefault(self._home(each.message.key), []).append(each)
                self.heard = max(self.heard, each.recorded_at)
        for home, events in by_home.items():
            self._enter(self.benches[home], events, max(each.recorded_at for each in events) + hold)
            for each in events:
                before = each.message.previous_key
                if before is not None and self._home(before) != home:
                    event = each.message
                    note = Note(EventKey(event.controller_id, event.event_id), event.event_version)
                    self._heed(self.benches[self._home(before)], note)

    def _enter(self, bench: Bench, events: Sequence[Logged], due: int) -> None:
        first = len(bench.log)
        bench.log += events
        bench.take(bench.chamber.enter(frame(events), due=due, heard=self.heard, first_offset=first))

    @staticmethod
    def _heed(bench: Bench, note: Note) -> None:
        bench.log.append(note)
        bench.take(bench.chamber.supersede(note.key, note.version))

    def _home(self, key: str) -> int:
        return partition_of(key, len(self.benches))

    def crash(self, chance: random.Random, *, hold: int = 0) -> None:
        """Let the worker die, perhaps with its last words unsaid, and another one take over from the logs alone.

        As in `streams.live.pipeline`: it reads the records, recalls what was said and what was judged up to the
        committed offsets, and begins after them.
        """
        self.views = Views()
        for each in self._records:
            apply(self.views, each)
        for bench, chamber in zip(self.benches, self._chambers(len(self.benches)), strict=True):
            bench.chamber = chamber
            if chance.random() < 0.5:
                said, tallied, bench.committed = bench.before
                del bench.said[chance.randint(said, len(bench.said)) :]
                del bench.tallies[chance.randint(tallied, len(bench.tallies)) :]
            for message in bench.said:
                chamber.learn(message)
            chamber.log_until = self.heard
            log, bench.log = bench.log, []
            known = max([self.heard, *(each.stated.known_until + 1 for each in bench.tallies)])
            self.heard = max(self.heard, known)
            self._recall(bench, log[: bench.committed], chance)
            self.stretches.append(Stretch("matches", bench.number, 0, len(log), known))
            for stretch in _stretches(log[bench.committed :], chance):
                if isinstance(stretch, Note):
                    self._heed(bench, stretch)
                else:
                    self._enter(bench, stretch, max(each.recorded_at for each in stretch) + hold)

    def _recall(self, bench: Bench, log: Sequence[Logged | Note], chance: random.Random) -> None:
        for stretch in _stretches(log, chance):
            first = len(bench.log)
            if isinstance(stretch, Note):
                bench.log.append(stretch)
                bench.take(bench.chamber.supersede(stretch.key, stretch.version))
                continue
            bench.log += stretch
            bench.take(
                bench.chamber.enter(
                    frame(stretch), due=-NEVER, heard=self.heard, first_offset=first, cause="reconciled"
                )
            )

    def look(self) -> None:
        """Look at what was touched, until nothing is left; where all is calm nobody looks, as in a worker."""
        for bench in self.benches:
            if bench.chamber.held_cases or not bench.chamber.calm:
                bench.take(bench.chamber.look(self.heard))
            while bench.chamber.busy:
                bench.take(bench.chamber.look(self.heard))

    def owed(self, chance: random.Random, until: int) -> list[tuple[str, str, str]]:
        """What is pending: rule, id and status, out of everything that was tallied, read in any order."""
        docket = Docket(self._rulebook, self.views.registry, self.views.histories)
        told: list[Tally | Stretch] = [*(each for bench in self.benches for each in bench.tallies), *self.stretches]
        chance.shuffle(told)
        for each in told:
            if isinstance(each, Stretch):
                docket.state_anew(each)
            else:
                docket.enter(*each)
        docket.settle(until)
        return _standings(docket)

    def end(self) -> dict[str, bytes]:
        """Hear everything out; gives the violations that stand."""
        self.heard = max(self.heard, 0) + HOUR
        self.look()
        assert not any(chamber.held_cases for chamber in self.chambers)
        return self.folded.verdicts()


def _stretches(log: Sequence[Logged | Note], chance: random.Random) -> Iterator[list[Logged] | Note]:
    """A log in batches of any length, and each note for itself."""
    batch: list[Logged] = []
    for each in log:
        if batch and (isinstance(each, Note) or chance.random() < 0.1):
            yield batch
            batch = []
        if isinstance(each, Note):
            yield each
        else:
            batch.append(each)
    if batch:
        yield batch


def final(rulebook: Rulebook, logged: Iterable[Logged]) -> Mapping[str, bytes]:
    """What must stand once everything is known."""
    views, cases = _known(rulebook, logged)
    if cases is None:
        return {}
    found = violations(judge(cases, CaseKind.MATCH, rulebook), views)
    return {each.violation_id: each.to_json() for *_, each in found}


def finally_owed(rulebook: Rulebook, logged: Iterable[Logged], until: int) -> list[tuple[str, str, str]]:
    """What must be pending by duties once everything is known."""
    views, cases = _known(rulebook, logged)
    docket = Docket(rulebook, views.registry, views.histories)
    for each in () if cases is None else entries(cases, CaseKind.MATCH, rulebook):
        docket.enter(each.role.duty.column, each.case)
    docket.settle(until)
    return _standings(docket)


def _standings(docket: Docket) -> list[tuple[str, str, str]]:
    return sorted((each.rule.id, each.id, each.status.value) for each in docket.standings())


def _known(rulebook: Rulebook, logged: Iterable[Logged]) -> tuple[Views, pl.DataFrame | None]:
    """Everything that is known in the end, and the cases that count; None where none does."""
    views = Views()
    events: dict[tuple[str, str], dict[int, list[Message]]] = {}
    for each in logged:
        if isinstance(each.message, RegistryRecord | SubjectRecord):
            apply(views, each)
        else:
            versions = events.setdefault((each.message.controller_id, each.message.event_id), {})
            contents = versions.setdefault(each.message.event_version, [])
            if each.message not in contents:
                contents.append(each.message)
    highest = [versions[max(versions)] for versions in events.values()]
    standing = [contents[0] for contents in highest if len(contents) == 1]
    if not standing:
        return views, None
    facts = rulebook.facts_of(CaseKind.MATCH)
    return views, assemble(frame_of(standing, MATCH_COLUMNS), CaseKind.MATCH, views, facts)
