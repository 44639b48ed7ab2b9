"""Where match events go: a file of lines, or the match topic.

Rules:
1. `flush` returns when everything written is delivered, and raises when one record is not.
2. On the topic the key is the key of the event and the partition is murmur2(key), as Java producers choose it: the
   worker forwards what lies elsewhere, but need not.
3. A sink makes no topic: one that a producer made by mistake has the wrong number of partitions for ever.
4. What is not yet acknowledged is bounded in number: kafka-python 3 itself has no bound on its memory.
"""

from __future__ import annotations

import contextlib
import errno
from time import monotonic, sleep
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from schemas.match import MatchEvent
from streams.errors import ConfigurationError, DeliveryError, Place

UNSETTLED_MAX = 10_000
"""Records on their way at most; at 500 bytes each, about 5 MB."""


class Sink(Protocol):
    """Takes match events and says when they are safe."""

    def write(self, event: MatchEvent) -> None:
        """Take one event; it may still be on its way when this returns."""
        ...

    def flush(self) -> None:
        """Wait until every event written so far is delivered, or raise a typed error."""
        ...


class NdjsonSink:
    """One event a line, as the contract writes it, into an open binary file."""

    def __init__(self, file: BinaryIO, *, name: str = "output") -> None:
        self._file = file
        self._name = name

    def write(self, event: MatchEvent) -> None:
        """Append the event as one line."""
        try:
            self._file.write(event.to_json() + b"\n")
        except OSError as error:
            raise self._refusal(error) from None

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: OSError) -> ConfigurationError:
        reason = errno.errorcode.get(error.errno or 0, "an unknown error")
        return ConfigurationError(f"cannot be written: {reason}", place=Place(self._name))


class KafkaSink:
    """Events on a topic, acknowledged by all replicas; close it, or use it in a `with` statement."""

    def __init__(self, bootstrap_servers: str, topic: str, *, timeout_seconds: float = 30.0) -> None:
        """Connect; no broker is a `DeliveryError`, a broker without the topic a `ConfigurationError`."""
        # Late, because NDJSON needs no client and the import costs a quarter of a second.
        from kafka import KafkaProducer
        from kafka.errors import KafkaError
        from kafka.partitioner import DefaultPartitioner

        self._topic = topic
        self._timeout_seconds = timeout_seconds
        self._kafka_error: type[Exception] = KafkaError
        self._unsettled: list[Any] = []
        servers, timeout_ms = bootstrap_servers.split(","), int(timeout_seconds * 1000)
        try:
            _require_topic(servers, topic, timeout_ms)
            self._producer = KafkaProducer(
                bootstrap_servers=servers,
                acks="all",
                partitioner=DefaultPartitioner(),
                allow_auto_create_topics=False,
                linger_ms=20,
                bootstrap_timeout_ms=timeout_ms,
                max_block_ms=timeout_ms,
                delivery_timeout_ms=timeout_ms,
                request_timeout_ms=max(1, timeout_ms // 2),
            )
        except KafkaError as error:
            raise DeliveryError(f"no broker answers: {type(error).__name__}", place=Place(topic)) from None
        except ValueError:
            raise ConfigurationError("expected brokers as host:port, several with commas", place=Place(topic)) from None

    def write(self, event: MatchEvent) -> None:
        """Put one event on its way to the partition of its key."""
        try:
            self._unsettled.append(self._producer.send(self._topic, key=event.key.encode(), value=event.to_json()))
        except self._kafka_error as error:
            raise DeliveryError(f"not taken: {type(error).__name__}", place=Place(self._topic)) from None
        if len(self._unsettled) >= UNSETTLED_MAX:
            self.flush()

    def flush(self) -> None:
        """Wait for every acknowledgement; one that failed or did not come is a `DeliveryError`."""
        sent, self._unsettled = self._unsettled, []
        # What is not acknowledged in time is counted below, record by record.
        with contextlib.suppress(self._kafka_error):
            self._producer.flush(timeout=self._timeout_seconds)
        lost = [future for future in sent if not future.succeeded()]
        if lost:
            reasons = sorted({type(future.exception).__name__ if future.exception else "no answer" for future in lost})
            text = f"{len(lost)} of {len(sent)} records are not acknowledged: {', '.join(reasons)}"
            raise DeliveryError(text, place=Place(self._topic))

    def close(self) -> None:
        """Let the broker go; what was not flushed may be lost, so flush first."""
        self._producer.close(timeout=self._timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


UNKNOWN_TOPIC = 3
NEW_TOPIC_SECONDS = 3.0


def _require_topic(servers: list[str], topic: str, timeout_ms: int) -> None:
    """Ask for the topic before a producer does: some brokers make every topic that a producer asks for."""
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=servers, bootstrap_timeout_ms=timeout_ms, request_timeout_ms=timeout_ms)
    try:
        described = admin.describe_topics([topic])
        # A topic made a moment ago is not known to every broker yet.
        until = monotonic() + NEW_TOPIC_SECONDS
        while described and described[0]["error_code"] == UNKNOWN_TOPIC and monotonic() < until:
            sleep(0.2)
            described = admin.describe_topics([topic])
    finally:
        admin.close()
    if described and described[0]["error_code"] != 0:
        raise ConfigurationError(
            f"the broker has no such topic for us (code {described[0]['error_code']})", place=Place(topic)
        )
