"""Stored persons are counted exactly: as a plain recount of each day's end would, in whatever order they are known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from rule_texts import a_pack, a_rule
from streams.core.calendar import end_of
from streams.core.instant import NEVER, micros
from streams.core.rulebook import load
from streams.core.stored_count import Stay, StoredCount, stays, summed
from streams.core.stored_total import StoredTotal

ZONE = "Asia/Shanghai"
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = [date(2026, 2, 27) + timedelta(days=each) for each in range(16)]
hours = st.integers(0, 240).map(lambda each: micros(FIRST + timedelta(hours=each)))
spans = st.tuples(hours, st.integers(1, 90) | st.none()).map(
    lambda each: Stay(each[0], NEVER if each[1] is None else each[0] + each[1] * 3_600_000_000)
)
persons = st.lists(st.tuples(st.lists(spans, max_size=3), st.lists(hours, max_size=2)), max_size=6)
COUNTING = a_rule(
    kind="window",
    judges=None,
    condition=None,
    window={"days": 1, "key": "controller", "count": "stored_persons", "at_least": 2},
)


def stored_at(instant: int, enrolled: Sequence[Stay], deleted: Sequence[int]) -> bool:
    """Whether a person is stored with the instant's end, by the definition: enrolled, not ended, not deleted since."""
    return any(
        each.since <= instant < each.until and not any(each.since <= gone <= instant for gone in deleted)
        for each in enrolled
    )


def naive(day: date, known: Sequence[tuple[list[Stay], list[int]]]) -> int:
    return sum(stored_at(end_of(day, ZoneInfo(ZONE)), *each) for each in known)


def counts_of(days: Sequence[tuple[date, int]]) -> dict[date, int]:
    """The count of each of `DAYS`, standing as it last was."""
    return {day: ([0] + [count for at, count in days if at <= day])[-1] for day in DAYS}


def a_total() -> StoredTotal:
    return StoredTotal(load([("t.yaml", a_pack(COUNTING, timezone=ZONE))]).duties)


@settings(max_examples=examples(200), deadline=None)
@given(persons, st.randoms(use_true_random=False))
def test_the_count_of_every_day_is_that_of_a_plain_recount_in_any_order(
    known: list[tuple[list[Stay], list[int]]], chance: Random
) -> None:
    total = a_total()
    order = [n for n in range(len(known)) for _ in range(2)]
    chance.shuffle(order)
    told = set[int]()
    for n in order:  # each person is told of twice: first in part, then whole
        enrolled, deleted = known[n] if n in told else (known[n][0][:1], [])
        total.put(f"s_{n}", {"zoo": stays(enrolled, deleted)})
        told.add(n)
    assert counts_of(total.at_day_ends(ZONE, "zoo")) == {day: naive(day, known) for day in DAYS}


@settings(max_examples=examples(200), deadline=None)
@given(persons, st.integers(1, 3))
def test_the_counts_of_partitions_add_up_to_that_of_one(
    known: list[tuple[list[Stay], list[int]]], partitions: int
) -> None:
    parts = [StoredCount(ZONE) for _ in range(partitions)]
    whole = StoredCount(ZONE)
    for n, (enrolled, deleted) in enumerate(known):
        for count in (whole, parts[n % partitions]):
            count.put(f"s_{n}", stays(enrolled, deleted))
    together = counts_of(summed(part.at_day_ends() for part in parts))
    assert together == counts_of(whole.at_day_ends())


@given(st.lists(spans, max_size=5), st.lists(hours, max_size=3))
def test_the_stretches_of_a_person_are_apart_in_order_and_never_empty(enrolled: list[Stay], deleted: list[int]) -> None:
    found = stays(enrolled, deleted)
    assert all(each.since < each.until for each in found)
    assert all(earlier.until < later.since for earlier, later in pairwise(found))


def test_the_same_again_changes_nothing_and_an_empty_stay_forgets_the_person() -> None:
    count = StoredCount(ZONE)
    held = [Stay(micros(FIRST), NEVER)]
    assert (count.put("s_1", held), count.put("s_1", held)) == (True, False)
    assert count.put("s_1", [])
    assert not count.put("s_1", [])
    assert [each for _, each in count.at_day_ends()] == [0]


def test_a_bound_is_above_from_the_day_end_that_reaches_it_to_the_one_that_leaves_it() -> None:
    total = a_total()
    day = 86_400_000_000
    for n, until in enumerate((NEVER, micros(FIRST) + 3 * day, NEVER)):
        total.put(f"s_{n}", {"zoo": [Stay(micros(FIRST) + n * day, until)]})
    ends = [end_of(date(2026, 3, number), ZoneInfo(ZONE)) for number in (1, 2, 3, 4)]
    reached = list(total.above(ZONE, "zoo", 3, NEVER))
    assert reached == [(ends[2], ends[3])]
    assert list(total.above(ZONE, "zoo", 2, NEVER)) == [(ends[1], None)]
    # What is not complete yet is not said, and the next day's end to look at is known.
    assert list(total.above(ZONE, "zoo", 3, ends[2])) == []
    assert total.next_end(ZONE, "zoo", ends[2]) == ends[2]
    assert total.next_end(ZONE, "zoo", NEVER) is None


def test_what_another_partition_tells_replaces_what_it_told_of_that_year_and_adds_to_our_own() -> None:
    total = a_total()
    total.put("s_1", {"zoo": [Stay(micros(FIRST), NEVER)]})
    parts = list(total.take_parts())
    assert parts == [(ZONE, "zoo", 2026, ((date(2026, 3, 1), 1),))]
    assert list(total.take_parts()) == []
    for counts in (((date(2026, 3, 2), 9),), ((date(2026, 3, 2), 4),)):
        total.tell(7, ZONE, "zoo", 2026, counts)
    assert total.at_day_ends(ZONE, "zoo") == [(date(2026, 3, 1), 1), (date(2026, 3, 2), 5)]


def test_rules_that_count_no_stored_persons_keep_no_counts() -> None:
    total = StoredTotal(())
    assert not total
    assert total.put("s_1", {"zoo": [Stay(micros(FIRST), NEVER)]}) == []
