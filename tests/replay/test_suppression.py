"""No small count can be computed from what a report shows, whatever the reader knows of how it was made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.replay.suppression import CELL_SIZE, Shown, denominator, group, hidden_sum, total

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=8)


def published(counts: Sequence[int], cell_size: int) -> tuple[Shown, tuple[Shown, ...]]:
    whole = total(sum(counts), cell_size)
    return whole, tuple(group(counts, whole, cell_size))


@pytest.mark.parametrize(("cell_size", "cells", "most"), [(3, 2, 12), (3, 3, 14), (3, 4, 8), (4, 3, 13), (5, 3, 16)])
def test_who_knows_the_sum_and_how_it_was_made_cannot_compute_a_small_count(
    cell_size: int, cells: int, most: int
) -> None:
    # All groups that look the same to a reader who has tried every group there is.
    alike = defaultdict(list)
    for counts in product(range(most + 1), repeat=cells):
        alike[published(counts, cell_size)].append(counts)
    for (whole, shown), groups in alike.items():
        if whole is not None and whole > most:
            continue  # its like may lie beyond the groups that were tried
        for index, count in enumerate(shown):
            assert count is None or count == 0 or count >= cell_size
            possible = {counts[index] for counts in groups}
            if count is None and any(0 < value < cell_size for value in possible):
                assert len(possible) > 1, (whole, shown)


@given(counts=COUNTS, cell_size=st.integers(3, 9))
def test_who_knows_the_sum_alone_finds_every_small_count_open(counts: list[int], cell_size: int) -> None:
    whole, shown = published(counts, cell_size)
    hidden = [count for count, told in zip(counts, shown, strict=True) if told is None]
    if whole is None or not any(0 < count < cell_size for count in hidden):
        assert whole is not None or shown == (None,) * len(counts)
        return
    assert len(hidden) >= 2
    assert sum(hidden) >= cell_size, "the hidden counts together are no small count either"
    assert 0 in hidden or sum(hidden) > len(hidden) or len(hidden) == len(counts)


@given(counts=COUNTS, cell_size=st.sampled_from([1, 3, 4, 5, 9]))
def test_what_is_shown_is_true_and_no_more_is_hidden_than_must_be(counts: list[int], cell_size: int) -> None:
    whole, shown = published(counts, cell_size)
    assert all(told in (None, count) for told, count in zip(shown, counts, strict=True))
    small = [count for count in counts if 0 < count < cell_size]
    if not small and whole is not None:
        assert list(shown) == counts
    large_hidden = [count for count, told in zip(counts, shown, strict=True) if told is None and count >= cell_size]
    assert len(set(large_hidden)) <= 1 or whole is None


def test_a_denominator_that_would_bound_a_hidden_part_is_hidden() -> None:
    assert denominator(100, [None, 20], [6, 0], 5) == 100
    assert denominator(25, [None, 20], [6, 0], 5) is None
    assert denominator(4, [0, 0], [0, 0], 5) is None
    assert denominator(0, [0, 0], [0, 0], 5) == 0


RULES = [(found, unknown, cases) for cases in range(8) for found in range(cases + 1) for unknown in (0, 4)
         if found + unknown <= cases]  # fmt: skip


def test_the_denominators_of_a_table_and_their_sum_give_no_small_count_away() -> None:
    cell_size = 3
    alike = defaultdict(list)
    for rows in product(RULES, repeat=2):
        columns = list(zip(*rows, strict=True))
        (found_sum, found), (unknown_sum, unknown) = (published(columns[index], cell_size) for index in (0, 1))
        bounds = [hidden_sum(found, found_sum, cell_size), hidden_sum(unknown, unknown_sum, cell_size)]
        cases = tuple(
            denominator(row[2], [found[index], unknown[index]], bounds, cell_size) for index, row in enumerate(rows)
        )
        whole = None if None in cases else sum(columns[2])
        alike[found_sum, found, unknown_sum, unknown, cases, whole].append(rows)
    hidden = Counter[str]()
    for (found_sum, found, _, _, cases, _), tables in alike.items():
        if found_sum is None or found_sum > 4:
            continue  # its like may lie beyond the tables that were tried
        for index in range(2):
            for name, shown, values in (
                ("found", found[index], {rows[index][0] for rows in tables}),
                ("clear", None, {rows[index][2] - rows[index][0] - rows[index][1] for rows in tables}),
                ("cases", cases[index], {rows[index][2] for rows in tables}),
            ):
                if shown is None and any(0 < value < cell_size for value in values):
                    hidden[name] += 1
                    assert len(values) > 1, (name, found, cases)
    assert hidden.keys() == {"found", "clear", "cases"}


def test_the_default_is_the_usual_one() -> None:
    assert (total(4, CELL_SIZE), total(5, CELL_SIZE), total(0, CELL_SIZE)) == (None, 5, 0)
