"""The partition of a key: Kafka's murmur2, as Java clients compute it, for one key and for a column of keys.

Rules:
1. The key decides, not the producer's choice: librdkafka's default is CRC32, cameras key by camera.
2. The column form gives what the scalar form gives; it exists because a hundred thousand keys a second pass through.
   It takes five milliseconds for one key and for a thousand, so fewer than `FEW` are hashed one by one.
"""

from __future__ import annotations

import polars as pl

from streams.core.constant import constant

SEED = 0x9747B28C
M = 0x5BD1E995
MASK = 0xFFFFFFFF
FEW = 500


def murmur2(key: bytes) -> int:
    """Kafka's 32-bit murmur2 hash of `key`, unsigned."""
    length = len(key)
    h = SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(key[start : start + 4], "little") * M & MASK
        k = (k ^ k >> 24) * M & MASK
        h = (h * M & MASK) ^ k
    if tail := key[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """The partition, of `partitions`, on which records of `key` belong."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def partitions_of(keys: pl.Series, partitions: int) -> pl.Series:
    """`partition_of` for a column of text keys, as UInt32; a null key gives a null."""
    if len(keys) < FEW:
        found = [None if key is None else partition_of(key, partitions) for key in keys.to_list()]
        return pl.Series(keys.name, found, dtype=pl.UInt32)
    return _by_columns(keys, partitions)


def _by_columns(keys: pl.Series, partitions: int) -> pl.Series:
    sizes = keys.str.len_bytes()
    groups = [_partitions(keys, sizes, size, partitions) for size in sizes.drop_nulls().unique(maintain_order=True)]
    if len(groups) == 1:
        return groups[0].alias(keys.name)
    found = pl.select(pl.coalesce(*groups)).to_series() if groups else pl.repeat(None, len(keys), eager=True)
    return found.cast(pl.UInt32).alias(keys.name)


def _partitions(keys: pl.Series, sizes: pl.Series, size: int, partitions: int) -> pl.Series:
    """The partitions of the keys of `size` bytes, null for all others; 64-bit products are cut to 32 bits."""
    data = (keys + "\0\0\0").cast(pl.Binary).set(sizes != size, None)
    h = constant(SEED ^ size, len(keys), pl.UInt64)
    whole = size & ~3
    for start in range(0, whole, 4):
        k = _word(data, start) * M & MASK
        k = (k ^ k // 2**24) * M & MASK
        h = (h * M & MASK) ^ k
    if size > whole:
        h = (h ^ _word(data, whole)) * M & MASK
    h = (h ^ h // 2**13) * M & MASK
    hashed = (h ^ h // 2**15) & 0x7FFFFFFF
    return (hashed % partitions).cast(pl.UInt32).set(data.is_null(), None)


def _word(data: pl.Series, start: int) -> pl.Series:
    """Four bytes from `start`, little-endian; beyond the key stand the zeros that were appended."""
    return data.bin.slice(start, 4).bin.reinterpret(dtype=pl.UInt32, endianness="little").cast(pl.UInt64)
