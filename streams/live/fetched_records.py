"""Records as they were fetched: a stand-in for what the client makes of each record of a fetch, which makes nothing.

Rules:
1. A consumer made with `AS_FETCHED` is handed the records of the batch. The client's own ones say the same and their
   place, which who reads a partition knows, and making them takes a third of what it costs to read a log.
2. Which records are handed over, and what the client knows of its place, does not change; nor does any other consumer.

It leans on the inside of aiokafka 0.14, which is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher


def read_as_fetched() -> None:
    """Let consumers of this process ask for records as they were fetched; may be called twice."""
    fetcher.PartitionRecords = PartitionRecords


def AS_FETCHED(value: bytes | None) -> bytes | None:  # noqa: N802 - a constant to whoever names it.
    """Ask for records as they were fetched: given to a consumer as what deserializes its values."""
    return value


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # the client ships no types
    """The records of one partition that a fetch brought."""

    def __iter__(self) -> Iterator[Any]:
        # The client's own steps through the same iterator, with two calls a record.
        return self._records_iterator or iter(())

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return record if self._value_deserializer is AS_FETCHED else super()._consumer_record(tp, record)
