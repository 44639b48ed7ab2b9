"""Frigate face updates: each attempt an event, one probe an object, and no name for what is not certain."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from schemas.contract import time_text
from schemas.match import MatchEvent
from streams.ingest.gateway import Gateway, Problem
from streams.ingest.mapping import DeviceMapping, load_mapping
from streams.ingest.recogniser import Recogniser

FIXTURES = Path(__file__).parent / "fixtures"
LINES = (FIXTURES / "frigate.ndjson").read_bytes().splitlines()
MAPPING = load_mapping(FIXTURES / "mapping.frigate.yaml", Recogniser.FRIGATE)
REF = "s_" + "n" * 22


def gateway(mapping: DeviceMapping = MAPPING) -> Gateway:
    return Gateway(Recogniser.FRIGATE, mapping, lambda _, name: REF if name == "Noor Haddad" else None)


def read(lines: Iterable[bytes], mapping: DeviceMapping = MAPPING) -> tuple[list[MatchEvent], list[Problem]]:
    found = list(gateway(mapping).read(lines))
    return [one for one in found if isinstance(one, MatchEvent)], [one for one in found if isinstance(one, Problem)]


def update(**facts: Any) -> bytes:
    return json.dumps(json.loads(LINES[2]) | facts).encode()


def test_every_attempt_at_an_object_is_an_event_of_one_probe_at_rank_0() -> None:
    events, problems = read(LINES)
    assert not problems
    assert [(one.comparison_decision, one.comparison_score, one.subject_ref) for one in events] == [
        ("inconclusive", None, None),
        ("inconclusive", 0.84, None),
        ("match", 0.95, REF),
    ]
    assert len({one.probe_id for one in events}) == 1
    assert len({one.event_id for one in events}) == 3
    assert {(one.rank, one.event_version) for one in events} == {(0, 1)}
    assert [time_text(one.occurred_at) for one in events] == [
        "2026-08-31T08:36:52.031250Z",
        "2026-08-31T08:36:52.640118Z",
        "2026-08-31T08:36:53.200733Z",
    ]


def test_the_mapping_speaks_for_what_frigate_does_not_say() -> None:
    event = read(LINES[2:3])[0][0]
    assert (event.device_id, event.site_id, event.purpose_id) == ("cam-yard-west", "yard", "yard-safety")
    assert (event.operation, event.timing, event.storage_location) == ("identification", "realtime", "lan")
    assert (event.original_image_retained, event.comparison_threshold) == (True, 0.9)
    assert event.internet_transfer is None


def test_an_event_is_found_again_wherever_the_reading_starts() -> None:
    assert read(LINES[2:])[0] == read(LINES)[0][2:]


def test_the_threshold_itself_is_a_match_and_a_name_below_it_names_nobody() -> None:
    events, _ = read([update(score=0.9), update(score=0.899999)])
    assert [(one.comparison_decision, one.subject_ref) for one in events] == [("match", REF), ("inconclusive", None)]


@pytest.mark.parametrize("name", [None, "unknown"])
def test_an_attempt_without_a_name_is_a_non_match_only_where_the_mapping_says_so(name: str | None) -> None:
    strangers = MAPPING.model_copy(update={"unnamed": "non_match"})
    nameless = update(name=name, score=0.0)
    assert [one.comparison_decision for one in read([nameless])[0]] == ["inconclusive"]
    assert [one.comparison_decision for one in read([nameless], strangers)[0]] == ["non_match"]
    assert [one.comparison_score for one in read([nameless])[0]] == [None], "Frigate's 0.0 is no score"


def test_a_name_nobody_linked_is_a_match_without_a_subject() -> None:
    event = read([update(name="Somebody Else")])[0][0]
    assert (event.comparison_decision, event.subject_ref) == ("match", None)


def test_other_types_are_counted_by_reason_and_a_sub_label_is_no_evidence() -> None:
    door = gateway()
    kinds = ["description", "lpr", "classification", "new", "update", "end", "Quintanilla"]
    assert list(door.read([*(json.dumps({"type": kind}).encode() for kind in kinds), b"\n"])) == []
    assert door.tally.skipped == {
        "description": 1,
        "licence_plate": 1,
        "classification": 1,
        "tracked_object": 3,
        "unknown_type": 1,
        "blank": 1,
    }
    assert door.tally.lines == 8


@pytest.mark.parametrize("facts", [{"name": 7}, {"name": ""}, {"score": None}, {"score": 1.01}, {"score": "0.95"}])
def test_an_attempt_that_cannot_be_read_keeps_its_event_as_not_reported(facts: dict[str, Any]) -> None:
    events, problems = read([update(**facts)])
    assert [(one.comparison_decision, one.subject_ref) for one in events] == [("not_reported", None)]
    assert len(problems) == 1


def test_an_attempt_without_the_key_for_the_name_is_not_reported() -> None:
    data = json.loads(LINES[0])
    del data["name"]
    assert [one.comparison_decision for one in read([json.dumps(data).encode()])[0]] == ["not_reported"]


@pytest.mark.parametrize(
    "facts", [{"camera": None}, {"camera": ""}, {"id": 7}, {"timestamp": "now"}, {"timestamp": -1}, {"type": None}]
)
def test_an_update_that_cannot_be_placed_is_a_problem_and_the_next_line_is_read(facts: dict[str, Any]) -> None:
    events, problems = read([update(**facts), LINES[2]])
    assert (len(events), len(problems)) == (1, 1)
    assert problems[0].line == 1


def test_objects_times_and_installations_have_ids_of_their_own() -> None:
    lines = [update(), update(id="1788165411.220417-zzzzzz"), update(timestamp=1788165413.200734)]
    events, _ = read(lines)
    other, _ = read(lines[:1], MAPPING.model_copy(update={"system_id": "frigate-hall"}))
    assert len({one.event_id for one in [*events, *other]}) == 4
    assert len({one.probe_id for one in [*events, *other]}) == 3
