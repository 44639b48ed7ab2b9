"""Latency of the worker: from the broker's append of an event to its verdict, and from a late record to the correction.

    python tests/benchmarks/latency.py [--rate N] [--seconds N] [--persons N] [--bootstrap HOST:PORT]

Prints what it does to stderr and, last, one JSON line: `verdict_p99_ms` of all events by the worker's own histogram,
`violation_p99_ms` of violations as a consumer of the topic sees them (held up to `hold_ms`, until a heartbeat of each
second has come), and `correction_p99_ms` from the acknowledgement of a late consent to the violation's new word. The
budget, at half of the rate that `live.py` shows, is the hold and 250 ms for a verdict, and a second for a correction.
Without --bootstrap it starts the embedded broker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import live_job
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from live import PARTITIONS, say

from schemas.contract import Message, time_text
from schemas.registry import FeedRecord
from schemas.subject import ConsentGiven
from schemas.topics import TopicName
from streams.core.partition import partition_of
from streams.live.topic_admin import create
from streams.settings import Settings
from streams.simulator.broker import EmbeddedBroker, free_port
from streams.simulator.worker_child import Series, WorkerChild

TICK_SECONDS = 0.02
CORRECTED = 50
HEARTBEAT_SECONDS = 1.0
SETTLE_SECONDS = 6.0
EVENT = (
    '{"event_id":"%s","probe_id":"p%010d","occurred_at":"%s","controller_id":"c1","device_id":"cam-%04d",'
    '"purpose_id":"p-access","operation":"verification","timing":"realtime","active_involvement":true,'
    '"subject_ref":"%s","comparison_decision":"match","inferred_attributes":[],"storage_location":"device"}'
)


class Ear(threading.Thread):
    """Hears the topic of violations; `came` has when the first and the last word on an event and status came."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.came: dict[tuple[str, str], float] = {}
        self._stopped = threading.Event()
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.brokers, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=20
        )
        places = [TopicPartition(settings.topic(TopicName.VIOLATIONS), each) for each in range(PARTITIONS)]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)

    def run(self) -> None:
        """Hear until stopped."""
        while not self._stopped.is_set():
            for records in self._consumer.poll(timeout_ms=50).values():
                now = time.time()
                for record in records:
                    said = json.loads(record.value)
                    self.came.setdefault((said["event_id"], said["status"]), now)
        self._consumer.close()

    def stop(self) -> None:
        """Hear no more."""
        self._stopped.set()
        self.join()


class Estate:
    """Writes records, heartbeats and events as they happen; `sent` has when the broker took an event that violates.

    Events are made by hand and written in batches, a batch a tick and partition: the writer shares two cores with what
    is measured, and a producer that takes records one by one had a second's backlog of its own at five thousand.
    """

    def __init__(self, settings: Settings, persons: int, runner: asyncio.Runner) -> None:
        self._settings, self._persons, self._runner = settings, persons, runner
        self._producer = KafkaProducer(bootstrap_servers=settings.brokers, acks="all", linger_ms=5)
        self._batches: AIOKafkaProducer = runner.run(_started(settings.brokers))
        self._refs = [live_job.subject_ref(person) for person in range(persons)]
        self._homes = [partition_of(ref, PARTITIONS) for ref in self._refs]
        self._chance = random.Random(1)
        self._number = 0
        self._heartbeats = 0
        self.sent: dict[str, float] = {}
        self.about: dict[str, str] = {}
        """The person of each of these events."""

    def close(self) -> None:
        """Write nothing any more."""
        self._runner.run(self._batches.stop())
        self._producer.close()

    def open(self) -> None:
        """Write what is on record before anything happens."""
        for record in live_job.registry():
            if not isinstance(record, FeedRecord):
                self._send(TopicName.REGISTRY, record)
        for person in live_job.subjects():
            if int(person.subject_ref[2:]) >= self._persons:
                break
            self._send(TopicName.SUBJECTS, person)
        self.heartbeat()
        self._producer.flush()

    def heartbeat(self) -> None:
        """Vouch that every record up to now is there."""
        self._heartbeats += 1
        now = datetime.now(UTC)
        (feed,) = (each for each in live_job.registry() if isinstance(each, FeedRecord))
        changes = {"record_version": self._heartbeats, "complete_until": now}
        self._send(TopicName.REGISTRY, feed.model_copy(update=changes))

    def happen(self, rate: float, seconds: float) -> None:
        """Let so many events a second happen, at the pace of the clock."""
        self._runner.run(self._happen(rate, seconds))

    async def _happen(self, rate: float, seconds: float) -> None:
        began = time.monotonic()
        done, beaten = 0, began
        while (passed := time.monotonic() - began) < seconds:
            due = int(passed * rate) - done
            await self._write(due)
            done += due
            if time.monotonic() - beaten >= HEARTBEAT_SECONDS:
                beaten += HEARTBEAT_SECONDS
                self.heartbeat()
            await asyncio.sleep(TICK_SECONDS)
        await self._batches.flush()

    async def _write(self, count: int) -> None:
        """Write so many events of this instant."""
        batches = [self._batches.create_batch() for _ in range(PARTITIONS)]
        violating: list[list[str]] = [[] for _ in batches]
        now = datetime.now(UTC)
        said, at = time_text(now), round(now.timestamp() * 1_000)
        for _ in range(count):
            person = self._chance.randrange(self._persons)
            event_id, ref, home = f"e{self._number:010d}", self._refs[person], self._homes[person]
            value = EVENT % (event_id, self._number, said, self._chance.randrange(live_job.DEVICES), ref)
            taken = batches[home].append(key=ref.encode(), value=value.encode(), timestamp=at)
            assert taken is not None, "the events of a tick fit a batch"
            self._number += 1
            if person % live_job.VIOLATING == 0:
                violating[home].append(event_id)
                self.about[event_id] = ref
        topic = self._settings.topic(TopicName.MATCHES)
        for home, batch in enumerate(batches):
            if batch.record_count():
                taking = await self._batches.send_batch(batch, topic, partition=home)
                taking.add_done_callback(partial(self._taken, violating[home]))

    def _taken(self, event_ids: Sequence[str], taking: asyncio.Future[object]) -> None:
        taking.result()
        self.sent |= dict.fromkeys(event_ids, time.time())

    def agree(self, event_id: str) -> float:
        """Let the person of an event have agreed long ago; when the broker took the record that says so."""
        ref = self.about[event_id]
        late = ConsentGiven(
            record_id=f"late-{ref}", controller_id="c1", subject_ref=ref, valid_from=live_job.SINCE,
            purposes=("p-access", "p-entry"), actions=("collect", "identify"), consent_form="separate",
        )  # fmt: skip
        self._send(TopicName.SUBJECTS, late).get(timeout=30)
        return time.time()

    def _send(self, topic: TopicName, record: Message) -> Any:
        key: str = record.key  # type: ignore[attr-defined]  # every record has one
        return self._producer.send(self._settings.topic(topic), record.to_json(), key=key.encode())


