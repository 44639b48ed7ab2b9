"""A table of statements is a set, and gives back of each person what a plain reading finds, whatever hashes collide."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import statement_table
from streams.core.instant import NEVER
from streams.core.packed_token import packed, unpacked
from streams.core.statement_table import STATEMENT_COLUMNS, Row, StatementTable

NUMBERED = ("s_AAAAAAAAAAAAAAAAAAAAAA", "s_AAAAAAAAAAAAAAAAAAAAAQ", "s_-_AAAAAAAAAAAAAAAAAAAw")
SPELLED = ("s_AAAAAAAAAAAAAAAAAAAAAB", "s_0123456789abcdef0123456789abcdef", "s_+/AAAAAAAAAAAAAAAAAAAw", "")
"""Tokens that have a number, and such as have none."""
PERSONS = (*NUMBERED, *SPELLED)
Whole = tuple[str, str, int, int, int, int]

wholes = st.tuples(
    st.sampled_from(PERSONS),
    st.sampled_from(["r1", "r2"]),
    st.integers(1, 3),
    st.integers(0, 1),
    st.integers(-1, 1),
    st.sampled_from([2, 3, NEVER]),
)


def frame(rows: list[Whole]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=STATEMENT_COLUMNS, orient="row")


def naive(rows: list[Whole]) -> dict[str, set[Row]]:
    """Of each record of a person the contents of its highest version."""
    found: dict[str, set[Row]] = {}
    for ref, *own in rows:
        newest = max(row[2] for row in rows if row[:2] == (ref, own[0]))
        if own[1] == newest:
            found.setdefault(ref, set()).add(tuple(own))  # type: ignore[arg-type]  # a row without its person
    return found


def held(table: StatementTable) -> dict[str, set[Row]]:
    found = dict(table.of([*PERSONS, "s_DDDDDDDDDDDDDDDDDDDDDD", "s_DDDDDDDDDDDDDDDDDDDDDA"]))
    assert all(len(set(rows)) == len(rows) for rows in found.values()), "what came twice is kept once"
    return {ref: set(rows) for ref, rows in found.items()}


@given(rows=st.lists(wholes, max_size=12), chance=st.randoms(use_true_random=False), often=st.integers(1, 4))
def test_a_table_equals_a_naive_set_in_any_order_and_however_often(
    rows: list[Whole], chance: Random, often: int
) -> None:
    shuffled = [*rows, *rows[::2]]
    chance.shuffle(shuffled)
    table = StatementTable()
    for begin in range(0, len(shuffled), often):
        table.put(frame(shuffled[begin : begin + often]))
        if begin % 3 == 0:
            held(table)
    assert held(table) == naive(rows)
    assert sorted(table.refs) == sorted(naive(rows))
    assert table.persons == len(naive(rows))
    assert sorted(table.named(table.numbers(PERSONS))) == sorted(naive(rows))
    assert table.refs.gather(table.numbers(NUMBERED)).to_list() == [ref for ref in NUMBERED if ref in naive(rows)]
    whole = table.rows()
    named = table.refs.gather(whole["person"])
    assert {(ref, *own) for ref, own in zip(named, whole.drop("person").iter_rows(), strict=True)} == {
        (ref, *own) for ref, found in naive(rows).items() for own in found
    }


def test_what_comes_by_the_million_is_kept_once_before_anybody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_table, "SETTLE_ROWS", 10)
    table = StatementTable()
    rows: list[Whole] = [(PERSONS[0], f"r{number}", 1, 0, 0, 1) for number in range(8)]
    for _ in range(20):
        table.put(frame(rows))
        assert sum(each.height for each in table._numbered._new) + table._numbered._kept.rows.height <= 3 * len(rows)
    assert held(table) == naive(rows)


def test_nobody_is_in_an_empty_table() -> None:
    table = StatementTable()
    table.put(frame([]))
    assert not table
    assert held(table) == {}
    assert table.rows().height == 0


letters = "abcXYZ019-_AQgw"
tokens = st.sampled_from(PERSONS) | st.builds(
    "s_{}{}".format, st.text(letters + "+/=é", min_size=20, max_size=22), st.sampled_from(["", *letters])
)


@given(found=st.lists(tokens))
def test_a_number_stands_for_one_token_and_no_other(found: list[str]) -> None:
    numbers = packed(pl.Series(found, dtype=pl.String))
    named = numbers.is_not_null()
    assert unpacked(numbers.filter(named)).to_list() == pl.Series(found, dtype=pl.String).filter(named).to_list()


@given(bits=st.integers(0, 2**128 - 1))
def test_every_token_of_128_bits_has_its_number(bits: int) -> None:
    assert packed(unpacked(pl.Series([bits], dtype=pl.UInt128))).to_list() == [bits]


def test_more_said_than_a_byte_counts_is_kept_apart() -> None:
    for count in (256, 257, 65_536, 65_537):
        table = StatementTable()
        table.put(frame([(PERSONS[number % 2], f"r{number}", 1, 0, 0, number + 1) for number in range(count)]))
        assert sorted(table.rows()["until"]) == list(range(1, count + 1))
