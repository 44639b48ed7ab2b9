"""Repeats: of several records of one event the one that counts, whatever their order and in whatever pieces they lie.

Rules:
1. An event is its controller and its id. The highest version counts; lower ones are superseded.
2. Of one version with one content the rest are duplicates and change nothing.
3. One version with two contents is a conflict: one record stands for it, the same whatever the order, and its verdicts
   are undetermined.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import polars as pl

from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS

ID = ("controller_id", "event_id")
SAID = tuple(dict.fromkeys([*MATCH_COLUMNS, *ENCOUNTER_COLUMNS]))
KEPT, DUPLICATE, SUPERSEDED, CONFLICT = "kept", "duplicates", "superseded", "conflicting"


class Settled(NamedTuple):
    """The records that count, and how many of the others there were, by their fate."""

    frame: pl.DataFrame
    """The records that count, with the column `conflicting`."""
    lost: Counter[str]


def ids(frame: pl.DataFrame) -> pl.Series:
    """A hash of the event of each row: equal for one event, and hardly ever for two."""
    return frame.select(pl.col("event_id").hash(1) + pl.col("controller_id").hash(2)).to_series().alias("id")


def repeated(frame: pl.DataFrame) -> bool:
    """Whether some event may be there twice."""
    hashes = np.sort(ids(frame).to_numpy())  # two thirds of the time that counting them takes
    return bool((hashes[1:] == hashes[:-1]).any())


def candidates(frame: pl.DataFrame) -> pl.DataFrame:
    """What decides over repeats: `row`, event, version, content and whether it is in conflict already."""
    said = pl.struct(name for name in SAID if name in frame.columns).struct.json_encode()
    conflicting = pl.col("conflicting") if "conflicting" in frame.columns else pl.lit(value=False)
    return frame.with_row_index("row").select(
        "row", *ID, "event_version", said.alias("content"), conflicting.alias("conflicting")
    )


def fates(rows: pl.DataFrame) -> pl.DataFrame:
    """Candidates, wherever they come from, with the `fate` of each; of each event one is kept."""
    newest = pl.col("event_version") == pl.col("event_version").max().over(ID)
    contents = pl.col("content").filter(newest).n_unique().over(ID)
    torn = (contents > 1) | (newest & pl.col("conflicting")).any().over(ID)
    ordered = rows.sort(*ID, "event_version", "content", descending=[False, False, True, False], maintain_order=True)
    place = pl.int_range(pl.len()).over(ID)
    again = pl.col("content") == pl.col("content").shift(1).over(ID)
    fate = (
        pl.when(~newest)
        .then(pl.lit(SUPERSEDED))
        .when(place == 0)
        .then(pl.lit(KEPT))
        .when(again)
        .then(pl.lit(DUPLICATE))
        .otherwise(pl.lit(CONFLICT))
    )
    return ordered.with_columns(fate.alias("fate"), torn.alias("conflicting"))


def settle(frame: pl.DataFrame) -> Settled:
    """The records of one piece that count; `frame` has every column of the contract."""
    if not repeated(frame):
        return all_count(frame)
    told = fates(candidates(frame)).sort("row")
    kept = told["fate"] == KEPT
    lost = Counter({fate: count for fate, count in told["fate"].value_counts().iter_rows() if fate != KEPT})
    return Settled(frame.with_columns(told["conflicting"]).filter(kept), lost)


def all_count(frame: pl.DataFrame) -> Settled:
    """The records of a piece in which no event is there twice."""
    return Settled(frame.with_columns(conflicting=pl.lit(value=False)), Counter())
