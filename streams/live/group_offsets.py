"""The offsets of a consumer group without members: how far a log was told, kept by the broker.

Rules:
1. Only one process commits; what it commits is the next offset of a partition, never of one that it has not finished.
2. A broker that is away is asked again, for ever; one that refuses is a ConfigurationError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors

from streams.errors import Place
from streams.live.log_fault import fault_of

FIRST_BACKOFF_SECONDS = 0.2
LAST_BACKOFF_SECONDS = 5.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class GroupOffsets:
    """What `group` has committed of the `partitions` of `topic`."""

    def __init__(self, topic: str, *, group: str, brokers: Sequence[str], partitions: int) -> None:
        self._tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._place = Place(topic)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=list(brokers), group_id=group, enable_auto_commit=False, auto_offset_reset="none"
        )

    async def start(self) -> None:
        """Connect; nothing is fetched through this client."""
        await self._patiently(self._consumer.start)
        self._consumer.assign(self._tps)
        self._consumer.pause(*self._tps)

    async def stop(self) -> None:
        """Let go of the client."""
        await self._consumer.stop()

    async def committed(self) -> dict[int, int]:
        """The next offset of each partition of which something was committed."""

        async def ask() -> dict[int, int]:
            found = {tp.partition: await self._consumer.committed(tp) for tp in self._tps}
            return {partition: offset for partition, offset in found.items() if offset is not None}

        return await self._patiently(ask)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition."""
        topic = self._tps[0].topic
        wanted = {TopicPartition(topic, partition): offset for partition, offset in offsets.items()}
        await self._patiently(lambda: self._consumer.commit(wanted))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                return await call()
            except kafka_errors.KafkaError as error:
                fault = fault_of(error, self._place)
                if not fault.retry:
                    raise fault from error
                log.warning("offsets_again", message=str(fault), retry_in_seconds=backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
