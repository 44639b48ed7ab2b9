"""The mapping file: what it says of a device, and how it is refused."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from streams.errors import ConfigurationError
from streams.ingest.mapping import MappingError, load_mapping, read_mapping
from streams.ingest.recogniser import Recogniser

FIXTURES = Path(__file__).parent / "fixtures"
HEAD = b"controller_id: acme\nsystem_id: sys\nthreshold: 80\n"


def refusal(text: bytes, recogniser: Recogniser = Recogniser.REKOGNITION) -> str:
    with pytest.raises(MappingError) as caught:
        read_mapping(text, recogniser, file="map.yaml")
    assert isinstance(caught.value, ConfigurationError)
    return str(caught.value)


def test_a_device_has_its_own_statements_before_the_defaults() -> None:
    mapping = read_mapping(
        HEAD
        + b"defaults: {timing: post, site_id: hq, original_image_retained: true}\n"
        + b"devices:\n"
        + b"  cam: {device_id: d-1, timing: realtime, original_image_retained: false, inferred_attributes: []}\n",
        Recogniser.REKOGNITION,
        file="map.yaml",
    )
    assert mapping.device_id("cam") == "d-1"
    assert mapping.circumstances("cam") == {
        "operation": "identification",
        "timing": "realtime",
        "site_id": "hq",
        "original_image_retained": False,
        "inferred_attributes": (),
    }


def test_of_an_unmapped_device_nothing_is_claimed_and_its_id_can_be_found_again() -> None:
    mapping = read_mapping(
        HEAD + b"defaults: {site_id: hq, operation: verification}\n", Recogniser.REKOGNITION, file="m"
    )
    assert not mapping.is_mapped("cam")
    assert mapping.device_id("cam") == "unmapped:" + hashlib.sha256(b"cam").hexdigest()[:16]
    assert mapping.circumstances("cam") == {"operation": "identification"}


def test_the_fixtures_are_mappings() -> None:
    assert load_mapping(FIXTURES / "mapping.rekognition.yaml", Recogniser.REKOGNITION).threshold == 85
    assert load_mapping(FIXTURES / "mapping.frigate.yaml", Recogniser.FRIGATE).unnamed == "inconclusive"


def test_every_problem_of_a_file_is_told_with_its_line_and_the_nearest_key() -> None:
    path = FIXTURES / "mapping.misspelled.yaml"
    with pytest.raises(MappingError) as caught:
        load_mapping(path, Recogniser.REKOGNITION)
    told = str(caught.value).replace(str(path), "map.yaml").splitlines()
    assert sorted(told) == [
        "map.yaml: threshold: Field required",
        "map.yaml:3: treshold: unknown key; did you mean threshold?",
        "map.yaml:7: devices.north-gate.purpose: unknown key; did you mean purpose_id?",
        "map.yaml:8: devices.north-gate.timing: Input should be 'realtime' or 'post'",
        "map.yaml:9: devices.south-gate.device_id: Field required",
    ]


@pytest.mark.parametrize(
    ("text", "recogniser", "told"),
    [
        (b"", Recogniser.FRIGATE, "map.yaml: expected a mapping, got an empty file"),
        (b"- a\n", Recogniser.FRIGATE, "map.yaml: file: Input should be"),
        (b"a: 1\na: 2\n", Recogniser.FRIGATE, "map.yaml:2: a: stands twice, first in line 1"),
        (HEAD + b"devices: {1: {device_id: d}}", Recogniser.REKOGNITION, "map.yaml:4: expected a key that is text"),
        (HEAD + b"devices:\n  on: {device_id: d}", Recogniser.REKOGNITION, "map.yaml:5: expected a key that is text"),
        (HEAD + b"devices: {? [a]: {device_id: d}}", Recogniser.REKOGNITION, "map.yaml:4: expected a key that is text"),
        (HEAD + b"devices:\n  a: &x {device_id: d}\n  b: *x\n", Recogniser.REKOGNITION, "expected no anchors"),
        (HEAD + b"devices:\n  a: &x [*x]\n", Recogniser.REKOGNITION, "expected no anchors"),
        (b"a: [\n", Recogniser.FRIGATE, "map.yaml:2: no YAML"),
        (b"a: 1\n---\nb: 2\n", Recogniser.FRIGATE, "map.yaml:2: no YAML"),
        (b"a: \xff\n", Recogniser.FRIGATE, "expected one YAML document in UTF-8"),
        (b"[" * 1_000, Recogniser.FRIGATE, "expected one YAML document"),
        (b"a: !!python/object/apply:os.system [ls]\n", Recogniser.FRIGATE, "map.yaml:1: no YAML"),
        (
            HEAD.replace(b"80", b"0.8"),
            Recogniser.REKOGNITION,
            "map.yaml:3: threshold: expected 1 to 100, the scale of rek",
        ),
        (HEAD, Recogniser.FRIGATE, "map.yaml:3: threshold: expected 0 to 1, the scale of frigate"),
        (HEAD.replace(b"80", b".nan"), Recogniser.REKOGNITION, "map.yaml:3: threshold"),
        (HEAD + b"unnamed: non_match\n", Recogniser.REKOGNITION, "map.yaml:4: unnamed: a key of frigate only"),
        (
            HEAD + b"devices: {a: {device_id: a b}}",
            Recogniser.REKOGNITION,
            "map.yaml:4: devices.a.device_id: String should",
        ),
        (HEAD + b"devices: {a: {device_id: d, inferred_attributes: [mood]}}", Recogniser.REKOGNITION, "map.yaml:4"),
    ],
)
def test_what_is_no_mapping_is_refused_in_words(text: bytes, recogniser: Recogniser, told: str) -> None:
    assert told in refusal(text, recogniser)


def test_a_file_that_is_not_there_or_too_large_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=re.escape(f"{tmp_path / 'absent.yaml'}: cannot be read")):
        load_mapping(tmp_path / "absent.yaml", Recogniser.FRIGATE)
    (tmp_path / "large.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(MappingError, match=r"large\.yaml: expected at most"):
        load_mapping(tmp_path / "large.yaml", Recogniser.FRIGATE)
