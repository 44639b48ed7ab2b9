"""When records reached the log: what a correction tells of its reason, and whether a record came later than promised.

Rules:
1. A record is late where the broker took it more than its feed's `max_lag` after the instant from which it holds. Where
   several feeds cover its kind the strictest promise counts, as the latest heartbeats give it.
2. Whoever reads a log keeps the arrivals of records that may still correct a case; `since` says from when on all are
   known. What is not known of a case before that is in doubt: it may have come after the alarm.
3. Of one record the latest arrival counts: a higher version that comes late is late, whenever the first one came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.core.feed import Feeds
from streams.core.instant import NEVER

ARRIVALS_MAX = 200_000
"""Arrivals that are kept; a flood of old records must not fill the memory."""


class Arrival(NamedTuple):
    """One record that came: from when it holds and when the broker took it, in microseconds."""

    record_id: str
    kind: str
    controller_id: str
    valid_from: int
    recorded_at: int

    def late(self, feeds: Feeds) -> bool:
        """Whether it came later than its source promises; nobody who promises nothing can be late."""
        promise = feeds.promise(self.controller_id, self.kind)
        return promise is not None and self.recorded_at > self.valid_from + promise


class Arrivals:
    """The latest arrival of each record that the broker took at `since` (microseconds) or later."""

    __slots__ = ("_by_id", "since")

    def __init__(self, since: int = -NEVER) -> None:
        self._by_id: dict[str, Arrival] = {}
        self.since = since

    def note(self, arrival: Arrival) -> None:
        """Take an arrival in; the oldest are forgotten where there are too many."""
        self._by_id.pop(arrival.record_id, None)
        self._by_id[arrival.record_id] = arrival
        if len(self._by_id) > ARRIVALS_MAX:
            oldest = self._by_id.pop(next(iter(self._by_id)))
            self.since = max(self.since, oldest.recorded_at + 1)

    def of(self, record_ids: Iterable[str]) -> list[Arrival]:
        """The arrivals that are known of some records."""
        return [found for each in record_ids if (found := self._by_id.get(each)) is not None]
