"""Sinks: what was flushed is there, what was not delivered is told, and keys lie where Java puts them."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.partitioner.default import murmur2

from schemas.match import MATCH, MatchEvent
from streams.errors import ConfigurationError, DeliveryError
from streams.ingest import sink as sinks
from streams.ingest.sink import KafkaSink, NdjsonSink, Sink
from streams.simulator.broker import EmbeddedBroker, free_port

PARTITIONS = 4


def events(count: int) -> list[MatchEvent]:
    return [
        MatchEvent(
            event_id=f"e-{number}",
            probe_id=f"p-{number}",
            occurred_at=datetime(2026, 8, 31, tzinfo=UTC) + timedelta(seconds=number),
            controller_id="harbour-works",
            device_id=f"cam-{number % 3}",
            operation="identification",
            subject_ref=f"s_{number % 40:022d}" if number % 2 else None,
            comparison_decision="match",
        )
        for number in range(count)
    ]


@pytest.fixture
def topic(broker: str) -> str:
    name = f"matches-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdminClient(bootstrap_servers=[broker])
    try:
        admin.create_topics({name: {"num_partitions": PARTITIONS, "replication_factor": 1}})
    finally:
        admin.close()
    return name


def records(broker: str, topic: str) -> list[tuple[int, bytes, bytes]]:
    """All records of a topic: partition, key and value, in the order of the offsets."""
    consumer = KafkaConsumer(bootstrap_servers=[broker], group_id=None)
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found = []
        while any(consumer.position(one) < ends[one] for one in partitions):
            for batch in consumer.poll(timeout_ms=1_000).values():
                found += [(one.partition, one.key, one.value) for one in batch]
        return found
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # From the tests of Kafka's Java client: the hash that decides the partition of a key.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_client_hashes_keys_as_java_does(key: bytes, hashed: int) -> None:
    assert murmur2(key) % 2**32 == hashed % 2**32


def test_every_event_is_on_the_partition_of_its_key_once(
    broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "UNSETTLED_MAX", 64)
    sent = events(200)
    with KafkaSink(broker, topic) as sink:
        for event in sent:
            sink.write(event)
        sink.flush()
        assert sink._unsettled == []
        sink.flush()
    found = records(broker, topic)
    assert sorted(value for _, _, value in found) == sorted(one.to_json() for one in sent)
    for partition, key, value in found:
        assert key.decode() == MATCH.read(value).key
        assert partition == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS


def test_a_topic_that_is_not_there_is_told_and_not_made(broker: str) -> None:
    name = f"absent-{uuid.uuid4().hex[:12]}"
    with pytest.raises(ConfigurationError, match=f"{name}: the broker has no such topic"):
        KafkaSink(broker, name, timeout_seconds=5.0)
    admin = KafkaAdminClient(bootstrap_servers=[broker])
    try:
        assert name not in admin.list_topics()
    finally:
        admin.close()


def test_a_broker_that_is_not_there_is_a_delivery_error() -> None:
    with pytest.raises(DeliveryError, match="matches: no broker answers"):
        KafkaSink(f"127.0.0.1:{free_port()}", "matches", timeout_seconds=0.5)


def test_an_address_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="expected brokers as host:port"):
        KafkaSink("broker:port", "matches")


def test_a_broker_that_went_away_is_told_with_the_number_of_records_and_no_key() -> None:
    with EmbeddedBroker() as gone:
        admin = KafkaAdminClient(bootstrap_servers=[gone.bootstrap])
        admin.create_topics({"matches": {"num_partitions": PARTITIONS, "replication_factor": 1}})
        admin.close()
        sink = KafkaSink(gone.bootstrap, "matches", timeout_seconds=2.0)
        sink.write(events(1)[0])
        sink.flush()
    for event in events(5):
        sink.write(event)
    with pytest.raises(DeliveryError, match=r"^matches: 5 of 5 records are not acknowledged") as caught:
        sink.flush()
    sink.close()
    assert caught.value.retry
    assert not [event.key for event in events(5) if event.key in str(caught.value)]


def test_lines_are_the_events_of_the_contract() -> None:
    output = io.BytesIO()
    sink: Sink = NdjsonSink(output)
    for event in events(3):
        sink.write(event)
    sink.flush()
    assert [MATCH.read(line) for line in output.getvalue().splitlines()] == events(3)


def test_a_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").touch()
    with (
        (tmp_path / "out.ndjson").open("rb") as file,
        pytest.raises(ConfigurationError, match=r"out\.ndjson: cannot be written"),
    ):
        NdjsonSink(file, name="out.ndjson").write(events(1)[0])
    full = Path("/dev/full")
    if full.exists():
        with full.open("wb", buffering=0) as file, pytest.raises(ConfigurationError, match="ENOSPC"):
            NdjsonSink(file).write(events(1)[0])
