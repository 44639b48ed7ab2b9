"""A reader of one whole log: all partitions of a topic, from the beginning, in batches, outside any consumer group.

Rules:
1. What is applied is exactly the log: each partition in order, each record once, nothing left out; `frontier` says up
   to where. A reader that has to start again starts from its frontier.
2. A broker that is away is waited for, for ever; `reached_end_at` then grows old, and the caller sees that the view is
   not fresh. Having caught up once says nothing about now.
3. A log that is shorter than what was read, or no longer holds what is to be read next, ends the reader: a LogError.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors

from streams.errors import ConsentinelError, DeliveryError, Place
from streams.live.client_close import close
from streams.live.fetched_records import AS_FETCHED, read_as_fetched
from streams.live.header_names import read_every_header_name
from streams.live.log_fault import CORRUPT_TRIES, CorruptLogError, LogGapError, TruncatedLogError, ends_before, fault_of
from streams.live.run import LogRecord

Apply = Callable[[str, int, Sequence[LogRecord]], None]
"""Takes the topic, the partition and its next records; what it raises ends the reader."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """How a log is fetched; `security` holds the client's own options for TLS and SASL, empty for plain text."""

    max_records: int = 20_000
    fetch_bytes: int = 4 * 1024 * 1024
    poll_seconds: float = 0.2
    metadata_seconds: float = 10.0
    request_seconds: float = 15.0
    first_backoff_seconds: float = 0.2
    last_backoff_seconds: float = 5.0
    security: Mapping[str, Any] = field(default_factory=dict)


