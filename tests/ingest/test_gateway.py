"""The laws of the gateway, for any line: nothing leaks, nothing is lost, the same lines give the same events."""

from __future__ import annotations

import base64
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.match import MATCH, MatchEvent
from streams.ingest.gateway import Gateway, Problem, ProblemKind, Tally, ingest
from streams.ingest.mapping import DeviceMapping, load_mapping, unmapped_device_id
from streams.ingest.recogniser import Recogniser
from streams.ingest.sink import NdjsonSink
from streams.ingest.vault import Vault, VaultKey

FIXTURES = Path(__file__).parent / "fixtures"
MAPPINGS = {kind: load_mapping(FIXTURES / f"mapping.{kind.value}.yaml", kind) for kind in Recogniser}
FILES = {kind: (FIXTURES / f"{kind.value}.ndjson").read_bytes().splitlines() for kind in Recogniser}
MARK = "QXQ"
"""Stands in everything native that a test invents; our own ids are hexadecimal and cannot hold it."""
PICTURE = base64.b64encode(b"\xff\xd8\xff\xe0" + MARK.encode() * 50).decode()

marked = st.text(max_size=8).map(lambda text: f"{MARK}{text}")
similarities = st.floats(0, 100) | st.integers(0, 100) | st.sampled_from([85, 85.0, 84.999])
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | marked,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(marked, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def matched_faces(draw: st.DrawFn) -> list[dict[str, Any]]:
    faces = draw(st.lists(st.tuples(similarities, marked, st.none() | marked), max_size=5))
    return [
        {
            "Similarity": similarity,
            "Face": {"FaceId": face_id, "ImageId": MARK, "BoundingBox": {"Top": 0.5}, "Thumbnail": PICTURE}
            | ({} if external is None else {"ExternalImageId": external}),
        }
        for similarity, face_id, external in faces
    ]


@st.composite
def rekognition_records(draw: st.DrawFn) -> dict[str, Any]:
    stream = draw(st.sampled_from(["north-gate", "cellar"]))
    video = {
        "StreamArn": f"arn:aws:kinesisvideo:eu-west-1:{MARK}:stream/{stream}/1788000000123",
        "FragmentNumber": str(draw(st.integers(2**64, 2**160))),
        "ServerTimestamp": 1788165301.9,
        "ProducerTimestamp": draw(st.floats(0, 7e9)),
        "FrameOffsetInSeconds": draw(st.floats(0, 100)),
    }
    faces = [
        {"DetectedFace": {"Landmarks": [{"Type": MARK, "X": 0.1}], "Crop": PICTURE}, "MatchedFaces": matched}
        for matched in draw(st.lists(matched_faces(), max_size=3))
    ]
    return {"InputInformation": {"KinesisVideo": video}, "FaceSearchResponse": faces}


@st.composite
def frigate_updates(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "type": draw(st.sampled_from(["face", "face", "face", "lpr", "description", "end", MARK])),
        "name": draw(st.none() | marked),
        "score": draw(st.floats(0, 1)),
        "id": draw(marked),
        "camera": draw(st.sampled_from(["yard_west", f"{MARK} cellar"])),
        "timestamp": draw(st.floats(0, 7e9)),
        "thumbnail": PICTURE,
    }


RECORDS: dict[Recogniser, st.SearchStrategy[dict[str, Any]]] = {
    Recogniser.REKOGNITION: rekognition_records(),
    Recogniser.FRIGATE: frigate_updates(),
}


def changed(data: Any, steps: list[int], value: Any) -> Any:
    """The data with whatever lies at the end of some steps replaced."""
    if not steps or not isinstance(data, dict | list) or not data:
        return value
    if isinstance(data, list):
        at = steps[0] % len(data)
        return [changed(one, steps[1:], value) if index == at else one for index, one in enumerate(data)]
    at = steps[0] % len(data)
    return {
        key: changed(one, steps[1:], value) if index == at else one for index, (key, one) in enumerate(data.items())
    }


@st.composite
def lines_of(draw: st.DrawFn, kind: Recogniser) -> list[bytes]:
    """Lines as the recogniser writes them, some with a part replaced, some torn, some not its own at all."""
    lines = []
    for data in draw(st.lists(RECORDS[kind], max_size=4)):
        whole = data
        if draw(st.booleans()):
            whole = changed(data, draw(st.lists(st.integers(0, 20), min_size=1, max_size=7)), draw(any_json))
        line = json.dumps(whole).encode()
        cut = draw(st.none() | st.integers(0, len(line)))
        lines.append(line if cut is None else line[:cut])
    return lines + draw(st.lists(st.binary(max_size=20), max_size=2))


def known(_: str, native_id: str) -> str | None:
    """Half of all persons are linked, under tokens that hold nothing of them."""
    return f"s_{len(native_id):022d}" if len(native_id) % 2 else None


def outcome(
    kind: Recogniser, lines: Iterable[bytes], resolve: Callable[[str, str], str | None] = known
) -> tuple[list[MatchEvent], list[Problem], Tally]:
    door = Gateway(kind, MAPPINGS[kind], resolve)
    found = list(door.read(lines))
    events = [one for one in found if isinstance(one, MatchEvent)]
    return events, [one for one in found if isinstance(one, Problem)], door.tally


kinds_and_lines = st.sampled_from(list(Recogniser)).flatmap(lambda kind: st.tuples(st.just(kind), lines_of(kind)))


@settings(max_examples=examples(60), deadline=None)
@given(kinds_and_lines)
def test_no_native_id_name_or_picture_is_in_an_event_or_a_problem(case: tuple[Recogniser, list[bytes]]) -> None:
    events, problems, tally = outcome(*case)
    shown = [one.to_json().decode() + repr(one) for one in events] + [str(one) + repr(one) for one in problems]
    assert not [text for text in [*shown, repr(tally)] if MARK in text or PICTURE[:24] in text]


@settings(max_examples=examples(60), deadline=None)
@given(kinds_and_lines)
def test_every_event_is_one_of_the_contract(case: tuple[Recogniser, list[bytes]]) -> None:
    events, _, _ = outcome(*case)
    assert [MATCH.read(one.to_json()) for one in events] == events


@settings(max_examples=examples(60), deadline=None)
@given(kinds_and_lines)
def test_every_line_is_in_the_tally_with_events_problems_or_a_reason(case: tuple[Recogniser, list[bytes]]) -> None:
    kind, lines = case
    events, problems, tally = outcome(kind, lines)
    assert tally.lines == len(lines)
    assert tally.events == len(events)
    assert tally.problems.total() >= len(problems)
    for line in lines:
        _, _, alone = outcome(kind, [line])
        assert alone.events or alone.problems.total() or alone.skipped.total()


@settings(max_examples=examples(60), deadline=None)
@given(kinds_and_lines, st.integers(0, 6))
def test_the_same_lines_give_the_same_events_wherever_the_reading_starts(
    case: tuple[Recogniser, list[bytes]], cut: int
) -> None:
    kind, lines = case
    whole = [one.to_json() for one in outcome(kind, lines)[0]]
    assert whole == [one.to_json() for one in outcome(kind, lines[:cut])[0] + outcome(kind, lines[cut:])[0]]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        rekognition_records(),
        max_size=3,
        unique_by=lambda one: one["InputInformation"]["KinesisVideo"]["FragmentNumber"],
    )
)
def test_every_detected_face_gives_an_event_and_ranks_count_from_0(records: list[dict[str, Any]]) -> None:
    events, problems, tally = outcome(Recogniser.REKOGNITION, [json.dumps(one).encode() for one in records])
    assert all(problem.kind is ProblemKind.UNMAPPED_DEVICE for problem in problems)
    assert tally.probes == sum(len(record["FaceSearchResponse"]) for record in records)
    by_probe: dict[str, list[MatchEvent]] = defaultdict(list)
    for event in events:
        by_probe[event.probe_id].append(event)
    for found in by_probe.values():
        scores = [one.comparison_score or 0.0 for one in found]
        assert [one.rank for one in found] == list(range(len(found)))
        assert scores == sorted(scores, reverse=True)
        assert all(
            (score >= 0.85) == (one.comparison_decision == "match") for score, one in zip(scores, found, strict=True)
        )


