"""Texts of match events, sound and odd, and the law of every decoder: it says what the contract says of each alone."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import streams.core.decode as decoder
from schemas.contract import ContractError, Message
from schemas.match import MATCH
from streams.core.decode import Decoded
from streams.core.frame import frame_of

PLAIN = {
    "schema_version": "1.0",
    "kind": "match",
    "event_id": "e-1",
    "event_version": 1,
    "probe_id": "p-1",
    "rank": 0,
    "occurred_at": "2026-11-22T13:58:45.612345Z",
    "controller_id": "zoo",
    "device_id": "gate-1",
    "site_id": "zoo:north",
    "purpose_id": "access",
    "operation": "verification",
    "timing": "realtime",
    "active_involvement": True,
    "subject_ref": "s_0123456789abcdef",
    "comparison_decision": "match",
    "comparison_score": 0.912345678901234,
    "comparison_threshold": 0.8,
    "inferred_attributes": ["age", "gender"],
    "internet_transfer": False,
    "storage_location": "lan",
}
SCANT = {name: PLAIN[name] for name in decoder.REQUIRED}


def read_alone(value: bytes | None) -> Message | ContractError:
    """What the contract says of one record."""
    try:
        return MATCH.read(value or b"")
    except ContractError as error:
        return error


def assert_as_the_contract(values: Sequence[bytes | None], decoded: Decoded) -> None:
    """The law of the decoder."""
    alone = [read_alone(value) for value in values]
    accepted = [(row, each) for row, each in enumerate(alone) if isinstance(each, Message)]
    refused = [(row, each.reason, str(each)) for row, each in enumerate(alone) if isinstance(each, ContractError)]
    assert [(each.row, each.error.reason, str(each.error)) for each in decoded.refused] == refused
    expected = frame_of([event for _, event in accepted])
    rows = pl.Series("row", [row for row, _ in accepted], dtype=pl.UInt32)
    assert_frame_equal(decoded.frame, expected.with_columns(rows), check_exact=True)
    assert decoded.fast + decoded.contract + decoded.few == len(values)


ODD_WORDS = r"""
    null true false 0 1 2 -0 -1 00 01 1.0 1.00 0.5 0.50 .5 5. 1e-1 1E-1 1e400 -1e400 1E+0 -0.0 0.30000000000000004
    0.1000000000000000055511151231257827 1.00000000000000000001 1000 1001 1000000 1000001 9223372036854775808
    100000000000000000000000000000000000000 NaN Infinity nul "null" "" "x" "match" "non_match" "identification"
    "1.0" "1.1" "1.00" "2.0" "0.9" "\u0041" "\n" "\ud800" "é" "s_0123456789abcdef" [] ["age"] ["age","age"]
    ["age",null] [null] ["age",] [1] {} {"a":1} "2026-11-22T13:58:45Z" "2026-11-22T13:58:45.1234567Z"
    "2026-11-22T13:58:45+08:00" "2026-11-22T13:58:45" "2026-11-22t13:58:45z" "2026-02-30T00:00:00Z"
    "2024-02-29T23:59:59.999999Z" "2026-11-22T24:00:00Z" "2016-12-31T23:59:60Z" "1969-12-31T23:59:59Z"
    "1970-01-01T00:00:00Z" "2199-12-31T23:59:59Z" "2200-01-01T00:00:00Z" "0000-01-01T00:00:00Z"
    "9999-12-31T23:59:59Z" "2026-11-22T13:58:45.Z" "2026-00-10T00:00:00Z"
    """.split()  # noqa: SIM905 (a table is easier to read than a list)
ODD_VALUES = st.sampled_from(ODD_WORDS) | st.from_regex(r"\A[01]\.[0-9]{1,25}\Z", alphabet=st.characters(codec="ascii"))
