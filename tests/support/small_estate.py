"""A small estate on a real broker: topics of its own, the records of the small world, workers, and what comes out.

Rules:
1. Every estate has a prefix and a group of its own, so that estates share a broker and never meet.
2. The worker is the product as it ships, `consentinel worker`; a test knows it by its pages, its log and the topics.
3. What must come out is said by the pure core, from the records and the messages alone.
4. Nothing is timed: whoever waits, waits for something to happen, with a patience that only guards against for ever.
"""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from forked import ForkedWorker
from schemas.contract import Message
from schemas.match import MatchEvent
from schemas.registry import RegistryRecord
from schemas.subject import SubjectRecord
from schemas.topics import TopicName
from small_world import the_law
from streams.core.case import Views, assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.judge import judge
from streams.core.partition import partition_of
from streams.core.violation import violations
from streams.live.topic_admin import create
from streams.settings import Settings, load_settings
from streams.simulator.broker import free_port
from streams.simulator.worker_child import Series

PATIENCE_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 0.1

Record = RegistryRecord | SubjectRecord


class Place(NamedTuple):
    """Where a record stands in its topic."""

    partition: int
    offset: int


class Page(NamedTuple):
    """An answer of a page."""

    status: int
    body: str


def until(done: Callable[[], Any], why: str) -> Any:
    """Wait until `done()` is true and return what it says."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := done()):
        assert time.monotonic() < deadline, f"waited in vain for {why}"
        time.sleep(LOOK_AGAIN_SECONDS)
    return value


class LiveWorker(ForkedWorker):
    """A worker as a process, with its pages, its log, signals and its end."""

    def __init__(self, options: dict[str, str], *, log: Path) -> None:
        self._web_port = free_port()
        self._log_file = log
        super().__init__(options, port=self._web_port, log=log)

    def page(self, path: str) -> Page | None:
        """What a page answers; None where nobody does."""
        connection = http.client.HTTPConnection("127.0.0.1", self._web_port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Page(answer.status, answer.read().decode())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def answer(self, path: str) -> Page:
        """What a page answers; somebody must."""
        found = self.page(path)
        assert found is not None, f"nobody answers {path}: {self.last_words()}"
        return found

    def ready(self) -> None:
        """Wait until it judges."""
        self.wait_ready(PATIENCE_SECONDS)

    def metrics(self) -> Series:
        """Every series with its value."""
        found = self.series()
        assert found is not None, f"no metrics: {self.last_words()}"
        return found

    def until(self, done: Callable[[], Any], why: str) -> Any:
        """Wait until `done()` is true while the worker lives."""

        def alive() -> Any:
            self.check_alive()
            return done()

        return until(alive, why)

    def log_text(self) -> str:
        """Everything it said."""
        return self._log_file.read_text()

    def hit(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process is not None, "a worker is hit while it runs"
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        assert self._process is not None, "a worker ends after it began"
        return self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """End it gently and return the exit code."""
        self.hit(signal.SIGTERM)
        return self.end()


class SmallEstate:
    """The topics of one test for the length of a `with` block; `folder` takes the logs of the workers."""

    def __init__(self, broker: str, folder: Path, *, partitions: int = 3, make_topics: bool = True) -> None:
        name = f"estate-{uuid4().hex[:12]}"
        self.broker = broker
        self.partitions = partitions
        self.options = {
            "broker": broker,
            "prefix": f"{name}.",
            "group": name,
            "session_timeout_seconds": "6",
            "hold_seconds": "0.2",
            "commit_interval_seconds": "0.2",
        }
        self._folder = folder
        self._workers: list[LiveWorker] = []
        self._producer: KafkaProducer | None = None
        if make_topics:
            create(self.settings)

    @property
    def settings(self) -> Settings:
        """The settings of everybody here."""
        return load_settings(partitions=self.partitions, **self.options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.__exit__(kind, error, trace)
        if self._producer is not None:
            self._producer.close(timeout=5)

    def topic(self, name: TopicName) -> str:
        """The name of a topic on the broker."""
        return self.settings.topic(name)

    def home(self, message: Any) -> int:
        """The partition on which a message is judged."""
        return partition_of(message.key, self.partitions)

    def worker(self, **options: str) -> LiveWorker:
        """A worker that was just started."""
        log = self._folder / f"worker-{len(self._workers)}.log"
        worker = LiveWorker(self.options | options, log=log)
        self._workers.append(worker)
        worker.__enter__()
        return worker

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(
        self,
        name: TopicName,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> Place:
        """Write bytes as they are, at an instant by the broker's clock, and return where they stand."""
        if self._producer is None:
            self._producer = KafkaProducer(bootstrap_servers=[self.broker], acks="all", max_request_size=16 * 2**20)
        place: dict[str, Any] = {"key": key, "partition": partition, "timestamp_ms": timestamp_ms}
        sent = self._producer.send(self.topic(name), value=value, headers=list(headers), **place)
        told = sent.get(timeout=PATIENCE_SECONDS)
        return Place(told.partition, told.offset)

    def send(self, *messages: Message) -> list[Place]:
        """Write messages as a producer who knows the contract does."""
        return [self._send(message) for message in messages]

    def _send(self, message: Any) -> Place:
        name = TopicName.ENCOUNTERS
        if isinstance(message, RegistryRecord):
            name = TopicName.REGISTRY
        elif isinstance(message, SubjectRecord):
            name = TopicName.SUBJECTS
        elif isinstance(message, MatchEvent):
            name = TopicName.MATCHES
        partition = self.home(message) if name in (TopicName.MATCHES, TopicName.ENCOUNTERS) else None
        return self.put(name, message.to_json(), key=message.key.encode(), partition=partition)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, name: TopicName) -> list[Any]:
        """Every record that stands in a topic now, in the order of partitions and offsets."""
        consumer = KafkaConsumer(
            bootstrap_servers=[self.broker],
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=16 * 2**20,
            fetch_max_bytes=32 * 2**20,
        )
        try:
            tps = [TopicPartition(self.topic(name), each) for each in consumer.partitions_for_topic(self.topic(name))]
            consumer.assign(tps)
            consumer.seek_to_beginning(*tps)
            found: list[Any] = []

            def to_the_end() -> bool:
                for records in consumer.poll(timeout_ms=200).values():
                    found.extend(records)
                ends = {tp: consumer.highwater(tp) for tp in tps}
                return all(end is not None and consumer.position(tp) >= end for tp, end in ends.items())

            until(to_the_end, f"the end of {name}")
        finally:
            consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def said(self, name: TopicName) -> list[dict[str, Any]]:
        """What stands in a topic of ours, parsed."""
        return [json.loads(record.value) for record in self.read(name)]


def expected(records: Iterable[Record], messages: Sequence[Any]) -> dict[str, bytes]:
    """The violation that the law of the distribution finds, by its id, each as the bytes of its message."""
    views = Views()
    for record in records:
        if isinstance(record, RegistryRecord):
            views.registry.add(record)
        else:
            views.histories.add(record)
    found: dict[str, bytes] = {}
    for message in messages:
        kind = CaseKind(message.kind)
        columns = MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
        verdicts = judge(assemble(frame_of([message], columns), kind, views), kind, the_law())
        found.update((each.violation_id, each.to_json()) for *_, each in violations(verdicts, views))
    return found
