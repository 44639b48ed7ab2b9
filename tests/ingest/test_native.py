"""Native lines: bounded, exact, and silent about what they hold."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest import native
from streams.ingest.native import Flaw, digest, instant, native_lines, number, parse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"Quintanilla"',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"\xff\xfe",
        b'{"a": ' + b"[" * 100_000,
        b'{"a": 1' + b"0" * 5_000 + b"}",
        b'{"a": 1e9999999999999999999}',
    ],
)
def test_what_is_no_json_object_is_a_flaw_of_the_line(raw: bytes) -> None:
    found = parse(raw)
    assert isinstance(found, Flaw)
    assert found.where == "line"
    assert "Quintanilla" not in found.expected


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_flaw(raw: bytes) -> None:
    assert isinstance(parse(raw), dict | Flaw)


def test_a_byte_order_mark_before_the_first_line_does_no_harm() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1.10}\r\n') == {"a": Decimal("1.10")}


def test_a_line_that_is_too_long_is_refused_and_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "LINE_BYTES_MAX", 16)
    for size in (0, 1, 15, 16, 17, 33, 34, 35, 200):
        long = b'"' + b"x" * size + b'"\n'
        lines = list(native_lines(io.BytesIO(b'{"a": 1}\n' + long + b'{"b": 2}\n{"c": 3}')))
        assert [parse(line) for line in (lines[0], lines[2], lines[3])] == [{"a": 1}, {"b": 2}, {"c": 3}]
        assert isinstance(parse(lines[1]), Flaw)
        assert all(len(line) <= 17 for line in lines)


@given(
    st.decimals(0, 7_000_000_000, allow_nan=False, allow_infinity=False, places=None),
    st.decimals(0, 5_000, allow_nan=False, allow_infinity=False),
)
def test_times_are_sums_of_seconds_exact_to_the_microsecond_and_cut_beyond(produced: Decimal, offset: Decimal) -> None:
    exact = Fraction(produced) + Fraction(offset)
    assert instant(produced, offset) == EPOCH + timedelta(microseconds=int(exact * 1_000_000))


@pytest.mark.parametrize("seconds", ["-0.000001", "-1", "7258118400", "1E+30", "1E+999999", "NaN", "Infinity"])
def test_times_outside_the_contract_are_none(seconds: str) -> None:
    value = Decimal(seconds)
    if value.is_nan():
        assert number(float("nan")) is None
    else:
        assert instant(value) is None
        assert instant(Decimal(1), value) is None


def test_parts_that_together_leave_the_contract_are_none() -> None:
    assert instant(Decimal("7258118399.5"), Decimal("0.5")) is None
    assert instant(Decimal("7258118399.5"), Decimal("0.499999")) is not None


@pytest.mark.parametrize("value", [True, False, None, "1", [], 1.5])
def test_only_json_numbers_are_numbers(value: object) -> None:
    assert number(value) is None


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_digests_tell_lists_of_texts_apart(left: list[str], right: list[str]) -> None:
    assert (digest(*left) == digest(*right)) == (left == right)
    assert len(digest(*left)) == 32
