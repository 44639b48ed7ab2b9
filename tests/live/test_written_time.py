"""A time read out of its digits is the time that a plain record's text is, and is one where that text is one."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.contract import EARLIEST, LATEST
from streams.core.plain_record import MICROS_FORMAT, MICROS_LENGTH, TIME, moment
from streams.live.written_time import FORM, times

GRAMMAR = re.compile(TIME.replace('"', ""))
MOMENTS = st.datetimes(EARLIEST.replace(tzinfo=None), datetime(2199, 12, 31, 23, 59, 59, 999_999))  # noqa: DTZ001
EDGES = ["1970-01-01T00:00:00.000000Z", "2000-02-29T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z"]


def read(texts: list[str]) -> list[datetime | None]:
    """What the digits of some texts say; None where they are no time."""
    instants, sound = times(np.frombuffer("".join(texts).encode("latin-1"), np.uint8).reshape(-1, MICROS_LENGTH))
    return [instant if there else None for instant, there in zip(instants.to_list(), sound.tolist(), strict=True)]


def as_told(texts: list[str]) -> list[datetime | None]:
    """What the grammar of a plain record and the calendar say of them, within the years of the contract."""
    held = [text if GRAMMAR.fullmatch(text) else None for text in texts]
    moments = pl.DataFrame({"at": pl.Series(held, dtype=pl.String)}).select(moment("at"))
    known = pl.col("at").is_between(EARLIEST, LATEST, closed="left")
    return moments.select(pl.when(known).then("at"))["at"].to_list()


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=9))
def test_every_instant_is_read_back_from_how_it_is_written(moments: list[datetime]) -> None:
    written = [f"{each.isoformat(timespec='microseconds')}Z" for each in moments]
    assert read(written) == as_told(written) == [each.replace(tzinfo=UTC) for each in moments]


@settings(max_examples=examples(500), deadline=None)
@given(st.sampled_from(EDGES), st.integers(0, MICROS_LENGTH - 1), st.characters(max_codepoint=255), st.integers(0, 99))
def test_a_text_with_another_byte_or_number_is_read_as_the_grammar_reads_it(
    edge: str, at: int, letter: str, pair: int
) -> None:
    changed = [edge[:at] + letter + edge[at + 1 :], (edge[:at] + f"{pair:02}" + edge[at + 2 :])[:MICROS_LENGTH]]
    assert read(changed) == as_told(changed)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-29T00:00:00.000000Z", "1900-02-29T00:00:00.000000Z", "2100-02-29T00:00:00.000000Z"),
        *("2026-04-31T00:00:00.000000Z", "2026-00-10T00:00:00.000000Z", "2026-13-10T00:00:00.000000Z"),
        *("2026-01-00T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z"),
        *("2026-12-31T23:59:60.000000Z", "1969-12-31T23:59:59.999999Z", "2200-01-01T00:00:00.000000Z"),
    ],
)
def test_what_is_on_no_calendar_or_beyond_the_contract_is_no_time(text: str) -> None:
    assert read([EDGES[0], text, EDGES[1]])[1] is None
    assert read([EDGES[0], text, EDGES[1]])[::2] == as_told(EDGES[:2])


def test_the_form_is_the_one_that_the_contract_writes() -> None:
    assert len(FORM) == MICROS_LENGTH
    assert pl.Series(EDGES[:1]).str.to_datetime(MICROS_FORMAT, time_zone="UTC").to_list() == [EARLIEST]
