"""Judging files gives what the core says, in the order of lines, and tells every line that is no contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from schemas.contract import Message
from schemas.encounter import ENCOUNTER
from schemas.registry import RegistryRecord
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, subject_record, text_at, tick
from streams.core.instant import SECOND
from streams.core.rulebook import Rulebook, load
from streams.errors import InputError
from streams.replay import offline
from streams.replay.offline import BadLine, Offline

LAW = load([
    (
        "test.yaml",
        a_pack(
            a_rule("test.always", condition="purpose_named"),
            a_rule("test.door", condition="face_scan_refused", judges="access_outcome"),
            a_rule("test.excused", condition="purpose_named", exceptions={"lawful": "device_registered"}),
            a_rule("test.open", condition="timing = 'post'"),
        ),
    )
])
DOOR: dict[str, Any] = {
    "kind": "access_outcome",
    "event_id": "door-1",
    "occurred_at": text_at(0),
    "controller_id": "zoo",
    "device_id": "gate-1",
    "face_scan_refused": True,
    "outcome": "denied",
}
SECRET = "zhang-san-at-the-gate"  # what a bad line holds and nobody may see


def written(path: Path, *lines: Message | bytes) -> Path:
    """A file of lines, messages as the contract writes them."""
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.to_json()) + b"\n" for line in lines))
    return path


def the_records(folder: Path) -> tuple[list[Path], list[Path]]:
    records = [*a_settled_world(), a_feed()]
    registry = [record for record in records if isinstance(record, RegistryRecord)]
    subjects = [record for record in records if not isinstance(record, RegistryRecord)]
    return [written(folder / "subjects.ndjson", *subjects)], [written(folder / "registry.ndjson", *registry)]


def judged(folder: Path, *lines: Message | bytes, law: Rulebook = LAW) -> tuple[Offline, list[dict[str, Any]]]:
    """The judgement of one file of events over the settled world."""
    judgement = Offline(law)
    judgement.read_records(*the_records(folder))
    return judgement, list(judgement.judge_files([written(folder / "events.ndjson", *lines)]))


def told(verdicts: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["event_id"], each["rule_id"], each["verdict"]) for each in verdicts]


def event(name: str, **fields: Any) -> Message:
    message: Message = a_match(event_id=name, **fields)
    return message


def test_matches_and_encounters_of_one_file_are_judged_in_the_order_of_lines(tmp_path: Path) -> None:
    door = ENCOUNTER.fit(DOOR)
    judgement, verdicts = judged(tmp_path, event("b"), door, event("a", timing=None))
    assert told(verdicts) == [
        ("b", "test.always", "violation"),
        ("b", "test.excused", "excused"),
        ("door-1", "test.door", "violation"),
        ("a", "test.always", "violation"),
        ("a", "test.excused", "excused"),
        ("a", "test.open", "undetermined"),
    ]
    assert judgement.judged == 3
    assert judgement.bad_lines == []
    assert judgement.outcomes["test.open", "clear"] == 1
    assert judgement.outcomes["test.open", "undetermined"] == 1
    assert judgement.outcomes["test.door", "violation"] == 1


def test_a_verdict_says_which_event_rule_and_records_or_why_it_is_open(tmp_path: Path) -> None:
    _, verdicts = judged(tmp_path, event("e", timing=None, event_version=2))
    by_rule = {each["rule_id"]: each for each in verdicts}
    assert by_rule["test.excused"] == {
        "event_id": "e",
        "event_version": 2,
        "subject_ref": PEOPLE[0],
        "rule_id": "test.excused",
        "revision": 1,
        "standing": "in_force",
        "level": "high",
        "verdict": "excused",
        "deciding_records": ["device-gate-1"],
    }
    assert by_rule["test.open"]["reason"] == "not_reported"
    assert "deciding_records" not in by_rule["test.open"]
    json.dumps(verdicts)


def test_a_line_that_is_no_contract_is_told_by_place_and_reason_and_never_by_content(tmp_path: Path) -> None:
    bad = [
        b"",
        SECRET.encode(),
        json.dumps(DOOR | {"outcome": SECRET}).encode(),
        json.dumps({"kind": SECRET}).encode(),
        event("x").to_json().replace(b'"rank":0', f'"{SECRET}":0'.encode()),
        b"\xff" + SECRET.encode(),
    ]
    judgement, verdicts = judged(tmp_path, bad[0], event("first"), *bad[1:], event("last"), ENCOUNTER.fit(DOOR))
    assert [each.line for each in judgement.bad_lines] == [1, 3, 4, 5, 6, 7]
    assert [each.reason for each in judgement.bad_lines] == [
        *("empty", "not_json", "invalid_value"),
        *("unknown_kind", "unknown_field", "not_json"),
    ]
    assert {each.file for each in judgement.bad_lines} == {str(tmp_path / "events.ndjson")}
    assert SECRET not in " ".join(map(str, judgement.bad_lines))
    assert {each["event_id"] for each in verdicts} == {"first", "last", "door-1"}
    assert judgement.judged == 3


def test_a_bad_record_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    judgement = Offline(LAW)
    subjects, (registry,) = the_records(tmp_path)
    registry.write_bytes(SECRET.encode() + b"\n" + registry.read_bytes() + b'{"kind":"gizmo"}\n')
    judgement.read_records(subjects, [registry])
    assert [(each.file, each.line) for each in judgement.bad_lines] == [
        (str(registry), 1),
        (str(registry), len(registry.read_bytes().splitlines())),
    ]
    assert SECRET not in str(judgement.bad_lines)
    assert len(judgement.views.histories) == 1
    assert judgement.views.registry.statements("device", "gate-1")


def test_a_bad_line_reads_as_place_reason_and_expectation() -> None:
    assert str(BadLine("a.ndjson", 3, "empty", "expected a JSON object")) == "a.ndjson:3: empty: expected a JSON object"


def test_lines_may_end_as_on_any_system(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(event("a").to_json() + b"\r\n" + event("b").to_json())
    judgement = Offline(LAW)
    judgement.read_records(*the_records(tmp_path))
    assert {each["event_id"] for each in judgement.judge_files([file])} == {"a", "b"}
    assert judgement.bad_lines == []


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_how_a_file_is_cut_changes_nothing(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[Message | bytes] = [ENCOUNTER.fit(DOOR), event("b", timing=None), b"", event("c", subject_ref=None)]
    lines: list[Message | bytes] = [event("a"), b"no json", *others]
    whole, expected = judged(tmp_path, *lines)
    monkeypatch.setattr(offline, "PIECE_LINES", size)
    judgement, verdicts = judged(tmp_path, *lines)
    assert verdicts == expected
    assert judgement.bad_lines == whole.bad_lines
    assert (judgement.outcomes, judgement.judged) == (whole.outcomes, whole.judged)


def test_several_files_are_judged_one_after_the_other(tmp_path: Path) -> None:
    judgement = Offline(LAW)
    judgement.read_records(*the_records(tmp_path))
    first, second = (written(tmp_path / f"{name}.ndjson", event(name), b"bad") for name in ("z", "a"))
    assert [each["event_id"] for each in judgement.judge_files([first, second])] == ["z", "z", "a", "a"]
    assert [(each.file, each.line) for each in judgement.bad_lines] == [(str(first), 2), (str(second), 2)]


def test_an_empty_file_has_no_verdicts(tmp_path: Path) -> None:
    judgement, verdicts = judged(tmp_path)
    assert (verdicts, judgement.judged, judgement.bad_lines) == ([], 0, [])


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_an_input_error_that_names_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "missing.ndjson"
    for read in (
        lambda: Offline(LAW).read_records([path], []),
        lambda: Offline(LAW).read_records([], [path]),
        lambda: list(Offline(LAW).judge_files([path])),
    ):
        with pytest.raises(InputError, match=str(path)):
            read()


def test_what_one_look_brings_to_light_is_looked_at_too(tmp_path: Path) -> None:
    """Who is stored by whom is known once the persons were looked at; no registry record names the mall."""
    window = {"days": 1, "key": "controller", "count": "stored_persons", "at_least": 2}
    law = load([("t.yaml", a_pack(a_rule("test.many", kind="window", judges=None, condition=None, window=window)))])
    stored = [
        subject_record("enrolment", record_id=each, subject_ref=each, controller_id="mall", valid_from=text_at(0))
        for each in PEOPLE[:2]
    ]
    judgement = Offline(law)
    feed = a_feed(covers=["enrolment", "deletion"], complete_until=text_at(20_000))
    judgement.read_records([written(tmp_path / "s.ndjson", *stored)], [written(tmp_path / "r.ndjson", feed)])
    (found,) = judgement.settle(tick(1) + 86_400 * SECOND)
    assert (found["rule_id"], found["controller_id"], found["verdict"]) == ("test.many", "mall", "violation")
    assert judgement.outcomes["test.many", "violation"] == 1
