"""A feed says how far its records reach: what is missing before is absent, and its silence is trusted for a while."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chance_world import feeds as heartbeats
from schemas.registry import FeedRecord
from settled_world import CONTROLLERS, COVERED, a_feed, feeds_of, text_at, tick
from streams.core.feed import Horizon
from streams.core.instant import SECOND


def complete(number: int, feed: str = "everything", lag: int = 60, **fields: Any) -> FeedRecord:
    """A heartbeat said at the instant up to which it is complete."""
    times = {"valid_from": text_at(number), "complete_until": text_at(number)}
    return a_feed(id=feed, record_id=f"{feed}-{number}", max_lag_seconds=lag, **times | fields)


def test_absence_is_earned_before_complete_until_and_what_was_said_stands_for_the_lag() -> None:
    horizon = feeds_of(complete(3, lag=15)).horizon("zoo", "consent_given")
    assert horizon == Horizon(complete_until=tick(3), fresh_until=tick(3) + 15 * SECOND)


def test_of_several_feeds_the_poorest_counts_for_each_bound_alone() -> None:
    slow, short = complete(2, "slow", lag=3_600), complete(5, "short", lag=1)
    assert feeds_of(slow, short).horizon("zoo", "device") == Horizon(tick(2), tick(5) + SECOND)


def test_a_kind_that_nobody_covers_is_never_known() -> None:
    feeds = feeds_of(complete(3, covers=["device"]))
    assert feeds.horizon("zoo", "device") is not None
    assert feeds.horizon("zoo", "site") is None
    assert feeds_of().horizon("zoo", "device") is None


def test_a_feed_of_one_controller_says_nothing_of_another() -> None:
    feeds = feeds_of(complete(3, controller_id="zoo"))
    assert feeds.horizon("zoo", "device") is not None
    assert feeds.horizon("mall", "device") is None


def test_a_new_heartbeat_counts_at_once_although_the_old_one_was_asked() -> None:
    feeds = feeds_of(complete(3))
    assert feeds.horizon("zoo", "device") == Horizon(tick(3), tick(9))
    feeds.add(complete(4))
    assert feeds.horizon("zoo", "device") == Horizon(tick(4), tick(10))
    feeds.add(complete(2))
    assert feeds.horizon("zoo", "device") == Horizon(tick(4), tick(10))


def test_a_heartbeat_may_take_a_kind_back() -> None:
    assert feeds_of(complete(3), complete(4, covers=["site"])).horizon("zoo", "device") is None


def test_a_retired_feed_that_is_complete_to_its_end_limits_no_other() -> None:
    retired = complete(2, "old", valid_from=text_at(1), valid_until=text_at(2))
    assert feeds_of(retired, complete(5, "new")).horizon("zoo", "device") == Horizon(tick(5), tick(11))


def test_a_retired_feed_that_is_not_complete_to_its_end_still_limits() -> None:
    retired = complete(2, "old", valid_until=text_at(3))
    assert feeds_of(retired, complete(5, "new")).horizon("zoo", "device") == Horizon(tick(2), tick(8))


def test_nothing_can_be_said_after_the_end_of_the_last_feed() -> None:
    first = complete(2, "first", valid_from=text_at(1), valid_until=text_at(2))
    last = complete(4, "last", valid_from=text_at(1), valid_until=text_at(3))
    assert feeds_of(first, last).horizon("zoo", "device") == Horizon(tick(3), tick(3))


@given(st.lists(heartbeats, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_heartbeats_and_their_repeats_are_irrelevant(said: list[FeedRecord], chance: Random) -> None:
    shuffled = [*said, *said[::2]]
    chance.shuffle(shuffled)
    one, other = feeds_of(*said), feeds_of(*shuffled)
    assert one.latest() == other.latest()
    for controller in (*CONTROLLERS, "stranger"):
        for kind in COVERED:
            assert one.horizon(controller, kind) == other.horizon(controller, kind)
            horizon = one.horizon(controller, kind)
            assert horizon is None or horizon.complete_until <= horizon.fresh_until


def test_the_latest_heartbeats_come_by_the_id_of_their_feed() -> None:
    old, new, other = complete(3, "b"), complete(4, "b"), complete(1, "a")
    assert feeds_of(new, other, old).latest() == (other, new)


def test_a_heartbeat_is_awaited_while_its_feed_keeps_its_promise() -> None:
    feeds = feeds_of(complete(3, lag=20, covers=["device"]))

    def awaited(instant: int, now: int, controller: str = "zoo", kind: str = "device") -> bool:
        return feeds.awaited([controller], [kind], instant, now)

    assert awaited(tick(3), tick(3))
    assert awaited(tick(3), tick(5, -1))
    assert not awaited(tick(3, -1), tick(3)), "the instant is settled"
    assert not awaited(tick(3), tick(5)), "the feed broke its promise"
    assert not awaited(tick(3), tick(3), kind="site"), "no feed will come"
    several = feeds.awaited(["mall"], ["site", "device"], tick(3), tick(3))
    assert several, "one kind of several is enough"


def test_a_feed_is_behind_from_the_end_of_its_promise_and_a_retired_one_never() -> None:
    retired = complete(2, "old", valid_from=text_at(1), valid_until=text_at(2))
    feeds = feeds_of(complete(3, "living", lag=10), retired)
    assert feeds.behind(tick(4)) == {"living": 0, "old": 0}
    assert feeds.behind(tick(6)) == {"living": tick(6) - tick(4), "old": 0}


def test_of_two_heartbeats_alike_but_for_their_promise_one_wins_in_any_order() -> None:
    long, short = complete(3, lag=60), complete(3, lag=1)
    assert feeds_of(long, short).horizon("zoo", "device") == feeds_of(short, long).horizon("zoo", "device")
