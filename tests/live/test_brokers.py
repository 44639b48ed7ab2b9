"""Both kinds of broker take a record and give it back as it was."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient


def _create(bootstrap: str, topic: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    try:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
    finally:
        admin.close()


def test_a_record_comes_back_with_its_key_its_value_its_headers_and_its_offset(broker: str) -> None:
    topic = f"brokers-{uuid4().hex}"
    _create(broker, topic, 2)
    producer = KafkaProducer(bootstrap_servers=[broker])
    sent = [
        producer.send(topic, key=b"k", value=value, partition=1, headers=[("origin", b"test")]).get(timeout=30)
        for value in (b"first", b"", b"x" * 500_000)
    ]
    producer.close()
    assert [record.offset for record in sent] == [0, 1, 2]

    consumer = KafkaConsumer(bootstrap_servers=[broker], group_id=None, auto_offset_reset="earliest")
    partition = TopicPartition(topic, 1)
    consumer.assign([partition])
    got: list[Any] = []
    while len(got) < len(sent):
        got += consumer.poll(timeout_ms=1_000).get(partition, [])
    consumer.close()
    assert [record.value for record in got] == [b"first", b"", b"x" * 500_000]
    assert {record.key for record in got} == {b"k"}
    assert [list(record.headers) for record in got] == [[("origin", b"test")]] * 3
