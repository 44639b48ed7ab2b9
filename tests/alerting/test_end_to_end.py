"""From a story of the simulator to the page, and back: real broker, worker, alerts process and Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alertmanager_node import AlertmanagerNode
from alerts_child import Alarm, a_violation
from http_receiver import HttpReceiver
from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from small_estate import SmallEstate, until
from streams.simulator.log import finite_steps
from streams.simulator.publisher import Publisher
from streams.simulator.simulation import Simulation
from streams.simulator.summary import EVENTS
from streams.simulator.worker_child import total

REF = "s_"
STORM = 10_000
Group = tuple[str, str, str]


@pytest.fixture
def pager() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def alertmanager(tmp_path: Path, pager: HttpReceiver) -> Iterator[AlertmanagerNode]:
    with AlertmanagerNode(tmp_path, pager.url) as node:
        yield node


@pytest.fixture
def estate(broker: str, tmp_path: Path) -> Iterator[SmallEstate]:
    with SmallEstate(broker, tmp_path) as found:
        yield found


@pytest.fixture
def alarm(estate: SmallEstate, alertmanager: AlertmanagerNode, tmp_path: Path) -> Iterator[Alarm]:
    with Alarm(estate, tmp_path, alertmanager=alertmanager.url) as found:
        yield found


def calls(pager: HttpReceiver, path: str = "/on-call", name: str = "ConsentinelViolation") -> list[dict[str, Any]]:
    """What the receiver was told under one name, a call each."""
    return [call for call in pager.at(path) if call["groupLabels"]["alertname"] == name]


def group_of(call: dict[str, Any]) -> Group:
    labels = call["groupLabels"]
    return labels["rule"], labels["controller"], labels["site"]


def tell_stories(estate: SmallEstate) -> int:
    """Every story of the simulator once, as fast as it can be written; how many match events there are in them."""
    began = datetime.now(UTC)
    simulation = Simulation(3, began, rate=4)
    with Publisher(estate.settings.brokers, estate.settings.prefix) as publisher:
        publisher.publish_opening(simulation.opening())
        for step in finite_steps(simulation, began, seconds=2):
            publisher.publish(step)
        return publisher.sent[TopicName.MATCHES]


def on_the_log(estate: SmallEstate) -> list[Violation]:
    return [VIOLATION.read(record.value) for record in estate.read(TopicName.VIOLATIONS)]


def changes_of(desk: HttpReceiver) -> int:
    """How many changes a webhook was told of, by events and in summaries."""
    told = desk.at("/desk")
    return sum(each["data"]["changes"] if each["type"] == "consentinel.storm" else 1 for each in told)


def pages(violations: list[Violation]) -> set[Group]:
    """The groups that must call somebody: said here without the code that groups."""
    return {
        (each.rule_id, each.controller_id, each.site_id or "(none)")
        for each in violations
        if each.level == "critical" and each.standing == "in_force" and each.status == "open"
    }


def test_a_story_leads_to_one_call_a_site_and_its_retraction_ends_it_with_the_reason(
    estate: SmallEstate, alarm: Alarm, pager: HttpReceiver
) -> None:
    sent = tell_stories(estate)
    worker = estate.worker()
    worker.ready()
    alerts = alarm.start(alerts_per_minute="1000")

    def told() -> list[Violation] | None:
        log = on_the_log(estate)
        return log if log and {group_of(call) for call in calls(pager)} == pages(log) else None

    worker.until(lambda: worker.series() and total(worker.metrics(), EVENTS, outcome="judged") >= sent, "every verdict")
    log = until(told, "a call for each group, and for no other")
    assert len(pages(log)) > 3, "the stories hold several breaches that call at any hour"
    assert all(len(call["alerts"]) == 1 for call in calls(pager)), "one alert a group, one group a site"

    chosen = min(pages(log))
    page = next(call for call in calls(pager) if group_of(call) == chosen)["alerts"][0]["annotations"]
    mine = [each for each in log if (each.rule_id, each.controller_id, each.site_id or "(none)") == chosen]
    assert page["summary"].startswith("No valid record was found: ")
    assert page["violations"] == str(len({each.violation_id for each in mine}))
    assert page["runbook_url"] == f"docs/runbooks.md#{chosen[0].replace('.', '-')}"
    assert mine[-1].event_id is None or mine[-1].event_id in page["events"]
    assert REF not in str(pager.at("/on-call"))

    alarm.say(*(each.model_copy(update={"status": "retracted", "cause": "record"}) for each in mine))
    ended = until(lambda: [call for call in calls(pager) if call["status"] == "resolved"], "the end of the group")
    assert {group_of(call) for call in ended} == {chosen}
    assert ended[0]["alerts"][0]["annotations"]["correction"].startswith("Retracted: a record reached the log")
    assert alerts.stop() == 0


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_restart_calls_nobody_again(estate: SmallEstate, alarm: Alarm, pager: HttpReceiver) -> None:
    first = alarm.start()
    alarm.say(a_violation(1), a_violation(2, site_id="south"))
    until(lambda: len(calls(pager)) == 2, "a call a site")
    topic = TopicName.NOTIFICATIONS
    until(lambda: len(estate.said(topic)) == 2, "both calls on record")
    assert first.stop() == 0
    second = alarm.start()
    alarm.say(a_violation(3, site_id="east"))
    until(lambda: len(calls(pager)) >= 3, "the call of what is new")
    assert sorted(call["groupLabels"]["site"] for call in calls(pager)) == ["east", "north", "south"]
    told = until(lambda: len(estate.said(topic)) >= 3 and estate.said(topic), "the new call on record")
    assert sorted(each["site_id"] for each in told) == ["east", "north", "south"]
    assert second.stop() == 0


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_ten_thousand_violations_at_once_are_few_calls_and_none_is_lost_in_the_count(
    estate: SmallEstate, alarm: Alarm, alertmanager: AlertmanagerNode, pager: HttpReceiver
) -> None:
    with HttpReceiver() as desk:
        alerts = alarm.start(webhook=f"{desk.url}/desk", alerts_per_minute="10")
        alarm.say_at_once(a_violation(number, site_id=f"site-{number % 40}") for number in range(STORM))

        def counted() -> bool:
            told = alertmanager.alerts(alertname="ConsentinelViolation")
            return sum(int(each["annotations"]["violations"]) for each in told) == STORM

        until(counted, "every violation in the count of its group")
        until(lambda: calls(pager, name="ConsentinelStorm"), "the call of the storm")
        until(lambda: changes_of(desk) == STORM, "every change told to the webhook, by itself or in a summary")
        assert len(calls(pager)) <= 2 * 10, "groups told by themselves: a share of each minute, and at most two minutes"
        assert len(desk.requests) <= 2 * (10 + 1)
        ids = [request.json["id"] for request in desk.requests]
        assert len(ids) == len(set(ids))
        assert alerts.stop() == 0


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_dormant_group_is_kept_from_calling_and_never_resolved_and_a_storm_outlives_a_restart(
    alarm: Alarm, alertmanager: AlertmanagerNode, pager: HttpReceiver
) -> None:
    first = alarm.start(alerts_per_minute="1", dormant_seconds="5")
    alarm.say(a_violation(1), a_violation(2, site_id="south"), a_violation(3, site_id="south", level="high"))

    def states() -> dict[tuple[str, str], tuple[str, str | None]]:
        held = alertmanager.alerts(alertname="ConsentinelViolation")
        named = ((each["labels"], each["status"]["state"]) for each in held)
        return {(said["site"], said["severity"]): (state, said.get("storm")) for said, state in named}

    until(lambda: len(states()) == 3, "every group told")
    until(lambda: {state for state, _ in states().values()} == {"suppressed"}, "every group asleep")
    before = states()
    assert first.stop() == 0
    second = alarm.start(alerts_per_minute="1", dormant_seconds="3600")
    until(lambda: {state for state, _ in states().values()} == {"active"}, "every group awake")
    assert {key: storm for key, (_, storm) in states().items()} == {key: storm for key, (_, storm) in before.items()}
    assert [call["status"] for call in calls(pager)] == ["firing"] * len(calls(pager)), "silence resolves nothing"
    assert second.stop() == 0
