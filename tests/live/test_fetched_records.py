"""Records as they were fetched are those that the client would have made, and move it as far."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, ConsumerRecord
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.live.fetched_records import AS_FETCHED, PartitionRecords
from streams.live.header_names import FetchedRecords

CLIENTS_OWN = fetcher.PartitionRecords.__mro__[-2]
"""The class of the client, also where this process has put another in its place."""


def batch(first: int, count: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1_000_000,
    )  # fmt: skip
    for offset in range(count):
        key = None if offset == 1 else b"key-%d" % offset
        builder.append(offset, 1_000 + offset, key, b"value-%d" % (first + offset), [("name", b"1")])
    found = builder.build()
    found[0:8] = first.to_bytes(8, "big")
    return bytes(found)


def partition(kind: Any, raw: bytes, *, start: int, wanted: Any) -> Any:
    return kind(TopicPartition("t", 0), FetchedRecords(raw), [], start, None, wanted, True, READ_COMMITTED)


def said(record: Any) -> tuple[Any, ...]:
    return (
        record.offset, record.timestamp, record.timestamp_type, record.key, record.value, tuple(record.headers)
    )  # fmt: skip


@pytest.mark.parametrize("start", [0, 2])
def test_records_as_fetched_say_what_the_clients_say_and_move_it_as_far(start: int) -> None:
    raw = batch(0, 3) + batch(3, 4)
    usual = partition(CLIENTS_OWN, raw, start=start, wanted=None)
    fetched = partition(PartitionRecords, raw, start=start, wanted=AS_FETCHED)
    found = [said(each) for each in fetched]
    assert found == [said(each) for each in usual]
    assert len(found) == 7 - start
    assert usual.next_fetch_offset == fetched.next_fetch_offset == 7


def test_whoever_does_not_ask_is_given_the_clients_records() -> None:
    fetched = list(partition(PartitionRecords, batch(0, 3), start=0, wanted=None))
    assert all(isinstance(each, ConsumerRecord) for each in fetched)
    assert fetched == list(partition(CLIENTS_OWN, batch(0, 3), start=0, wanted=None))


def test_a_broken_batch_breaks_off_as_the_client_does() -> None:
    raw = batch(0, 3) + batch(3, 4)[:-1] + b"?"
    fetched = partition(PartitionRecords, raw, start=0, wanted=AS_FETCHED)
    assert [next(fetched).offset for _ in range(3)] == [0, 1, 2]
    with pytest.raises(CorruptRecordException):
        next(fetched)
    assert fetched.next_fetch_offset == 3
