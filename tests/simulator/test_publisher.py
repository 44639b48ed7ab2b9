"""What the publisher writes lies where its key says, and what the follower reads is all there is."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from schemas.match import MATCH
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT
from schemas.topics import TopicName
from schemas.verdict import Violation
from streams.core.partition import partition_of
from streams.errors import ConfigurationError, DeliveryError
from streams.simulator.broker import free_port
from streams.simulator.command import run_simulate
from streams.simulator.follower import Follower
from streams.simulator.publisher import Publisher
from streams.simulator.simulation import Simulation, Step

START = datetime(2026, 5, 6, 1, 30, tzinfo=UTC)
PARTITIONS = 3


def make_topics(bootstrap: str, prefix: str) -> None:
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    wanted = {f"{prefix}{name}": {"num_partitions": PARTITIONS, "replication_factor": 1} for name in TopicName}
    admin.create_topics(wanted)
    admin.close()


def records_of(bootstrap: str, topic: str) -> list[Any]:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=[bootstrap], group_id=None, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    found: list[Any] = []
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=500).values():
            found += records
    consumer.close()
    return found


def published(bootstrap: str, prefix: str) -> tuple[list[Step], Counter[TopicName]]:
    make_topics(bootstrap, prefix)
    simulation = Simulation(4, START, 200, members=5)
    with Publisher([bootstrap], prefix) as publisher:
        publisher.publish_opening(simulation.opening())
        steps = [*islice(simulation.steps(START), 12), *simulation.drain()]
        for step in steps:
            publisher.publish(step)
        return steps, Counter(publisher.sent)


def test_every_message_lies_on_the_partition_of_its_key_but_for_the_misplaced(broker: str) -> None:
    prefix = "publisher-places."
    steps, sent = published(broker, prefix)
    contracts = {TopicName.MATCHES: MATCH, TopicName.SUBJECTS: SUBJECT, TopicName.REGISTRY: REGISTRY}
    misplaced = {record.record_id for step in steps for record in step.misplaced}
    for topic, contract in contracts.items():
        records = records_of(broker, f"{prefix}{topic}")
        assert len(records) == sent[topic] > 0
        for record in records:
            message = contract.read(record.value)  # type: ignore[attr-defined]
            assert record.key.decode() == message.key
            at_home = record.partition == partition_of(message.key, PARTITIONS)
            assert at_home != (topic is TopicName.SUBJECTS and message.record_id in misplaced)


def test_what_is_counted_as_sent_is_what_the_steps_hold(embedded: str) -> None:
    steps, sent = published(embedded, "publisher-counts.")
    assert sent[TopicName.MATCHES] + sent[TopicName.ENCOUNTERS] == sum(len(step.events) for step in steps)


def test_a_topic_that_is_not_there_is_a_configuration_error(embedded: str) -> None:
    with pytest.raises(ConfigurationError, match="topics create"):
        Publisher([embedded], "nobody-made-these.")


def test_the_follower_reads_every_violation_from_the_beginning(embedded: str) -> None:
    from kafka import KafkaProducer

    make_topics(embedded, "followed.")
    fields: dict[str, Any] = {
        "status": "open",
        "rule_id": "core.purpose.unknown",
        "revision": 1,
        "level": "high",
        "standing": "in_force",
        "event_kind": "match",
        "occurred_at": START,
        "controller_id": "co-x",
        "device_id": "de-x",
    }
    written = [Violation(**fields, violation_id=f"{n:064x}", event_id=f"me-{n}") for n in range(20)]
    producer = KafkaProducer(bootstrap_servers=[embedded])
    for violation in written:
        producer.send("followed.violations", key=violation.violation_id.encode(), value=violation.to_json())
    producer.close()
    with Follower([embedded], "followed.violations") as follower:
        found: list[Violation] = []
        while not follower.at_end():
            found += follower.read(timeout_ms=200)
    assert sorted(found, key=lambda each: each.violation_id) == written


def test_following_a_topic_that_is_not_there_is_a_configuration_error(embedded: str) -> None:
    with pytest.raises(ConfigurationError, match="topics create"):
        Follower([embedded], "nobody-made-this.violations")


def test_simulating_onto_a_broker_says_what_was_sent(embedded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_topics(embedded, "simulated.")
    monkeypatch.setenv("CONSENTINEL_BROKER", embedded)
    monkeypatch.setenv("CONSENTINEL_PREFIX", "simulated.")
    said: list[str] = []
    assert run_simulate("kafka", seconds=0.25, seed=1, rate=10, say=said.append) == 0
    sent = len(records_of(embedded, "simulated.matches"))
    assert sent > 0
    assert f"{sent} matches" in said[0]


def test_simulating_onto_a_broker_that_is_not_there_is_a_delivery_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.simulator.publisher.PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("CONSENTINEL_BROKER", f"127.0.0.1:{free_port()}")
    with pytest.raises(DeliveryError):
        run_simulate("kafka", seconds=0.25, seed=1, rate=10, say=lambda _: None)
