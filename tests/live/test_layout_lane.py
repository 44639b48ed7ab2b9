"""Records that are alike say, decoded together, what the contract says of each alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from match_texts import ODD_VALUES, ODD_WORDS, PLAIN, SCANT, assert_as_the_contract
from pace import examples
from streams.core.decode import Decoded, decode
from streams.core.frame import MATCH_COLUMNS
from streams.live import layout_lane
from streams.live.block import Block
from streams.live.layout_lane import decode_alike


def by_layouts(values: Sequence[bytes | None]) -> Decoded:
    """What a batch says where layouts are looked for however few its records are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_lane, "RECORDS_MIN", 1)
        return decode_alike(values)


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Records of one way to write, which differ in some values, sound or odd, and some of which are wounded."""
    base = {**PLAIN, "site_id": None} if draw(st.booleans()) else SCANT
    names = draw(st.permutations(sorted(base))) if draw(st.booleans()) else list(base)
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (",", ": "), (" ,", ":")]))
    loose = draw(st.lists(st.sampled_from(names), max_size=4))
    drawn = []
    for number in range(draw(st.integers(2, 9))):
        said = {name: json.dumps(base[name]) for name in names}
        said["event_id"] = f'"{draw(st.sampled_from(["e", "e-1", f"event-{number}", f"{number:030}", "e" * 128]))}"'
        said |= {name: draw(st.just(said[name]) | ODD_VALUES) for name in loose}
        raw = ("{" + comma.join(f'"{name}"{colon}{said[name]}' for name in names) + "}").encode()
        if draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(raw) - 1))
            wound = draw(st.sampled_from([b"", b'"', b"\\", b"\r", b"\xff", b"\xc3\xa4", b" ", b"x", b",", b"\0"]))
            raw = raw[:at] + wound + raw[at + draw(st.integers(0, 2)) :]
        drawn.append(raw + draw(st.sampled_from([b"", b"", b"", b" ", b"\t"])))
    return drawn


@settings(max_examples=examples(300), deadline=None)
@given(alike())
def test_records_that_are_alike_are_judged_as_the_contract_judges_each(values: list[bytes]) -> None:
    decoded = by_layouts(values)
    assert not decoded.fell_back
    assert_as_the_contract(values, decoded)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(alike(), min_size=1, max_size=3),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\r\n"]),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\n", b" "]),
)
def test_the_lines_of_a_block_say_what_the_contract_says_of_each(
    batches: list[list[bytes]], end: bytes, ended: bool, mark: bytes
) -> None:
    block = mark + end.join(value for values in batches for value in values) + end * ended
    decoded = by_layouts(Block(block))
    assert not decoded.fell_back
    lines = list(Block(block))
    assert lines == [line.rstrip(b"\r") for line in block.removesuffix(b"\n").split(b"\n")]
    assert_as_the_contract(lines, decoded)


def test_records_alike_are_taken_by_layouts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [PLAIN | {"event_id": f"e-{i}", "rank": i % 5, "comparison_score": i / 3_000} for i in range(3_000)]
    values = [json.dumps(each).encode() for each in said]
    expected = decode(values)
    monkeypatch.setattr(layout_lane, "decode", None)
    for written in (values, Block(b"\n".join(values))):
        decoded = decode_alike(written)
        assert_frame_equal(decoded.frame, expected.frame, check_exact=True)
        assert (decoded.fast, decoded.contract, decoded.fell_back) == (3_000, 0, False)


def test_every_odd_value_beside_sound_ones_is_judged_as_the_contract_judges_it() -> None:
    sound = [json.dumps(PLAIN | {"event_id": f"e-{i}", "probe_id": f"p{i}" * (i % 3 + 1)}) for i in range(40)]
    for name in MATCH_COLUMNS:
        before = f'"{name}": {json.dumps(PLAIN.get(name))}'
        odd = [text.replace(before, f'"{name}": {word}') for text, word in zip(sound * 3, ODD_WORDS, strict=False)]
        values = [text.encode("utf-8", "surrogatepass") for text in [*sound, *odd]]
        decoded = decode_alike(values)
        assert not decoded.fell_back
        assert_as_the_contract(values, decoded)


@pytest.mark.parametrize("count", [0, 1, 63, 64])
def test_fewer_records_than_columns_are_worth_are_read_by_the_contract(count: int) -> None:
    sound = [json.dumps(PLAIN | {"event_id": f"e-{i}"}).encode() for i in range(count - 2)]
    values = [*sound, *(b"{", None)[: count - len(sound)]]
    decoded = decode_alike(values)
    assert decoded.few == (count if count < layout_lane.RECORDS_MIN else 0)
    assert_as_the_contract(values, decoded)


@pytest.mark.parametrize("odd", ['"schema_version": "1.1", "unknown": %d', '"notice_id": "n\\u0041%d"', '"rank": %d.0'])
def test_of_a_record_that_is_not_plain_no_layout_is_made(odd: str) -> None:
    scant = json.dumps(SCANT)[:-1]
    values = [f"{scant}, {odd % i}}}".encode() for i in range(99)]
    assert_as_the_contract(values, decode_alike(values))


def test_where_layouts_fail_all_goes_to_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def by_core(values: Sequence[bytes | None]) -> Decoded:
        asked.append(len(values))
        return decode(values)

    monkeypatch.setattr(layout_lane, "GRAMMARS", dict.fromkeys(layout_lane.GRAMMARS, "("))
    monkeypatch.setattr(layout_lane, "decode", by_core)
    values = [json.dumps(PLAIN | {"rank": i % 5}).encode() for i in range(99)]
    decoded = decode_alike(values)
    assert asked == [99]
    assert (decoded.fast, decoded.fell_back) == (99, False)
    assert_as_the_contract(values, decoded)
