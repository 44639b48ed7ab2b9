"""A run: the records fetched from one partition, in log order, handed to the pipeline as one message.

Rules:
1. Runs of one partition and generation tile its log: each begins where the one before ended.
2. A run belongs to one generation of the consumer group; nothing of an old generation may be emitted or committed.
3. An offset inside a run that carries no record is one of the broker's own (a transaction marker, an aborted or a
   compacted record); `holes` counts them. It is never a record that was fetched and lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from faust.types import TP

from streams.errors import ConfigurationError, ConsentinelError


class LogRecord(Protocol):
    """A record as the Kafka client delivers it; the timestamp is in milliseconds since 1970, type 1 is append time."""

    @property
    def offset(self) -> int:
        """The place of the record in its partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970, UTC."""

    @property
    def timestamp_type(self) -> int:
        """0: set by the producer, 1: the broker's append time."""

    @property
    def key(self) -> bytes | None:
        """The key, or None."""

    @property
    def value(self) -> bytes | None:
        """The value; None is a tombstone, empty bytes are a value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """The headers, in order."""


@dataclass(frozen=True, slots=True)
class Run:
    """The records of `topic`/`partition` in `[first_offset, next_offset)`; never empty."""

    topic: str
    partition: int
    records: Sequence[LogRecord]
    first_offset: int
    next_offset: int
    size_bytes: int
    generation: int

    @property
    def tp(self) -> TP:
        """The partition as Faust names it."""
        return TP(self.topic, self.partition)

    @property
    def holes(self) -> int:
        """How many offsets of the run carry no record."""
        return self.next_offset - self.first_offset - len(self.records)


def joined(runs: Sequence[Run]) -> Run:
    """Return as one run what some runs of one partition and generation hold, each of which begins where one ended."""
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return first
    assert all(one.next_offset == after.first_offset for one, after in pairwise(runs)), "runs tile their log"
    records = [record for run in runs for record in run.records]
    size = sum(run.size_bytes for run in runs)
    return Run(first.topic, first.partition, records, first.first_offset, last.next_offset, size, first.generation)


def weight(records: Sequence[LogRecord]) -> int:
    """Return the bytes of keys, values and headers of some records."""
    total = 0
    for record in records:
        total += len(record.key or b"") + len(record.value or b"")
        if record.headers:
            total += sum(len(name) + len(value or b"") for name, value in record.headers)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What the transport needs to know of its app.

    `topics` are handed over in runs; every other topic passes as Faust passes it. `max_runs` and `max_bytes` bound what
    is handed over and not yet released, a partition; the byte bound may be passed by one fetch. `on_failure` is called
    once, on the main loop, when the log cannot be trusted any more; after it the transport neither delivers nor
    commits. It should end the process without a further commit.
    """

    topics: frozenset[str]
    on_failure: Callable[[ConsentinelError], None]
    max_runs: int = 4
    max_bytes: int = 32 * 1024 * 1024
    fetch_wait_seconds: float = 0.25

    def __post_init__(self) -> None:
        if not self.topics:
            raise ConfigurationError("a transport in runs needs at least one topic")
        if self.max_runs < 1 or self.max_bytes < 1 or self.fetch_wait_seconds <= 0:
            raise ConfigurationError("max_runs, max_bytes and fetch_wait_seconds must be positive")


def settings_of(app: Any) -> RunSettings:
    """Return the settings an app carries as `runs`; raises ConfigurationError when it carries none."""
    settings = getattr(app, "runs", None)
    if not isinstance(settings, RunSettings):
        raise ConfigurationError("the scheme runs:// needs an app of the class RunApp")
    return settings
