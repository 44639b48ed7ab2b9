"""Repeats: of several records of one event the one that counts, whatever their order and in whatever pieces they lie.

Rules:
1. An event is its controller and its id, and whether it is a match or an encounter, as in the worker, which settles
   each log by itself. The highest version counts; lower ones are superseded.
2. Of one version with one content the rest are duplicates and change nothing.
3. One version with two contents is a conflict: one record stands for it, the same whatever the order, and its verdicts
   are undetermined. It is one within the range, where there is one.
4. Versions are settled before the range is cut: one may move its event into the range, or out of it. Of those that do
   not count only what lies within the range is told.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import polars as pl

from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS

ID = ("encounter", "controller_id", "event_id")
SAID = tuple(dict.fromkeys([*MATCH_COLUMNS, *ENCOUNTER_COLUMNS]))
KEPT, DUPLICATE, SUPERSEDED, CONFLICT = "kept", "duplicates", "superseded", "conflicting"


class Settled(NamedTuple):
    """The records that count, and how many of the others there were, by their fate."""

    frame: pl.DataFrame
    """The records that count, within the range or not, with the column `conflicting`."""
    lost: Counter[str]


def ids(frame: pl.DataFrame) -> pl.Series:
    """A hash of the event of each row: equal for one event, and hardly ever for two."""
    seed = 3 if _of_encounters(frame) else 1
    return frame.select(pl.col("event_id").hash(seed) + pl.col("controller_id").hash(2)).to_series().alias("id")


def _of_encounters(frame: pl.DataFrame) -> bool:
    return "kind" in frame.columns


def repeated(frame: pl.DataFrame) -> bool:
    """Whether some event may be there twice."""
    hashes = np.sort(ids(frame).to_numpy())  # two thirds of the time that counting them takes
    return bool((hashes[1:] == hashes[:-1]).any())


def candidates(frame: pl.DataFrame) -> pl.DataFrame:
    """What decides over repeats: `row`, event, version, range, content and whether it is in conflict already."""
    said = pl.struct(name for name in SAID if name in frame.columns).struct.json_encode()
    conflicting = pl.col("conflicting") if "conflicting" in frame.columns else pl.lit(value=False)
    event = (pl.lit(_of_encounters(frame)).alias("encounter"), "controller_id", "event_id", "event_version", "within")
    return frame.with_row_index("row").select("row", *event, said.alias("content"), conflicting.alias("conflicting"))


def fates(rows: pl.DataFrame) -> pl.DataFrame:
    """Candidates, wherever they come from, with the `fate` of each; of each event one is kept."""
    newest = pl.col("event_version") == pl.col("event_version").max().over(ID)
    contents = pl.col("content").filter(newest).n_unique().over(ID)
    torn = (contents > 1) | (newest & pl.col("conflicting")).any().over(ID)
    by = {**dict.fromkeys(ID, False), "event_version": True, "within": True, "content": False}
    ordered = rows.sort(*by, descending=[*by.values()], maintain_order=True)
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
    """The records of one piece that count; `frame` has every column of the contract, and `within` (the range)."""
    if not repeated(frame):
        return all_count(frame)
    told = fates(candidates(frame)).sort("row")
    kept = told["fate"] == KEPT
    gone = told["fate"].filter(~kept & frame["within"])
    lost = Counter(dict(gone.value_counts().iter_rows()))
    return Settled(frame.with_columns(told["conflicting"]).filter(kept), lost)


def all_count(frame: pl.DataFrame) -> Settled:
    """The records of a piece in which no event is there twice."""
    return Settled(frame.with_columns(conflicting=pl.lit(value=False)), Counter())
