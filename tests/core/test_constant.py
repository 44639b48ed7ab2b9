"""A constant column says its value in every row, and no two share what is written into one."""

from __future__ import annotations

import polars as pl
import pytest

from streams.core.constant import Value, constant


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(False, pl.Boolean), (0, pl.UInt8), (1, pl.UInt8), (-1, pl.Int64), (None, pl.String), ("", pl.String)],
)
@pytest.mark.parametrize("height", [0, 1, 2, 1_000])
def test_every_row_is_the_value(value: Value, dtype: type[pl.DataType], height: int) -> None:
    found = constant(value, height, dtype)
    assert found.to_list() == [value] * height
    assert found.dtype == dtype


@pytest.mark.parametrize("height", [1, 2])
def test_what_is_written_into_one_stands_in_no_other(height: int) -> None:
    constant(None, height, pl.String).scatter(0, "written")
    constant(0, height, pl.UInt32).scatter(0, 7)
    assert constant(None, height, pl.String).to_list() == [None] * height
    assert constant(0, height, pl.UInt32).to_list() == [0] * height
