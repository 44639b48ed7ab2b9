"""What receivers are sent: the right words, exact counts, bounded texts, and never a person."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertmanager_node import CONFIGURATION
from alerts_child import a_violation
from program import program
from schemas.verdict import Violation
from streams.alerting.alert_group import AlertGroups, LogPlace
from streams.alerting.alertmanager import Alertmanager, Pace
from streams.alerting.notice import Stationery
from streams.alerting.posting import Destination, Round
from streams.alerting.signature import read_keys
from streams.alerting.storm import Budget, StormWatch
from streams.alerting.webhook import Webhook
from streams.errors import ConfigurationError

KEY = b"a key of twenty-four byt"
DOCUMENT = Path(__file__).parents[2] / "docs" / "alerts.md"
STATIONERY = Stationery(
    titles={"cn2025.art13.private-space": "A camera in a private space"}, dashboard_url="http://d/x"
)


class Told:
    """One Alertmanager and one webhook over the same log."""

    def __init__(self, per_minute: int = 30) -> None:
        self.offset = -1
        self.groups = AlertGroups()
        self.storm = StormWatch(Budget(per_minute))
        pace = Pace(repost_seconds=60, lifetime_seconds=3_600, dormant_seconds=600)
        self.alertmanager = Alertmanager(
            "alertmanager-1", "http://a", groups=self.groups, stationery=STATIONERY, storm=self.storm, pace=pace
        )
        self.webhook = Webhook(
            "webhook-1", "http://w", keys=(KEY,), stationery=STATIONERY, budget=Budget(per_minute), source="urn:test"
        )

    def say(self, *violations: Violation, now: float = 0.0) -> None:
        for violation in violations:
            self.offset += 1
            change = self.groups.fold(violation, now, LogPlace(0, self.offset))
            if change is not None:
                self.storm.mark(change, now)
                self.alertmanager.tell(change, now)
                self.webhook.tell(change, now)

    def alerts(self, now: float = 0.0, name: str = "ConsentinelViolation") -> list[dict[str, Any]]:
        every = [alert for body in bodies(self.alertmanager.take(now)) for alert in body]
        return [alert for alert in every if alert["labels"]["alertname"] == name]


def bodies(found: Round) -> list[Any]:
    return [json.loads(posting.body) for posting in found.postings]


def over(alert: dict[str, Any], now: float) -> bool:
    return bool(alert["endsAt"] <= f"1970-01-01T00:{int(now) // 60:02d}:{int(now) % 60:02d}.999")


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(("open", "retracted", "contested"))), max_size=12))
def test_no_person_and_no_record_is_in_anything_that_is_sent(said: list[tuple[int, str]]) -> None:
    told = Told(per_minute=3)
    told.say(a_violation(9))
    for number, status in said:
        told.say(a_violation(number, status=status, cause="judged" if status == "open" else "record"))
    destinations: list[Destination] = [told.alertmanager, told.webhook]
    sent = [posting.body for each in destinations for now in (0, 60) for posting in each.take(now).postings]
    assert not [body for body in sent if b"s_somebody" in body or b"consent-" in body]
    assert all(b"event-" in body or b"consentinel.storm" in body for body in sent)
    assert sent


def test_an_id_that_looks_like_a_person_is_taken_out() -> None:
    told = Told()
    told.say(a_violation(1, event_id="s_AAAAAAAAAAAAAAAAAAAA", site_id="s_BBBBBBBBBBBBBBBBBBBB"))
    sent = str([bodies(told.alertmanager.take(0)), bodies(told.webhook.take(0))])
    assert "s_AAAA" not in sent
    assert "s_BBBB" not in sent


def test_an_alert_says_what_was_not_found_where_how_often_and_what_to_read() -> None:
    told = Told()
    told.say(a_violation(1), a_violation(2, occurred_at="2026-03-10T04:05:00Z"))
    (alert,) = told.alerts()
    assert alert["labels"] == {
        "alertname": "ConsentinelViolation",
        "rule": "cn2025.art13.private-space",
        "controller": "zoo",
        "site": "north",
        "severity": "critical",
    }
    said = alert["annotations"]
    assert said["summary"] == "No valid record was found: A camera in a private space, at north (zoo)"
    assert (said["violations"], said["events"]) == ("2", "event-1, event-2")
    assert said["first_seen"] == "2026-03-10 04:00:00 UTC"
    assert said["last_seen"] == "2026-03-10 04:05:00 UTC"
    assert said["runbook_url"] == "docs/runbooks.md#cn2025-art13-private-space"
    assert "proves none" in said["description"]


def test_what_stands_is_posted_again_and_only_what_is_retracted_is_ended() -> None:
    told = Told()
    told.say(a_violation(1), a_violation(2, site_id="south"))
    assert len(told.alerts(now=0)) == 2
    assert told.alerts(now=30) == []
    assert len(told.alerts(now=60)) == 2
    told.say(a_violation(1, status="retracted", cause="record"), now=70)
    (ended,) = told.alerts(now=70)
    assert ended["labels"]["site"] == "north"
    assert over(ended, 70)
    assert ended["annotations"]["correction"].startswith("Retracted: a record reached the log")
    (left,) = told.alerts(now=130)
    assert left["labels"]["site"] == "south"
    assert not over(left, 130)


def test_a_correction_of_a_group_that_stands_is_an_alert_of_its_own() -> None:
    told = Told()
    told.say(a_violation(1), a_violation(2), a_violation(3))
    told.alerts(now=0)
    told.say(*(a_violation(each, status="retracted", cause="event") for each in (1, 2)), now=10)
    (alert,) = told.alerts(now=10, name="ConsentinelCorrection")
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["corrected"] == "2"
    assert "its source corrected the event" in alert["annotations"]["summary"]


def test_a_dormant_group_stands_and_is_inhibited_until_something_new_comes() -> None:
    told = Told()
    told.say(a_violation(1))
    assert over(told.alerts(now=0, name="ConsentinelDormant")[0], 0)
    dormant = bodies(told.alertmanager.take(660))[0]
    assert {alert["labels"]["alertname"]: over(alert, 660) for alert in dormant} == {
        "ConsentinelViolation": False,
        "ConsentinelDormant": False,
    }
    told.say(a_violation(2), now=700)
    awake = bodies(told.alertmanager.take(700))[0]
    assert {alert["labels"]["alertname"]: over(alert, 700) for alert in awake} == {
        "ConsentinelViolation": False,
        "ConsentinelDormant": True,
    }


def test_an_event_ahead_of_the_clock_does_not_make_an_alert_that_ends_before_it_begins() -> None:
    told = Told()
    told.say(a_violation(1, occurred_at="2099-01-01T00:00:00Z"))
    (alert,) = told.alerts()
    assert alert["startsAt"] <= alert["endsAt"]


def test_what_an_alertmanager_did_not_get_is_told_again_and_recorded_as_failed_once() -> None:
    told = Told()
    told.say(a_violation(1))
    (first,) = told.alertmanager.take(0).postings
    assert [notice.again for notice in first.notices] == [False]
    told.alertmanager.lost(first)
    (second,) = told.alertmanager.take(1).postings
    assert [(notice.about, notice.again) for notice in second.notices] == [("raised", True)]


# -- storms -----------------------------------------------------------------------------------------------------------


def test_a_storm_of_groups_is_one_alert_with_the_exact_count_and_the_groups_call_nobody() -> None:
    told = Told(per_minute=5)
    told.say(*(a_violation(number, site_id=f"site-{number % 100}") for number in range(1_000)))
    sent = [alert for body in bodies(told.alertmanager.take(0)) for alert in body]
    violations = [alert for alert in sent if alert["labels"]["alertname"] == "ConsentinelViolation"]
    assert sum(int(alert["annotations"]["violations"]) for alert in violations) == 1_000
    assert sum("storm" not in alert["labels"] for alert in violations) == 5
    (summary,) = [alert for alert in sent if alert["labels"]["alertname"] == "ConsentinelStorm"]
    assert summary["annotations"]["violations"] == "950"
    assert summary["annotations"]["groups"] == "95"
    assert len(summary["annotations"]["description"]) < 4_000


def test_events_and_summaries_of_a_webhook_count_every_change_once() -> None:
    told = Told(per_minute=30)
    for number in range(10_000):
        told.say(a_violation(number, site_id=f"site-{number % 7}"), now=number * 0.006)
    first = told.webhook.take(59.9)
    assert not first.whole, "what is kept back must not be committed"
    last = told.webhook.take(60.0)
    assert last.whole
    events, summaries = bodies(first), bodies(last)
    assert {event["type"] for event in events} == {"consentinel.violation.open"}
    assert [event["type"] for event in summaries] == ["consentinel.storm"]
    assert len(events) == 30
    groups = summaries[0]["data"]["groups"]
    assert len(groups) == 7
    assert sum(group["changes"] for group in groups) == summaries[0]["data"]["changes"] == 10_000 - 30
    assert len({event["id"] for event in events}) == 30


TO_AND_FRO = [
    a_violation(1),
    a_violation(1, status="retracted", cause="event", event_version=2),
    a_violation(1, cause="event", event_version=3),
    a_violation(1, status="retracted", cause="event", event_version=4),
    a_violation(1, cause="reconciled", event_version=4),
    a_violation(1, status="retracted", cause="reconciled", event_version=4),
    a_violation(1, cause="reconciled", event_version=4),
]


def test_every_change_of_a_violation_has_an_id_of_its_own_and_the_same_one_whenever_it_is_told_again() -> None:
    ids: list[list[str]] = []
    for _ in range(2):
        told = Told()
        told.say(*TO_AND_FRO, now=float(len(ids)))
        ids.append([posting.identity for posting in told.webhook.take(0).postings])
    assert len(set(ids[0])) == len(TO_AND_FRO)
    assert ids[0] == ids[1]


def test_a_summary_has_the_id_of_its_changes_whenever_it_is_told_again() -> None:
    found = []
    for now, sites in ((5.0, 3), (500.0, 3), (5.0, 4)):
        told = Told(per_minute=1)
        told.say(*(a_violation(number, site_id=f"site-{number}") for number in range(sites)), now=now)
        assert len(told.webhook.take(now).postings) == 1
        (summary,) = told.webhook.take(now + 60).postings
        found.append(summary.identity)
    assert found[0] == found[1] != found[2]


# -- signatures and configuration -------------------------------------------------------------------------------------


def test_the_check_in_the_documents_accepts_what_is_sent_and_refuses_what_was_changed_or_is_old() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "alerts.md", "exec"), names)
    told = Told()
    told.say(a_violation(1))
    (posting,) = told.webhook.take(0).postings
    headers = told.webhook.headers(posting, 1_000_000)
    text = "whsec_" + base64.b64encode(KEY).decode()
    genuine = names["genuine"]
    assert genuine(text, headers, posting.body, now=1_000_030)
    assert not genuine(text, headers, posting.body + b" ", now=1_000_030)
    assert not genuine(text, headers, posting.body, now=1_000_400)
    assert not genuine("whsec_" + base64.b64encode(KEY[::-1]).decode(), headers, posting.body, now=1_000_030)


def test_every_key_of_the_file_signs_so_that_keys_can_change() -> None:
    other = b"another key of 24 bytes!"
    lines = "\n".join("whsec_" + base64.b64encode(key).decode() for key in (KEY, other))
    webhook = Webhook(
        "webhook-1", "http://w", keys=read_keys(lines), stationery=STATIONERY, budget=Budget(1), source="urn:test"
    )
    told = Told()
    told.say(a_violation(1))
    (posting,) = told.webhook.take(0).postings
    headers = webhook.headers(posting, 7)
    stamped = f"{posting.identity}.7.".encode() + posting.body
    marks = [base64.b64encode(hmac.new(key, stamped, hashlib.sha256).digest()).decode() for key in (KEY, other)]
    assert headers["webhook-signature"] == f"v1,{marks[0]} v1,{marks[1]}"
    assert headers["Idempotency-Key"] == headers["webhook-id"] == f"{a_violation(1).violation_id}.open.0-0"


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "c2hvcnQ=", "whsec_!!!"])
def test_a_key_file_that_is_none_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_keys(text)
    assert "c2hvcnQ" not in str(refused.value)


ROUTES = [
    ({"alertname": "ConsentinelViolation", "severity": "critical"}, "on-call"),
    ({"alertname": "ConsentinelViolation", "severity": "warning"}, "team"),
    ({"alertname": "ConsentinelViolation", "severity": "info"}, "desk"),
    ({"alertname": "ConsentinelCorrection", "severity": "critical"}, "on-call"),
    ({"alertname": "ConsentinelStorm", "severity": "critical"}, "on-call"),
    ({"alertname": "ConsentinelViolation", "severity": "critical", "storm": "yes"}, "nobody"),
    ({"alertname": "ConsentinelDormant", "severity": "critical"}, "nobody"),
    ({"alertname": "ConsentinelWatchdog", "severity": "info"}, "watchdog"),
    ({"alertname": "SomebodyElses"}, "team"),
]


def test_the_configuration_is_one_that_alertmanager_takes() -> None:
    amtool = program("amtool")
    checked = subprocess.run([amtool, "check-config", str(CONFIGURATION)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(("labels", "receiver"), ROUTES)
def test_an_alert_goes_to_the_receiver_of_its_severity(labels: dict[str, str], receiver: str) -> None:
    amtool = program("amtool")
    asked = [f"{name}={value}" for name, value in labels.items()]
    command = [amtool, "config", "routes", "test", f"--config.file={CONFIGURATION}", *asked]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout.strip() == receiver