def test_what_becomes_of_a_person_does_not_change_the_id_of_an_event() -> None:
    for kind, lines in FILES.items():
        linked = outcome(kind, lines)[0]
        strangers = outcome(kind, lines, lambda *_: None)[0]
        assert [one.event_id for one in linked] == [one.event_id for one in strangers]


@pytest.mark.parametrize("kind", list(Recogniser))
def test_an_unmapped_device_keeps_its_events_and_is_told_once(kind: Recogniser) -> None:
    bare = MAPPINGS[kind].model_copy(update={"devices": {}})
    name = {Recogniser.REKOGNITION: "north-gate", Recogniser.FRIGATE: "yard_west"}[kind]
    door = Gateway(kind, bare, known)
    found = list(door.read(FILES[kind] * 2))
    events = [one for one in found if isinstance(one, MatchEvent)]
    problems = [one for one in found if isinstance(one, Problem)]
    assert {one.device_id for one in events} == {unmapped_device_id(name)}
    assert {(one.site_id, one.timing, one.storage_location, one.operation) for one in events} == {
        (None, None, None, "identification")
    }
    assert len(events) == 2 * len(outcome(kind, FILES[kind])[0])
    assert [(one.kind, one.line, one.where) for one in problems] == [
        (ProblemKind.UNMAPPED_DEVICE, 1, unmapped_device_id(name))
    ]
    assert door.tally.problems == {ProblemKind.UNMAPPED_DEVICE: door.tally.probes}


