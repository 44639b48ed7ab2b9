"""No image, template or embedding passes, by name or size, at any depth, in any version; nor may a refusal keep one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.biometric import (
    BINARY_LENGTH_MIN,
    ENCODED_LENGTH_MIN,
    VECTOR_LENGTH_MIN,
    bytes_look_biometric,
    field_looks_biometric,
    name_looks_biometric,
    text_looks_biometric,
    value_looks_biometric,
)
from schemas.contract import ContractError, Message, Reason
from schemas.match import MATCH
from schemas.registry import REGISTRY
from strategies import CONTRACTS, KINDS, documents, name_of

PICTURE = base64.b64encode(bytes(range(256))).decode()
EVENT = {
    "event_id": "e-1",
    "probe_id": "p-1",
    "occurred_at": "2026-11-22T13:58:45.612345Z",
    "controller_id": "zoo",
    "device_id": "gate-1",
    "operation": "verification",
    "comparison_decision": "match",
}


def reason_of(document: object, contract: Any = MATCH) -> Reason:
    with pytest.raises(ContractError) as caught:
        contract.read(json.dumps(document).encode())
    return caught.value.reason


HIDDEN = [
    ("image", 1),
    ("face_image", None),
    ("faceImage", ""),
    ("JPEGData", ""),
    ("FACE_TEMPLATE", ""),
    ("facetemplate", ""),
    ("face-embedding", []),
    ("embedding512", []),
    ("probe.photo", ""),
    ("facial_data", ""),
    ("photoBase64", ""),
    ("extra", PICTURE),
    ("extra", "\r\n".join(PICTURE[at : at + 76] for at in range(0, len(PICTURE), 76))),
    ("extra", "data:image/png;base64,AA=="),
    ("extra", "see DATA:Image/PNG;base64,AA=="),
    ("extra", [0.1] * VECTOR_LENGTH_MIN),
    ("extra", ["0.1"] * VECTOR_LENGTH_MIN),
    ("extra", [[0.1, 0.2]] * 8),
    ("extra", {str(index): 0.5 for index in range(VECTOR_LENGTH_MIN)}),
    ("extra", str([0.25, -1.5e-3] * 8)),
    ("extra", " ".join(["0.25"] * VECTOR_LENGTH_MIN)),
    ("extra", {"deep": [{"er": {"thumbnail": 1}}]}),
    ("extra", [[["x", PICTURE]]]),
    ("extra", {PICTURE: 1}),
    (PICTURE, 1),
]


@pytest.mark.parametrize("version", ["1.0", "1.7", "2.0", "x"])
@pytest.mark.parametrize(("name", "value"), HIDDEN)
def test_a_biometric_field_refuses_the_message_in_every_version(name: str, value: object, version: str) -> None:
    assert reason_of({**EVENT, "schema_version": version, name: value}) is Reason.BIOMETRIC_PAYLOAD


@pytest.mark.parametrize(("name", "value"), HIDDEN)
def test_a_biometric_field_is_named_as_such_in_a_message_of_no_known_kind(name: str, value: object) -> None:
    assert reason_of({"kind": "selfie_taken", name: value}, REGISTRY) is Reason.BIOMETRIC_PAYLOAD


@pytest.mark.parametrize("value", [PICTURE, {"image": 1}, [0.1] * 128, [[PICTURE]]])
@pytest.mark.parametrize("name", ["site_id", "comparison_score", "inferred_attributes", "original_image_retained"])
def test_a_known_field_does_not_smuggle(name: str, value: object) -> None:
    assert reason_of({**EVENT, name: value}) is Reason.BIOMETRIC_PAYLOAD
    assert reason_of({**EVENT, name: value, "schema_version": "1.7"}) is Reason.BIOMETRIC_PAYLOAD


@pytest.mark.parametrize(
    "text", [PICTURE, "see data:image/png;base64,AA==", "0.1, " * 20, PICTURE[:76] + "\n" + PICTURE]
)
def test_a_free_text_does_not_smuggle(text: str) -> None:
    record = {"kind": "controller", "record_id": "r", "id": "c", "valid_from": "2026-01-01T00:00:00Z"}
    assert reason_of({**record, "title": text, "controller_type": "private"}, REGISTRY) is Reason.BIOMETRIC_PAYLOAD


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_no_kind_of_message_takes_a_picture(kind: type[Message], data: st.DataObject) -> None:
    document = data.draw(documents(kind))
    version = data.draw(st.sampled_from(["1.0", "1.7"]))
    document |= {"schema_version": version, "face_image": "x"}
    assert reason_of(document, CONTRACTS[kind]) is Reason.BIOMETRIC_PAYLOAD


@pytest.mark.parametrize(
    "name", ["data_quality", "metadata", "blueprint", "surface", "imagination", "weather", "face_count", "print_id", ""]
)
def test_ordinary_names_are_above_suspicion(name: str) -> None:
    assert not name_looks_biometric(name)


@pytest.mark.parametrize(
    "value",
    [
        "A" * (ENCODED_LENGTH_MIN - 1),
        "A long sentence, as lawyers write them. " * 20,
        [0.1] * (VECTOR_LENGTH_MIN - 1),
        [True] * 100,
        [None] * 100,
        "2026-11-22, 10:00; 12, 14 and 16",
        {"a": [1, 2], "b": {"c": "x"}},
        0.5,
        None,
    ],
)
def test_ordinary_values_are_above_suspicion(value: object) -> None:
    assert not value_looks_biometric(value)
    assert not field_looks_biometric("weather", value)


def test_nothing_is_too_deep_to_look_at() -> None:
    value: object = {"image": 1}
    for _ in range(50_000):
        value = [value]
    assert value_looks_biometric(value)


# --------------------------------------------------------------------------------------------- dead letters


@pytest.mark.parametrize(("name", "value"), HIDDEN)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_dead_letter_does_not_keep_what_was_refused(name: str, value: object, ensure_ascii: bool) -> None:
    written = json.dumps({**EVENT, name: value}, ensure_ascii=ensure_ascii).encode()
    assert MATCH.withholds(written)
    assert MATCH.withholds(written[:-1] + b"," + written[1:])


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({**EVENT, "face_image": PICTURE}).encode()[:-40],
        b'{"image": "x", "image": "y"}',
        b'{"im\\u0061ge": "x"}',
        b'{"x": "\\u0064ata:image/png;base64,AA=="}',
        b'{"x": ["\\n", {"\\u0069mage": 1}',
        b'{"a": 1, "embedding"  : [0.1',
        b"0.1;0.2;" * 20,
        b"\xff\xd8\xff\xe0" + bytes(BINARY_LENGTH_MIN),
        b"\xff" + PICTURE.encode(),
        b"x" * 65_537,
        PICTURE.encode(),
    ],
)
def test_torn_doubled_and_binary_bytes_are_withheld(raw: bytes) -> None:
    assert MATCH.withholds(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00garbage",
        json.dumps({**EVENT, "colour": "red"}).encode(),
        json.dumps({**EVENT, "original_image_retained": "maybe"}).encode(),
        json.dumps({**EVENT, "site_id": 'a "quoted" \u00e9'}).encode(),
        json.dumps(EVENT).encode()[:-1],
        b'{"a":' * 2_000,
    ],
)
def test_what_helps_to_mend_a_producer_is_kept(raw: bytes) -> None:
    assert not MATCH.withholds(raw)


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_can_be_looked_at(raw: bytes) -> None:
    assert bytes_look_biometric(raw) in {True, False}
    assert bytes_look_biometric(raw + PICTURE.encode())


def test_a_text_made_to_be_slow_is_looked_at_all_the_same() -> None:
    for slow in ("1" * 127 + " ", "1e" * 63 + "," * 300, "1," * 14 + "x", "1" + " " * 4_000):
        assert text_looks_biometric(slow * (65_000 // len(slow))) in {True, False}
