"""Rebuild of the views: how fast a worker reads all persons again after a restart, and the memory that they take.

    python tests/benchmarks/views.py [--records N] [--bootstrap HOST:PORT]

Writes records of consents, enrolments and withdrawals, three a person, to `subjects`, reads them with the readers of
the worker, and prints, last, one JSON line: `records_per_second`, `cpu_records_per_second` (by the time that the
process spent, on a machine that is shared), `mib_a_million`, what the process grew by for good, and
`peak_mib_a_million`, what it grew by meanwhile. Its own memory counts, not the code of libraries; and it is looked at
after a moment, for the allocator gives back what was freed within a second or two. The records are read as if written
before every case that a worker remembers, as nearly all are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import live_job
from live import PARTITIONS, registered, say
from prometheus_client import CollectorRegistry

from schemas.subject import ConsentGiven, ConsentWithdrawn, Enrolment, SubjectRecord
from schemas.topics import TopicName
from streams.live.judging_thread import JudgingThread
from streams.live.log_reader import LogReader
from streams.live.topic_admin import create
from streams.live.views import LiveViews
from streams.metrics.recorder import Recorder
from streams.packs import rulebook
from streams.settings import Settings
from streams.simulator.broker import EmbeddedBroker

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LOOK_SECONDS = 0.05
MOMENT_SECONDS = 3.0


def token(number: int) -> str:
    """The token of a person: 128 bits that look drawn at random, as sources make them."""
    return f"s_{urlsafe_b64encode(blake2b(b'%d' % number, digest_size=16).digest())[:-2].decode()}"


def records(count: int) -> Iterator[tuple[str, SubjectRecord]]:
    """Key and record: of each person an enrolment, a consent and, of one in ten, a withdrawal, else another consent."""
    for number in range(count):
        ref, which = token(number // 3), number % 3
        about: dict[str, Any] = {"controller_id": "c1", "subject_ref": ref, "record_id": f"r{number}"}
        about["valid_from"] = live_job.SINCE
        if which == 0:
            yield ref, Enrolment(age_band="adult", **about)
        elif which == 1 or number % 10:
            yield ref, ConsentGiven(
                purposes=("p-access",), actions=("collect", "identify"), consent_form="separate", **about
            )
        else:
            yield ref, ConsentWithdrawn(purposes=("p-access",), **about)


async def load(settings: Settings, count: int) -> None:
    """Write the records to the broker."""
    async with registered(settings) as producer:
        for ref, each in records(count):
            await producer.send(settings.topic(TopicName.SUBJECTS), each.to_json(), key=ref.encode())


def resident() -> int:
    """Bytes of its own that this process holds in memory."""
    _, whole, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (whole - shared) * PAGE_BYTES


class Peak:
    """The most that this process holds in memory during a block."""

    def __enter__(self) -> Self:
        self.bytes = resident()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.bytes = max(self.bytes, resident())


async def rebuilt(settings: Settings) -> tuple[float, float, LiveViews]:
    """Read all views until they are warm; wall and process seconds, and the views."""
    failures: list[BaseException] = []
    book = rulebook()
    views = LiveViews(
        new_reader=lambda name: LogReader(settings.topic(name), brokers=settings.broker),
        partitions=PARTITIONS,
        thread=JudgingThread(),
        recorder=Recorder(CollectorRegistry(), book, version="0.1.0", started_at=datetime.now(UTC)),
        on_failure=failures.append,
        asked=book.asked(),
        arrivals_since=round(time.time() * 1e6),
    )
    began, used = time.perf_counter(), time.process_time()
    views.start()
    await views.keep(set(range(PARTITIONS)))
    for partition in range(PARTITIONS):
        await views.warm(partition)
    took = time.perf_counter() - began, time.process_time() - used
    await views.stop()
    assert not failures, "what a reader cannot read ends it"
    return *took, views


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--bootstrap")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bootstrap = options.bootstrap or stack.enter_context(EmbeddedBroker()).bootstrap
        settings = Settings(broker=(bootstrap,), prefix=f"views{os.getpid()}.", partitions=PARTITIONS)
        create(settings)
        say(f"writing {options.records} records to {bootstrap}")
        asyncio.run(load(settings, options.records))
        gc.collect()
        before = resident()
        with Peak() as peak:
            wall, cpu, views = asyncio.run(rebuilt(settings))
        time.sleep(MOMENT_SECONDS)
        grown = resident() - before
        assert all(views.of(partition) for partition in range(PARTITIONS)), "what is looked at is still held"
    result = {
        "records_per_second": round(options.records / wall),
        "cpu_records_per_second": round(options.records / cpu),
        "mib_a_million": round(grown / 2**20 * 1_000_000 / options.records),
        "peak_mib_a_million": round((peak.bytes - before) / 2**20 * 1_000_000 / options.records),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
