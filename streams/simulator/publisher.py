"""The publisher: writes a simulated run to the topics of a broker, as the gateways of a real estate would.

Rules:
1. Keys are those of the contracts, partitions are murmur2(key), written out, so that no producer's default decides; a
   misplaced record goes to the next partition on purpose.
2. A step is acknowledged by the broker before the next one is written: a heartbeat never vouches for a record that is
   still on its way.
3. The wall clock paces, it decides nothing: a broker that is slow makes the world late, not different.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from schemas.encounter import Encounter
from schemas.match import MatchEvent
from schemas.topics import TopicName
from streams.core.partition import partition_of
from streams.errors import DeliveryError, Place
from streams.simulator.simulation import Opening, Step
from streams.simulator.topic_shape import partition_counts

PATIENCE_SECONDS = 30.0
LINGER_MS = 10
BATCH_BYTES = 256 * 1024
OPENING_SLICE = 2_000
"""Records of the opening on their way at most."""
KNOWN_KEYS_MAX = 200_000
WRITTEN = (TopicName.REGISTRY, TopicName.SUBJECTS, TopicName.MATCHES, TopicName.ENCOUNTERS)


class Keyed(Protocol):
    """A message that knows its key and its line."""

    @property
    def key(self) -> str:
        """The key on its topic."""

    def to_json(self) -> bytes:
        """The message as JSON."""


class Publisher:
    """A producer for the topics of one prefix; `sent` counts acknowledged messages by topic."""

    def __init__(self, brokers: Sequence[str], prefix: str) -> None:
        """Connect to brokers (`host:port`).

        Raises DeliveryError where none answers and ConfigurationError where a topic is not there.
        """
        # Late, because writing files needs no client and the import costs a quarter of a second.
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        self._kafka_error: type[Exception] = KafkaError
        self._prefix = prefix
        self._unsettled: list[tuple[TopicName, Any]] = []
        self._homes: dict[tuple[str, int], int] = {}
        self.sent: Counter[TopicName] = Counter()
        names = {topic: f"{prefix}{topic}" for topic in WRITTEN}
        counts = partition_counts(brokers, list(names.values()), patience_seconds=PATIENCE_SECONDS)
        self._partitions = {topic: counts[name] for topic, name in names.items()}
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=list(brokers),
                acks="all",
                linger_ms=LINGER_MS,
                # kafka-python checksums in Python, 0.2 microseconds a byte: fewer bytes halve the cost of a message.
                compression_type="gzip",
                batch_size=BATCH_BYTES,
                allow_auto_create_topics=False,
                max_block_ms=int(PATIENCE_SECONDS * 1000),
                bootstrap_timeout_ms=int(PATIENCE_SECONDS * 1000),
            )
        except KafkaError as error:
            raise DeliveryError(f"no broker answers: {type(error).__name__}") from None

    def publish_opening(self, opening: Opening) -> None:
        """Write what is on record before anything happens, and then the first heartbeats."""
        for topic, records in ((TopicName.REGISTRY, opening.registry), (TopicName.SUBJECTS, opening.subjects)):
            for first in range(0, len(records), OPENING_SLICE):
                self._send(topic, records[first : first + OPENING_SLICE])
                self.settle()
        self._send(TopicName.REGISTRY, opening.heartbeats)
        self.settle()

    def publish(self, step: Step) -> None:
        """Write one step and wait until it is acknowledged."""
        self._send(TopicName.SUBJECTS, step.subjects)
        self._send(TopicName.SUBJECTS, step.misplaced, displacement=1)
        self._send(TopicName.REGISTRY, step.heartbeats)
        self._send(TopicName.MATCHES, (event for event in step.events if isinstance(event, MatchEvent)))
        self._send(TopicName.ENCOUNTERS, (event for event in step.events if isinstance(event, Encounter)))
        self.settle()

    def settle(self) -> None:
        """Wait for every acknowledgement; raises DeliveryError for what did not arrive."""
        unsettled, self._unsettled = self._unsettled, []
        try:
            self._producer.flush(timeout=PATIENCE_SECONDS)
        except self._kafka_error as error:
            raise DeliveryError(f"the broker did not acknowledge in time: {type(error).__name__}") from None
        lost = 0
        for topic, future in unsettled:
            if future.succeeded():
                self.sent[topic] += 1
            else:
                lost += 1
        if lost:
            raise DeliveryError(f"{lost} of {len(unsettled)} messages were not acknowledged")

    def close(self) -> None:
        """Let the broker go."""
        self._producer.close(timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, topic: TopicName, messages: Iterable[Keyed], *, displacement: int = 0) -> None:
        name = f"{self._prefix}{topic}"
        count = self._partitions[topic]
        try:
            for message in messages:
                key = message.key
                partition = (self._home(key, count) + displacement) % count
                future = self._producer.send(name, key=key.encode(), value=message.to_json(), partition=partition)
                self._unsettled.append((topic, future))
        except self._kafka_error as error:
            raise DeliveryError(f"not taken: {type(error).__name__}", place=Place(name)) from None

    def _home(self, key: str, count: int) -> int:
        home = self._homes.get((key, count))
        if home is None:
            if len(self._homes) >= KNOWN_KEYS_MAX:
                self._homes.clear()
            home = self._homes[key, count] = partition_of(key, count)
        return home
