"""The watch over a range: how many events were to be expected of each device, and when it was silent for longer.

Rules:
1. Only a device's record says what to expect (`reports_every_seconds`); where it says nothing, nothing is measured.
2. It is measured from the first event of the range to the last, of whatever device: before and after them the logs may
   just not be there.
3. Silence is told in whole hours of UTC: a device is unwatched in those that make up a silence as long as it promised
   never to keep. A shorter silence, or the rest of one, is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

import polars as pl

from streams.core.instant import SECOND, moment_of
from streams.core.registry import Registry
from streams.core.watch import Promise, promises
from streams.replay.answer import INSTANT, WATCH

HOUR = 3_600 * SECOND
DEVICE = ("controller_id", "device_id")
COUNTS = ("promised_seconds", "expected", "unwatched_seconds")


def watched(registry: Registry, coverage: pl.DataFrame, seen: Collection[int]) -> pl.DataFrame:
    """The table `WATCH` of events that are told by hour in `coverage`; `seen` has the first and the last instant."""
    if not seen:
        return pl.DataFrame(schema=WATCH)
    first, after = min(seen), max(seen) + 1
    heard = coverage.filter(pl.col("judged") + pl.col("rejected") > 0).select("hour", *DEVICE).unique()
    found = [pl.DataFrame(schema=WATCH), *_days(registry, heard, first, after)]
    keys = [name for name in WATCH if name not in COUNTS]
    # A sum of nothing is not zero: nothing was promised.
    sums = [pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in COUNTS]
    return pl.concat(found).group_by(keys).agg(*sums).select(*WATCH).sort(keys)


def _days(registry: Registry, heard: pl.DataFrame, first: int, after: int) -> Iterator[pl.DataFrame]:
    """The days of the stretches over which a device's record says one thing, so many stretches at a time."""
    hours = (after - first) // HOUR + 1
    made = iter(promises(registry, first, after))
    while some := list(islice(made, max(HOURS_MAX // hours, 1))):
        yield _days_of(some, heard)


HOURS_MAX = 500_000
"""Hours of devices that are held at once."""
STRETCH: Mapping[str, pl.DataType] = {
    "stretch": pl.UInt32(),
    **{name: pl.String() for name in (*DEVICE, "site_id")},
    "every": pl.Float64(),
    **{name: pl.Int64() for name in ("since", "until")},
    **dict.fromkeys(("begin", "end"), INSTANT),
}


def _days_of(some: Sequence[Promise], heard: pl.DataFrame) -> pl.DataFrame:
    """By stretch and day, for how long a device had to report, how often at least, and for how long it did not."""
    rows = [
        (number, each.post.controller_id, each.post.device_id, each.post.site_id, each.post.every_seconds, each.since,
         each.until, moment_of(each.since - each.since % HOUR), moment_of(each.until - 1))
        for number, each in enumerate(some)
    ]  # fmt: skip
    stretches = pl.DataFrame(rows, schema=STRETCH, orient="row")
    hours = stretches.with_columns(hour=pl.datetime_ranges("begin", "end", "1h")).explode("hour")
    at = pl.col("hour").dt.epoch("us")
    overlap = pl.min_horizontal(at + HOUR, "until") - pl.max_horizontal(at, "since")
    told = (
        hours.join(heard.with_columns(silent=False), on=["hour", *DEVICE], how="left", maintain_order="left")
        .with_columns(pl.col("silent").fill_null(value=True), seconds=overlap // SECOND)
        .with_columns(run=pl.struct("stretch", "silent").rle_id())
    )
    broken = pl.col("silent") & (pl.col("seconds").sum().over("run") >= pl.col("every"))
    counted = told.group_by(*DEVICE, "site_id", "stretch", "every", day=pl.col("hour").dt.date()).agg(
        promised_seconds=pl.col("seconds").sum(), unwatched_seconds=pl.col("seconds").filter(broken).sum()
    )
    expected = (pl.col("promised_seconds") / pl.col("every")).floor().cast(pl.Int64)
    promised = pl.col("every").is_not_null()
    return counted.with_columns(expected=expected).select(
        pl.when(promised).then(name).alias(name) if name in COUNTS else name for name in WATCH
    )
