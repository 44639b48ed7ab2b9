"""Header names that are no UTF-8: a stand-in for the client's reader of fetched bytes that gets past them.

Rules:
1. A record counts for its key and its value. The client breaks off at a header name it cannot decode, at every fetch
   again, so one record of a careless producer would stop a partition for ever.
2. Only a batch with such a name is read again, slowly; its odd bytes come as U+FFFD, and nothing else changes.

It leans on the inside of aiokafka 0.14, which is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint


def read_every_header_name() -> None:
    """Let every consumer of this process read records whatever their headers are called; may be called twice."""
    fetcher.MemoryRecords = FetchedRecords


class FetchedRecords(_MemoryRecordsPy):  # type: ignore[misc]  # the client ships no types
    """The batches of one answer to a fetch."""

    def next_batch(self) -> Any:
        """Return the next batch; None after the last."""
        raw = self._next_slice
        batch = super().next_batch()
        return FetchedBatch(batch, raw) if isinstance(batch, DefaultRecordBatch) else batch


class FetchedBatch:
    """One batch: the client's own in everything, but for what happens at a header name that is no UTF-8."""

    __slots__ = ("_batch", "_raw")

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            # The error holds bytes of the record, so it is neither chained nor logged.
            pass
        return iter(list(_OddBatch(self._raw)))


class _OddBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # the client ships no types
    """The client's slow reader of a batch, with another way to read a record's headers."""

    _pos: int

    def _read_msg(self, decode_varint: Any = decode_varint) -> _DefaultRecordPy:
        buffer, (length, start) = self._buffer, decode_varint(self._buffer, self._pos)
        _attributes, at = decode_varint(buffer, start)
        since_first, at = decode_varint(buffer, at)
        offset_delta, at = decode_varint(buffer, at)
        key, at = _bytes(buffer, at)
        value, at = _bytes(buffer, at)
        count, at = decode_varint(buffer, at)
        headers: list[tuple[str, bytes | None]] = []
        for _ in range(count):
            name, at = _bytes(buffer, at)
            content, at = _bytes(buffer, at)
            headers.append(((name or b"").decode(errors="replace"), content))
        if at - start != length or count < 0:
            raise CorruptRecordException("a record is not as long as it says")
        self._pos = at
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        timestamp = self.max_timestamp if appended else self.first_timestamp + since_first
        return _DefaultRecordPy(self.base_offset + offset_delta, timestamp, self.timestamp_type, key, value, headers)


def _bytes(buffer: Any, at: int) -> tuple[bytes | None, int]:
    """The bytes behind their length, None where that is negative, and where they end."""
    length, at = decode_varint(buffer, at)
    return (None, at) if length < 0 else (bytes(buffer[at : at + length]), at + length)
