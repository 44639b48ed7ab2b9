"""Lanes over real HTTP: what may pass is tried again, what may not is recorded, and nothing is told too early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from alerts_child import a_violation
from http_receiver import HttpReceiver
from schemas.notification import Notification
from streams.alerting.alert_group import AlertGroups, LogPlace
from streams.alerting.lane import Lane, Surroundings
from streams.alerting.notice import Stationery
from streams.alerting.request import RETRY_AFTER_MAX, retry_after
from streams.alerting.storm import Budget
from streams.alerting.webhook import Webhook
from streams.metrics.alert_recorder import AlertRecorder
from streams.metrics.catalogue import ALERT_METRICS, BUILD_INFO, START_TIME
from streams.simulator.broker import free_port

NAME = "webhook-1"


@dataclass
class Bench:
    """One webhook with its lane; the log of notifications is a list."""

    url: str
    give_up_seconds: float = 30.0
    per_minute: int = 30
    records: list[Notification] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    frontier: dict[int, int] = field(default_factory=dict)
    done: dict[int, int] = field(default_factory=dict)

    def tell(self, *numbers: int) -> None:
        """Tell of violations in one round of the lane."""
        asyncio.run(self._tell(numbers))

    async def _tell(self, numbers: Sequence[int]) -> None:
        budget = Budget(self.per_minute)
        webhook = Webhook(NAME, self.url, keys=(), stationery=Stationery(), budget=budget, source="urn:test")
        recorder = AlertRecorder(self.registry, [NAME], version="0", started_at=datetime.now(UTC))
        groups = AlertGroups()
        async with aiohttp.ClientSession() as session:
            around = Surroundings(session, time, self._record, recorder, lambda: self.frontier, self.give_up_seconds)
            lane = Lane(webhook, around)
            for number in numbers:
                change = groups.fold(a_violation(number), time(), LogPlace(0, number))
                assert change is not None
                webhook.tell(change, time())
                self.frontier = {0: number + 1}
            await lane.round()
        self.done = dict(lane.done)

    async def _record(self, told: Sequence[Notification]) -> None:
        assert not self.done, "what is not on record yet counts as told"
        self.records += told

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a series."""
        return self.registry.get_sample_value(f"consentinel_{name}", labels)


def test_what_a_busy_receiver_did_not_take_is_sent_again_under_the_same_id() -> None:
    with HttpReceiver([(503, {}), (429, {"Retry-After": "0"})]) as receiver:
        bench = Bench(receiver.url)
        bench.tell(1)
    assert len(receiver.requests) == 3
    assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1
    assert [each.result for each in bench.records] == ["delivered"]
    assert bench.done == {0: 2}
    assert bench.value("notification_failures_total", receiver=NAME) == 2
    assert bench.value("notifications_total", receiver=NAME, result="delivered") == 1
    assert bench.value("notification_seconds_count") == 1


def test_a_refusal_is_recorded_at_once_and_holds_up_nothing() -> None:
    with HttpReceiver([(410, {})]) as receiver:
        bench = Bench(receiver.url)
        bench.tell(1, 2)
    assert len(receiver.requests) == 2
    assert [(each.result, each.failure, each.http_status) for each in bench.records] == [
        ("failed", "refused", 410),
        ("delivered", None, None),
    ]
    assert [each.violation_id for each in bench.records] == [a_violation(each).violation_id for each in (1, 2)]
    assert bench.done == {0: 3}


def test_a_receiver_that_is_away_is_given_up_with_a_record_of_everything_it_missed() -> None:
    bench = Bench(f"http://127.0.0.1:{free_port()}", give_up_seconds=0.5)
    bench.tell(1, 2, 3)
    assert [(each.result, each.failure) for each in bench.records] == [("failed", "unreachable")] * 3
    assert bench.value("notifications_total", receiver=NAME, result="failed") == 3
    assert bench.done == {0: 4}


def test_a_redirection_is_not_followed() -> None:
    with HttpReceiver() as elsewhere, HttpReceiver([(307, {"Location": elsewhere.url})]) as receiver:
        bench = Bench(receiver.url)
        bench.tell(1)
    assert elsewhere.requests == []
    assert [each.failure for each in bench.records] == ["refused"]


def test_what_a_summary_keeps_back_does_not_count_as_told() -> None:
    with HttpReceiver() as receiver:
        bench = Bench(receiver.url, per_minute=1)
        bench.tell(1, 2)
    assert len(receiver.requests) == 1
    assert bench.done == {}


def test_every_metric_of_the_process_is_there_at_zero() -> None:
    registry = CollectorRegistry()
    AlertRecorder(registry, [NAME], version="0", started_at=datetime.now(UTC))
    exposed = {metric.name for metric in registry.collect()}
    assert exposed == {each.full_name.removesuffix("_total") for each in (*ALERT_METRICS, BUILD_INFO, START_TIME)}
    for result in ("delivered", "failed"):
        assert registry.get_sample_value("consentinel_notifications_total", {"receiver": NAME, "result": result}) == 0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("99999", RETRY_AFTER_MAX), ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0), ("soon", None), ("", None)],
)
def test_how_long_a_receiver_asks_to_wait_is_understood_as_seconds_or_as_a_date(
    said: str, seconds: float | None
) -> None:
    assert retry_after({"Retry-After": said}, now=10.0) == seconds