def test_a_bad_line_is_a_problem_with_its_number_and_the_next_line_is_read() -> None:
    lines = [FILES[Recogniser.FRIGATE][2], b'{"name": "QXQ"', b"\n", FILES[Recogniser.FRIGATE][2]]
    events, problems, tally = outcome(Recogniser.FRIGATE, lines)
    assert [str(one) for one in problems] == ["line 2: line: expected one JSON object in UTF-8, each key once"]
    assert (len(events), tally.lines, tally.skipped["blank"], tally.is_clean) == (2, 4, 1, False)


def test_problems_are_reported_while_the_events_go_on() -> None:
    told: list[Problem] = []
    output = io.BytesIO()
    door = Gateway(Recogniser.FRIGATE, MAPPINGS[Recogniser.FRIGATE], known)
    tally = ingest(door, [b"{", FILES[Recogniser.FRIGATE][2]], NdjsonSink(output), told.append)
    assert [one.line for one in told] == [1]
    assert (tally.events, output.getvalue().count(b"\n")) == (1, 1)


@pytest.mark.parametrize("kind", list(Recogniser))
def test_a_file_goes_through_vault_and_sink_and_forgetting_is_for_ever(tmp_path: Path, kind: Recogniser) -> None:
    mapping: DeviceMapping = MAPPINGS[kind]
    person = {Recogniser.REKOGNITION: "badge-7078", Recogniser.FRIGATE: "Noor Haddad"}[kind]
    told: list[Problem] = []

    def subjects() -> set[str | None]:
        output = io.BytesIO()
        tally = ingest(Gateway(kind, mapping, vault.resolve), FILES[kind], NdjsonSink(output), told.append)
        events = [MATCH.read(line) for line in output.getvalue().splitlines()]
        assert tally.events == len(events)
        assert tally.is_clean
        return {one.subject_ref for one in events}

    with Vault.create(tmp_path / "vault.db", VaultKey.create(tmp_path / "vault.key")) as vault:
        assert subjects() == {None}
        first = vault.link(mapping.controller_id, person)
        assert subjects() == {None, first}
        vault.unlink(mapping.controller_id, person)
        assert subjects() == {None}
        vault.link("another-controller", person)
        assert subjects() == {None}
        assert vault.link(mapping.controller_id, person) != first
    assert told == []
