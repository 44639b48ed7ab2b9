"""How long after a withdrawal a match still happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from small_world import MEMBER, NEVER_SEEN, NOON, World, a_world
from streams.core.withdrawal import since_withdrawal


def told(world: World) -> list[tuple[str, float]]:
    return list(since_withdrawal(world.verdicts.cases, world.views))


def before(seconds: float) -> str:
    """An instant so long before the match."""
    return (datetime.fromisoformat(NOON) - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("seconds", [0.0, 0.000001, 30.0, 86_400.0])
def test_a_match_after_a_withdrawal_is_told_with_its_delay(seconds: float) -> None:
    ((controller_id, delay),) = told(a_world(withdrawal={"valid_from": before(seconds)}))
    assert controller_id == "zoo"
    assert delay == pytest.approx(seconds, abs=1e-9)


def test_a_withdrawal_counts_though_no_record_says_what_was_agreed_to() -> None:
    assert told(a_world(consent=None, withdrawal={"valid_from": before(60)})) == [("zoo", 60.0)]


def test_of_two_withdrawals_the_later_counts() -> None:
    again = {"kind": "consent_withdrawn", "record_id": "again", "valid_from": before(5), "purposes": []}
    again |= {"subject_ref": MEMBER, "controller_id": "zoo"}
    world = a_world(withdrawal={"valid_from": before(600)}, more=[again])
    assert told(world) == [("zoo", 5.0)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"withdrawal": {"valid_from": before(-1)}},
        {"consent": None},
        {"withdrawal": {"valid_from": before(60)}, "consent": {"valid_from": before(30)}},
        {"withdrawal": {"valid_from": before(60)}, "event": {"subject_ref": NEVER_SEEN}},
        {"withdrawal": {"valid_from": before(60)}, "door": {}},
    ],
)
def test_nothing_is_told_without_a_withdrawal_that_holds_at_a_match(change: dict[str, Any]) -> None:
    assert told(a_world(**change)) == []


def test_a_rulebook_that_never_asks_leaves_the_column_out_and_nothing_is_said() -> None:
    world = a_world(withdrawal={"valid_from": before(60)})
    assert list(since_withdrawal(world.verdicts.cases.drop("consent_withdrawn"), world.views)) == []
    assert list(since_withdrawal(pl.DataFrame(), world.views)) == []
