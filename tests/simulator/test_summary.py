"""The summary and the scoreboard say what was counted, keep the draft apart and name nobody."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from schemas.verdict import Violation
from small_world import the_law
from streams.simulator.auditor import Auditor
from streams.simulator.demo import FILE_COLUMNS
from streams.simulator.expectation import Expectation
from streams.simulator.scoreboard import Scoreboard
from streams.simulator.summary import EVENTS, Summary
from streams.simulator.worker_child import Series, by_label, total

SOMEBODY = "s_SomebodysToken00000000"


def a_violation(number: int, **changes: Any) -> Violation:
    fields: dict[str, Any] = {
        "violation_id": f"{number:064x}",
        "status": "open",
        "rule_id": "core.purpose.unknown",
        "revision": 1,
        "level": "high",
        "standing": "in_force",
        "event_id": f"me-{number}",
        "event_kind": "match",
        "occurred_at": datetime(2026, 5, 6, 1, 30, tzinfo=UTC),
        "controller_id": "co-x",
        "device_id": "de-x",
        "site_id": "si-x",
        "subject_ref": SOMEBODY,
    }
    return Violation(**fields | changes)


def some_series(judged: int, rejected: int = 0) -> Series:
    def key(**labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
        return EVENTS, frozenset(labels.items())

    return {
        key(topic="matches", outcome="judged"): float(judged),
        key(topic="encounters", outcome="judged"): 1.0,
        key(topic="matches", outcome="rejected"): float(rejected),
        ("consentinel_undetermined_total", frozenset({("rule_id", "a"), ("reason", "feed_behind")})): 4.0,
        ("consentinel_undetermined_total", frozenset({("rule_id", "b"), ("reason", "feed_behind")})): 3.0,
        ("consentinel_undetermined_total", frozenset({("rule_id", "b"), ("reason", "conflict")})): 0.0,
    }


def a_summary(*, events: int, series: Series, found: bool = True) -> Summary:
    auditor = Auditor()
    auditor.expect([Expectation("me-1", "core.purpose.unknown", "open", "tale")])
    if found:
        auditor.see(a_violation(1))
    return Summary(seed=1, events=events, series=series, audit=auditor.audit(), seconds=2.0)


def text_of(renderable: object, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_whose_every_verdict_is_the_expected_one_agrees() -> None:
    said = a_summary(events=11, series=some_series(10)).as_json()
    assert json.loads(json.dumps(said)) == {
        "seed": 1,
        "events": 11,
        "judged": 11,
        "rejected": 0,
        "violations": {"core.purpose.unknown": 1},
        "expected": {"core.purpose.unknown": 1},
        "excused": {},
        "missing": [],
        "unexpected": [],
        "twice": [],
        "undetermined": {"feed_behind": 7},
        "seconds": 2.0,
        "judged_per_second": 6,
        "agrees": True,
    }


def test_a_run_with_a_missing_verdict_disagrees_and_names_it() -> None:
    summary = a_summary(events=11, series=some_series(10), found=False)
    assert not summary.agrees
    assert summary.as_json()["missing"] == [{"event_id": "me-1", "rule_id": "core.purpose.unknown", "status": "open"}]
    assert "missing: core.purpose.unknown open for me-1" in summary.lines()
    assert "-1" in text_of(summary.table(the_law()))


def test_the_id_of_a_rule_is_never_cut_in_a_file() -> None:
    auditor = Auditor()
    auditor.expect([Expectation("me-1", rule.id, "open", "tale") for rule in the_law().rules])
    summary = Summary(seed=1, events=1, series=some_series(1), audit=auditor.audit(), seconds=1.0)
    said = text_of(summary.table(the_law()), FILE_COLUMNS)
    assert [rule.id for rule in the_law().rules if rule.id not in said] == []


def test_a_run_in_which_something_was_rejected_or_left_unjudged_disagrees() -> None:
    assert not a_summary(events=11, series=some_series(9, rejected=1)).agrees
    assert not a_summary(events=12, series=some_series(10)).agrees
    assert "1 events were not judged before patience ran out" in a_summary(events=12, series=some_series(10)).lines()


def test_a_run_without_events_proves_nothing() -> None:
    summary = a_summary(events=0, series={})
    assert not summary.agrees
    assert "nothing was sent, so nothing is shown" in summary.lines()


def test_sums_over_series_ask_name_and_labels() -> None:
    series = some_series(10, rejected=2)
    assert total(series, EVENTS) == 13
    assert total(series, EVENTS, outcome="judged") == 11
    assert total(series, "consentinel_events") == 0
    assert by_label(series, EVENTS, "outcome", topic="matches") == {"judged": 10, "rejected": 2}


def test_the_scoreboard_keeps_the_draft_apart_and_names_nobody() -> None:
    board = Scoreboard(the_law(), ["a note"])
    draft = {"rule_id": "cn2023.art05.consent", "standing": "what_if", "level": "critical"}
    board.see([a_violation(1), a_violation(2, status="excused"), a_violation(3, **draft)])
    board.sent = 1_234
    board.judged(0.0, 0)
    board.judged(2.0, 1_000)
    text = text_of(board.render())
    titles = next(line for line in text.splitlines() if "what if the draft" in line)
    middle = titles.index("what if the draft")
    assert any("core.purpose.unknown" in line[:middle] for line in text.splitlines())
    assert [line.index("cn2023") for line in text.splitlines() if "cn2023" in line] == [middle + 1]
    assert "a note" in text
    assert "sent 1,234" in text
    assert "500 judged a second" in text
    assert SOMEBODY not in text


def test_the_rate_is_that_of_the_last_seconds() -> None:
    board = Scoreboard(the_law(), [])
    assert board.rate == 0
    for second in range(20):
        board.judged(float(second), 100 * second if second < 10 else 1_000 + 500 * (second - 10))
    assert board.rate == 500
