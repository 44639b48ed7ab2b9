"""How many different persons' references a controller stores at the end of each local day, exactly.

Rules:
1. A person is stored from an enrolment up to a deletion of the reference, or to the end the enrolment gives itself; a
   deletion ends every enrolment that began at or before it, and a person counts once, however often enrolled.
2. What arrives late counts at the day it is about: the counts are differences by day, so any order gives the same.
3. Counts of different partitions add up, because a person's records all lie in one.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

from streams.core import calendar
from streams.core.instant import NEVER


class Stay(NamedTuple):
    """A stretch of time, half-open, in which a person's reference is stored."""

    since: int
    until: int


def stays(enrolled: Iterable[Stay], deleted: Iterable[int]) -> list[Stay]:
    """The stretches in which one person is stored, in order and apart, out of enrolments and deletions."""
    ends = sorted(deleted)
    cut = []
    for each in enrolled:
        end = next((instant for instant in ends if instant >= each.since), NEVER)
        if (until := min(each.until, end)) > each.since:
            cut.append(Stay(each.since, until))
    found: list[Stay] = []
    for each in sorted(cut):
        if found and each.since <= found[-1].until:
            found[-1] = Stay(found[-1].since, max(found[-1].until, each.until))
        else:
            found.append(each)
    return found


class StoredCount:
    """The counts of one controller in one time zone."""

    __slots__ = ("_by_person", "_changes", "_days", "_zone")

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._by_person: dict[str, tuple[tuple[date, int], ...]] = {}
        self._changes: Counter[date] = Counter()
        self._days: list[date] = []

    def put(self, person: str, held: Iterable[Stay]) -> bool:
        """Say anew when a person is stored; true where that changes a count."""
        changes = tuple(self._changes_of(held))
        before = self._by_person.get(person, ())
        if changes == before:
            return False
        for day, step in before:
            self._changes[day] -= step
        for day, step in changes:
            self.add(day, step)
        if changes:
            self._by_person[person] = changes
        else:
            del self._by_person[person]
        return True

    def add(self, day: date, step: int) -> None:
        """Count so many persons more from a day on, of whom nothing is said one by one."""
        if day not in self._changes:
            insort(self._days, day)
        self._changes[day] += step

    def _changes_of(self, held: Iterable[Stay]) -> Iterator[tuple[date, int]]:
        """At which day's end a person begins and ceases to be stored."""
        steps: Counter[date] = Counter()
        for each in held:
            steps[calendar.local_day(each.since, self._zone)] += 1
            if each.until < NEVER:
                steps[calendar.local_day(each.until, self._zone)] -= 1
        return ((day, step) for day, step in sorted(steps.items()) if step)

    def at_day_ends(self) -> list[tuple[date, int]]:
        """The count at the end of every day on which it may have changed, in order."""
        return list(zip(self._days, accumulate(self._changes[day] for day in self._days), strict=True))


def summed(parts: Iterable[Iterable[tuple[date, int]]]) -> list[tuple[date, int]]:
    """The counts of several parts together, each part standing as it last was."""
    steps: Counter[date] = Counter()
    for part in parts:
        before = 0
        for day, count in part:
            steps[day] += count - before
            before = count
    days = sorted(steps)
    return list(zip(days, accumulate(steps[day] for day in days), strict=True))
