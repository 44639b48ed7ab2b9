"""Records whose headers have odd names are read like all others."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.live.header_names import FetchedRecords

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
ODD = b"\xff\xfe\xfd"
"""As long as the name it replaces in the bytes of a batch, and no UTF-8."""


def batch(*, codec: str = "none", name: str = "abc", records: int = 3) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=CODECS[codec], is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1_000_000,
    )  # fmt: skip
    for offset in range(records):
        key = None if offset == 1 else b"key-%d" % offset
        builder.append(offset, 1_000 + offset, key, b"value-%d" % offset, [(name, b"1"), ("none", None)])
    return bytes(builder.build())


def read(records: Any) -> list[tuple[Any, ...]]:
    found = []
    while records.has_next():
        found += [
            (each.offset, each.timestamp, each.timestamp_type, each.key, each.value, tuple(each.headers))
            for each in records.next_batch()
        ]
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_usual_records_are_what_the_client_reads_whatever_the_codec(codec: str) -> None:
    raw = batch(codec=codec) + batch(codec=codec)
    assert read(FetchedRecords(raw)) == read(MemoryRecords(raw))
    assert len(read(FetchedRecords(raw))) == 6


def test_the_client_itself_breaks_off_at_an_odd_name() -> None:
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords(batch().replace(b"abc", ODD)))


def test_records_with_an_odd_header_name_lose_nothing_but_that_name() -> None:
    usual = read(MemoryRecords(batch()))
    odd = read(FetchedRecords(batch().replace(b"abc", ODD)))
    assert [record[:5] for record in odd] == [record[:5] for record in usual]
    assert [record[5] for record in odd] == [(("\ufffd" * 3, b"1"), ("none", None))] * 3


def test_only_one_odd_name_among_many_records_moves_no_other_record() -> None:
    usual = read(MemoryRecords(batch(records=50)))
    odd = read(FetchedRecords(batch(records=50).replace(b"abc", ODD, 1)))
    assert [record[:5] for record in odd] == [record[:5] for record in usual]
    assert [record[5] for record in odd[1:]] == [record[5] for record in usual[1:]]


def test_batches_before_and_behind_an_odd_one_are_read() -> None:
    raw = batch() + batch().replace(b"abc", ODD) + batch()
    assert [record[4] for record in read(FetchedRecords(raw))] == [b"value-0", b"value-1", b"value-2"] * 3


def test_what_the_client_knows_of_a_batch_is_still_known() -> None:
    ours, theirs = FetchedRecords(batch()).next_batch(), MemoryRecords(batch()).next_batch()
    for name in (
        "base_offset",
        "next_offset",
        "is_control_batch",
        "is_transactional",
        "producer_id",
        "compression_type",
    ):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.validate_crc()
    assert not FetchedRecords(batch().replace(b"abc", ODD)).next_batch().validate_crc()
