"""The takeover: what a worker recalls of a partition before it goes live; one that died takes no correction along.

Rules:
1. The events of the memory's span before the committed offset are read again and judged again, and nothing of them is
   forwarded, rejected or counted: that was done. Their span ends where the group stands, not now.
2. What was told of them is read from the log of violations. The differences to what the judge says today go out as
   corrections, and only then is the partition live.
3. No more is read than the memory can hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from faust.types import TP

from schemas.contract import ContractError
from schemas.verdict import VIOLATION, Violation
from streams.live.client_close import close
from streams.live.header_names import read_every_header_name
from streams.live.run import LogRecord, Run

EVENT_BYTES = 256
"""What an event takes in the memory at least; so many bytes of it need no more events than that."""
PIECE_RECORDS = 5_000
BACKOFF_SECONDS = 0.5


class Recollection:
    """Reads back stretches of logs with a client of its own, in no group; waits for a broker that is away."""

    def __init__(self, brokers: Sequence[str], *, span_seconds: float, bytes_max: int) -> None:
        self._brokers = list(brokers)
        self._span_ms = round(span_seconds * 1_000)
        self._records_max = bytes_max // EVENT_BYTES
        self._closing: set[asyncio.Task[None]] = set()

    async def of(
        self, tp: TP, violations: TP, position: int, learn: Callable[[Sequence[Violation], int], Any]
    ) -> AsyncGenerator[Run, None]:
        """The runs before `position`; before the first of them `learn` is given what was told since, and until when.

        The instant is in microseconds. Whoever fails to read begins again, so what is given may be given twice.
        """
        while True:
            client = self._client()
            try:
                await client.start()
                since = await self._since(client, tp, position)
                if since is not None:
                    start, stamp = since
                    found, last = await self._told(client, violations, stamp)
                    await learn(found, last)
                    async for records in self._read(client, tp, start, position):
                        yield _run(tp, records)
            except (kafka_errors.KafkaError, OSError):
                await asyncio.sleep(BACKOFF_SECONDS)
            else:
                return
            finally:
                self._let_go(client)

    def _let_go(self, client: AIOKafkaConsumer) -> None:
        """Close a client aside: a partition need not wait for it."""
        closing = asyncio.create_task(close(client))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        """Return when every client that was used is closed."""
        await asyncio.gather(*self._closing)

    def _client(self) -> AIOKafkaConsumer:
        read_every_header_name()
        return AIOKafkaConsumer(
            bootstrap_servers=self._brokers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=PIECE_RECORDS,
            fetch_max_wait_ms=100,
        )

    async def _since(self, client: AIOKafkaConsumer, tp: TP, position: int) -> tuple[int, int] | None:
        """Where to begin, and when (milliseconds) the record there was taken; None where the log holds nothing."""
        place = TopicPartition(*tp)
        first = (await client.beginning_offsets([place]))[place]
        last = await self._record_at(client, tp, max(first, position - 1))
        if last is None or first >= position:
            return None
        found = (await client.offsets_for_times({place: max(0, last.timestamp - self._span_ms)}))[place]
        wanted = first if found is None else found.offset
        start = min(max(first, wanted, position - self._records_max), position - 1)
        record = await self._record_at(client, tp, start)
        return start, last.timestamp if record is None else min(record.timestamp, last.timestamp)

    async def _record_at(self, client: AIOKafkaConsumer, tp: TP, offset: int) -> LogRecord | None:
        """The first record at or behind an offset; None at the end of the log."""
        async for records in self._read(client, tp, offset):
            return records[0]
        return None

    async def _told(self, client: AIOKafkaConsumer, tp: TP, stamp: int) -> tuple[list[Violation], int]:
        """Everything that was told of a partition since an instant (milliseconds), and when the last of it was."""
        place = TopicPartition(*tp)
        found = (await client.offsets_for_times({place: stamp}))[place]
        if found is None:
            return [], 0
        told: list[Violation] = []
        last = 0
        async for records in self._read(client, tp, found.offset):
            for record in records:
                try:
                    told.append(VIOLATION.read(record.value or b""))
                except ContractError:
                    continue  # none of ours: nobody else should write here, and it concerns no case
                last = max(last, record.timestamp * 1_000)
        return told, last

    @staticmethod
    async def _read(
        client: AIOKafkaConsumer, tp: TP, start: int, end: int | None = None
    ) -> AsyncIterator[list[LogRecord]]:
        """The records of `[start, end)` in pieces; without `end` up to the end of the log as the first fetch tells it.

        A list of offsets does not: the embedded broker's leaves out the end of the last batch.
        """
        place = TopicPartition(*tp)
        client.assign([place])
        client.seek(place, start)
        while end is None or await client.position(place) < end:
            fetched = await client.getmany(place, timeout_ms=200)
            mark = client.highwater(place)
            if mark is not None:
                end = mark if end is None else min(end, mark)
            records = [record for record in fetched.get(place, ()) if end is None or record.offset < end]
            if records:
                yield records


def _run(tp: TP, records: Sequence[LogRecord]) -> Run:
    first, last = records[0].offset, records[-1].offset
    return Run(tp.topic, tp.partition, records, first, last + 1, 0, -1)
