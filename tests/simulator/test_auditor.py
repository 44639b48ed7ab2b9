"""The auditor finds what is missing, what is too much, and what came twice; it can be wrong about none of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.verdict import Violation
from streams.simulator.auditor import Auditor, Line
from streams.simulator.expectation import Expectation

AT = datetime(2026, 5, 6, tzinfo=UTC)


def a_violation(**changes: Any) -> Violation:
    fields: dict[str, Any] = {
        "violation_id": "a" * 64,
        "status": "open",
        "rule_id": "core.purpose.unknown",
        "revision": 1,
        "level": "high",
        "standing": "in_force",
        "event_id": "me-1",
        "event_kind": "match",
        "occurred_at": AT,
        "controller_id": "co-x",
        "device_id": "de-x",
    }
    return Violation(**fields | changes)


def an_expectation(**changes: Any) -> Expectation:
    fields: dict[str, Any] = {"event_id": "me-1", "rule_id": "core.purpose.unknown", "status": "open", "story": "tale"}
    return Expectation(**fields | changes)


def an_auditor(*violations: Violation, expected: tuple[Expectation, ...] = (an_expectation(),)) -> Auditor:
    auditor = Auditor()
    auditor.expect(expected)
    for violation in violations:
        auditor.see(violation)
    return auditor


def test_an_expected_violation_that_came_agrees() -> None:
    audit = an_auditor(a_violation()).audit()
    assert audit.agrees
    assert audit.expected == audit.found == {"core.purpose.unknown": 1}


def test_an_expected_violation_that_did_not_come_is_missing() -> None:
    audit = an_auditor().audit()
    assert audit.missing == (Line("me-1", "core.purpose.unknown", "open"),)
    assert not audit.agrees


def test_a_violation_that_nobody_expected_is_unexpected() -> None:
    audit = an_auditor(a_violation(), a_violation(violation_id="b" * 64, event_id="me-2")).audit()
    assert audit.unexpected == (Line("me-2", "core.purpose.unknown", "open"),)
    assert not audit.agrees


def test_a_window_that_a_story_leads_to_is_foreseen_and_any_other_is_unexpected() -> None:
    window = {"event_id": None, "device_id": None, "event_kind": "window"}
    auditor = Auditor({("co-x", "core.exception.overuse")})
    auditor.see(a_violation(rule_id="core.exception.overuse", **window))
    assert auditor.audit().unexpected == ()
    auditor.see(a_violation(rule_id="core.exception.overuse", controller_id="co-y", **window))
    assert auditor.audit().unexpected == (Line("a" * 64, "core.exception.overuse", "open"),)


def test_excused_where_open_was_expected_is_missing_and_unexpected() -> None:
    audit = an_auditor(a_violation(status="excused")).audit()
    assert audit.missing == (Line("me-1", "core.purpose.unknown", "open"),)
    assert audit.unexpected == (Line("me-1", "core.purpose.unknown", "excused"),)


def test_an_excused_violation_is_found_and_counted_apart() -> None:
    audit = an_auditor(a_violation(status="excused"), expected=(an_expectation(status="excused"),)).audit()
    assert audit.agrees
    assert audit.found == audit.excused == {"core.purpose.unknown": 1}


def test_a_repeat_of_one_violation_changes_nothing() -> None:
    assert an_auditor(a_violation(), a_violation()).audit().agrees


def test_one_breach_under_two_ids_disagrees() -> None:
    audit = an_auditor(a_violation(), a_violation(violation_id="b" * 64)).audit()
    assert audit.twice == (Line("me-1", "core.purpose.unknown", "open"),)
    assert not audit.agrees


def test_a_retracted_violation_is_none() -> None:
    audit = an_auditor(a_violation(), a_violation(status="retracted")).audit()
    assert audit.missing == (Line("me-1", "core.purpose.unknown", "open"),)
    assert audit.unexpected == ()


def test_a_contested_violation_still_stands() -> None:
    assert an_auditor(a_violation(), a_violation(status="contested")).audit().agrees


def test_a_violation_where_silence_was_expected_is_unexpected() -> None:
    expected = (an_expectation(status="undetermined"),)
    assert not an_auditor(a_violation(), expected=expected).audit().agrees
    assert an_auditor(expected=expected).audit().agrees


def test_an_undetermined_case_that_was_cleared_is_missing_where_the_verdicts_are_known() -> None:
    auditor = an_auditor(expected=(an_expectation(status="undetermined"),))
    assert auditor.audit(undetermined={("me-1", "core.purpose.unknown")}).agrees
    assert auditor.audit(undetermined=set()).missing == (Line("me-1", "core.purpose.unknown", "undetermined"),)
