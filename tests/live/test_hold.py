"""What a record in flight may change is held by the broker's clock and the worker's, within a bound of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from schemas.contract import time_text
from schemas.match import MatchEvent
from schemas.topics import TopicName
from small_estate import LiveWorker, SmallEstate
from small_world import NEVER_SEEN, a_match, records
from streams.core.partition import partition_of
from streams.simulator.worker_child import total

pytestmark = pytest.mark.kafka

MIB = 2**20
MANY = 4_500
STRANGERS = [f"s_nobody_{number:016}" for number in range(20)]


@pytest.fixture
def estate(embedded: str, tmp_path: Path) -> Iterator[SmallEstate]:
    with SmallEstate(embedded, tmp_path, partitions=2) as made:
        yield made


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def behind(hours: float, **changes: Any) -> list[Any]:
    """The records of the world, of which the feed is complete up to so many hours ago, and keeps its promise."""
    feed = {"complete_until": time_text(ago(hours)), "max_lag_seconds": 365 * 86_400} | changes
    return records(feed=feed, consent=None)


def put(estate: SmallEstate, event: MatchEvent, hours_ago: float = 0.0) -> None:
    """Write an event that the broker says it took so many hours ago."""
    taken = round(ago(hours_ago).timestamp() * 1_000)
    home = estate.home(event)
    estate.put(TopicName.MATCHES, event.to_json(), key=event.key.encode(), partition=home, timestamp_ms=taken)


def judged(worker: LiveWorker) -> float:
    return total(worker.metrics(), "consentinel_cases_total")


def held(worker: LiveWorker) -> float:
    return total(worker.metrics(), "consentinel_held_cases")


def test_what_lay_on_the_log_for_longer_than_the_hold_is_not_held_again(estate: SmallEstate) -> None:
    estate.send(*behind(3))
    worker = estate.worker(hold_seconds="3600")
    worker.ready()
    put(estate, a_match(event_id="new", at=time_text(ago(0)), subject_ref=NEVER_SEEN))
    worker.until(lambda: held(worker) == 1, "what came now, to be held")
    put(estate, a_match(event_id="old", at=time_text(ago(2)), subject_ref=NEVER_SEEN), hours_ago=2)
    worker.until(lambda: judged(worker) == 1, "what came two hours ago")
    assert held(worker) == 1


def test_a_broker_whose_clock_is_ahead_makes_the_hold_no_longer(estate: SmallEstate) -> None:
    estate.send(*behind(3))
    worker = estate.worker(hold_seconds="1")
    worker.ready()
    put(estate, a_match(at=time_text(ago(0)), subject_ref=NEVER_SEEN), hours_ago=-1)
    worker.until(lambda: judged(worker) == 1, "the end of the hold")


def test_what_is_held_is_bounded_in_bytes_and_what_comes_later_goes_on_when_it_is_let_go(
    estate: SmallEstate, tmp_path: Path
) -> None:
    law = tmp_path / "law.yaml"  # one rule: what is let go is told in a moment
    law.write_text(a_pack(a_rule("test.r1.consent", condition="NOT consent_in_force")))
    estate.send(*behind(3))
    full, other = (next(ref for ref in STRANGERS if partition_of(ref, 2) == home) for home in (0, 1))
    names = [f"{number:0>120}" for number in range(MANY)]  # long, so that few events fill the bound
    with ThreadPoolExecutor(16) as writers:
        made = [a_match(event_id=name, probe_id=name, at=time_text(ago(0)), subject_ref=full) for name in names]
        list(writers.map(lambda event: put(estate, event), made))
    bounds = {"max_queued_bytes": str(MIB), "max_queued_runs": "2", "max_poll_records": "500"}
    worker = estate.worker(rules=str(law), hold_seconds="3600", **bounds)
    worker.ready()

    def size() -> float:
        return total(worker.metrics(), "consentinel_held_bytes")

    worker.until(lambda: size() > MIB, "the bound")
    put(estate, a_match(event_id="beside", at=time_text(ago(4)), subject_ref=other), hours_ago=4)
    worker.until(lambda: judged(worker) == 1, "the other partition, which goes on")
    a_batch = 2 * 500 * size() / held(worker)
    assert MIB < size() <= MIB + a_batch
    assert held(worker) < MANY
    estate.send(*(each for each in behind(-1, record_id="feed-2") if each.record_id == "feed-2"))
    worker.until(lambda: judged(worker) == MANY + 1, "all of them, once the feed has come further")
    worker.until(lambda: (held(worker), size()) == (0, 0), "nothing to be held")
