"""The outbox: records for the broker, each acknowledged before anything that caused it is committed.

Rules:
1. `deliver` returns only when the broker has acknowledged every record; it tries again, for ever, what was not taken.
2. A record that can never be taken (too large, not allowed) is a configuration error: the worker stops, nothing is
   lost.
3. The producer never keeps more than one batch a partition in flight, so that retries keep the order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

from streams.errors import ConfigurationError, Place

FIRST_BACKOFF_SECONDS = 0.2
LAST_BACKOFF_SECONDS = 5.0
HOPELESS = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.InvalidTopicError,
)

log = structlog.get_logger(__name__)


class Outgoing(NamedTuple):
    """One record to be written: where, under which key, what, with which headers."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Outbox:
    """Writes records through one producer; `wait` is how it pauses between tries (seconds)."""

    def __init__(self, producer: AIOKafkaProducer, *, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._producer = producer
        self._wait = wait

    async def start(self) -> None:
        """Connect, waiting for the broker as long as it takes."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                await self._producer.start()
            except kafka_errors.KafkaConnectionError:
                log.warning("broker_not_reached", retry_in_seconds=backoff)
                await self._wait(backoff)
                backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
            else:
                return

    async def stop(self) -> None:
        """Let go of the producer; what was not acknowledged was not committed either."""
        await self._producer.stop()

    async def deliver(self, records: Sequence[Outgoing]) -> None:
        """Write `records`; returns when all are acknowledged, raises ConfigurationError where one never can be."""
        open_records = list(records)
        backoff = FIRST_BACKOFF_SECONDS
        while open_records:
            answers = await asyncio.gather(*(self._send(record) for record in open_records))
            failed = [(record, error) for record, error in zip(open_records, answers, strict=True) if error is not None]
            if not failed:
                return
            for record, error in failed:
                if isinstance(error, HOPELESS):
                    raise ConfigurationError(
                        f"the broker refuses a record for ever: {type(error).__name__}", place=Place(record.topic)
                    )
            log.warning(
                "delivery_failed", records=len(failed), error=type(failed[0][1]).__name__, retry_in_seconds=backoff
            )
            await self._wait(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
            open_records = [record for record, _ in failed]

    async def _send(self, record: Outgoing) -> kafka_errors.KafkaError | None:
        """None when the broker acknowledged the record, else why not."""
        try:
            acknowledged = await self._producer.send(
                record.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )
            await acknowledged
        except kafka_errors.KafkaError as error:
            return error
        return None
