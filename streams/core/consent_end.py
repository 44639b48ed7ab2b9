"""When consents run out: how many end at which minute, kept in step with what is on record about each person.

Rules:
1. A consent that was withdrawn before its end does not run out, nor does one without an end.
2. Minutes are counted, not persons: of a million consents there are a few thousand ends.
3. The ends of all persons of a view are found in columns, but for those who took something back, or whose records
   conflict: these are looked at one by one, and find the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import heappop, heappush

import polars as pl

from streams.core.claim import GIVEN, WITHDRAWN
from streams.core.instant import NEVER, SECOND
from streams.core.subject_history import Histories

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
            self._expect(_minute(end), 1)

    def _expect(self, minute: int, count: int) -> None:
        if minute not in self._counts:
            heappush(self._order, minute)
        self._counts[minute] += count

    def begin(self, histories: Histories) -> None:
        """Let the ends be those of all persons of a view."""
        table, claims = histories.table, histories.claims
        rows = table.rows()
        purposes = [len(claim.purposes) if claim.kind == GIVEN else 0 for claim in claims.made]
        ending = rows.with_columns(count=pl.Series(purposes, dtype=pl.Int64).gather(rows["claim"])).filter(
            (pl.col("count") > 0) & (pl.col("until") < NEVER)
        )
        theirs = rows.filter(pl.col("person").is_in(ending["person"].unique().implode()))
        doubtful = theirs.filter(
            pl.col("claim").is_in(claims.numbers({WITHDRAWN})) | pl.struct("person", "record_id").is_duplicated()
        )["person"].unique()
        objects = list(histories.objects)
        doubtful = pl.concat([doubtful, table.numbers(objects)]).unique()
        plain = ending.filter(~pl.col("person").is_in(doubtful.implode()))
        minutes = plain.group_by(minute=-(-pl.col("until") // MINUTE)).agg(pl.col("count").sum())
        for minute, count in minutes.iter_rows():
            self._expect(minute, count)
        looked_at = dict.fromkeys([*objects, *table.named(doubtful)])
        for _, history in histories.each(list(looked_at)):
            self.change((), history.consent_ends())

    def passed(self, until: int) -> int:
        """How many consents ran out up to `until` (microseconds) that were not told before."""
        count = 0
        while self._order and self._order[0] * MINUTE <= until:
            count += max(0, self._counts.pop(heappop(self._order)))
        return count


def _minute(end: int) -> int:
    """The first full minute at which a consent is over."""
    return -(-end // MINUTE)
