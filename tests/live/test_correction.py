"""A late record corrects what a worker told, on the topic and in the counters, and so does the next worker after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from small_estate import LiveWorker, Record, SmallEstate, expected
from small_world import MEMBER, a_match, records
from streams.simulator.worker_child import total

pytestmark = pytest.mark.kafka


@pytest.fixture
def estate(embedded: str, tmp_path: Path) -> Iterator[SmallEstate]:
    with SmallEstate(embedded, tmp_path) as made:
        yield made


def apart(among: list[Record], kind: str) -> tuple[list[Record], Record]:
    """Records without the one of a kind, and that one."""
    (found,) = [each for each in among if getattr(each, "kind", None) == kind]
    return [each for each in among if each is not found], found


def told(estate: SmallEstate) -> list[Violation]:
    """Every message about violations, in order."""
    return [VIOLATION.read(json.dumps(each).encode()) for each in estate.said(TopicName.VIOLATIONS)]


def statuses(estate: SmallEstate) -> dict[str, str]:
    """The last status of each violation that consent could undo, by rule."""
    return {each.rule_id: each.status for each in told(estate) if each.subject_ref == MEMBER}


def corrected(worker: LiveWorker, cause: str) -> bool:
    return total(worker.metrics(), "consentinel_corrections_total", cause=cause) > 0


def test_a_consent_that_comes_late_corrects_the_violation_it_undoes_and_says_why(estate: SmallEstate) -> None:
    others, consent = apart(records(), "consent_given")
    estate.send(*others)
    event = a_match()
    estate.send(event)
    worker = estate.worker()
    worker.ready()
    worker.until(lambda: total(worker.metrics(), "consentinel_violations_total") > 0, "the violation")
    before = expected(others, [event])
    assert set(statuses(estate).values()) == {"open"}
    estate.send(consent)
    worker.until(lambda: corrected(worker, "record"), "the correction")
    after = {each.violation_id: each for each in told(estate)}
    undone = before.keys() - expected(records(), [event]).keys()
    assert undone
    assert {after[each].status for each in undone} == {"contested"}, "a consent of six years ago is no quick one"
    assert {after[each].changed_by for each in undone} == {(consent.record_id,)}
    assert all(each.reached_log_at > each.in_force_since for each in map(after.get, undone) if each is not None)  # type: ignore[operator]
    assert total(worker.metrics(), "consentinel_violations_total") >= len(before), "a counter never falls"
    assert total(worker.metrics(), "consentinel_contested_total") == len(undone)


def test_a_worker_that_died_takes_no_correction_with_it(estate: SmallEstate) -> None:
    others, consent = apart(records(), "consent_given")
    estate.send(*others)
    event = a_match()
    estate.send(event)
    first = estate.worker()
    first.ready()
    first.until(lambda: total(first.metrics(), "consentinel_violations_total") > 0, "the violation")
    assert first.stop() == 0
    estate.send(consent)
    second = estate.worker()
    second.ready()
    second.until(lambda: corrected(second, "reconciled"), "the correction at the takeover")
    undone = expected(others, [event]).keys() - expected(records(), [event]).keys()
    after = {each.violation_id: each.status for each in told(estate)}
    assert {after[each] for each in undone} == {"contested"}


def test_what_reaches_back_beyond_the_memory_is_counted_once_also_after_a_takeover(estate: SmallEstate) -> None:
    others, consent = apart(records(), "consent_given")
    estate.send(*others)
    for number in range(2):
        estate.send(a_match(event_id=f"event-{number}"))
    first = estate.worker(memory_seconds="0")
    first.ready()
    first.until(lambda: total(first.metrics(), "consentinel_events_total") == 2, "both are judged")
    assert first.stop() == 0
    second = estate.worker(memory_seconds="0")
    second.ready()

    def deferred() -> float:
        return total(second.metrics(), "consentinel_deferred_total")

    estate.send(consent)
    second.until(deferred, "a record about a person")
    assert deferred() == 1
    _, device = apart(others, "device")
    estate.send(device.model_copy(update={"record_version": 2}))
    second.until(lambda: deferred() > 1, "a record about a thing")
    assert deferred() == 2
