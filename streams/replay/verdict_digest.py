"""The digest of verdicts: SHA-256 over all that are not clear, a JSON array a line, in one order, however they are cut.

Rules:
1. Lines are sorted by the columns of `CANONICAL`, texts by their characters, nulls first.
2. Verdicts are read a stretch of event ids at a time, out of all files, so the memory does not grow with their number;
   lines are made in columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import polars as pl

from streams.core.json_column import json_column

CANONICAL = (
    "event_id",
    "event_version",
    "subject_ref",
    "rule_id",
    "revision",
    "outcome",
    "deciding_records",
    "violation_id",
)
"""What a verdict is, in the order in which verdicts are sorted for their digest; the id tells deadlines apart."""
STRETCH = 200_000
"""About so many verdicts are held at once."""
SAMPLED = 64
"""Of so many verdicts of a file one tells where stretches may end."""
JOINED = "joined records"


def in_order(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Verdicts in the order of their digest."""
    # Lists cannot be sorted; ids hold nothing below U+0001, so joined texts sort as the lists do.
    joined = verdicts.with_columns(pl.col("deciding_records").list.join("\x00").alias(JOINED))
    by = [JOINED if name == "deciding_records" else name for name in CANONICAL]
    return joined.sort(by, nulls_last=False).drop(JOINED)


def verdict_digest(parts: Sequence[Path]) -> tuple[int, str]:
    """How many verdicts the files hold, and the digest of all."""
    digest = hashlib.sha256()
    count = 0
    for verdicts in _stretches(parts):
        count += verdicts.height
        for lines in _lines(in_order(verdicts)).str.join("").drop_nulls():
            digest.update(lines.encode())
    return count, digest.hexdigest()


def _stretches(parts: Sequence[Path]) -> Iterator[pl.DataFrame]:
    """The verdicts of all files, by event id; those without one first."""
    if not parts:
        return
    scanned = [pl.scan_parquet(part).select(CANONICAL) for part in parts]
    named = pl.col("event_id")
    sampled = pl.concat([each.select(named.gather_every(SAMPLED)) for each in scanned]).collect().to_series()
    cuts = sampled.drop_nulls().sort().gather_every(max(STRETCH // SAMPLED, 1)).unique(maintain_order=True).to_list()
    bounds = [None, *cuts[1:], None]
    yield pl.concat([each.filter(named.is_null()) for each in scanned]).collect()
    for low, high in pairwise(bounds):
        within = named.is_not_null() if low is None else named >= low
        within = within if high is None else within & (named < high)
        yield pl.concat([each.filter(within) for each in scanned]).collect()


def _lines(verdicts: pl.DataFrame) -> pl.Series:
    """Each verdict as a line of JSON."""
    told = pl.DataFrame([json_column(verdicts[name]) for name in CANONICAL])
    return told.select(pl.concat_str(pl.lit("["), pl.concat_str(CANONICAL, separator=","), pl.lit("]\n"))).to_series()
