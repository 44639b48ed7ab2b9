"""A frame says of each message what the message says of itself."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pace import examples
from schemas.contract import Message
from schemas.encounter import AccessOutcome, Disclosure, HumanReview
from schemas.match import MatchEvent
from strategies import messages
from streams.core.case import FEW_ROWS, Column, table_of
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, column_type, frame_of

ENCOUNTERS = (AccessOutcome, HumanReview, Disclosure)


def test_the_columns_of_a_match_event_are_its_fields_in_their_order() -> None:
    assert list(MATCH_COLUMNS) == [name for name in MatchEvent.model_fields if name != "kind"]
    assert MATCH_COLUMNS["occurred_at"] == pl.Datetime("us", "UTC")
    assert MATCH_COLUMNS["inferred_attributes"] == pl.List(pl.String)
    assert MATCH_COLUMNS["comparison_score"] == pl.Float64
    assert MATCH_COLUMNS["rank"] == pl.Int64
    assert MATCH_COLUMNS["active_involvement"] == pl.Boolean


def test_the_columns_of_encounters_are_the_fields_of_all_kinds() -> None:
    assert set(ENCOUNTER_COLUMNS) == {name for kind in ENCOUNTERS for name in kind.model_fields}
    assert ENCOUNTER_COLUMNS["kind"] == pl.String


@pytest.mark.parametrize("columns", [MATCH_COLUMNS, ENCOUNTER_COLUMNS])
def test_no_messages_are_a_frame_without_rows(columns: dict[str, pl.DataType]) -> None:
    assert dict(frame_of([], columns).schema) == columns


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(messages(MatchEvent), max_size=4))
def test_a_row_is_a_match_event(events: list[Message]) -> None:
    frame = frame_of(events)
    assert dict(frame.schema) == MATCH_COLUMNS
    for row, event in zip(frame.iter_rows(named=True), events, strict=True):
        said = {name: value for name, value in row.items() if value is not None}
        assert MatchEvent.model_validate(said) == event


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.one_of([messages(kind) for kind in ENCOUNTERS]), max_size=4))
def test_a_row_is_an_encounter_of_its_kind(events: list[Message]) -> None:
    frame = frame_of(events, ENCOUNTER_COLUMNS)
    assert dict(frame.schema) == ENCOUNTER_COLUMNS
    for row, event in zip(frame.iter_rows(named=True), events, strict=True):
        said = {name: value for name, value in row.items() if value is not None}
        assert type(event).model_validate(said) == event


def test_a_type_that_no_column_can_hold_is_a_bug() -> None:
    with pytest.raises(KeyError):
        column_type({"type": "object"})


def test_a_table_of_many_rows_says_of_each_what_a_table_of_few_says() -> None:
    def table(rows: range) -> pl.DataFrame:
        columns: dict[str, Column] = {
            "texts": ([[None, (), ("a",), ("a", "b", None)][row % 4] for row in rows], pl.List(pl.String())),
            "text": ([[None, "x", f"x{row}"][row % 3] for row in rows], pl.String()),
            "number": ([None if row % 5 == 0 else row for row in rows], pl.Int64()),
            "truth": ([[None, True, False][row % 3] for row in rows], pl.Boolean()),
            "nothing": ([None for _ in rows], pl.String()),
        }
        return table_of(columns)

    many = range(3 * FEW_ROWS)
    few = [table(many[first : first + FEW_ROWS]) for first in range(0, len(many), FEW_ROWS)]
    assert_frame_equal(table(many), pl.concat(few))
