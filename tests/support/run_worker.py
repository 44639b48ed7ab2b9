"""A small worker over the batched transport for the tests: says what it sees as JSON lines, takes orders on its stdin.

Orders, one JSON list a line: ["open", partition], ["release"] (the oldest held run), ["commit", partition, offset,
generation or null], ["move", partition, offset] (behind the transport's back), ["rate"]. Everything else is set by the
JSON object in argv[1]: broker, group, topics, and optionally plain (a topic that passes record by record), cold
(partitions not opened by themselves), hold (keep the runs), late (records come beyond the end that is reported),
max_runs, max_bytes, poll_records, settings of Faust.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from typing import Any

import faust
from faust.types import TP

from late_records import records_come_late
from streams.errors import ConsentinelError, DeliveryError
from streams.live.run import Run, RunSettings
from streams.live.transport import RunApp, run_topic

SPEC: dict[str, Any] = json.loads(sys.argv[1])
OUT = os.dup(1)
os.dup2(2, 1)  # Faust talks to people on its stdout.
held: deque[Run] = deque()
if SPEC.get("late"):
    records_come_late()


def say(**line: Any) -> None:
    os.write(OUT, json.dumps(line).encode() + b"\n")


def fail(error: ConsentinelError) -> None:
    say(what="failure", kind=type(error).__name__, text=str(error))
    os._exit(70)


app = RunApp(
    SPEC["group"],
    runs=RunSettings(
        topics=frozenset(SPEC["topics"]),
        on_failure=fail,
        max_runs=SPEC.get("max_runs", 4),
        max_bytes=SPEC.get("max_bytes", 1 << 25),
    ),
    broker=f"runs://{SPEC['broker']}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    table_standby_replicas=0,
    broker_session_timeout=6,
    broker_heartbeat_interval=1,
    broker_max_poll_records=SPEC.get("poll_records", 100),
    **SPEC.get("settings", {}),
)
source = run_topic(app, *SPEC["topics"])


def consumer() -> Any:
    return app.consumer


@app.on_partitions_assigned.connect
async def assigned(_app: Any, /, *args: Any, **_: Any) -> None:
    tps: set[TP] = args[0]
    generation = consumer().generation
    assignor = getattr(consumer()._thread, "_assignor", None)
    say(what="assigned", partitions=sorted(tps), generation=generation, assignor=getattr(assignor, "name", None))
    for tp in tps:
        if tp.partition not in SPEC.get("cold", ()):
            consumer().open(tp, generation=generation)


@app.on_partitions_revoked.connect
async def revoked(_app: Any, /, *args: Any, **_: Any) -> None:
    say(what="revoked", partitions=sorted(args[0]), generation=consumer().generation)


async def commit(run: Run) -> bool:
    while True:
        try:
            return bool(await consumer().commit_next({run.tp: run.next_offset}, generation=run.generation))
        except DeliveryError:
            say(what="again", partition=run.partition)


@app.agent(source)
async def judge(stream: Any) -> None:
    async for run in stream:
        shape = [-1 if record.value is None else len(record.value) for record in run.records]
        say(
            what="run", topic=run.topic, partition=run.partition, first=run.first_offset, next=run.next_offset,
            offsets=[run.records[0].offset, run.records[-1].offset], count=len(run.records), bytes=run.size_bytes,
            holes=run.holes, generation=run.generation, shape=shape[:20],
            in_order=all(a.offset < b.offset for a, b in zip(run.records, run.records[1:], strict=False)),
            headers=sum(len(record.headers) for record in run.records),
        )  # fmt: skip
        if SPEC.get("hold"):
            held.append(run)
            continue
        await asyncio.sleep(SPEC.get("pause", 0))
        committed = await commit(run)
        consumer().release(run)
        say(what="committed", partition=run.partition, next=run.next_offset, taken=committed)


if SPEC.get("plain"):
    plain = app.topic(SPEC["plain"], key_serializer="raw", value_serializer="raw", value_type=bytes)

    @app.agent(plain)
    async def note(stream: Any) -> None:
        async for event in stream.events():
            say(what="record", offset=event.message.offset, size=len(event.value))


async def obey(order: list[Any]) -> None:
    topic = SPEC["topics"][0]
    if order[0] == "open":
        say(what="opened", done=consumer().open(TP(topic, order[1])))
    elif order[0] == "release":
        run = held.popleft()
        say(what="released", partition=run.partition, done=[consumer().release(run), consumer().release(run)])
    elif order[0] == "commit":
        taken = await consumer().commit_next({TP(topic, order[1]): order[2]}, generation=order[3])
        say(what="answer", taken=taken)
    elif order[0] == "move":
        consumer()._thread._ensure_consumer().seek(TP(topic, order[1]), order[2])


@app.task  # type: ignore[untyped-decorator]
async def orders() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        await obey(json.loads(line))


@app.on_before_shutdown.connect
async def leave(_app: Any, /, *_args: Any, **_: Any) -> None:
    for run in held:
        say(what="committed", partition=run.partition, next=run.next_offset, taken=await commit(run))


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARN").execute_from_commandline()
