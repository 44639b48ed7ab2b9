"""The page of a case: the event, its records by time, the rules; read from files as a user gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.contract import Message
from schemas.registry import RegistryRecord
from small_world import Change, a_match, an_encounter, records, the_law
from streams.errors import InputError
from streams.replay.case_file import case_files
from streams.replay.case_page import page

WITHDRAWN: Change = {"valid_from": "2026-03-10T03:00:00Z", "record_id": "w-1"}
LATER: Change = {"valid_from": "2026-03-10T05:00:00Z", "record_id": "late-1"}


def file_of(folder: Path, name: str, *messages: Message) -> Path:
    file = folder / name
    file.write_bytes(b"".join(message.to_json() + b"\n" for message in messages))
    return file


def pages(folder: Path, *events: Message, case: str = "event-1", **parts: Change | None) -> list[str]:
    around = records(feed=None, more=(), **parts)
    registry = file_of(folder, "registry", *(each for each in around if isinstance(each, RegistryRecord)))
    subjects = file_of(folder, "subjects", *(each for each in around if not isinstance(each, RegistryRecord)))
    cases, read = case_files(case, the_law(), [file_of(folder, "events", *events)], [subjects], [registry])
    assert read.bad_lines == []
    return [page(each) for each in cases]


def test_a_case_is_drawn_with_its_records_by_time(tmp_path: Path) -> None:
    (said,) = pages(tmp_path, a_match(), withdrawal=WITHDRAWN, consent={"record_id": "c-1"})
    lines = said.splitlines()
    assert lines[0] == "match event-1 of 2026-03-10T04:00:00Z"
    first = lines.index("On record, by time (= in force, | the event)") + 1
    drawn = lines[first : lines.index("", first)]
    (consent,) = [line for line in drawn if "consent_given c-1" in line]
    (withdrawal,) = [line for line in drawn if "consent_withdrawn w-1" in line]
    assert consent.startswith("  2020-01-01 00:00:00Z")
    assert consent.split("c-1")[1].split() == ["[=====|==", "in", "force"]
    assert withdrawal.split("w-1")[1].split() == ["[==|==", "in", "force"]
    assert drawn.index(consent) < drawn.index(withdrawal)
    assert "VIOLATION  cn2025.art06.after-withdrawal, critical: Recognition after consent was withdrawn" in lines


def test_what_came_too_late_or_had_ended_is_drawn_as_such(tmp_path: Path) -> None:
    ended: Change = {"valid_until": "2026-03-10T04:00:00Z"}
    (said,) = pages(tmp_path, a_match(), consent=LATER, notice=ended)
    (consent,) = [line for line in said.splitlines() if "consent_given late-1" in line]
    (notice,) = [line for line in said.splitlines() if "notice notice-record" in line]
    assert consent.endswith("later")
    assert notice.endswith("ended")
    assert "It would have been clear with separate_consent_actions = [identify]." in said


def test_an_encounter_is_explained_too(tmp_path: Path) -> None:
    (said,) = pages(tmp_path, an_encounter(alternative_offered=False, outcome="denied"))
    assert said.startswith("access_outcome event-1 of ")
    assert "VIOLATION  cn2025.art10.refuser" in said
    assert "alternative_offered is FALSE" in said


def test_every_event_of_the_id_has_a_page_and_no_other(tmp_path: Path) -> None:
    events = [a_match(), a_match(event_version=2, subject_ref=None), a_match(event_id="event-11")]
    assert len(pages(tmp_path, *events)) == 2


def test_rules_that_do_not_apply_are_listed_with_their_reason(tmp_path: Path) -> None:
    (said,) = pages(tmp_path, a_match(at="2024-01-01T00:00:00Z"))
    tail = said[said.index("Not applicable") :]
    assert "  cn2025.art13.sign: in force only from 2025-05-31T16:00:00+00:00" in tail


def test_an_id_that_no_event_has_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an event with the id") as caught:
        pages(tmp_path, a_match(), case="event-9")
    assert "event-9" not in str(caught.value)
