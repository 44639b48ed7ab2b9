"""The marks of a piece: a hash and the place of each event it judged, by which repeats in other pieces are found.

Rules:
1. The hashes of a piece lie on the disk in order, so a stretch of them is read without the rest; the hashes of all
   pieces are compared a stretch at a time, and the memory does not grow with the log.
2. The places are looked at only where some hash is there twice, which in most logs is never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

MARKS: Mapping[str, pl.DataType] = {
    "id": pl.UInt64(),
    "partition": pl.Int32(),
    "offset": pl.Int64(),
    "conflicting": pl.Boolean(),
}
SUSPECTS: Mapping[str, pl.DataType] = {**MARKS, "piece": pl.String()}
BUCKETS = 256
"""Into so many stretches the hashes of a piece are cut; a file begins with the number of hashes before each."""
EDGES = np.arange(BUCKETS, dtype=np.uint64) * np.uint64(2**64 // BUCKETS)
TOGETHER = 4_000_000
"""About so many hashes are compared at once, if a bucket of all pieces is not more."""
HASHES, PLACES = "ids.bin", "marks.parquet"
NONE = np.empty(0, np.uint64)


def write_marks(marks: Sequence[pl.DataFrame], folder: Path) -> None:
    """Write the marks of a piece, in the columns of `MARKS`, into its folder."""
    whole = pl.concat([pl.DataFrame(schema=MARKS), *marks])
    whole.write_parquet(folder / PLACES, compression="uncompressed")
    ids = np.sort(whole["id"].to_numpy())
    begins = np.searchsorted(ids, EDGES).astype(np.uint64)
    np.concatenate([begins, np.array([len(ids)], np.uint64), ids]).tofile(folder / HASHES)


def suspects(folders: Mapping[str, Path]) -> pl.DataFrame:
    """The marks of all events whose hash is in more than one place, with the name of their piece."""
    found = [pl.DataFrame(schema=SUSPECTS)]
    twice = _twice([folder / HASHES for folder in folders.values()])
    for name, folder in folders.items() if len(twice) else ():
        held = pl.scan_parquet(folder / PLACES).filter(pl.col("id").is_in(twice.implode())).collect()
        found.append(held.with_columns(piece=pl.lit(name)).select(*SUSPECTS))
    return pl.concat(found)


def _twice(files: Sequence[Path]) -> pl.Series:
    """The hashes that are there twice, in whatever files."""
    begins = [np.fromfile(file, np.uint64, BUCKETS + 1).astype(np.int64) for file in files]
    total = sum(int(each[-1]) for each in begins)
    step = max(BUCKETS * TOGETHER // max(total, 1), 1)
    found = [NONE]
    for low, high in pairwise([*range(0, BUCKETS, step), BUCKETS]):
        parts = [_hashes(file, int(each[low]), int(each[high])) for file, each in zip(files, begins, strict=True)]
        whole = np.sort(np.concatenate([NONE, *parts]))
        found.append(np.unique(whole[1:][whole[1:] == whole[:-1]]))
    return pl.Series(np.concatenate(found), dtype=pl.UInt64)


def _hashes(file: Path, first: int, after: int) -> np.typing.NDArray[np.uint64]:
    return np.fromfile(file, np.uint64, after - first, offset=8 * (BUCKETS + 1 + first))
