"""What a batch of bytes says is what the contract says of each record alone, whichever lane a record took."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import streams.core.decode as decoder
from match_texts import ODD_VALUES, ODD_WORDS, PLAIN, SCANT, assert_as_the_contract
from pace import examples
from schemas.contract import Reason
from schemas.encounter import ENCOUNTER, AccessOutcome, Disclosure, HumanReview
from schemas.match import MATCH, MatchEvent
from strategies import documents
from streams.core.decode import decode, decode_encounters
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of


@st.composite
def written(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """A document as some producer may write it."""
    names = draw(st.permutations(sorted(document)))
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (",", ": "), (" , ", " : "), (",\n", ":")]))
    text = json.dumps({name: document[name] for name in names}, separators=separators)
    return text.encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A plain or a scant record with a few wounds, in its fields and then in its bytes."""
    fields = [(name, json.dumps(value)) for name, value in draw(st.sampled_from([PLAIN, SCANT])).items()]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(fields) - 1))
        wound = draw(st.sampled_from(["value", "double", "drop", "add", "swap"]))
        if wound == "value":
            fields[at] = (fields[at][0], draw(ODD_VALUES))
        elif wound == "double":
            fields.append((fields[at][0], draw(ODD_VALUES | st.just(fields[at][1]))))
        elif wound == "drop" and len(fields) > 1:
            del fields[at]
        elif wound == "add":
            fields.insert(at, (draw(st.sampled_from([*MATCH_COLUMNS, "unknown", "image"])), draw(ODD_VALUES)))
        else:
            fields.append(fields.pop(at))
    comma, colon = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,", " :"), (",  ", ":\t"), (",", ":\n")]))
    raw = ("{" + comma.join(f'"{name}"{colon}{value}' for name, value in fields) + "}").encode()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw = (
            raw[:at] + draw(st.sampled_from([b"", b'"', b"{", b"}", b",", b"\\", b"\n", b"\xff", b" "])) + raw[at + 1 :]
        )
    return raw


RECORDS: st.SearchStrategy[bytes | None] = st.one_of(
    st.none(),
    st.just(json.dumps(PLAIN).encode()),
    st.just(json.dumps(SCANT, separators=(",", ":")).encode()),
    st.binary(max_size=80),
    broken(),
    documents(MatchEvent).flatmap(written),
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(RECORDS, max_size=8))
def test_a_batch_says_what_the_contract_says_of_each_record_alone(values: list[bytes | None]) -> None:
    decoded = decode(values)
    assert not decoded.fell_back
    assert_as_the_contract(values, decoded)


@settings(max_examples=examples(300), deadline=None)
@given(broken())
def test_a_wounded_record_is_judged_as_the_contract_judges_it(value: bytes) -> None:
    decoded = decode([value])
    assert not decoded.fell_back
    assert_as_the_contract([value], decoded)


def test_every_odd_value_in_every_field_is_judged_as_the_contract_judges_it() -> None:
    values = []
    for name in ("kind", *MATCH_COLUMNS):
        others = [f'"{other}": {json.dumps(value)}' for other, value in PLAIN.items() if other != name]
        start = "{" + ", ".join(others)
        values += [f'{start}, "{name}": {word}}}'.encode() for word in ODD_WORDS]
    decoded = decode(values)
    assert not decoded.fell_back
    assert decoded.fast > len(values) // 20
    assert_as_the_contract(values, decoded)


@pytest.mark.parametrize("operation", ["identification", "verification"])
@pytest.mark.parametrize("decision", ["match", "non_match"])
@pytest.mark.parametrize("others", [{}, {"rank": 1}, {"subject_ref": "s_0123456789abcdef"}, {"subject_ref": None}])
def test_rules_between_fields_hold_in_both_lanes(operation: str, decision: str, others: dict[str, Any]) -> None:
    values = [json.dumps({**SCANT, "operation": operation, "comparison_decision": decision, **others}).encode()]
    assert_as_the_contract(values, decode(values))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=12), st.integers(1, 5))
def test_a_batch_is_the_sum_of_its_parts(values: list[bytes | None], size: int) -> None:
    parts = [decode(values[at : at + size]) for at in range(0, len(values), size)]
    whole = decode(values)
    frames = [part.frame.with_columns(pl.col("row") + size * i) for i, part in enumerate(parts)]
    assert_frame_equal(whole.frame, pl.concat(frames).cast({"row": pl.UInt32}), check_exact=True)
    refused = [(size * i + each.row, str(each.error)) for i, part in enumerate(parts) for each in part.refused]
    assert [(each.row, str(each.error)) for each in whole.refused] == refused


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(documents(MatchEvent), min_size=1, max_size=8))
def test_what_our_own_gateway_writes_takes_the_fast_lane(found: list[dict[str, Any]]) -> None:
    values = [MATCH.fit(each).to_json() for each in found]
    slow = [value for value in values if b"e-" in value.replace(b'":', b"").lower()]
    decoded = decode(values)
    assert decoded.contract <= len(slow)
    assert_as_the_contract(values, decoded)


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":"), (",", ": "), (", ", ":")])
@pytest.mark.parametrize("count", [1, 2, 3_000])
def test_a_plain_record_takes_the_fast_lane(separators: tuple[str, str], count: int) -> None:
    values = [json.dumps({**PLAIN, "event_id": f"e-{i}"}, separators=separators).encode() for i in range(count)]
    decoded = decode(values)
    assert (decoded.fast, decoded.contract, decoded.refused) == (count, 0, ())
    assert decoded.frame["event_id"].to_list() == [f"e-{i}" for i in range(count)]


