"""Deadlines and windows in a worker: said when due, by no event but time, once, across partitions and restarts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from schemas.contract import Message
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT
from schemas.topics import TopicName
from small_estate import LiveWorker, SmallEstate
from small_world import a_match, an_encounter, records
from streams.core.rule_world import COVERED
from streams.simulator.worker_child import total

pytestmark = pytest.mark.kafka

ERASURE = a_rule(
    "test.erasure",
    kind="deadline",
    judges=None,
    condition=None,
    deadline={
        "opens": [{"record": "erasure_request"}],
        "key": ["controller", "subject"],
        "due": {"after": 15, "unit": "days"},
        "fulfilled_by": [{"record": "deletion", "condition": "'reference' = ANY(artefacts)"}],
    },
)
DENIALS = a_rule(
    "test.denials",
    kind="window",
    judges="access_outcome",
    condition="access_outcome = 'denied'",
    window={"days": 1, "key": "site", "at_least": 4},
)
STORED = a_rule(
    "test.stored",
    kind="window",
    judges=None,
    condition=None,
    window={"days": 1, "key": "controller", "count": "stored_persons", "at_least": 5},
)
UNREGISTERED = a_rule(
    "test.unregistered",
    kind="deadline",
    judges=None,
    condition=None,
    deadline={
        "opens": [{"case": "match", "condition": "NOT device_registered"}],
        "key": ["controller", "event"],
        "due": {"after": 1, "unit": "hours"},
        "fulfilled_by": [{"case": "human_review"}],
    },
)
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
"""A case of long ago is not kept, so what counts here is of yesterday."""
BEFORE = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%d")
PERSONS = [f"s_person_00000000000{number:02}" for number in range(12)]


@pytest.fixture
def estate(embedded: str, tmp_path: Path) -> Iterator[SmallEstate]:
    with SmallEstate(embedded, tmp_path) as made:
        made.options["rules"] = str(tmp_path / "pack.yaml")
        yield made


def rules(estate: SmallEstate, *texts: str) -> None:
    Path(estate.options["rules"]).write_text(a_pack(*texts))


def about(kind: str, person: str, at: str, **fields: Any) -> Message:
    """A subject record."""
    whole = {"kind": kind, "record_id": f"{kind}-{person}-{at[:10]}", "controller_id": "zoo", "subject_ref": person}
    return SUBJECT.fit(whole | {"valid_from": at} | fields)


def heartbeat(until: str, *covers: str) -> Message:
    whole = {"kind": "feed", "id": "everything", "record_id": f"beat-{until}", "valid_from": until}
    return REGISTRY.fit(whole | {"covers": covers or COVERED, "complete_until": until, "max_lag_seconds": 3600})


def papers() -> Sequence[Message]:
    return records(consent=None, enrolment=None)[:-1]


def opened(estate: SmallEstate) -> list[tuple[str, str]]:
    """What the log of duties says, person by person."""
    return [(each["subject_ref"], each["status"]) for each in estate.said(TopicName.OBLIGATIONS)]


def broken(estate: SmallEstate) -> list[dict[str, Any]]:
    return estate.said(TopicName.VIOLATIONS)


def said(worker: LiveWorker, status: str, count: int) -> None:
    worker.until(
        lambda: total(worker.metrics(), "consentinel_obligations_total", status=status) >= count,
        f"{count} duties {status}",
    )


def test_a_deadline_is_said_without_any_event_and_once_and_what_comes_late_contests_it(estate: SmallEstate) -> None:
    rules(estate, ERASURE)
    requests = [about("erasure_request", person, "2026-03-01T09:00:00Z") for person in PERSONS[:4]]
    in_time = about("deletion", PERSONS[0], "2026-03-16T23:59:59.999999Z", artefacts=["reference"])
    too_late = about("deletion", PERSONS[1], "2026-03-17T00:00:00Z", artefacts=["reference"])
    wrong = about("deletion", PERSONS[2], "2026-03-05T00:00:00Z", artefacts=["image"])
    estate.send(*papers(), *requests, in_time, too_late, wrong, heartbeat("2026-06-01T00:00:00Z"))
    worker = estate.worker()
    worker.ready()
    said(worker, "breached", 3)
    said(worker, "fulfilled", 1)
    assert worker.stop() == 0
    assert {each["subject_ref"] for each in broken(estate)} == set(PERSONS[1:4])
    assert {each["occurred_at"] for each in broken(estate)} == {"2026-03-16T23:59:59.999999Z"}
    assert all(each["status"] == "open" and each["event_kind"] == "deadline" for each in broken(estate))
    assert sorted(opened(estate)) == [(PERSONS[0], "fulfilled"), *((each, "breached") for each in PERSONS[1:4])]

    again = estate.worker()
    again.ready()
    estate.send(about("erasure_request", PERSONS[5], "2026-04-01T09:00:00Z"))
    said(again, "breached", 1)
    assert sorted(each["subject_ref"] for each in broken(estate)) == [*PERSONS[1:4], PERSONS[5]]

    estate.send(about("deletion", PERSONS[3], "2026-03-10T09:00:00Z", artefacts=["reference"]))
    said(again, "fulfilled", 1)
    assert total(again.metrics(), "consentinel_contested_total", rule_id="test.erasure") == 1
    assert again.stop() == 0
    first, last = [each for each in broken(estate) if each["subject_ref"] == PERSONS[3]]
    assert (first["status"], last["status"], last["cause"]) == ("open", "contested", "record")
    assert last["changed_by"] == [f"deletion-{PERSONS[3]}-2026-03-10"], "it came eight months after its feed vouched"


def test_nothing_is_said_to_be_missing_while_its_feed_is_behind(estate: SmallEstate) -> None:
    rules(estate, ERASURE)
    request = about("erasure_request", PERSONS[0], "2026-03-01T09:00:00Z")
    estate.send(*papers(), request, heartbeat("2026-03-10T00:00:00Z"))
    worker = estate.worker()
    worker.ready()
    worker.until(
        lambda: total(worker.metrics(), "consentinel_duties_undetermined", reason="feed_behind") == 1, "a duty in doubt"
    )
    assert broken(estate) == []
    estate.send(heartbeat("2026-03-17T00:00:00Z"))
    said(worker, "breached", 1)
    assert total(worker.metrics(), "consentinel_violations_total", rule_id="test.erasure") == 1
    worker.until(
        lambda: total(worker.metrics(), "consentinel_duties_undetermined", reason="feed_behind") == 0, "no doubt"
    )


def test_a_window_counts_cases_of_all_partitions_and_survives_a_restart(estate: SmallEstate) -> None:
    rules(estate, DENIALS)
    estate.send(*papers(), heartbeat(f"{YESTERDAY}T23:00:00Z"))
    doors = [
        an_encounter(event_id=f"door-{number}", subject_ref=person, outcome="denied", at=f"{YESTERDAY}T04:00:00Z")
        for number, person in enumerate(PERSONS)
    ]
    assert len({estate.home(door) for door in doors}) > 1
    worker = estate.worker()
    worker.ready()
    estate.send(*doors[:3], doors[0])
    worker.until(lambda: total(worker.metrics(), "consentinel_events_total", outcome="judged") >= 4, "three doors")
    assert worker.stop() == 0
    assert broken(estate) == []

    other = estate.worker()
    other.ready()
    estate.send(*doors[3:])
    other.until(lambda: total(other.metrics(), "consentinel_violations_total", rule_id="test.denials"), "the bound")
    assert other.stop() == 0
    (found,) = broken(estate)
    assert (found["site_id"], found["bound"], found["event_kind"]) == ("zoo-gates", 4, "window")
    assert found["occurred_at"] == f"{YESTERDAY}T00:00:00.000000Z"

    third = estate.worker()
    third.ready()
    late = f"{YESTERDAY}T05:00:00Z"
    estate.send(an_encounter(event_id="door-99", subject_ref=PERSONS[0], outcome="denied", at=late))
    third.until(lambda: total(third.metrics(), "consentinel_events_total", outcome="judged") >= 1, "one more door")
    assert third.stop() == 0
    assert broken(estate) == [found]


def test_stored_persons_of_all_partitions_add_up(estate: SmallEstate) -> None:
    rules(estate, STORED)
    enrolled = [
        about("enrolment", person, f"2026-03-0{1 + number % 5}T09:00:00Z", age_band="adult")
        for number, person in enumerate(PERSONS[:5])
    ]
    gone = about("deletion", PERSONS[0], "2026-03-04T10:00:00Z", artefacts=["reference"])
    estate.send(*papers(), *enrolled, gone, heartbeat("2026-06-01T00:00:00Z"))
    worker = estate.worker()
    worker.ready()
    estate.send(about("enrolment", PERSONS[5], "2026-03-07T09:00:00Z", age_band="adult"))
    worker.until(lambda: total(worker.metrics(), "consentinel_violations_total", rule_id="test.stored"), "five persons")
    assert worker.stop() == 0
    (found,) = broken(estate)
    assert (found["controller_id"], found["occurred_at"]) == ("zoo", "2026-03-07T00:00:00.000000Z")


def test_a_case_that_a_late_record_takes_out_of_a_duty_contests_its_breach_also_after_a_takeover(
    estate: SmallEstate,
) -> None:
    rules(estate, UNREGISTERED)
    whole = [each for each in papers() if getattr(each, "kind", "") != "device"]
    (device,) = [each for each in papers() if getattr(each, "kind", "") == "device"]
    estate.send(*whole, heartbeat(f"{YESTERDAY}T00:00:00Z"))
    worker = estate.worker()
    worker.ready()
    matches = [a_match(at=f"{BEFORE}T09:00:00Z", event_id=f"seen-{number}") for number in range(3)]
    estate.send(*matches)
    said(worker, "breached", 3)
    assert worker.stop() == 0

    estate.send(device)  # while nobody looks
    again = estate.worker()
    again.ready()
    said(again, "void", 3)
    assert total(again.metrics(), "consentinel_contested_total", rule_id="test.unregistered") == 3
    assert again.stop() == 0
    last = {each["violation_id"]: each["status"] for each in broken(estate)}
    assert list(last.values()) == ["contested"] * 3
