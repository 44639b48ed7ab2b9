"""One worker is ended, frozen, or left without its broker, and goes on: nothing is lost, and little is said twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drill_estate import Estate, Listener, committed, event_ids
from drill_oracle import expected_messages
from kill_drill import READY_SECONDS, SOURCES, Team, compare
from streams.simulator.broker import EmbeddedBroker

pytestmark = [pytest.mark.kill, pytest.mark.kafka, pytest.mark.timeout(600)]

BROKER_AWAY_SECONDS = 10.0


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


def check(team: Team, listener: Listener, estate: Estate) -> int:
    """Wait until all is judged, compare with the core, and return the number of repeats."""
    expected = expected_messages(estate.opening, estate.steps, estate.opened_at)
    commits, ends = team.settle(listener, expected)
    listener.stop()
    books = compare(listener.heard, expected)
    assert not books.lost
    assert not books.unexpected
    assert not books.differing
    assert books.under_two_ids == 0
    assert commits == ends
    return books.repeats


def test_a_worker_that_was_ended_in_a_backlog_repeats_nothing_that_it_committed(broker: str, tmp_path: Path) -> None:
    with Team(broker, tmp_path, max_poll_records="100") as team:
        listener = Listener(team.settings)
        listener.start()
        estate = Estate(team.settings, 7, rate=200, began=datetime.now(UTC) - timedelta(minutes=5))
        estate.write_at_once(timedelta(seconds=10))
        worker = team.start(0)
        while len(listener.heard) < 500:
            worker.check_alive()
            time.sleep(0.01)
        worker.hit(signal.SIGTERM)
        assert worker.end() == 0
        commits = committed(team.settings, SOURCES)
        places = event_ids(team.settings, SOURCES)
        left = {each for place, ids in places.items() for each in ids[commits[place] :]}
        assert left, "the worker was ended in the middle"
        assert sum(commits.values()) > 0, "what was finished is committed"
        time.sleep(1.0)
        first = {each.value for each in list(listener.heard)}
        heard_first = len(listener.heard)

        team.start(0)
        check(team, listener, estate)
        repeated = {each.event_id for each in listener.heard[heard_first:] if each.value in first}
        assert repeated <= left


def test_a_worker_that_was_frozen_longer_than_a_feed_promises_does_not_take_it_for_dead(
    broker: str, tmp_path: Path
) -> None:
    with Team(broker, tmp_path, session_timeout_seconds="30", hold_seconds="1") as team:
        listener = Listener(team.settings)
        listener.start()
        estate = Estate(team.settings, 8, rate=25, max_lag_seconds=2)
        worker = team.start(0)
        worker.wait_ready(READY_SECONDS)
        estate.start()
        for _ in range(2):
            time.sleep(2.0)
            worker.hit(signal.SIGSTOP)
            time.sleep(5.0)
            worker.hit(signal.SIGCONT)
        estate.stop()
        check(team, listener, estate)


def test_a_broker_that_is_away_for_a_while_loses_nothing(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    with Team(own_broker.bootstrap, tmp_path) as team:
        listener = Listener(team.settings)
        listener.start()
        estate = Estate(team.settings, 9, rate=25)
        worker = team.start(0)
        worker.wait_ready(READY_SECONDS)
        estate.start()
        time.sleep(3.0)
        os.kill(own_broker.pid, signal.SIGSTOP)
        time.sleep(BROKER_AWAY_SECONDS)
        os.kill(own_broker.pid, signal.SIGCONT)
        time.sleep(3.0)
        estate.stop()
        check(team, listener, estate)
