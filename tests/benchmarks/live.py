"""Live throughput: our worker against a plain Faust agent, same broker, same topic, same sixty rules, in one run.

    python tests/benchmarks/live.py [--events N] [--plain-events N] [--bootstrap HOST:PORT]

Prints what it does to stderr and, last, one JSON line with `ours_per_second`, `plain_faust_per_second` and `ratio`.
Without --bootstrap it starts the embedded broker. 100 000 persons, one event in a hundred violates, violations are
written by both. The rate of ours is taken from its own counter of judged events, from the first sample above a
twentieth of the log to the last event.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import live_job
from aiokafka import AIOKafkaProducer

from schemas.topics import TopicName
from streams.core.partition import partition_of
from streams.live.topic_admin import create
from streams.settings import Settings
from streams.simulator.broker import EmbeddedBroker, free_port

HERE = Path(__file__).parent
PARTITIONS = 4
PATIENCE_SECONDS = 300.0


def say(line: str) -> None:
    """One line to stderr."""
    print(line, file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def registered(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that has written the registry of the job; at the end all it was given is on the broker."""
    producer = AIOKafkaProducer(
        bootstrap_servers=list(settings.broker), acks="all", linger_ms=20, max_batch_size=512 * 1024
    )
    await producer.start()
    try:
        for record in live_job.registry():
            await producer.send(settings.topic(TopicName.REGISTRY), record.to_json(), key=record.key.encode())
        yield producer
        await producer.flush()
    finally:
        await producer.stop()


async def load(settings: Settings, count: int) -> int:
    """Write the job to the broker; returns how many violations it holds."""
    async with registered(settings) as producer:
        for person in live_job.subjects():
            await producer.send(settings.topic(TopicName.SUBJECTS), person.to_json(), key=person.key.encode())
        wrong = 0
        homes: dict[str, int] = {}
        for key, value in live_job.events(count):
            if key not in homes:
                homes[key] = partition_of(key, PARTITIONS)
            wrong += int(key[2:]) % live_job.VIOLATING == 0
            await producer.send(settings.topic(TopicName.MATCHES), value, key=key.encode(), partition=homes[key])
    return wrong


@contextlib.contextmanager
def process(arguments: list[str], environment: dict[str, str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that does not outlive the block."""
    child = subprocess.Popen(arguments, env=os.environ | environment, **options)
    try:
        yield child
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(20)
        child.kill()
        child.wait()


def plain(settings: Settings, count: int) -> dict[str, float]:
    """The rate of the plain agent over the first `count` events it is given."""
    environment = {
        "BROKER": settings.broker[0],
        "TOPIC": settings.topic(TopicName.MATCHES),
        "OUT": "plain-violations",
        "GROUP": "plain",
        "COUNT": str(count),
        "PYTHONPATH": str(HERE),
    }
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.run(
            [sys.executable, str(HERE / "plain_faust.py"), "worker", "-l", "error", "--without-web"],
            env=os.environ | environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
    found: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return found


def counters(port: int) -> dict[str, float]:
    """What the worker's /metrics says of judged events and of violations."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    judged = [line for line in lines if line.startswith('consentinel_events_total{outcome="judged",topic="matches"}')]
    violations = [line for line in lines if line.startswith("consentinel_violations_total{")]
    return {
        "judged": sum(float(line.rsplit(" ", 1)[1]) for line in judged),
        "violations": sum(float(line.rsplit(" ", 1)[1]) for line in violations),
    }


def ours(settings: Settings, count: int, pack: Path) -> dict[str, float]:
    """The rate of our worker over the whole log."""
    port = free_port()
    environment = {
        "CONSENTINEL_BROKER": settings.broker[0],
        "CONSENTINEL_RULES": str(pack),
        "CONSENTINEL_WEB_PORT": str(port),
        "CONSENTINEL_SESSION_TIMEOUT_SECONDS": "6",
        "CONSENTINEL_LOG_LEVEL": "WARNING",
    }
    with process([sys.executable, "-m", "streams.cli", "worker"], environment, stderr=subprocess.DEVNULL):
        first: tuple[float, float] | None = None
        pause = 0.5
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(pause)
            try:
                now = counters(port)
            except OSError:
                continue
            at = time.perf_counter()
            if first is None:
                first = (at, now["judged"]) if now["judged"] >= count / 20 else None
                continue
            rate = (now["judged"] - first[1]) / (at - first[0])
            if now["judged"] >= count:
                return {"rate": rate, "violations": now["violations"]}
            # Asked again about when it should be done: to write out two thousand series takes a worker longer than to
            # judge a thousand events, and Prometheus asks for them four times a minute.
            pause = min(max((count - now["judged"]) / max(rate, 1.0), 0.1), 5.0)
    raise TimeoutError(f"the worker did not judge {count} events in {PATIENCE_SECONDS} s")


def main() -> int:
    """Run the benchmark; exit code 1 where the two sides disagree about the violations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--plain-events", type=int, default=40_000)
    parser.add_argument("--bootstrap")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bootstrap = options.bootstrap or stack.enter_context(EmbeddedBroker()).bootstrap
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pack = folder / "bench.yaml"
        pack.write_text(live_job.pack(), "utf-8")
        settings = Settings(broker=(bootstrap,), prefix=f"bench{os.getpid()}.", partitions=PARTITIONS)
        os.environ["CONSENTINEL_PREFIX"] = settings.prefix
        create(settings)
        say(f"writing {options.events} events and {live_job.SUBJECTS} persons to {bootstrap}")
        wrong = asyncio.run(load(settings, options.events))
        say("a plain Faust agent")
        peer = plain(settings, options.plain_events)
        say(f"  {peer['rate']:.0f} events/s, {peer['violations']:.0f} violations in {options.plain_events} events")
        say("our worker")
        own = ours(settings, options.events, pack)
        say(f"  {own['rate']:.0f} events/s, {own['violations']:.0f} violations in {options.events} events")
    result = {
        "ours_per_second": round(own["rate"]),
        "plain_faust_per_second": round(peer["rate"]),
        "ratio": round(own["rate"] / peer["rate"], 1),
    }
    print(json.dumps(result))
    return 0 if own["violations"] == wrong else 1


if __name__ == "__main__":
    sys.exit(main())