def test_fields_that_few_records_have_take_the_fast_lane_too() -> None:
    rare = {**PLAIN, "notice_id": "n-1", "decision_effect": "deny"}
    values = [json.dumps(rare if i % 97 == 96 else PLAIN).encode() for i in range(500)]
    decoded = decode(values)
    assert decoded.fast == 500
    assert decoded.frame["notice_id"].drop_nulls().len() == 5
    assert_as_the_contract(values, decoded)


def test_absent_fields_written_as_null_take_the_fast_lane() -> None:
    optional = {name: None for name, field in MatchEvent.model_fields.items() if field.default is None}
    values = [json.dumps({**SCANT, **optional}).encode(), json.dumps({**SCANT, "notice_id": None}).encode()]
    decoded = decode(values * 300)
    assert decoded.fast == 600
    assert_as_the_contract(values * 300, decoded)


@pytest.mark.parametrize("second", ['"site_id":null', '"site_id":"x"', '"site_id":"zoo:north"'])
@pytest.mark.parametrize("first", ['"site_id":null', '"site_id":"x"'])
def test_a_key_that_stands_twice_is_refused_whatever_it_says(first: str, second: str) -> None:
    text = json.dumps(SCANT)[:-1]
    decoded = decode([f"{text},{first},{second}}}".encode(), f"{text},{first}}}".encode()])
    assert [(each.row, each.error.reason) for each in decoded.refused] == [(0, Reason.DUPLICATE_KEY)]
    assert decoded.frame["row"].to_list() == [1]


def test_a_record_with_a_line_break_does_not_shift_its_neighbours() -> None:
    values = [json.dumps({**PLAIN, "event_id": f"e-{i}"}, indent=i % 2 or None).encode() for i in range(40)]
    decoded = decode(values)
    assert decoded.fast == 20
    assert decoded.frame["event_id"].to_list() == [f"e-{i}" for i in range(40)]


def test_tombstones_and_empty_values_are_refused_as_empty() -> None:
    decoded = decode([None, json.dumps(PLAIN).encode(), b""])
    assert [(each.row, each.error.reason) for each in decoded.refused] == [(0, Reason.EMPTY), (2, Reason.EMPTY)]
    assert decoded.frame["row"].to_list() == [1]


def test_no_records_are_no_events() -> None:
    decoded = decode([])
    assert (decoded.frame.height, decoded.refused, decoded.fast, decoded.contract) == (0, (), 0, 0)
    assert dict(decoded.frame.schema) == {**MATCH_COLUMNS, "row": pl.UInt32}


def test_a_huge_record_costs_its_neighbours_nothing() -> None:
    huge = json.dumps(PLAIN).encode()[:-1] + b" " * 5_000_000 + b"}"
    decoded = decode([huge, json.dumps(PLAIN).encode()])
    assert [(each.row, each.error.reason) for each in decoded.refused] == [(0, Reason.TOO_LARGE)]
    assert decoded.fast == 1


def test_a_batch_on_which_the_fast_lane_fails_goes_to_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "PLAIN", "(")
    values = [json.dumps(PLAIN).encode(), b"{}"]
    decoded = decode(values)
    assert (decoded.fell_back, decoded.fast, decoded.contract) == (True, 0, 2)
    assert_as_the_contract(values, decoded)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.one_of(*map(documents, (AccessOutcome, HumanReview, Disclosure)), st.none()), max_size=6))
def test_encounters_are_what_the_contract_says(found: list[dict[str, Any] | None]) -> None:
    values = [None if each is None else json.dumps(each).encode() for each in found]
    decoded = decode_encounters(values)
    rows = [row for row, value in enumerate(values) if value is not None]
    expected = frame_of([ENCOUNTER.read(values[row] or b"") for row in rows], ENCOUNTER_COLUMNS)
    assert_frame_equal(decoded.frame, expected.with_columns(pl.Series("row", rows, dtype=pl.UInt32)))
    assert [each.row for each in decoded.refused] == [row for row, value in enumerate(values) if value is None]
    assert (decoded.fast, decoded.contract) == (0, len(values))
