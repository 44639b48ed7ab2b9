"""The batched transport on a broker: each offset once and in order; cold and full partitions wait; commits are ours."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import OffsetAndMetadata

from worker_process import Line, WorkerProcess

SCRIPT = Path(__file__).parents[1] / "support" / "run_worker.py"
PARTITIONS = 4

Start = Callable[..., WorkerProcess]


@pytest.fixture
def topic(broker: str) -> str:
    name = f"runs-{uuid4().hex}"
    create(broker, name, PARTITIONS)
    return name


def create(broker: str, name: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=[broker])
    configs = {"max.message.bytes": "8388608"}
    admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})
    admin.close()


@pytest.fixture
def start(broker: str, topic: str, tmp_path: Path) -> Iterator[Start]:
    workers: list[WorkerProcess] = []

    def starter(**spec: Any) -> WorkerProcess:
        settings = {"datadir": str(tmp_path / f"data{len(workers)}")} | spec.pop("settings", {})
        whole = {"broker": broker, "group": f"group-{topic}", "topics": [topic], "settings": settings} | spec
        workers.append(WorkerProcess(SCRIPT, whole, tmp_path / f"worker{len(workers)}.log"))
        return workers[-1]

    yield starter
    for worker in workers:
        worker.kill()


def produce(broker: str, topic: str, values: list[bytes | None], partitions: int = PARTITIONS) -> None:
    """Spread the values over the partitions in turn."""
    producer = KafkaProducer(bootstrap_servers=[broker], max_request_size=8_000_000)
    sent = [
        producer.send(topic, key=b"k", value=value, partition=number % partitions)
        for number, value in enumerate(values)
    ]
    for result in sent:
        result.get(timeout=30)
    producer.close()


def numbers(count: int) -> list[bytes | None]:
    return [str(number).encode() for number in range(count)]


def read(worker: WorkerProcess, **like: Any) -> int:
    return sum(line["count"] for line in worker.said("run", **like))


def until_read(worker: WorkerProcess, count: int) -> None:
    worker.until(lambda: read(worker) >= count)


def answer(worker: WorkerProcess, *order: Any) -> None:
    """Send an order and wait for its answer."""
    before = len(worker.said("answer"))
    worker.order(*order)
    worker.until(lambda: len(worker.said("answer")) > before)


def tiles(lines: list[Line], start_at: int = 0) -> int:
    """Check that the runs of one partition and generation tile its log, and return where they end."""
    for line in lines:
        assert line["first"] == start_at
        assert line["in_order"]
        assert line["holes"] == 0
        assert line["offsets"] == [line["first"], line["next"] - 1]
        start_at = line["next"]
    return start_at


def committed(broker: str, group: str, topic: str, partitions: int = PARTITIONS) -> list[int | None]:
    consumer = KafkaConsumer(bootstrap_servers=[broker], group_id=group, enable_auto_commit=False)
    offsets = [consumer.committed(TopicPartition(topic, partition)) for partition in range(partitions)]
    consumer.close()
    return offsets


def commit(broker: str, group: str, topic: str, offsets: dict[int, int]) -> None:
    """Commit offsets for a group nobody is in yet."""
    consumer = KafkaConsumer(bootstrap_servers=[broker], group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, partition) for partition in offsets])
    consumer.commit({TopicPartition(topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()})
    consumer.close()


def test_every_offset_arrives_once_and_in_order_and_the_commits_reach_the_end(
    broker: str, topic: str, start: Start
) -> None:
    produce(broker, topic, numbers(2_000))
    worker = start(poll_records=97)
    worker.until(lambda: read(worker) >= 2_000)
    for partition in range(PARTITIONS):
        runs = worker.said("run", partition=partition)
        assert tiles(runs) == 500
        assert max(line["count"] for line in runs) <= 97
    worker.until(lambda: len(worker.said("committed")) == len(worker.said("run")))
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert all(line["taken"] for line in worker.said("committed"))
    assert committed(broker, f"group-{topic}", topic) == [500] * PARTITIONS


def test_records_beyond_the_end_that_their_own_fetch_reports_are_read_and_committed(
    broker: str, topic: str, start: Start
) -> None:
    produce(broker, topic, numbers(400))
    worker = start(poll_records=30, late=True)
    worker.until(lambda: read(worker) >= 400 or worker.said("failure"))
    produce(broker, topic, numbers(400))
    worker.until(lambda: read(worker) >= 800 or worker.said("failure"))
    assert worker.said("failure") == []
    assert [tiles(worker.said("run", partition=p)) for p in range(PARTITIONS)] == [200] * PARTITIONS
    worker.until(lambda: len(worker.said("committed")) == len(worker.said("run")))
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert committed(broker, f"group-{topic}", topic) == [200] * PARTITIONS


def test_a_worker_goes_on_where_the_commits_end_and_leaves_what_it_has_in_hand_committed(
    broker: str, topic: str, start: Start
) -> None:
    produce(broker, topic, numbers(40))
    commit(broker, f"group-{topic}", topic, {0: 4, 1: 10})
    worker = start(hold=True)
    worker.until(lambda: read(worker) >= 26)
    assert [tiles(worker.said("run", partition=p), start_at=at) for p, at in enumerate([4, 10, 0, 0])] == [10] * 4
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert [line["taken"] for line in worker.said("committed")] == [True] * 3
    assert committed(broker, f"group-{topic}", topic) == [10] * PARTITIONS


def test_a_cold_partition_waits_while_the_warm_ones_go_on(broker: str, topic: str, start: Start) -> None:
    produce(broker, topic, numbers(4_000))
    worker = start(cold=[2], poll_records=50)
    worker.until(lambda: read(worker) >= 3_000)
    assert worker.said("run", partition=2) == []
    worker.order("open", 2)
    worker.until(lambda: read(worker, partition=2) >= 1_000)
    assert tiles(worker.said("run", partition=2)) == 1_000


def test_a_partition_at_its_bound_waits_for_a_release_and_a_release_counts_once(
    broker: str, topic: str, start: Start
) -> None:
    produce(broker, topic, numbers(400))
    worker = start(hold=True, max_runs=2, poll_records=10, cold=[1, 2, 3])
    worker.until(lambda: len(worker.said("run")) == 2)
    worker.order("open", 1)
    worker.until(lambda: len(worker.said("run", partition=1)) == 2)
    assert len(worker.said("run", partition=0)) == 2
    worker.order("release")
    worker.until(lambda: len(worker.said("run", partition=0)) == 3)
    assert worker.said("released") == [{"what": "released", "partition": 0, "done": [True, False]}]
    assert tiles(worker.said("run", partition=0)) == 30


def test_the_bound_of_bytes_is_passed_by_one_fetch_at_most(broker: str, topic: str, start: Start) -> None:
    produce(broker, topic, [b"x" * 1_000] * 400)
    worker = start(hold=True, max_runs=50, max_bytes=15_000, poll_records=10, cold=[1, 2, 3])
    worker.until(lambda: len(worker.said("run")) == 2)
    worker.order("open", 3)
    worker.until(lambda: len(worker.said("run", partition=3)) == 2)
    assert [line["bytes"] for line in worker.said("run", partition=0)] == [10_010, 10_010]


def test_odd_records_arrive_as_they_are_and_stop_nothing(broker: str, topic: str, start: Start) -> None:
    values = [b"", None, b"x" * 5_000_000, b"after"]
    produce(broker, topic, values, partitions=1)
    produce(broker, topic, numbers(100), partitions=1)
    worker = start(max_bytes=1_000)
    worker.until(lambda: read(worker) >= 104)
    assert tiles(worker.said("run", partition=0)) == 104
    assert [size for line in worker.said("run") for size in line["shape"]][:4] == [0, -1, 5_000_000, 5]


def test_other_topics_pass_record_by_record_and_two_topics_may_come_in_runs(
    broker: str, topic: str, start: Start
) -> None:
    plain, second = f"plain-{topic}", f"second-{topic}"
    create(broker, plain, 1)
    create(broker, second, PARTITIONS)
    produce(broker, plain, numbers(50), partitions=1)
    produce(broker, topic, numbers(400))
    produce(broker, second, numbers(400))
    worker = start(plain=plain, topics=[topic, second])
    worker.until(lambda: read(worker, topic=topic) >= 400 and read(worker, topic=second) >= 400)
    worker.until(lambda: len(worker.said("record")) >= 50)
    assert [line["offset"] for line in worker.said("record")] == list(range(50))
    assert worker.said("assigned")[-1]["assignor"] == "roundrobin"


def test_a_commit_of_an_old_generation_is_refused(broker: str, topic: str, start: Start) -> None:
    produce(broker, topic, numbers(400))
    first = start(hold=True)
    first.until(lambda: read(first) >= 400)
    old = first.said("assigned")[-1]
    first.order("commit", 0, 1, old["generation"])
    first.until(lambda: first.said("answer", taken=True))
    second = start(hold=True)
    second.until(lambda: second.said("assigned"))
    first.until(lambda: len(first.said("assigned")) == 2)
    kept = {partition for _, partition in first.said("assigned")[-1]["partitions"]}
    lost = set(range(PARTITIONS)) - kept
    assert kept
    assert lost
    for partition, generation in [(min(kept), old["generation"]), (min(lost), None), (min(lost), old["generation"])]:
        answer(first, "commit", partition, 50, generation)
    assert [line["taken"] for line in first.said("answer")] == [True, False, False, False]
    assert 50 not in committed(broker, f"group-{topic}", topic)


def test_nothing_of_an_old_generation_is_handed_over_after_the_new_one_began(
    broker: str, topic: str, start: Start
) -> None:
    produce(broker, topic, numbers(4_000))
    first = start(poll_records=10, pause=0.1)
    first.until(lambda: read(first) >= 200)
    second = start(poll_records=10, pause=0.1)
    second.until(lambda: read(second) >= 100)
    for worker in (first, second):
        latest = None
        for line in list(worker._lines):
            latest = line["generation"] if line["what"] == "assigned" else latest
            assert line["what"] != "run" or line["generation"] == latest


@pytest.mark.parametrize("offset", [500, 101])
def test_a_committed_offset_the_log_does_not_hold_ends_the_worker_before_it_commits_there(
    broker: str, topic: str, start: Start, offset: int
) -> None:
    produce(broker, topic, numbers(400))
    commit(broker, f"group-{topic}", topic, {1: offset})
    worker = start()
    assert worker.end() == 70
    failure = worker.said("failure")[0]
    assert failure["kind"] == "TruncatedLogError"
    assert f"offset {offset}" in failure["text"]
    assert "to be read next" in failure["text"]
    assert worker.said("run", partition=1) == []
    assert committed(broker, f"group-{topic}", topic)[1] == offset


def test_a_position_that_moved_by_itself_ends_the_worker_before_it_commits(
    broker: str, topic: str, start: Start
) -> None:
    produce(broker, topic, numbers(400))
    worker = start()
    worker.until(lambda: len(worker.said("committed")) >= 4 and read(worker) >= 400)
    worker.order("move", 3, 7)
    assert worker.end() == 70
    assert worker.said("failure")[0]["kind"] == "LogGapError"
    assert committed(broker, f"group-{topic}", topic) == [100] * PARTITIONS


@pytest.mark.kill
def test_a_killed_and_a_frozen_worker_lose_nothing(broker: str, topic: str, start: Start) -> None:
    produce(broker, topic, numbers(2_000))
    workers = [start(poll_records=20, pause=0.02), start(poll_records=20, pause=0.02)]
    for worker in workers:
        until_read(worker, 100)
    workers[0].kill()
    workers[1].until(lambda: len(workers[1].said("assigned")[-1]["partitions"]) == PARTITIONS)
    workers[1].signal(signal.SIGSTOP)
    workers.append(start(poll_records=20, pause=0.02))
    produce(broker, topic, numbers(1_000))
    workers[2].until(lambda: workers[2].said("run"))
    workers[1].signal(signal.SIGCONT)

    def seen(partition: int) -> set[int]:
        lines = [line for worker in workers for line in worker.said("run", partition=partition)]
        return {offset for line in lines for offset in range(line["first"], line["next"])}

    workers[2].until(lambda: all(seen(partition) == set(range(750)) for partition in range(PARTITIONS)))
    for worker in workers:
        for generation in {line["generation"] for line in worker.said("run")}:
            for partition in range(PARTITIONS):
                runs = worker.said("run", partition=partition, generation=generation)
                tiles(runs, start_at=runs[0]["first"] if runs else 0)
    workers[2].until(lambda: committed(broker, f"group-{topic}", topic) == [750] * PARTITIONS)
