"""The follower: reads the violations topic from its beginning, without a group, as any consumer of ours would.

Rules:
1. It commits nothing and owns nothing; it may be started again at any time and sees everything again.
2. A message that is no violation of the contract is a bug of the monitor and ends the follower loudly.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from schemas.verdict import VIOLATION, Violation
from streams.errors import DeliveryError, Place
from streams.simulator.topic_shape import partition_counts

PATIENCE_MS = 30_000
RECORDS_MAX = 5_000


class Follower:
    """A consumer of every partition of one topic of violations."""

    def __init__(self, brokers: Sequence[str], topic: str) -> None:
        """Connect to brokers (`host:port`).

        Raises DeliveryError where none answers and ConfigurationError where the topic is not there.
        """
        from kafka import KafkaConsumer, TopicPartition
        from kafka.errors import KafkaError

        self._kafka_error: type[Exception] = KafkaError
        self._topic = topic
        count = partition_counts(brokers, [topic])[topic]
        self._partitions = [TopicPartition(topic, partition) for partition in range(count)]
        try:
            self._consumer: Any = KafkaConsumer(
                bootstrap_servers=list(brokers),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                # Checksums in Python cost more than reading; the connection is a local one.
                check_crcs=False,
                bootstrap_timeout_ms=PATIENCE_MS,
            )
            self._consumer.assign(self._partitions)
            self._consumer.seek_to_beginning(*self._partitions)
        except KafkaError as error:
            raise self._failure(error) from None

    def read(self, *, timeout_ms: int = 0) -> list[Violation]:
        """What is new, in the order of each partition."""
        try:
            fetched = self._consumer.poll(timeout_ms=timeout_ms, max_records=RECORDS_MAX)
        except self._kafka_error as error:
            raise self._failure(error) from None
        return [VIOLATION.read(record.value) for records in fetched.values() for record in records]

    def at_end(self) -> bool:
        """Whether everything that was on the topic a moment ago has been read."""
        try:
            ends = self._consumer.end_offsets(self._partitions)
            return all(self._consumer.position(partition) >= end for partition, end in ends.items())
        except self._kafka_error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Let the broker go."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failure(self, error: Exception) -> DeliveryError:
        return DeliveryError(f"cannot be read: {type(error).__name__}", place=Place(self._topic))
