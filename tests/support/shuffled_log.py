"""A log told in any order: records and events of a small world, put into a chamber in batches, and what it says.

Rules:
1. When the broker took something is a part of it: telling the same log in another order changes no time.
2. What must be left at the end is said by the pure core from everything at once, by the highest version of each event.
3. What is said is folded as a consumer folds it: the last message of each violation counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from schemas.contract import Message
from schemas.registry import FeedRecord, RegistryRecord
from schemas.subject import SubjectRecord
from schemas.verdict import Violation
from streams.core.arrival import Arrival
from streams.core.case import Views, assemble
from streams.core.chamber import Chamber, Opinion
from streams.core.facts import CaseKind
from streams.core.frame import MATCH_COLUMNS, frame_of
from streams.core.instant import NEVER, SECOND, micros
from streams.core.judge import judge
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


@dataclass
class Folded:
    """What was said so far."""

    messages: dict[str, Violation] = field(default_factory=dict)
    said: list[Violation] = field(default_factory=list)

    def take(self, opinion: Opinion) -> None:
        """Take in what a chamber said."""
        for each in opinion.said:
            self.messages[each.message.violation_id] = each.message
            self.said.append(each.message)

    def verdicts(self) -> dict[str, bytes]:
        """The violations that stand, each as a first judgement writes it."""
        return {each.violation_id: plain(each) for each in self.messages.values() if each.status in ("open", "excused")}


def plain(message: Violation) -> bytes:
    """A message without what a change adds to it."""
    return message.model_copy(update=dict(NEW)).to_json()


class Court:
    """Chambers of one or several partitions over one world; everything is heard at once."""

    def __init__(self, rulebook: Rulebook, partitions: int = 1, *, span: int = HOUR, bytes_max: int = 2**30) -> None:
        self.views = [Views()]
        self.views += [self.views[0].beside(self.views[0].histories) for _ in range(partitions - 1)]
        self.chambers = [Chamber(rulebook, each, span=span, bytes_max=bytes_max) for each in self.views]
        self.folded = Folded()
        self.heard = -NEVER

    def tell(self, logged: Sequence[Logged], *, hold: int = 0) -> None:
        """Take records in, and judge events in one batch a partition."""
        by_home: dict[int, list[Logged]] = {}
        for each in logged:
            if isinstance(each.message, RegistryRecord | SubjectRecord):
                apply(self.views[0], each, self.chambers)
            else:
                by_home.setdefault(self._home(each.message.key), []).append(each)
                self.heard = max(self.heard, each.recorded_at)
        for home, events in by_home.items():
            last = max(each.recorded_at for each in events)
            self.folded.take(self.chambers[home].enter(frame(events), due=last + hold, heard=self.heard))
            for each in events:
                before = each.message.previous_key
                if before is not None and self._home(before) != home:
                    event = each.message
                    key = EventKey(event.controller_id, event.event_id)
                    self.folded.take(self.chambers[self._home(before)].supersede(key, event.event_version))

    def _home(self, key: str) -> int:
        return partition_of(key, len(self.chambers))

    def look(self) -> None:
        """Look at what was touched, until nothing is left."""
        for chamber in self.chambers:
            self.folded.take(chamber.look(self.heard))
            while chamber.busy:
                self.folded.take(chamber.look(self.heard))

    def end(self) -> dict[str, bytes]:
        """Hear everything out; gives the violations that stand."""
        self.heard = NEVER
        self.look()
        assert not any(chamber.held_cases for chamber in self.chambers)
        return self.folded.verdicts()


def final(rulebook: Rulebook, logged: Iterable[Logged]) -> Mapping[str, bytes]:
    """What must stand once everything is known."""
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
        return {}
    cases = assemble(frame_of(standing, MATCH_COLUMNS), CaseKind.MATCH, views, rulebook.facts_of(CaseKind.MATCH))
    found = violations(judge(cases, CaseKind.MATCH, rulebook), views)
    return {each.violation_id: each.to_json() for *_, each in found}
