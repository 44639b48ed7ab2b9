"""When consents run out: how many end at which minute, kept in step with what is on record about each person.

Rules:
1. A consent that was withdrawn before its end does not run out, nor does one without an end.
2. Minutes are counted, not persons: of a million consents there are a few thousand ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import heappop, heappush

from streams.core.instant import SECOND

MINUTE = 60 * SECOND


class ConsentEnds:
    """The ends of the consents of some persons, in minutes since 1970."""

    __slots__ = ("_counts", "_order")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._order: list[int] = []

    def change(self, before: Iterable[int], after: Iterable[int]) -> None:
        """Let the ends (microseconds) of one person's consents be `after` instead of `before`."""
        for end in before:
            self._counts[_minute(end)] -= 1
        for end in after:
            minute = _minute(end)
            if minute not in self._counts:
                heappush(self._order, minute)
            self._counts[minute] += 1

    def passed(self, until: int) -> int:
        """How many consents ran out up to `until` (microseconds) that were not told before."""
        count = 0
        while self._order and self._order[0] * MINUTE <= until:
            count += max(0, self._counts.pop(heappop(self._order)))
        return count


def _minute(end: int) -> int:
    """The first full minute at which a consent is over."""
    return -(-end // MINUTE)
