"""A worker as its operator knows it: a process with pages, a log, an exit code, and topics on a broker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.match import MatchEvent
from schemas.topics import TopicName
from small_estate import LiveWorker, Record, SmallEstate, expected
from small_world import MEMBER, NEVER_SEEN, NOON, a_match, records, the_law
from streams.core.partition import partition_of
from streams.settings import PREFIX
from streams.simulator.broker import free_port
from streams.simulator.worker_child import by_label, total

pytestmark = pytest.mark.kafka  # those on the embedded broker too: they are no quick tests


@pytest.fixture
def estate(embedded: str, tmp_path: Path) -> Any:
    with SmallEstate(embedded, tmp_path) as made:
        yield made


def of_kind(kind: str, among: Sequence[Record]) -> Record:
    """The one record of a kind."""
    (found,) = [each for each in among if getattr(each, "kind", None) == kind]
    return found


def nobody(number: int = 0, *, at: str = NOON) -> MatchEvent:
    """An event about somebody who never agreed."""
    return a_match(event_id=f"event-{number}", subject_ref=NEVER_SEEN, at=at)


def judged(worker: LiveWorker, count: int) -> None:
    worker.until(
        lambda: total(worker.metrics(), "consentinel_events_total", outcome="judged") >= count, f"{count} judged events"
    )


def reasons(worker: LiveWorker) -> dict[str, int]:
    return by_label(worker.metrics(), "consentinel_undetermined_total", "reason")


def violations(estate: SmallEstate) -> set[bytes]:
    return {record.value for record in estate.read(TopicName.VIOLATIONS)}


def committed(estate: SmallEstate) -> dict[int, int]:
    consumer = KafkaConsumer(
        bootstrap_servers=[estate.broker], group_id=estate.settings.group, enable_auto_commit=False
    )
    try:
        tps = [TopicPartition(estate.topic(TopicName.MATCHES), each) for each in range(estate.partitions)]
        return {tp.partition: consumer.committed(tp) or 0 for tp in tps}
    finally:
        consumer.close()


# -- life -------------------------------------------------------------------------------------------------------------


def test_a_worker_is_ready_when_it_judges_and_ends_with_everything_committed(estate: SmallEstate) -> None:
    estate.send(*records())
    worker = estate.worker()
    first = worker.until(lambda: worker.page("/readyz"), "the first answer")
    assert first.status == 503
    assert json.loads(first.body)["missing"], "it says what is missing"
    assert worker.answer("/healthz").status == 200, "warming is alive"
    ready = worker.until(lambda: page if (page := worker.page("/readyz")) and page.status == 200 else None, "readiness")
    assert json.loads(ready.body) == {"ready": True, "missing": []}
    assert json.loads(worker.answer("/healthz").body) == {"alive": True, "stalled_seconds": None}
    assert worker.answer("/").status == 404
    check_rules_at_zero(worker)

    places = estate.send(*(nobody(number) for number in range(5)))
    judged(worker, 5)
    assert worker.stop() == 0
    assert violations(estate) == set(expected(records(), [nobody(number) for number in range(5)]).values())
    assert committed(estate)[places[-1].partition] == places[-1].offset + 1
    assert worker.page("/healthz") is None, "nobody listens any more"


def check_rules_at_zero(worker: LiveWorker) -> None:
    series = worker.metrics()
    said = {dict(labels)["rule_id"] for name, labels in series if name == "consentinel_verdicts_total"}
    broken = {dict(labels)["rule_id"] for name, labels in series if name == "consentinel_violations_total"}
    law = the_law()
    assert said == {rule.id for rule in law.rules}
    assert broken == {rule.id for rule in (*law.rules, *law.duties)}
    for name in ("events", "verdicts", "violations", "undetermined", "rejections", "unreadable_records"):
        assert {value for (found, _), value in series.items() if found == f"consentinel_{name}_total"} == {0.0}, name


def test_what_a_worker_says_is_one_json_object_a_line(estate: SmallEstate) -> None:
    worker = estate.worker()
    worker.ready()
    assert worker.stop() == 0
    lines = [json.loads(line) for line in worker.log_text().splitlines()]
    assert all({"time", "level", "logger", "event"} <= line.keys() for line in lines)
    assert not [line for line in lines if line["level"] in ("error", "critical")]
    settings = [line["says"] for line in lines if line["event"] == "settings"]
    assert f"broker: {estate.broker}" in settings
    assert any(line.startswith(f"topic {estate.topic(TopicName.MATCHES)}: kept 90 days") for line in settings)


def test_a_worker_told_to_end_before_it_is_ready_ends_well(estate: SmallEstate) -> None:
    worker = estate.worker()
    worker.until(lambda: worker.page("/readyz"), "the first answer")
    assert worker.stop() == 0


# -- records ----------------------------------------------------------------------------------------------------------


def test_a_device_whose_record_is_unreadable_is_unknown_until_a_readable_one_comes(estate: SmallEstate) -> None:
    estate.send(*records())
    estate.put(TopicName.REGISTRY, b'{"kind": "device", "id": "gate-1"', key=b"device/gate-1")
    estate.send(nobody(0))
    worker = estate.worker()
    worker.ready()
    judged(worker, 1)
    assert reasons(worker).keys() == {"record_unreadable"}
    assert total(worker.metrics(), "consentinel_unreadable_records_total", topic="registry", keyed="true") == 1
    in_doubt = by_label(worker.metrics(), "consentinel_verdicts_total", "rule_id", outcome="undetermined")
    assert "core.device.unregistered" in in_doubt, "an unreadable registration is no missing one"

    estate.send(of_kind("device", records()))
    numbers = iter(range(1, 1_000))
    sent: list[MatchEvent] = []

    def judged_without_doubt() -> bool:
        before = reasons(worker)["record_unreadable"]
        sent.append(nobody(next(numbers)))
        estate.send(sent[-1])
        judged(worker, 1 + len(sent))
        return reasons(worker)["record_unreadable"] == before

    worker.until(judged_without_doubt, "the record that replaces the unreadable one")
    assert set(expected(records(), sent[-1:]).values()) <= violations(estate)


@pytest.mark.parametrize("name", [TopicName.REGISTRY, TopicName.SUBJECTS])
def test_an_unreadable_record_without_a_key_is_counted_apart(estate: SmallEstate, name: TopicName) -> None:
    estate.send(*records())
    estate.put(name, b"\xff\xfe", key=None)
    estate.put(name, None, key=b"\xff")
    estate.send(nobody())
    worker = estate.worker()
    worker.ready()
    judged(worker, 1)
    unreadable = {keyed: total(worker.metrics(), "consentinel_unreadable_records_total", topic=name, keyed=keyed)
                  for keyed in ("true", "false")}  # fmt: skip
    assert unreadable == {"true": 0, "false": 2}
    assert violations(estate) == set(expected(records(), [nobody()]).values()), "nothing else is touched"


def test_a_withdrawal_on_the_wrong_partition_is_honoured(estate: SmallEstate) -> None:
    everything: list[Record] = records(withdrawal={"valid_from": "2026-03-01T00:00:00Z"})
    withdrawal = of_kind("consent_withdrawn", everything)
    estate.send(*(each for each in everything if each is not withdrawal))
    wrong = (partition_of(MEMBER, estate.partitions) + 1) % estate.partitions
    estate.put(TopicName.SUBJECTS, withdrawal.to_json(), key=b"another", partition=wrong)
    before, after = a_match(at="2026-02-28T00:00:00Z", event_id="before"), a_match(event_id="after")
    estate.send(before, after)
    worker = estate.worker()
    worker.ready()
    judged(worker, 2)
    said = {(json.loads(value)["event_id"], json.loads(value)["rule_id"]) for value in violations(estate)}
    assert ("after", "cn2025.art06.after-withdrawal") in said
    assert {event_id for event_id, _ in said} == {"after"}
    assert violations(estate) == set(expected(everything, [before, after]).values())


def test_a_feed_that_stopped_leaves_what_came_after_it_undetermined(estate: SmallEstate) -> None:
    everything = records(feed={"complete_until": "2026-03-10T03:00:00Z"})
    estate.send(*everything)
    covered, beyond = nobody(1, at="2026-03-10T02:00:00Z"), nobody(2)
    estate.send(covered, beyond)
    worker = estate.worker()
    worker.ready()
    judged(worker, 2)
    said = {json.loads(value)["event_id"] for value in violations(estate)}
    assert said == {"event-1"}, "absence is known only as far as the feed goes"
    assert violations(estate) == set(expected(everything, [covered, beyond]).values())
    assert reasons(worker)["feed_behind"] > 0
    behind = worker.until(
        lambda: total(worker.metrics(), "consentinel_feed_behind_seconds", feed="everything"), "the feed's lag"
    )
    assert behind > 0


# -- what keeps a worker from starting --------------------------------------------------------------------------------


def start(options: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a worker that should end by itself."""
    given = {f"{PREFIX}{name.upper()}": value for name, value in options.items()}
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "worker"],
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_worker_without_a_broker_says_so_and_goes_on_asking(tmp_path: Path) -> None:
    with SmallEstate(f"127.0.0.1:{free_port()}", tmp_path, make_topics=False) as estate:
        worker = estate.worker()
        answer = worker.until(lambda: worker.page("/readyz"), "the first answer")
        assert answer.status == 503
        assert json.loads(answer.body)["missing"] == ["the broker: not reached"]
        assert worker.answer("/healthz").status == 200, "to wait is no illness"
        check_rules_at_zero(worker)
        worker.until(lambda: "broker_not_reached" in worker.log_text(), "a word about it")
        assert worker.stop() == 0


