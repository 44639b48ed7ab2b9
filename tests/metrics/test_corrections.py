"""What late records and corrected events change is counted apart, and lowers nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from small_world import the_law
from streams.metrics.recorder import Recorder

RULE = the_law().rules[0]
WHERE = {"rule_id": RULE.id, "level": RULE.level, "standing": RULE.standing}


class Board:
    """A recorder of the law of the distribution, and its registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        start = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self.recorder = Recorder(self.registry, the_law(), version="0.1.0", started_at=start)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"consentinel_{name}", labels)


@pytest.fixture
def board() -> Board:
    return Board()


def test_a_retraction_lowers_nothing_and_is_counted_apart(board: Board) -> None:
    board.recorder.violation(RULE, 3)
    board.recorder.retraction(RULE, 2)
    board.recorder.contested(RULE)
    board.recorder.correction("record", 3)
    assert board.value("violations_total", **WHERE) == 3
    assert board.value("retractions_total", **WHERE) == 2
    assert board.value("contested_total", **WHERE) == 1
    assert board.value("corrections_total", cause="record") == 3
    assert board.value("corrections_total", cause="reconciled") == 0, "laid out before it happens"


def test_what_is_repeated_deferred_or_at_an_edge_is_counted(board: Board) -> None:
    board.recorder.deferred(5)
    board.recorder.boundary(4)
    board.recorder.repeats(3)
    board.recorder.duplicates(2)
    names = ("deferred", "boundary", "repeats", "duplicates")
    assert [board.value(f"{name}_total") for name in names] == [5, 4, 3, 2]


def test_what_is_held_and_remembered_is_told_in_cases_and_bytes(board: Board) -> None:
    board.recorder.held(cases=7, size_bytes=700)
    board.recorder.memory(cases=9, size_bytes=900)
    assert (board.value("held_cases"), board.value("held_bytes")) == (7, 700)
    assert (board.value("memory_cases"), board.value("memory_bytes")) == (9, 900)
