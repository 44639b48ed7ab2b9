"""What a contract refuses, with which reason, and that it says so without repeating what it was given."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pace import examples
from schemas.contract import DEPTH_MAX, MESSAGE_BYTES_MAX, ContractError, Message, Reason, parse, time_text, utc_time
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH, MatchEvent
from schemas.registry import REGISTRY, ControllerRecord, DeviceRecord
from schemas.subject import SUBJECT
from schemas.verdict import RECEIPT, REJECTION, VIOLATION, Rejection
from strategies import CONTRACTS, KINDS, documents, name_of

EVENT = {
    "event_id": "e-1",
    "probe_id": "p-1",
    "occurred_at": "2026-11-22T13:58:45.612345Z",
    "controller_id": "zoo",
    "device_id": "gate-1",
    "operation": "verification",
    "comparison_decision": "match",
}
SECRET = "zq7Zq7SECRETzq7"


def refused(raw: bytes, contract: Any = MATCH) -> Reason:
    """The reason of the refusal."""
    with pytest.raises(ContractError) as caught:
        contract.read(raw)
    assert (caught.value.blame, caught.value.retry) == ("producer", False)
    return caught.value.reason


def event(**fields: Any) -> bytes:
    return json.dumps({**EVENT, **fields}).encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" ", Reason.NOT_JSON),
        (b" " * (MESSAGE_BYTES_MAX + 1), Reason.TOO_LARGE),
        (b"[]", Reason.NOT_JSON),
        (b"null", Reason.NOT_JSON),
        (b'"e-1"', Reason.NOT_JSON),
        (b"{} {}", Reason.NOT_JSON),
        (event()[:-1], Reason.NOT_JSON),
        (b"\xef\xbb\xbf" + event(), Reason.NOT_JSON),
        (event().decode().encode("utf-16"), Reason.NOT_JSON),
        (event().decode().encode("utf-16-le"), Reason.NOT_JSON),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", Reason.NOT_JSON),
        (event()[:-1] + b', "comparison_score": NaN}', Reason.NOT_JSON),
        (event()[:-1] + b', "comparison_score": -Infinity}', Reason.NOT_JSON),
        (event()[:-1] + b', "rank": ' + b"9" * 5_000 + b"}", Reason.NOT_JSON),
        (event()[:-1] + b', "event_id": "e-1"}', Reason.DUPLICATE_KEY),
        (event()[:-1] + b', "x": {"a": 1, "\\u0061": 2}}', Reason.DUPLICATE_KEY),
        (event(colour="red"), Reason.UNKNOWN_FIELD),
        (event(Event_id="e-1"), Reason.UNKNOWN_FIELD),
        (json.dumps({"event_id": "e-1"}).encode(), Reason.MISSING_FIELD),
        (b"{}", Reason.MISSING_FIELD),
        (event(kind="access_outcome"), Reason.INVALID_VALUE),
        (event(event_id=""), Reason.INVALID_VALUE),
        (event(event_id="x." * 64 + "x"), Reason.INVALID_VALUE),
        (event(event_id="e-1\n"), Reason.INVALID_VALUE),
        (event(event_id="é"), Reason.INVALID_VALUE),
        (event(event_id="\ud800"), Reason.INVALID_VALUE),
        (event(event_id=5), Reason.INVALID_VALUE),
        (event(event_id=None), Reason.INVALID_VALUE),
        (event(**{"\ud800": 1}), Reason.INVALID_VALUE),
        (event(subject_ref="Jane Doe"), Reason.INVALID_VALUE),
        (event(operation="watching"), Reason.INVALID_VALUE),
        (event(inferred_attributes=["criminal_tendency"]), Reason.INVALID_VALUE),
        (event(inferred_attributes=["age"] * 15), Reason.INVALID_VALUE),
        (event(rank=-1), Reason.INVALID_VALUE),
        (event(rank=1.0), Reason.INVALID_VALUE),
        (event(rank=True), Reason.INVALID_VALUE),
        (event(rank="1"), Reason.INVALID_VALUE),
        (event(rank=10**300), Reason.INVALID_VALUE),
        (event(comparison_score=1.01), Reason.INVALID_VALUE),
        (event(comparison_score=-0.01), Reason.INVALID_VALUE),
        (event(comparison_score="0.5"), Reason.INVALID_VALUE),
        (event(comparison_score=10**400), Reason.INVALID_VALUE),
        (event()[:-1] + b', "comparison_score": 1e400}', Reason.INVALID_VALUE),
        (event(rank=1, comparison_decision="non_match"), Reason.INVALID_VALUE),
        (
            event(operation="identification", comparison_decision="non_match", subject_ref="s_0123456789abcdef"),
            Reason.INVALID_VALUE,
        ),
        (event(schema_version="2.0"), Reason.UNSUPPORTED_VERSION),
        (event(schema_version="0.9"), Reason.UNSUPPORTED_VERSION),
        (event(schema_version="1"), Reason.UNSUPPORTED_VERSION),
        (event(schema_version="1.00"), Reason.UNSUPPORTED_VERSION),
        (event(schema_version="1.0.0"), Reason.UNSUPPORTED_VERSION),
        (event(schema_version=1.0), Reason.UNSUPPORTED_VERSION),
        (event(schema_version=None), Reason.UNSUPPORTED_VERSION),
        (event(schema_version="2.0", colour="red"), Reason.UNSUPPORTED_VERSION),
    ],
)
def test_what_is_no_match_event_is_refused_with_one_reason(raw: bytes, reason: Reason) -> None:
    assert refused(raw) is reason


@pytest.mark.parametrize("contract", [ENCOUNTER, SUBJECT, REGISTRY])
@pytest.mark.parametrize("kind", ["match", "", None, 5, ["controller"], "\ud800"])
def test_a_kind_that_a_topic_does_not_carry_is_refused(contract: Any, kind: object) -> None:
    assert refused(json.dumps({**EVENT, "kind": kind}).encode(), contract) is Reason.UNKNOWN_KIND
    assert refused(json.dumps(EVENT).encode(), contract) is Reason.UNKNOWN_KIND


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("name", ["site_id", "x"])
@pytest.mark.parametrize("version", ["1.0", "1.9"])
@pytest.mark.parametrize("depth", [300, 900, 1_000, 9_000])
def test_deep_nesting_is_refused_whatever_the_stack_of_the_caller(
    opening: bytes, name: str, version: str, depth: int
) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    nested = opening * depth + b"1" + closing * depth
    assert refused(event(schema_version=version)[:-1] + f', "{name}": '.encode() + nested + b"}") is Reason.NOT_JSON


@pytest.mark.parametrize(("depth", "accepted"), [(DEPTH_MAX - 1, True), (DEPTH_MAX, False)])
def test_the_bound_of_nesting_is_exact(depth: int, accepted: bool) -> None:
    raw = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    if accepted:
        assert parse(raw)
    else:
        with pytest.raises(ContractError):
            parse(raw)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse(b'{"a": ' + json.dumps([[]] * 100).encode() + b', "b": "[[[["}')


def test_an_exact_multiple_of_sizes_is_still_read() -> None:
    raw = event()
    assert MATCH.read(raw + b" " * (MESSAGE_BYTES_MAX - len(raw))).event_id == "e-1"


# ------------------------------------------------------------------------------------------------- versions


@pytest.mark.parametrize("version", ["1.1", "1.10", "1.9999"])
def test_a_newer_minor_version_keeps_what_we_know_and_loses_the_rest(version: str) -> None:
    found = MATCH.read(event(schema_version=version, liveness="passed", weather={"sky": ["grey"]}))
    assert found == MatchEvent.model_validate({**EVENT, "schema_version": version})
    assert b"weather" not in found.to_json()


def test_a_newer_minor_version_may_not_leave_out_what_is_required() -> None:
    raw = json.dumps({"schema_version": "1.5", "event_id": "e-1", "liveness": "passed"}).encode()
    assert refused(raw) is Reason.MISSING_FIELD


def test_a_newer_minor_version_with_a_new_word_is_refused_loudly() -> None:
    assert refused(event(schema_version="1.5", operation="gait_recognition")) is Reason.INVALID_VALUE


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_every_kind_survives_a_newer_minor_version(kind: type[Message], data: st.DataObject) -> None:
    document = data.draw(documents(kind))
    known = CONTRACTS[kind].fit({**document, "schema_version": "1.0"})
    newer = CONTRACTS[kind].fit({**document, "schema_version": "1.7", "tomorrow": 1})
    assert newer == known.model_copy(update={"schema_version": "1.7"})


# ---------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T13:58:45Z", datetime(2026, 11, 22, 13, 58, 45, tzinfo=UTC)),
        ("2026-11-22T13:58:45.5Z", datetime(2026, 11, 22, 13, 58, 45, 500_000, tzinfo=UTC)),
        ("2026-11-22T21:58:45+08:00", datetime(2026, 11, 22, 13, 58, 45, tzinfo=UTC)),
        ("2026-11-22T10:28:45-03:30", datetime(2026, 11, 22, 13, 58, 45, tzinfo=UTC)),
        ("2026-11-22T13:58:45.123456789Z", datetime(2026, 11, 22, 13, 58, 45, 123_456, tzinfo=UTC)),
        ("2026-11-22T13:58:45.999999999Z", datetime(2026, 11, 22, 13, 58, 45, 999_999, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1970-01-01T08:00:00+08:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2199-12-31T23:59:59.999999Z", datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2024-02-29T12:00:00Z", datetime(2024, 2, 29, 12, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_utc_to_the_microsecond(text: str, moment: datetime) -> None:
    found = MATCH.read(event(occurred_at=text)).occurred_at
    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "text",
    """2026-11-22T13:58:45 2026-11-22 2026-11-22T13:58Z 2026-11-22T13:58:45.Z 2026-11-22T13:58:45.1234567890Z
    2026-11-22t13:58:45Z 2026-11-22T13:58:45z 2026-11-22T24:00:00Z 2016-12-31T23:59:60Z 2026-11-22T13:60:00Z
    2025-02-29T00:00:00Z 2026-13-01T00:00:00Z 2026-00-01T00:00:00Z 2026-11-22T13:58:45+15:00 2026-11-22T13:58:45+08
    1969-12-31T23:59:59.999999Z 1970-01-01T00:00:00+00:01 2200-01-01T00:00:00Z 0000-01-01T00:00:00Z
    0001-01-01T00:00:00+14:00 9999-12-31T23:59:59-14:00 20261122T135845Z 1795355925 2026-W47-7T13:58:45Z
    ２０２６-11-22T13:58:45Z""".split(),  # noqa: SIM905, RUF001 (a table; digits of another script)
)
def test_what_is_no_instant_with_a_zone_is_refused(text: str) -> None:
    assert refused(event(occurred_at=text)) is Reason.INVALID_VALUE


@pytest.mark.parametrize("value", [1795355925, 1795355925.5, None, True, ["2026-11-22T13:58:45Z"], "", "now\n"])
def test_an_instant_is_a_text(value: object) -> None:
    assert refused(event(occurred_at=value)) is Reason.INVALID_VALUE


def test_a_naive_time_is_refused_in_code_too() -> None:
    with pytest.raises(ValidationError):
        MatchEvent.model_validate({**EVENT, "occurred_at": datetime(2026, 1, 1)})  # noqa: DTZ001


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_times_as_texts_sort_and_return(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = time_text(aware)
    assert utc_time(text) == aware
    assert len(text) == 27
    later = aware + timedelta(microseconds=1)
    assert text < time_text(later)


# ------------------------------------------------------------------------------------- frozen, owned, in order


def test_a_message_cannot_be_changed() -> None:
    found = MATCH.read(event())
    with pytest.raises(ValidationError):
        found.event_id = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        found.colour = "red"  # type: ignore[attr-defined]


def test_an_interval_ends_after_it_begins() -> None:
    record = {"kind": "device", "record_id": "r", "id": "d", "controller_id": "c", "site_id": "s", "zone": "gate"}
    begin, end = "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z"
    assert REGISTRY.fit({**record, "valid_from": begin, "valid_until": end}).key == "device/d"
    with pytest.raises(ContractError, match="valid_until after valid_from"):
        REGISTRY.fit({**record, "valid_from": begin, "valid_until": begin})


def test_an_exception_has_four_eyes() -> None:
    record = {
        "kind": "exception", "record_id": "r", "id": "x", "controller_id": "c", "valid_from": "2026-01-01T00:00:00Z",
        "rule_ids": ["a"], "legal_basis": "law", "reason": "need", "author_id": "ann", "approver_id": "bob",
    }  # fmt: skip
    assert REGISTRY.fit(record).key == "exception/x"
    with pytest.raises(ContractError, match="approver who is not the author"):
        REGISTRY.fit({**record, "approver_id": "ann"})


def test_a_message_knows_its_key() -> None:
    person = "s_0123456789abcdef"
    assert MATCH.read(event()).key == "gate-1"
    assert MATCH.read(event(subject_ref=person)).key == person
    device = DeviceRecord.model_validate(
        {"record_id": "r", "id": "gate-1", "controller_id": "c", "site_id": "s", "zone": "gate",
         "valid_from": "2026-01-01T00:00:00Z"}
    )  # fmt: skip
    assert device.key == "device/gate-1"
    consent = {"kind": "erasure_request", "record_id": "r", "controller_id": "c", "subject_ref": person}
    assert SUBJECT.fit({**consent, "valid_from": "2026-01-01T00:00:00Z"}).key == person
    review = {"kind": "human_review", "event_id": "e", "controller_id": "c", "device_id": "desk", "match_event_id": "m",
              "occurred_at": "2026-01-01T00:00:00Z", "result": "confirmed"}  # fmt: skip
    assert ENCOUNTER.fit(review).key == "desk"
    assert ENCOUNTER.fit({**review, "subject_ref": person}).key == person


def test_the_largest_rejection_can_be_read_again() -> None:
    whole = Rejection(
        topic="matches", partition=0, offset=0, reason=Reason.NOT_JSON, expected="no " * 333, size_bytes=98_304,
        sha256="0" * 64, key_base64="A" * 4_096, value_base64="A" * 131_072,
    )  # fmt: skip
    assert REJECTION.read(whole.to_json()) == whole


# ---------------------------------------------------------------------------- nothing is said of what was given


@pytest.mark.parametrize("contract", [MATCH, ENCOUNTER, SUBJECT, REGISTRY, VIOLATION, RECEIPT, REJECTION])
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_no_error_repeats_a_value_or_an_unknown_name(contract: Any, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in KINDS if CONTRACTS[kind] is contract]))
    document = data.draw(documents(kind))
    name = data.draw(st.sampled_from([*document, SECRET]))
    value = data.draw(
        st.sampled_from(
            [SECRET, [SECRET], {SECRET: SECRET}, {SECRET: [SECRET]}, [{SECRET: 1}], f"\ud800{SECRET}", SECRET * 200]
        )
    )
    raw = json.dumps({**document, name: value}).encode()
    raw = raw[: data.draw(st.sampled_from([len(raw), len(raw) - 1]))]
    error = error_of(raw, contract)
    if error is not None:
        assert SECRET not in error.expected
        assert SECRET not in "".join(traceback.format_exception(error))
        assert error.__cause__ is None


def error_of(raw: bytes, contract: Any) -> ContractError | None:
    try:
        contract.read(raw)
    except ContractError as error:
        return error
    return None


def test_an_error_names_the_place_among_the_known_names() -> None:
    with pytest.raises(ContractError, match=r"^invalid_value: site_id: "):
        MATCH.read(event(site_id=5))
    with pytest.raises(ContractError, match=r"^invalid_value: inferred_attributes\.1: "):
        MATCH.read(event(inferred_attributes=["age", "x"]))
    with pytest.raises(ContractError, match=r"^missing_field: occurred_at: "):
        MATCH.read(b"{}".replace(b"}", b'"event_id": "e", "probe_id": "p"}'))


def test_a_message_of_a_wrong_type_in_code_is_refused() -> None:
    with pytest.raises(ValidationError):
        ControllerRecord.model_validate("not a mapping")