def test_a_broker_without_the_topics_is_the_operators(embedded: str, tmp_path: Path) -> None:
    with SmallEstate(embedded, tmp_path, make_topics=False) as estate:
        done = start(estate.options)
        assert done.returncode == 3
        assert done.stdout == ""
        assert "consentinel topics create" in done.stderr
        assert f"fault: {estate.topic(TopicName.MATCHES)}: expected the topic, found none" in done.stderr


def test_a_port_that_is_taken_is_told(estate: SmallEstate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(estate.options | {"web_port": str(port)})
    assert done.returncode == 3
    assert f"cannot serve 127.0.0.1:{port}" in last_line(done)


def test_a_rule_that_is_wrong_is_told_by_file_and_line(tmp_path: Path, own_pack: Callable[[str], Path]) -> None:
    pack = own_pack("zone = 'gate'")
    done = start({"broker": "127.0.0.1:9", "rules": str(pack)})
    assert done.returncode == 2
    line = next(number for number, text in enumerate(pack.read_text().splitlines(), start=1) if "zone =" in text)
    assert f"{pack}:{line}: " in last_line(done)
    assert "device_zone" in last_line(done), "the nearest known name is told"


def test_a_misspelled_setting_is_told(tmp_path: Path) -> None:
    done = start({"brokr": "127.0.0.1:9"})
    assert (done.returncode, last_line(done)) == (
        3, "CONSENTINEL_BROKR: no such setting; did you mean CONSENTINEL_BROKER?"
    )  # fmt: skip


@pytest.fixture
def own_pack(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a rule pack of one rule with a condition of one's own."""

    def make(condition: str) -> Path:
        pack = tmp_path / "own.yaml"
        pack.write_text(
            "pack: own\ntitle: One rule\nstatus: in_force\ndescription: made for a test\nsource: none\n"
            "jurisdictions: [CN]\ntimezone: UTC\nin_force: {from: 2020-01-01}\nrules:\n"
            "  - id: own.r1.rule\n    title: a rule\n    description: made for a test\n    citation: none at all\n"
            f"    level: high\n    judges: match\n    condition: |\n      {condition}\n    per: device\n"
            "    annotations: {summary: none, description: none, runbook: none}\n"
        )
        return pack

    return make
