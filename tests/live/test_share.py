"""A share: runs that wait are judged together while they are short, and nothing of the log is lost or turned around."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.core.chamber import Chamber
from streams.live.run import LogRecord, Run, joined
from streams.live.share import LONGEST_REST_SECONDS, LOOK_SECONDS, SHORT_RECORDS, Share, rest

HOLES = st.integers(0, 3)


def runs_of(sizes: list[tuple[int, int]], first: int = 7) -> list[Run]:
    """Runs that tile a log, of so many records and so many offsets without one; a record is its offset."""
    made = []
    for count, holes in sizes:
        records = cast("list[LogRecord]", list(range(first, first + count)))
        made.append(Run("matches", 2, records, first, first + count + holes, 10 * count, 5))
        first = made[-1].next_offset
    return made


@given(st.lists(st.tuples(st.integers(1, 20), HOLES), min_size=1, max_size=6))
def test_runs_that_are_joined_hold_what_each_of_them_held(sizes: list[tuple[int, int]]) -> None:
    runs = runs_of(sizes)
    whole = joined(runs)
    assert list(whole.records) == [record for run in runs for record in run.records]
    assert (whole.tp, whole.generation) == (runs[0].tp, runs[0].generation)
    assert (whole.first_offset, whole.next_offset) == (runs[0].first_offset, runs[-1].next_offset)
    assert (whole.size_bytes, whole.holes) == (sum(each.size_bytes for each in runs), sum(each.holes for each in runs))


def test_runs_that_do_not_meet_are_never_joined() -> None:
    first, second, third = runs_of([(3, 0), (2, 0), (4, 0)])
    for wrong in ([first, third], [second, first]):
        with pytest.raises(AssertionError, match="tile"):
            joined(wrong)


@given(st.lists(st.tuples(st.sampled_from((1, 30, SHORT_RECORDS - 1, SHORT_RECORDS)), HOLES), min_size=1, max_size=6))
def test_each_run_that_waits_is_taken_once_in_order_and_none_is_added_to_a_long_one(
    sizes: list[tuple[int, int]],
) -> None:
    async def taken() -> list[list[Run]]:
        share = Share(TP("matches", 2), 5, asyncio.Queue(), cast("Chamber", None))
        for run in runs_of(sizes):
            share.queue.put_nowait(run)
        found = []
        while not share.queue.empty():
            found.append(await share.waiting_runs())
        return found

    found = asyncio.run(taken())
    assert [run for runs in found for run in runs] == runs_of(sizes)
    for runs in found:
        assert sum(len(run.records) for run in runs[:-1]) < SHORT_RECORDS
    for runs in found[:-1]:
        assert sum(len(run.records) for run in runs) >= SHORT_RECORDS


@given(st.floats(0, 100))
def test_looks_leave_most_of_the_time_to_new_events_but_never_wait_for_long(took: float) -> None:
    assert LOOK_SECONDS <= rest(took) <= LONGEST_REST_SECONDS
    assert rest(took) == LONGEST_REST_SECONDS or rest(took) >= 3 * took
