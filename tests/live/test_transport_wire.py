"""The batched transport over a bad wire: an outage loses nothing, a spoilt record is never stepped over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from broken_wire import BrokenWire
from worker_process import WorkerProcess

SCRIPT = Path(__file__).parents[1] / "support" / "run_worker.py"


@pytest.fixture
def wire() -> Iterator[BrokenWire]:
    with BrokenWire() as broken:
        yield broken


def fill(wire: BrokenWire, values: list[bytes]) -> str:
    """Make a topic of two partitions and write the values to both."""
    topic = f"wire-{uuid4().hex}"
    admin = KafkaAdminClient(bootstrap_servers=[wire.bootstrap])
    admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
    admin.close()
    producer = KafkaProducer(bootstrap_servers=[wire.bootstrap])
    for value in values:
        # One batch a record, so that a spoilt record spoils no other.
        for partition in range(2):
            producer.send(topic, value=value, partition=partition).get(timeout=30)
    producer.close()
    return topic


def worker_on(wire: BrokenWire, topic: str, directory: Path, **spec: object) -> WorkerProcess:
    whole = {"broker": wire.bootstrap, "group": f"group-{topic}", "topics": [topic], "poll_records": 5} | spec
    return WorkerProcess(SCRIPT, whole | {"settings": {"datadir": str(directory)}}, directory / "worker.log")


def until_read(worker: WorkerProcess, count: int) -> None:
    worker.until(lambda: sum(line["count"] for line in worker.said("run")) >= count)


def committed(wire: BrokenWire, topic: str) -> list[int | None]:
    consumer = KafkaConsumer(bootstrap_servers=[wire.bootstrap], group_id=f"group-{topic}", enable_auto_commit=False)
    offsets = [consumer.committed(TopicPartition(topic, partition)) for partition in range(2)]
    consumer.close()
    return offsets


def test_an_outage_of_the_wire_loses_nothing_and_the_commits_reach_the_end(wire: BrokenWire, tmp_path: Path) -> None:
    topic = fill(wire, [b"v"] * 150)
    with worker_on(wire, topic, tmp_path, pause=0.02) as worker:
        for share in (20, 100):
            until_read(worker, share)
            wire.cut()
            time.sleep(1)
            wire.mend()

        def seen(partition: int) -> set[int]:
            lines = worker.said("run", partition=partition)
            return {offset for line in lines for offset in range(line["first"], line["next"])}

        worker.until(lambda: all(seen(partition) == set(range(150)) for partition in range(2)))
        worker.until(lambda: committed(wire, topic) == [150, 150])
        assert worker.said("failure") == []


def test_a_record_whose_checksum_stays_wrong_ends_the_worker_and_nothing_is_committed_past_it(
    wire: BrokenWire, tmp_path: Path
) -> None:
    topic = fill(wire, [b"good", b"good", b"the-broken-one", b"good"])
    wire.spoil(b"the-broken-one", b"the-brokea-one")
    with worker_on(wire, topic, tmp_path) as worker:
        assert worker.end() == 70
        assert worker.said("failure")[0]["kind"] == "CorruptLogError"
        assert all(line["next"] <= 2 for line in worker.said("run"))
        assert all(offset is None or offset <= 2 for offset in committed(wire, topic))
