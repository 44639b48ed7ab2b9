"""A layout fits exactly the records that have its fixed text, and cuts out of them exactly what stands between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.match import MATCH, MatchEvent
from streams.live.block import Block
from streams.live.layout import Cut, cuts, layout_of

SCANT: dict[str, Any] = {
    "event_id": "e-1",
    "probe_id": "p-1",
    "rank": 0,
    "occurred_at": "2026-11-22T13:58:45Z",
    "controller_id": "zoo",
    "device_id": "gate-1",
    "operation": "verification",
    "comparison_decision": "match",
    "comparison_score": 0.5,
    "inferred_attributes": [],
    "internet_transfer": True,
}
OTHERS: dict[str, Sequence[Any]] = {
    "event_id": ["e-2", "e-10", "e-1000000000000000000"],
    "rank": [1, 7, 1000],
    "device_id": ["g", "gate-2", "rank", "e-1"],
    "comparison_score": [1, 0.25, 0.123456789],
    "inferred_attributes": [["age"], ["age", "gender"]],
    "internet_transfer": [False, None],
}


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Records that differ in some values, and perhaps in a byte."""
    drawn = []
    for _ in range(draw(st.integers(1, 7))):
        changed = {name: draw(st.sampled_from([SCANT[name], *some])) for name, some in OTHERS.items()}
        raw = json.dumps(SCANT | changed, separators=draw(st.sampled_from([(",", ":"), (", ", ": ")]))).encode()
        if draw(st.booleans()):
            at = draw(st.integers(0, len(raw)))
            wound = draw(st.sampled_from([b"", b"x", b'"', b",", b"}", b"\0", b"\x7f"]))
            raw = raw[:at] + wound + raw[at + draw(st.integers(0, 1)) :]
        drawn.append(raw)
    return drawn


def sound(value: bytes) -> MatchEvent | None:
    """What a record says, if it is one; where it is not plain a layout of it may be odd, and is still exact."""
    try:
        return MATCH.read(value)
    except Exception:  # noqa: BLE001 -- whatever is wrong with it
        return None


def found(lines: Block) -> list[Cut[MatchEvent]]:
    return list(cuts(lines, np.arange(len(lines)), sound))


def put_together(cut: Cut[MatchEvent], row: int) -> bytes:
    """A record made of its fixed and loose texts again."""
    loose = [each.texts()[row].encode() for each in cut.values.values()]
    return b"".join(chain.from_iterable(zip_longest(cut.layout.fixed, loose, fillvalue=b"")))


@settings(max_examples=examples(300), deadline=None)
@given(alike(), st.sampled_from([b"\n", b"\r\n"]))
def test_what_is_cut_out_of_a_record_and_its_fixed_text_are_the_record(values: list[bytes], end: bytes) -> None:
    lines = Block(end.join(values))
    taken: list[int] = []
    for cut in found(lines):
        assert [put_together(cut, at) for at in range(len(cut.rows))] == [lines[row] for row in cut.rows.tolist()]
        taken += cut.rows.tolist()
    assert len(set(taken)) == len(taken)


@settings(max_examples=examples(100), deadline=None)
@given(alike())
def test_a_record_is_of_the_layout_that_is_made_of_it(values: list[bytes]) -> None:
    good = [value for value in values if sound(value)]
    for value in good:
        cut = next(cuts(Block(value), np.arange(1), sound))
        assert cut.rows.tolist() == [0]
        assert (cut.layout.loose, cut.layout.fixed) == ((), (value,))


@pytest.mark.parametrize("count", [1, 40, 9_000])
def test_records_that_differ_in_values_have_one_layout(count: int) -> None:
    said = [SCANT | {"event_id": f"e-{at}", "rank": at % 3, "comparison_score": at / 9_000} for at in range(count)]
    lines = Block(b"\n".join(json.dumps(each).encode() for each in said))
    (cut,) = found(lines)
    assert cut.rows.tolist() == list(range(count))
    if count > 1:
        assert list(cut.values) == ["event_id", "rank", "comparison_score"]
        assert cut.values["event_id"].texts().to_list() == [each["event_id"] for each in said]


def test_records_with_other_keys_have_other_layouts() -> None:
    stranger = {name: value for name, value in SCANT.items() if name != "rank"}
    said = [(stranger if at % 3 else SCANT) | {"event_id": f"e-{at}"} for at in range(300)]
    shares = [len(cut.rows) for cut in found(Block(b"\n".join(json.dumps(each).encode() for each in said)))]
    assert shares == [200, 100]


def test_records_that_have_nothing_in_common_are_left() -> None:
    names = sorted(SCANT)
    said = [{name: SCANT[name] for name in (*names[at % 11 :], *names[: at % 11])} for at in range(1_000)]
    wild = [json.dumps(each | {f"x{at}": at}).encode() for at, each in enumerate(said)]
    assert found(Block(b"\n".join(wild))) == []


def test_so_many_layouts_that_each_is_of_few_are_not_looked_for() -> None:
    missing = ("rank", "controller_id", "device_id", "operation", "internet_transfer")
    said = [SCANT | {"event_id": f"e{at}"} for at in range(1_000)]
    for at, each in enumerate(said):
        del each[missing[at % 5]]
    assert found(Block(b"\n".join(json.dumps(each).encode() for each in said))) == []


def test_lists_nulls_and_the_version_are_fixed() -> None:
    fields = SCANT | {"schema_version": "1.0", "site_id": None}
    others = [fields | {"schema_version": "1.1", "site_id": "a", "inferred_attributes": ["age"], "rank": 3}]
    layout = layout_of(json.dumps(fields).encode(), [json.dumps(each).encode() for each in others])
    assert [each.name for each in layout.loose] == ["rank"]