class LogReader:
    """Reads `topic` from the beginning, or from the frontier `start_at`, and hands each batch to `apply`.

    `frontier` is the next offset by partition. `caught_up` is set once the ends of the log, as the first
    fetch of each partition saw them, have been applied. `reached_end_at` is the clock's time (seconds) up to which
    everything in the log is surely applied: the oldest, over the partitions, of the last fetch that left nothing to
    read; None until all partitions were read to an end.
    """

    def __init__(
        self,
        topic: str,
        *,
        brokers: Sequence[str],
        start_at: Mapping[int, int] | None = None,
        settings: ReaderSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topic = topic
        self.frontier: dict[int, int] = dict(start_at or {})
        self.caught_up = asyncio.Event()
        self._brokers = list(brokers)
        self._settings = settings or ReaderSettings()
        self._clock = clock
        self._stopping = asyncio.Event()
        self._targets: dict[int, int] = {}
        self._unread: dict[int, int] = {}
        self._partitions: frozenset[int] = frozenset()
        self._ends = _Ends()
        self._corrupt_tries = 0

    @property
    def reached_end_at(self) -> float | None:
        """The clock's seconds of the last fetch that had reached the end, the oldest of all partitions."""
        return self._ends.oldest(self._partitions)

    @property
    def behind(self) -> int | None:
        """How many offsets are missing to the ends seen by the first fetches; None before all of them answered."""
        if not self._partitions or not self._partitions <= self._targets.keys():
            return None
        return sum(max(0, end - self.frontier.get(partition, 0)) for partition, end in self._targets.items())

    @property
    def unread(self) -> int | None:
        """How many offsets lie between the frontier and the ends that the last fetches saw; None before the first."""
        return sum(self._unread.values()) if self._unread else None

    async def stop(self) -> None:
        """Let `run` return after the batch it is applying."""
        self._stopping.set()

    async def run(self, apply: Apply) -> None:
        """Read until `stop`; returns then, and raises only what no waiting mends."""
        backoff = self._settings.first_backoff_seconds
        while not self._stopping.is_set():
            before = dict(self.frontier)
            try:
                await self._session(apply)
            except kafka_errors.KafkaError as error:
                self._judge(fault_of(error, Place(self.topic)), error)
            except (OSError, DeliveryError) as error:
                logger.warning("reading %s again after: %s", self.topic, type(error).__name__)
            if self.frontier != before:
                backoff, self._corrupt_tries = self._settings.first_backoff_seconds, 0
            await self._pause(backoff)
            backoff = min(backoff * 2, self._settings.last_backoff_seconds)

    def _judge(self, fault: ConsentinelError, cause: Exception) -> None:
        """Go on after what may pass; raise the rest."""
        if isinstance(fault, CorruptLogError):
            self._corrupt_tries += 1
        if fault.retry or (isinstance(fault, CorruptLogError) and self._corrupt_tries < CORRUPT_TRIES):
            logger.warning("reading %s again after: %s", self.topic, fault)
            return
        raise fault from cause

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _session(self, apply: Apply) -> None:
        """Read with one client until it fails, the log grows a partition, or the reader is stopped."""
        consumer = self._client()
        try:
            await consumer.start()
            if await self._place(consumer):
                while not self._stopping.is_set() and not self._grown(consumer):
                    await self._step(consumer, apply)
                    await asyncio.sleep(0)
        finally:
            await close(consumer)

    def _client(self) -> AIOKafkaConsumer:
        read_every_header_name()
        read_as_fetched()
        settings = self._settings
        return AIOKafkaConsumer(
            bootstrap_servers=self._brokers,
            group_id=None,
            value_deserializer=AS_FETCHED,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=settings.max_records,
            max_partition_fetch_bytes=settings.fetch_bytes,
            fetch_max_bytes=settings.fetch_bytes * 4,
            fetch_max_wait_ms=int(settings.poll_seconds * 1000),
            metadata_max_age_ms=int(settings.metadata_seconds * 1000),
            request_timeout_ms=int(settings.request_seconds * 1000),
            **settings.security,
        )

    async def _place(self, consumer: AIOKafkaConsumer) -> bool:
        """Take all partitions and seek each to the frontier; False when the topic is not there yet."""
        # Looked for among all topics first: a broker may create a topic that a client asks for by its name.
        if self.topic in await consumer.topics():
            await consumer._client.set_topics([self.topic])  # noqa: SLF001 - the client knows what it tracks only.
        partitions = consumer.partitions_for_topic(self.topic)
        if not partitions:
            logger.warning("waiting for the topic %s", self.topic)
            return False
        tps = [TopicPartition(self.topic, partition) for partition in sorted(partitions)]
        consumer.assign(tps)
        first = await consumer.beginning_offsets(tps)
        for tp in tps:
            offset = self.frontier.get(tp.partition, first[tp])
            if offset < first[tp]:
                message = f"offset {offset} is to be read next, but the log begins at {first[tp]}"
                raise TruncatedLogError(message, place=Place(f"{self.topic}/{tp.partition}"))
            consumer.seek(tp, offset)
            self.frontier[tp.partition] = offset
        if gone := self.frontier.keys() - partitions:
            raise TruncatedLogError("a partition is gone", place=Place(f"{self.topic}/{min(gone)}"))
        self._partitions = frozenset(partitions)
        self._ends.restart(self._clock())
        return True

    def _grown(self, consumer: AIOKafkaConsumer) -> bool:
        return (consumer.partitions_for_topic(self.topic) or self._partitions) != self._partitions

    async def _step(self, consumer: AIOKafkaConsumer, apply: Apply) -> None:
        """Fetch once, apply what came, and note where each partition stands."""
        tps = [TopicPartition(self.topic, partition) for partition in self._partitions]
        await self._check_positions(consumer, tps)
        fetched = await consumer.getmany(timeout_ms=int(self._settings.poll_seconds * 1000))
        new = self._ends.look({tp.partition: consumer.last_poll_timestamp(tp) for tp in tps}, self._clock())
        for tp in tps:
            if tp.partition in new:
                self._check_end(tp, consumer.highwater(tp))
        for tp, records in fetched.items():
            apply(self.topic, tp.partition, records)
            self.frontier[tp.partition] = records[-1].offset + 1
        for tp in tps:
            await self._note(consumer, tp)
        if self.behind == 0:
            self.caught_up.set()

    async def _check_positions(self, consumer: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> None:
        for tp in tps:
            position = await consumer.position(tp)
            if position != self.frontier[tp.partition]:
                message = (
                    f"offset {self.frontier[tp.partition]} is to be read next, but the client stands at {position}"
                )
                raise LogGapError(message, place=Place(f"{self.topic}/{tp.partition}"))

    def _check_end(self, tp: TopicPartition, end: int) -> None:
        """See whether a new answer's log holds the offset it was asked for: it is the frontier until records are taken.

        Behind these it says nothing: a broker takes the end before it reads, and may then find records beyond it.
        """
        if end < (asked := self.frontier[tp.partition]):
            raise ends_before(asked, end, Place(f"{self.topic}/{tp.partition}"))

    async def _note(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
        """Move the frontier over the broker's own records, and see whether the end is reached or has come nearer."""
        position = await consumer.position(tp)
        end = consumer.highwater(tp)
        self.frontier[tp.partition] = position
        if end is None:
            return
        # An open transaction hides what lies behind the last stable offset from every reader.
        stable = consumer.last_stable_offset(tp)
        visible_end = end if stable is None or stable < 0 else stable
        # The end as a fetch reports it: in its list of offsets the embedded broker gives the last batch its first one.
        self._targets.setdefault(tp.partition, visible_end)
        self._unread[tp.partition] = max(0, visible_end - position)
        if position >= visible_end:
            self._ends.reach(tp.partition)


class _Ends:
    """When each partition was last seen read to its end; of the two looks a moment lies between, always the earlier.

    An answer may lie in the socket of a frozen process for as long as it likes, so its own stamp says nothing about how
    old it is. But it answers a request that was sent after the answer before it had come: that moment counts.
    """

    def __init__(self) -> None:
        self._answers: dict[int, object] = {}
        self._came: dict[int, float] = {}
        self._asked: dict[int, float] = {}
        self._reached: dict[int, float] = {}
        self._looked_at = 0.0
        self._began = 0.0

    def restart(self, now: float) -> None:
        """Begin with a new client, whose requests are all sent after `now`."""
        self._answers, self._came, self._asked = {}, {}, {}
        self._looked_at = self._began = now

    def look(self, answers: Mapping[int, object], now: float) -> set[int]:
        """Take the stamp of the broker's last answer for each partition, and return those where it is a new one.

        A new stamp came after the look before.
        """
        new = {each for each, stamp in answers.items() if stamp is not None and stamp != self._answers.get(each)}
        for partition in new:
            self._answers[partition] = answers[partition]
            self._asked[partition] = self._came.get(partition, self._began)
            self._came[partition] = self._looked_at
        self._looked_at = now
        return new

    def reach(self, partition: int) -> None:
        """Note that a partition is read to the end its last answer told of."""
        if partition in self._asked:
            self._reached[partition] = self._asked[partition]

    def oldest(self, partitions: frozenset[int]) -> float | None:
        """Return the oldest time over the partitions; None when one of them was never read to an end."""
        if not partitions or not partitions <= self._reached.keys():
            return None
        return min(self._reached[partition] for partition in partitions)
