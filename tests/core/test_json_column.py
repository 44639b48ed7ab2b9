"""A column is written as `json.dumps` writes each of its values."""

from __future__ import annotations

import json

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from streams.core.json_column import json_column

ODD = ["", "a-1", 'a"b', "a\\b", "\x7f"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(ODD)


def expected(values: list[object], *, ascii_only: bool) -> list[str]:
    return [json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only) for value in values]


@given(st.lists(TEXTS | st.none(), max_size=5), st.booleans())
def test_texts_are_written_as_the_library_writes_each(values: list[object], ascii_only: bool) -> None:
    column = pl.Series("told", values, dtype=pl.String)
    written = json_column(column, ascii_only=ascii_only)
    assert (written.name, written.to_list()) == ("told", expected(values, ascii_only=ascii_only))


@given(st.lists(st.lists(TEXTS, max_size=3) | st.none(), max_size=4), st.booleans())
def test_lists_of_texts_are_written_as_the_library_writes_each(values: list[object], ascii_only: bool) -> None:
    column = pl.Series("told", values, dtype=pl.List(pl.String()))
    assert json_column(column, ascii_only=ascii_only).to_list() == expected(values, ascii_only=ascii_only)


def test_numbers_are_written_and_what_is_not_there_is_null() -> None:
    assert json_column(pl.Series("told", [1, None, -3], dtype=pl.Int64)).to_list() == ["1", "null", "-3"]
