"""Feeds: what each source of records covers, up to when it is complete, and how long its silence may be trusted.

Rules:
1. A record that is missing at an instant is *absent* only where every feed that covers its kind is complete beyond
   that instant; otherwise it is unknown (`feed_behind`).
2. What a source has said stands until `complete_until + max_lag`; beyond it the source has broken its promise and
   everything that rests on it is unknown, so a feed that stops is seen within its `max_lag`.
3. A kind that no feed covers is unknown for ever (`feed_missing`).
4. Of several heartbeats of one feed the latest by `valid_from` counts, whatever the order of arrival.
5. A feed that was retired, and complete to its end, limits no other feed; where it was the last that covered a kind,
   nothing can be said from its end on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.registry import FeedRecord
from streams.core.instant import NEVER, SECOND, micros


class Horizon(NamedTuple):
    """How far records of a kind can be relied on; both instants are exclusive."""

    complete_until: int
    fresh_until: int


class Feeds:
    """The latest heartbeat of every feed."""

    __slots__ = ("_horizons", "_latest", "revision")

    def __init__(self) -> None:
        self.revision = 0
        """Rises whenever a horizon may have moved."""
        self._latest: dict[str, FeedRecord] = {}
        self._horizons: dict[tuple[str, str], Horizon | None] = {}

    def add(self, heartbeat: FeedRecord) -> None:
        """Take a heartbeat in; an older one than the feed's latest changes nothing."""
        known = self._latest.get(heartbeat.id)
        if known is None or _order(heartbeat) > _order(known):
            self._latest[heartbeat.id] = heartbeat
            self._horizons.clear()
            self.revision += 1

    def horizon(self, controller_id: str, kind: str) -> Horizon | None:
        """How far records of `kind` about `controller_id` can be relied on; None where no feed covers them."""
        place = (controller_id, kind)
        if place not in self._horizons:
            self._horizons[place] = self._narrowest(controller_id, kind)
        return self._horizons[place]

    def awaited(self, controllers: Iterable[str], kinds: Iterable[str], instant: int, now: int) -> bool:
        """Whether a heartbeat that would settle `instant` may still come: its feed keeps its promise at `now`."""
        horizons = (self.horizon(controller, kind) for controller in controllers for kind in kinds)
        return any(each is not None and each.complete_until <= instant and now < each.fresh_until for each in horizons)

    def promise(self, controller_id: str, kind: str) -> int | None:
        """How late a record may come at most (microseconds): as its quickest source promises; None where none does."""
        lags = [
            feed.max_lag_seconds
            for feed in self._latest.values()
            if kind in feed.covers and feed.controller_id in (None, controller_id) and not _retired(feed)
        ]
        return min(lags) * SECOND if lags else None

    def latest(self) -> tuple[FeedRecord, ...]:
        """The latest heartbeat of each feed, by id."""
        return tuple(self._latest[feed_id] for feed_id in sorted(self._latest))

    def behind(self, now: int) -> dict[str, int]:
        """By how many microseconds each feed, by id, has broken its promise at `now`; 0 where it keeps it."""
        return {
            feed.id: 0 if _retired(feed) else max(0, now - _horizon(feed).fresh_until) for feed in self._latest.values()
        }

    def _narrowest(self, controller_id: str, kind: str) -> Horizon | None:
        covering = [
            feed
            for feed in self._latest.values()
            if kind in feed.covers and feed.controller_id in (None, controller_id)
        ]
        if not covering:
            return None
        horizons = [_horizon(feed) for feed in covering if not _retired(feed)]
        if not horizons:
            last = max(micros(feed.valid_until) for feed in covering if feed.valid_until is not None)
            return Horizon(last, last)
        return Horizon(min(each.complete_until for each in horizons), min(each.fresh_until for each in horizons))


def _horizon(feed: FeedRecord) -> Horizon:
    complete = micros(feed.complete_until)
    return Horizon(complete, complete + feed.max_lag_seconds * SECOND)


def _retired(feed: FeedRecord) -> bool:
    """Whether a feed has ended and said all that it had to say."""
    return feed.valid_until is not None and feed.complete_until >= feed.valid_until


def _order(feed: FeedRecord) -> tuple[object, ...]:
    # The whole content last: two heartbeats that differ must have one winner, in whatever order they come.
    return (feed.valid_from, feed.record_version, feed.complete_until, feed.record_id, feed.to_json())


def moves(
    before: Mapping[str, Horizon | None], now: Mapping[str, Horizon | None]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The stretch in which feeds came further, and the one in which they fell back; none ends before it begins."""
    ahead, back = [NEVER, -NEVER], [NEVER, -NEVER]
    for kind, after in now.items():
        old, new = before[kind] or (-NEVER, -NEVER), after or (-NEVER, -NEVER)
        for old_bound, new_bound in zip(old, new, strict=True):
            if old_bound == new_bound:
                continue
            span = ahead if new_bound > old_bound else back
            span[0], span[1] = min(span[0], old_bound, new_bound), max(span[1], old_bound, new_bound)
    return (ahead[0], ahead[1]), (back[0], back[1])
