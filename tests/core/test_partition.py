"""The partition of a key is the one that Kafka's Java clients choose, for one key and for a column of keys."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as reference

from streams.core.partition import FEW, murmur2, partition_of, partitions_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
KEYS = st.lists(TEXTS | st.none(), max_size=12)
COUNTS = st.sampled_from([1, 2, 3, 4, 12, 100, 1_000_003])


@given(st.binary(max_size=80))
def test_the_hash_equals_that_of_another_client(key: bytes) -> None:
    assert murmur2(key) == reference(key) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "hashed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"", 275646681)],
)
def test_the_hash_equals_what_java_gives(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


@pytest.mark.parametrize("times", [1, FEW], ids=["few", "many"])
@given(KEYS, COUNTS)
def test_a_column_of_keys_gives_what_each_key_gives(times: int, keys: list[str | None], partitions: int) -> None:
    column = pl.Series("key", keys * times, dtype=pl.String)
    expected = [None if key is None else (reference(key.encode()) & 0x7FFFFFFF) % partitions for key in keys]
    found = partitions_of(column, partitions)
    assert found.to_list() == expected * times
    assert found.dtype == pl.UInt32
    assert found.name == "key"
    assert [None if key is None else partition_of(key, partitions) for key in keys] == expected


@pytest.mark.parametrize("times", [1, FEW], ids=["few", "many"])
@pytest.mark.parametrize(
    "keys", [[], [None], [None, None], ["", None], ["é", "\U0001f600", "ab\0", "ab"], ["abcd"] * 3]
)
def test_a_column_of_odd_keys_gives_what_each_key_gives(times: int, keys: list[str | None]) -> None:
    found = partitions_of(pl.Series("key", keys * times, dtype=pl.String), 7)
    assert found.to_list() == [None if key is None else partition_of(key, 7) for key in keys] * times
    assert found.dtype == pl.UInt32
