"""Stored persons by controller, over all partitions: own persons counted here, those of other partitions as told.

Rules:
1. One count a time zone, because a day ends when it ends there; only the zones of rules that ask are kept.
2. What another partition tells replaces what it told before about the same year.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from zoneinfo import ZoneInfo

from streams.core import calendar
from streams.core.rule import Duty, WindowRule
from streams.core.stored_count import Stay, StoredCount, summed

STORED_KINDS = ("deletion", "enrolment")
"""The kinds of record on which a count of stored persons rests."""
Counts = Sequence[tuple[date, int]]


def counts_stored(duty: Duty) -> bool:
    """Whether a rule asks how many persons are stored."""
    if isinstance(duty, WindowRule):
        return duty.count == "stored_persons"
    return any(clause.stored_persons is not None for clause in duty.opens)


class StoredTotal:
    """The counts of all controllers, in the time zones that rules ask for."""

    def __init__(self, duties: Iterable[Duty]) -> None:
        self._zones = tuple(sorted({duty.timezone for duty in duties if counts_stored(duty)}))
        self._own: dict[tuple[str, str], StoredCount] = {}
        self._told: defaultdict[tuple[str, str], dict[tuple[int, int], Counts]] = defaultdict(dict)
        self._changed: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._zones)

    def put(self, subject_ref: str, stays: Mapping[str, Sequence[Stay]]) -> list[str]:
        """Say anew when a person is stored by whom; gives the controllers whose counts changed."""
        changed: dict[str, None] = {}
        for zone in self._zones:
            for controller, held in stays.items():
                count = self._own.setdefault((zone, controller), StoredCount(zone))
                if count.put(subject_ref, held):
                    changed[controller] = None
        self._changed |= changed
        return list(changed)

    def add(self, zone: str, controller: str, day: date, step: int) -> None:
        """Count so many persons more from a local day on, of whom nothing is said one by one."""
        self._own.setdefault((zone, controller), StoredCount(zone)).add(day, step)
        self._changed[controller] = None

    def take_parts(self) -> Iterator[tuple[str, str, int, Counts]]:
        """Zone, controller, year and counts of own persons, of every controller that changed since this was asked."""
        changed, self._changed = self._changed, {}
        for controller in changed:
            for zone in self._zones:
                count = self._own.get((zone, controller))
                days = [] if count is None else count.at_day_ends()
                for year, counts in groupby(days, key=lambda each: each[0].year):
                    yield zone, controller, year, tuple(counts)

    def tell(self, partition: int, zone: str, controller: str, year: int, counts: Counts) -> None:
        """Learn the counts of another partition in one year."""
        self._told[zone, controller][partition, year] = tuple(counts)

    def at_day_ends(self, zone: str, controller: str) -> Counts:
        """The total at the end of every day on which it may have changed."""
        own = self._own.get((zone, controller))
        parts: defaultdict[int, list[tuple[date, int]]] = defaultdict(list)
        for (partition, _), counts in sorted(self._told[zone, controller].items()):
            parts[partition].extend(counts)
        return summed([*([own.at_day_ends()] if own is not None else []), *parts.values()])

    def above(self, zone: str, controller: str, at_least: int, complete: int) -> Iterator[tuple[int, int | None]]:
        """From and until which day's end a bound is reached, among the day ends before `complete`; None: still is."""
        since: int | None = None
        for day, count in self.at_day_ends(zone, controller):
            end = calendar.end_of(day, ZoneInfo(zone))
            if end >= complete:
                break
            if since is None and count >= at_least:
                since = end
            elif since is not None and count < at_least:
                yield since, end
                since = None
        if since is not None:
            yield since, None

    def next_end(self, zone: str, controller: str, complete: int) -> int | None:
        """The first day's end at or after `complete` at which the count may change."""
        ends = (calendar.end_of(day, ZoneInfo(zone)) for day, _ in self.at_day_ends(zone, controller))
        return next((end for end in ends if end >= complete), None)