async def _started(brokers: Sequence[str]) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=list(brokers), acks="all", max_batch_size=1_000_000)
    await producer.start()
    return producer


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so great a share of some values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def of_histogram(series: Series, name: str, share: float) -> float:
    """The same of a classic histogram, between the bounds of a bucket in proportion; seconds."""
    buckets = sorted(
        (float(dict(labels)["le"]), count) for (found, labels), count in series.items() if found == f"{name}_bucket"
    )
    wanted, before, below = share * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            return bound if bound == float("inf") else below + (bound - below) * (wanted - before) / (count - before)
        before, below = count, bound
    raise AssertionError("the last bucket holds everything")


def measured(settings: Settings, estate: Estate, options: argparse.Namespace, folder: Path) -> Mapping[str, float]:
    """Let things happen to a worker, and say how long its words took."""
    pack = folder / "bench.yaml"
    pack.write_text(live_job.pack(), "utf-8")
    estate.open()
    given = {"broker": settings.broker[0], "prefix": settings.prefix, "rules": str(pack), "log_level": "WARNING",
             "session_timeout_seconds": "6"}  # fmt: skip
    with WorkerChild(given, port=free_port(), log=folder / "worker.log") as worker:
        worker.wait_ready(120)
        ear = Ear(settings)
        ear.start()
        say(f"{options.rate} events a second for {options.seconds} s")
        estate.happen(options.rate, options.seconds)
        estate.happen(0, SETTLE_SECONDS)
        told = [event for event in estate.sent if (event, "open") in ear.came]
        say(f"  {len(told)} of {len(estate.sent)} violations told")
        series = worker.series()
        assert series is not None, "a worker that is ready serves its metrics"
        chosen = list({estate.about[event]: event for event in told}.values())[:CORRECTED]
        say(f"{len(chosen)} late consents")
        agreed = {}
        for event in chosen:
            agreed[event] = estate.agree(event)
            time.sleep(0.1)
        estate.happen(0, 2.0)
        ear.stop()
    late = {event: ear.came.get((event, "contested")) for event in chosen}
    assert len(told) == len(estate.sent), "every violation is told"
    assert None not in late.values(), "every late consent contests a violation"
    waited = [ear.came[each, "open"] - estate.sent[each] for each in told]
    return {
        "rate": options.rate,
        "hold_ms": round(settings.hold_seconds * 1_000),
        "verdict_p99_ms": round(of_histogram(series, "consentinel_recorded_to_verdict_seconds", 0.99) * 1_000),
        "violation_p99_ms": round(quantile(waited, 0.99) * 1_000),
        "correction_p99_ms": round(quantile([(late[each] or 0.0) - agreed[each] for each in chosen], 0.99) * 1_000),
    }


def main() -> int:
    """Run the benchmark; exit code 1 where a budget is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=19_000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--bootstrap")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bootstrap = options.bootstrap or stack.enter_context(EmbeddedBroker()).bootstrap
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(broker=(bootstrap,), prefix=f"latency{os.getpid()}.", partitions=PARTITIONS)
        create(settings)
        runner = stack.enter_context(asyncio.Runner())
        estate = stack.enter_context(contextlib.closing(Estate(settings, options.persons, runner)))
        result = measured(settings, estate, options, folder)
    print(json.dumps(result))
    slowest = max(result["verdict_p99_ms"], result["violation_p99_ms"])
    return 0 if slowest <= result["hold_ms"] + 250 and result["correction_p99_ms"] <= 1_000 else 1


if __name__ == "__main__":
    sys.exit(main())
