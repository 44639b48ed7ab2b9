"""The registry as a view: what every registry record says, by kind and id, and which of it holds at an instant.

Rules:
1. A registry is a pure fold over registry records; only an unreadable record makes their order matter, because it
   leaves its key unknown until a readable one of the same key comes.
2. An exception or an authority never reaches back before it was recorded: `find_instrument` gives it from then on, and
   a correction of it from the instant at which the correction was recorded. Where nobody says when something was
   recorded (a file does not), `valid_from` counts.
3. `revision` rises whenever an answer may change; heartbeats of feeds do not raise it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple, TypeVar, cast

from schemas.registry import (
    AssessmentRecord,
    AttestationRecord,
    AuthorityRecord,
    ExceptionRecord,
    FeedRecord,
    NoticeRecord,
    RegistryRecord,
)
from streams.core.facts import Unknown
from streams.core.feed import Feeds
from streams.core.instant import NEVER, micros
from streams.core.instrument import Instrument
from streams.core.timeline import Statement, Timeline

Record = TypeVar("Record", bound=RegistryRecord)


class Found(NamedTuple):
    """The record of a thing at an instant, or why it cannot be said; neither means that there is none."""

    record: RegistryRecord | None = None
    why: Unknown | None = None


class Registry:
    """All registry records up to some frontier."""

    __slots__ = ("_instruments", "_owned", "_papers", "_things", "_unreadable", "changes", "feeds", "revision")

    def __init__(self) -> None:
        self._things: dict[str, Timeline[RegistryRecord]] = {}
        self._instruments: dict[str, Instrument] = {}
        self._papers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._owned: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._unreadable: set[str] = set()
        self.feeds = Feeds()
        self.revision = 0
        self.changes: list[tuple[str, str]] = []
        """Kind and controller of every record that changed something, in the order in which they came."""

    def add(self, record: RegistryRecord, recorded_at: int | None = None) -> int | None:
        """Take a record in that was recorded at an instant (microseconds); the same record again changes nothing.

        Gives the first instant at which an answer may differ now; None where none does, or only a feed has moved.
        """
        if isinstance(record, FeedRecord):
            self.feeds.add(record)
            return None
        timeline = self._things.setdefault(record.key, Timeline())
        statement = _statement(record)
        since = timeline.change(statement)
        if isinstance(record, ExceptionRecord | AuthorityRecord):
            instrument = self._instruments.setdefault(record.key, Instrument())
            acted = instrument.add(statement, statement.valid_from if recorded_at is None else recorded_at)
            since = -NEVER if acted and since is None else since
        self._owned[record.kind, owner_of(record)].add(record.id)  # type: ignore[attr-defined]
        if isinstance(record, NoticeRecord | AssessmentRecord):
            for purpose_id in record.purpose_ids:
                self._papers[record.kind, purpose_id].add(record.id)
        if isinstance(record, AttestationRecord):
            self._papers[record.kind, record.about].add(record.id)
        if record.key in self._unreadable:
            self._unreadable.discard(record.key)
            since = -NEVER
        if since is not None:
            self.revision += 1
            self.changes.append((record.kind, owner_of(record)))  # type: ignore[attr-defined]
        return since

    def mark_unreadable(self, key: str) -> None:
        """Remember that the newest record of `key` cannot be read, so that the thing is unknown until replaced."""
        if key not in self._unreadable:
            self._unreadable.add(key)
            self.revision += 1
            kind = key.partition("/")[0]
            self.changes.extend((kind, owner) for held, owner in self._owned if held == kind)

    def find(self, kind: str, thing: str, instant: int) -> Found:
        """The record of `kind/thing` in force at `instant`."""
        key = f"{kind}/{thing}"
        if key in self._unreadable:
            return Found(why=Unknown.RECORD_UNREADABLE)
        timeline = self._things.get(key)
        if timeline is None:
            return Found()
        if timeline.conflicting:
            return Found(why=Unknown.CONFLICT)
        statement = timeline.in_force(instant)
        return Found(None if statement is None else statement.content)

    def find_instrument(self, kind: str, thing: str, instant: int) -> Found:
        """The exception or authority in force at `instant`, as far as it had been recorded by then."""
        found = self.find(kind, thing, instant)
        instrument = self._instruments.get(f"{kind}/{thing}")
        if found.why is not None or instrument is None:
            return found
        statement = instrument.in_force(instant)
        return Found(None if statement is None else statement.content)

    def max_hits(self, controller_id: str, exception_id: str, instant: int) -> int | None:
        """How many events a day may name an exception of a controller; None where no record in force says it."""
        paper = self.find_instrument("exception", exception_id, instant).record
        if not isinstance(paper, ExceptionRecord) or paper.controller_id != controller_id:
            return None
        return paper.max_hits

    def papers(self, kind: str, purpose_id: str, instant: int) -> tuple[list[RegistryRecord], Unknown | None]:
        """Notices or assessments about a purpose in force at `instant`, and why others may be hidden."""
        found = [self.find(kind, thing, instant) for thing in sorted(self._papers.get((kind, purpose_id), ()))]
        hidden = next((each.why for each in found if each.why is not None), None)
        if hidden is None and self.hidden(kind):
            hidden = Unknown.RECORD_UNREADABLE
        papers = [each.record for each in found if each.record is not None]
        return [paper for paper in papers if purpose_id in cast("NoticeRecord", paper).purpose_ids], hidden

    def instruments(self) -> Iterator[tuple[str, int, int]]:
        """Key, first instant and end of what each exception and authority says now; NEVER where it has no end."""
        for key in sorted(self._instruments):
            timeline = self._things[key]
            if not timeline.conflicting and key not in self._unreadable:
                for statement in timeline:
                    yield key, statement.valid_from, statement.valid_until

    def attestations(self, about: str, instant: int) -> list[AttestationRecord]:
        """The attestations about a device or purpose, `kind/id`, in force at `instant`."""
        papers = sorted(self.paper_ids("attestation", about))
        found = [self.find("attestation", paper, instant).record for paper in papers]
        return [each for each in found if isinstance(each, AttestationRecord) and each.about == about]

    def paper_ids(self, kind: str, purpose_id: str) -> frozenset[str]:
        """The ids of all notices or assessments that ever named a purpose, or attestations that named a thing."""
        return frozenset(self._papers.get((kind, purpose_id), ()))

    def owned(self, kind: str, controller_id: str) -> list[str]:
        """The ids of all things of a kind of which some record said that they are a controller's, sorted."""
        return sorted(self._owned.get((kind, controller_id), ()))

    def controllers(self) -> frozenset[str]:
        """Every controller that some record names."""
        return frozenset(controller for _, controller in self._owned)

    def hidden(self, kind: str) -> bool:
        """Whether some thing of a kind is unknown, because its newest record cannot be read."""
        return any(key.startswith(f"{kind}/") for key in self._unreadable)

    def conflicting(self, kind: str, thing: str) -> bool:
        """Whether a record about `kind/thing` has two contents in one version."""
        timeline = self._things.get(f"{kind}/{thing}")
        return timeline is not None and timeline.conflicting

    def statements(self, kind: str, thing: str) -> tuple[RegistryRecord, ...]:
        """Every current statement about `kind/thing`, whatever it holds for."""
        return tuple(statement.content for statement in self._things.get(f"{kind}/{thing}", ()))

    def instants(self, kind: str, thing: str) -> set[int]:
        """The instants at which `find` may change its answer."""
        timeline = self._things.get(f"{kind}/{thing}")
        instrument = self._instruments.get(f"{kind}/{thing}")
        edges = timeline.instants() if timeline is not None else set()
        return edges | (instrument.instants() if instrument is not None else set())

    def __len__(self) -> int:
        return len(self._things)


def owner_of(record: RegistryRecord) -> str:
    """The controller that a record is about: its own id where it is the record of one."""
    return str(getattr(record, "controller_id", None) or record.id)


def _statement(record: RegistryRecord) -> Statement[RegistryRecord]:
    until = NEVER if record.valid_until is None else micros(record.valid_until)
    return Statement(record.record_id, record.record_version, micros(record.valid_from), record, until)
