"""The account of a generation: cold until opened, bounded, and the only judge of where the next run begins."""

from __future__ import annotations

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigurationError
from streams.live.flow import Flow
from streams.live.run import Run, RunSettings, weight

A, B = TP("matches", 0), TP("matches", 1)


def run(tp: TP, first: int, *, count: int = 10, size: int = 100, generation: int = 7) -> Run:
    return Run(tp.topic, tp.partition, (), first, first + count, size, generation)


def flow(*, max_runs: int = 2, max_bytes: int = 1_000) -> Flow:
    made = Flow(max_runs=max_runs, max_bytes=max_bytes)
    made.begin(7, [A, B])
    made.settle({A: 0, B: 50, TP("elsewhere", 0): 3})
    return made


def test_a_partition_is_cold_until_it_is_opened_in_its_own_generation() -> None:
    account = flow()
    assert account.wanted() == frozenset()
    assert account.cold
    assert not account.open(A, 6)
    assert account.open(A, 7)
    assert account.wanted() == {A}
    assert not account.open(TP("matches", 9), None)
    assert account.open(B, None)
    assert not account.cold


def test_a_partition_at_its_bound_of_runs_waits_and_the_other_goes_on() -> None:
    account = flow(max_runs=2)
    account.open(A, None)
    account.open(B, None)
    first, second = run(A, 0), run(A, 10)
    account.hand(first)
    assert account.wanted() == {A, B}
    account.hand(second)
    assert account.wanted() == {B}
    assert account.release(first)
    assert account.wanted() == {A, B}


def test_a_partition_at_its_bound_of_bytes_waits_until_bytes_come_back() -> None:
    account = flow(max_runs=100, max_bytes=150)
    account.open(A, None)
    account.hand(run(A, 0, size=149))
    assert account.wanted() == {A}
    big = run(A, 10, size=5_000_000)
    account.hand(big)
    assert account.wanted() == frozenset()
    assert account.load(A) == (2, 5_000_149)
    account.release(big)
    assert account.wanted() == {A}


def test_a_run_is_given_back_once_and_only_in_its_generation() -> None:
    account = flow()
    account.open(A, None)
    handed = run(A, 0)
    account.hand(handed)
    assert account.release(handed)
    assert not account.release(handed)
    assert not account.release(run(A, 0, generation=6))
    assert account.load(A) == (0, 0)


def test_a_new_generation_forgets_the_old_one() -> None:
    account = flow()
    account.open(A, None)
    old = run(A, 0)
    account.hand(old)
    account.begin(8, [A])
    assert account.owned == {A}
    assert account.wanted() == frozenset()
    assert account.expected(A) is None
    assert not account.release(old)
    account.end()
    assert account.generation is None
    assert account.load(A) == (0, 0)


@pytest.mark.parametrize(
    "stranger",
    [run(A, 10), run(A, 0, generation=6), run(B, 50), run(TP("matches", 9), 0)],
    ids=["a hole before it", "another generation", "a cold partition", "not owned"],
)
def test_a_run_that_does_not_belong_next_is_not_accepted(stranger: Run) -> None:
    account = flow()
    account.open(A, None)
    assert account.accepts(run(A, 0))
    assert not account.accepts(stranger)


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 12), st.integers(1, 4)), max_size=60))
def test_whatever_is_offered_the_accepted_runs_tile_the_log(offers: list[tuple[TP, int, int]]) -> None:
    account = Flow(max_runs=1_000, max_bytes=1_000_000)
    account.begin(7, [A, B])
    account.settle({A: 0, B: 0})
    account.open(A, None)
    account.open(B, None)
    tiles: dict[TP, list[int]] = {A: [], B: []}
    for tp, first, count in offers:
        offered = run(tp, first, count=count)
        if account.accepts(offered):
            account.hand(offered)
            tiles[tp] += range(offered.first_offset, offered.next_offset)
    for tp, offsets in tiles.items():
        assert offsets == list(range(len(offsets)))
        assert account.expected(tp) == len(offsets)


def test_a_run_counts_the_offsets_that_carry_no_record() -> None:
    assert run(A, 5, count=3).holes == 3


class _Record:
    offset, timestamp, timestamp_type = 0, 0, 1

    def __init__(self, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        self.key, self.value, self.headers = key, value, headers


def test_the_weight_of_records_is_their_keys_values_and_headers() -> None:
    assert weight([_Record(None, None), _Record(b"kk", b""), _Record(b"", b"vvv", (("h", b"12"),))]) == 8


@pytest.mark.parametrize(
    "wrong", [{"topics": frozenset()}, {"max_runs": 0}, {"max_bytes": 0}, {"fetch_wait_seconds": 0}]
)
def test_settings_that_could_never_deliver_are_refused(wrong: dict[str, object]) -> None:
    settings = {"topics": frozenset({"matches"}), "on_failure": lambda _: None} | wrong
    with pytest.raises(ConfigurationError):
        RunSettings(**settings)  # type: ignore[arg-type]
