"""Rekognition stream-processor records: every face, the right time, the right order."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from schemas.contract import time_text
from schemas.match import MatchEvent
from streams.ingest.gateway import Gateway, Problem, ProblemKind
from streams.ingest.mapping import load_mapping
from streams.ingest.probe import CANDIDATES_MAX
from streams.ingest.recogniser import Recogniser

FIXTURES = Path(__file__).parent / "fixtures"
LINES = (FIXTURES / "rekognition.ndjson").read_bytes().splitlines()
MAPPING = load_mapping(FIXTURES / "mapping.rekognition.yaml", Recogniser.REKOGNITION)
REFS = {"badge-7078": "s_" + "p" * 22}


def gateway() -> Gateway:
    return Gateway(Recogniser.REKOGNITION, MAPPING, lambda _, native_id: REFS.get(native_id))


def read(lines: Iterable[bytes]) -> tuple[list[MatchEvent], list[Problem]]:
    found = list(gateway().read(lines))
    return [one for one in found if isinstance(one, MatchEvent)], [one for one in found if isinstance(one, Problem)]


def record(**video: Any) -> dict[str, Any]:
    """The first fixture with other facts about the frame."""
    data: dict[str, Any] = json.loads(LINES[0])
    data["InputInformation"]["KinesisVideo"] |= video
    return data


def faces(*matched: Any) -> bytes:
    """The first fixture with one face for each list of matched faces."""
    return json.dumps(record() | {"FaceSearchResponse": [{"MatchedFaces": one} for one in matched]}).encode()


def match(similarity: Any, face_id: Any = "f-1", **face: Any) -> dict[str, Any]:
    return {"Similarity": similarity, "Face": {"FaceId": face_id} | face}


def test_a_record_becomes_one_event_a_candidate_and_one_for_each_face_without() -> None:
    events, problems = read(LINES[:1])
    assert not problems
    assert [(one.comparison_decision, one.rank, one.comparison_score, one.subject_ref) for one in events] == [
        ("match", 0, 0.965, REFS["badge-7078"]),
        ("match", 1, 0.8825, None),
        ("non_match", 0, None, None),
        ("non_match", 0, 0.805, None),
    ]
    assert [one.probe_id == events[0].probe_id for one in events] == [True, True, False, False]
    assert len({one.event_id for one in events}) == 4


def test_the_mapping_speaks_for_what_rekognition_does_not_say() -> None:
    event = read(LINES[:1])[0][0]
    assert event.model_dump(exclude_none=True, exclude={"event_id", "probe_id", "occurred_at", "comparison_score"}) == {
        "schema_version": "1.0",
        "kind": "match",
        "event_version": 1,
        "rank": 0,
        "controller_id": "harbour-works",
        "device_id": "cam-north-gate",
        "site_id": "north",
        "purpose_id": "gate-access",
        "operation": "identification",
        "timing": "realtime",
        "active_involvement": False,
        "subject_ref": REFS["badge-7078"],
        "comparison_decision": "match",
        "comparison_threshold": 0.85,
        "inferred_attributes": (),
        "storage_location": "cloud",
        "internet_transfer": True,
        "reference_database_id": "workers",
        "system_id": "rekognition-north",
        "model_version": "6.0",
    }


def test_the_time_is_that_of_the_producer_and_the_frame_to_the_microsecond() -> None:
    assert {time_text(one.occurred_at) for one in read(LINES[:1])[0]} == {"2026-08-31T08:35:01.317000Z"}
    exact = b'"ProducerTimestamp":1788165300.1234567'
    event = read([LINES[0].replace(b'"ProducerTimestamp":1788165300.117', exact)])[0][0]
    assert time_text(event.occurred_at) == "2026-08-31T08:35:01.323456Z"


def test_a_frame_without_a_face_is_counted_and_gives_no_event() -> None:
    door = gateway()
    assert list(door.read(LINES[1:])) == []
    assert (door.tally.lines, door.tally.skipped["no_face"], door.tally.events) == (1, 1, 0)


def test_a_lambda_batch_gives_the_same_events_as_its_records() -> None:
    wrapped = {"Records": [{"kinesis": {"data": base64.b64encode(line).decode()}} for line in LINES]}
    assert read([json.dumps(wrapped).encode()]) == read(LINES)


def test_what_is_no_record_in_a_batch_is_a_problem_with_its_place_and_stops_no_other() -> None:
    good = base64.b64encode(LINES[0]).decode()
    items = [{}, {"kinesis": {"data": "%%%"}}, {"kinesis": {"data": "bm8="}}, 7, {"kinesis": {"data": good}}]
    events, problems = read([json.dumps({"Records": items}).encode()])
    assert len(events) == 4
    assert [str(one) for one in problems] == [
        "line 1: Records[0].kinesis.data: expected a record in base64",
        "line 1: Records[1].kinesis.data: expected a record in base64",
        "line 1: Records[2].kinesis.data: expected one JSON object in UTF-8, each key once",
        "line 1: Records[3].kinesis.data: expected a record in base64",
    ]


def test_references_of_one_person_count_once_with_the_best_score() -> None:
    events, _ = read([faces([match(90, "f-1", ExternalImageId="p"), match(99, "f-2", ExternalImageId="p")])])
    assert [(one.rank, one.comparison_score) for one in events] == [(0, 0.99)]


def test_persons_of_equal_similarity_are_ranked_by_face_id_whatever_the_order() -> None:
    ids: list[str] = []
    door = Gateway(Recogniser.REKOGNITION, MAPPING, lambda _, native_id: ids.append(native_id))
    list(door.read([faces([match(90, "f-2"), match(90, "f-1", ExternalImageId="z"), match(91.5, "f-3")])]))
    assert ids == ["f-3", "z", "f-2"]


def test_the_threshold_itself_is_a_match_and_what_is_below_is_not() -> None:
    events, _ = read([faces([match(85)], [match(84.999999)], [match(85, "f-1"), match(84.9, "f-2")])])
    assert [one.comparison_decision for one in events] == ["match", "non_match", "match"]


def test_an_id_nobody_linked_is_a_match_without_a_subject() -> None:
    event = read([faces([match(99, ExternalImageId="badge-9999")])])[0][0]
    assert (event.comparison_decision, event.subject_ref, event.key) == ("match", None, "cam-north-gate")


@pytest.mark.parametrize(
    "matched",
    [
        None,
        "x",
        [7],
        [{}],
        [match("97")],
        [match(True)],
        [match(-0.1)],
        [match(100.1)],
        [match(97, None)],
        [match(97, "")],
        [match(97, ExternalImageId=7)],
        [match(97), match(None)],
        [{"Similarity": 97}],
    ],
)
def test_a_face_whose_matches_cannot_be_read_keeps_its_event_as_not_reported(matched: Any) -> None:
    events, problems = read([faces([match(99)], matched, [])])
    assert [one.comparison_decision for one in events] == ["match", "not_reported", "non_match"]
    assert [(one.kind, one.where.split(".")[0]) for one in problems] == [
        (ProblemKind.UNEXPECTED, "FaceSearchResponse[1]")
    ]


@pytest.mark.parametrize(
    "video",
    [
        {"StreamArn": None},
        {"StreamArn": "lobby"},
        {"StreamArn": "arn:aws:kinesisvideo:eu-west-1:1:stream/a/b"},
        {"FragmentNumber": 91343852333289682796718532614445757584843717598},
        {"FragmentNumber": ""},
        {"FragmentNumber": "9 1"},
        {"ProducerTimestamp": None},
        {"ProducerTimestamp": "1788165300"},
        {"ProducerTimestamp": -1},
        {"ProducerTimestamp": 1e300},
        {"FrameOffsetInSeconds": None},
        {"FrameOffsetInSeconds": True},
        {"FrameOffsetInSeconds": -0.1},
    ],
)
def test_a_frame_that_cannot_be_placed_is_a_problem(video: dict[str, Any]) -> None:
    events, problems = read([json.dumps(record(**video)).encode(), LINES[0]])
    assert len(events) == 4, "the next line is read"
    assert [one.where.startswith("InputInformation.KinesisVideo") for one in problems] == [True]


@pytest.mark.parametrize("data", [{}, {"Records": 7}, {"InputInformation": {"KinesisVideo": []}}])
def test_a_line_of_another_shape_is_a_problem(data: dict[str, Any]) -> None:
    events, problems = read([json.dumps(data).encode()])
    assert (len(events), len(problems)) == (0, 1)


def test_faces_that_are_no_list_are_a_problem() -> None:
    assert read([json.dumps(record() | {"FaceSearchResponse": {}}).encode()])[1][0].where == "FaceSearchResponse"


def test_an_empty_batch_is_counted() -> None:
    door = gateway()
    assert list(door.read([b'{"Records": []}'])) == []
    assert door.tally.skipped["empty_batch"] == 1


def test_ids_tell_frames_faces_and_installations_apart_and_leave_the_account_out() -> None:
    def first(data: dict[str, Any]) -> str:
        return read([json.dumps(data).encode()])[0][0].event_id

    arn = "arn:aws:kinesisvideo:{}:{}:stream/{}/{}"
    same = first(record())
    assert first(record(StreamArn=arn.format("ap-southeast-1", "999999999999", "north-gate", "1788000000123"))) == same
    others = [
        record(StreamArn=arn.format("eu-west-1", "210987654321", "north-gate", "1788000000123")),
        record(StreamArn=arn.format("ap-southeast-1", "210987654321", "north-gate", "1788000000124")),
        record(StreamArn=arn.format("ap-southeast-1", "210987654321", "south-gate", "1788000000123")),
        record(FragmentNumber="91343852333289682796718532614445757584843717602"),
        record(FrameOffsetInSeconds=1.21),
    ]
    ids = {first(data) for data in others}
    assert len(ids | {same}) == 6
    other = Gateway(Recogniser.REKOGNITION, MAPPING.model_copy(update={"system_id": "other"}), lambda *_: None)
    event = next(iter(other.read(LINES)))
    assert isinstance(event, MatchEvent)
    assert event.event_id not in ids | {same}


def test_more_persons_than_the_contract_numbers_are_told_and_left_out() -> None:
    events, problems = read([faces([match(99, f"f-{number}") for number in range(CANDIDATES_MAX + 1)])])
    assert [one.rank for one in events] == list(range(CANDIDATES_MAX))
    assert problems[0].expected.startswith("at most 1001 persons")
