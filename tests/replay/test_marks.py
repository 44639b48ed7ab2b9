"""Marks: an event that lies in two places is suspected in both, one that does not is not, however many are compared."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.replay import marks
from streams.replay.marks import MARKS, suspects, write_marks

IDS = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1), st.sampled_from([2**56 - 1, 2**56, 2**63, 2**64 - 1]))
PIECES = st.lists(st.lists(IDS, max_size=8), max_size=4)


def _marks(piece: int, ids: list[int]) -> pl.DataFrame:
    rows = [(each, piece, offset, offset % 2 == 0) for offset, each in enumerate(ids)]
    return pl.DataFrame(rows, schema=MARKS, orient="row")


@pytest.mark.parametrize("together", [1, 4, 4_000_000])
@given(pieces=PIECES)
def test_suspected_is_what_is_there_twice_and_nothing_else(together: int, pieces: list[list[int]]) -> None:
    every = [each for ids in pieces for each in ids]
    expected = {
        (f"p{piece}", offset, each, offset % 2 == 0)
        for piece, ids in enumerate(pieces)
        for offset, each in enumerate(ids)
        if every.count(each) > 1
    }
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(marks, "TOGETHER", together)
        folders = {f"p{number}": Path(folder) / f"p{number}" for number in range(len(pieces))}
        for number, (ids, place) in enumerate(zip(pieces, folders.values(), strict=True)):
            place.mkdir()
            write_marks([_marks(number, ids[:3]), _marks(number, ids)[3:]], place)
        found = suspects(folders)
    assert set(found.select("piece", "offset", "id", "conflicting").iter_rows()) == expected
    assert found.height == len(expected)
