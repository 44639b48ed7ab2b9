"""Of several records of one event one counts, wherever they lie, and within the range or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.encounter import ENCOUNTER
from settled_world import text_at
from small_logs import answer, event, ndjson, told
from streams.replay import ndjson_source
from streams.replay.ndjson_source import NdjsonSource


@pytest.mark.parametrize("size", [1_000_000, 1])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("moves", ["out", "in"])
def test_a_correction_that_moves_an_event_over_the_edge_of_the_range_replaces_it(
    tmp_path: Path, size: int, backwards: bool, moves: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", size)
    inside, outside = (1, 2) if moves == "out" else (2, 1)
    lines = [
        event("x", event_version=inside, occurred_at=text_at(0)),
        event("x", event_version=outside, occurred_at=text_at(200)),
        event("a"),
    ]
    found = answer(NdjsonSource(ndjson(tmp_path / "in", lines[::-1] if backwards else lines)), tmp_path / "out")
    assert {each[:2] for each in told(found)} == {("a", 1), *([("x", 2)] if moves == "in" else [])}
    counts = found.manifest.counts
    assert (counts.read, counts.superseded, counts.judged) == (2, moves == "out", {"match": 1 + (moves == "in")})
    assert found.table("coverage")["judged"].sum() == sum(counts.judged.values())


@pytest.mark.parametrize("size", [1_000_000, 1])
@pytest.mark.parametrize("days", [-1, 1])
def test_an_event_that_is_in_the_range_by_one_of_two_contents_is_undetermined(
    tmp_path: Path, size: int, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", size)
    lines = [event("x", occurred_at=text_at(0)), event("x", occurred_at=text_at(200 * days))]
    found = answer(NdjsonSource(ndjson(tmp_path / "in", lines)), tmp_path / "out")
    assert {(each[0], *each[3:]) for each in told(found)} == {("x", "undetermined", "conflict")}


@pytest.mark.parametrize("size", [1_000_000, 1])
def test_a_match_and_an_encounter_of_one_id_are_two_events(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", size)
    door = ENCOUNTER.fit({
        "kind": "access_outcome", "event_id": "a", "occurred_at": text_at(0), "controller_id": "zoo",
        "device_id": "gate-1", "face_scan_refused": True, "outcome": "denied",
    })  # fmt: skip
    found = answer(NdjsonSource(ndjson(tmp_path / "in", [event("a"), door])), tmp_path / "out")
    counts = found.manifest.counts
    assert (counts.judged, counts.conflicting) == ({"match": 1, "access_outcome": 1}, 0)
    assert "conflict" not in {each[4] for each in told(found)}
