"""The watch over a range: how many events were to be expected of each device, and when it was silent for longer.

Rules:
1. Only a device's record says what to expect (`reports_every_seconds`); where it says nothing, nothing is measured.
2. It is measured from the first event of the range to the last, of whatever device: before and after them the logs may
   just not be there.
3. Silence is told in whole hours of UTC: a device is unwatched in those that make up a silence as long as it promised
   never to keep. A shorter silence, or the rest of one, is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
    """The days of each stretch over which a device's record says one thing."""
    by_device = {key: part["hour"] for key, part in heard.group_by(*DEVICE)}
    nothing = pl.Series("hour", [], dtype=INSTANT)
    for promise in promises(registry, first, after):
        post = promise.post
        days = _days_of(promise, by_device.get((post.controller_id, post.device_id), nothing))
        about = {"controller_id": post.controller_id, "site_id": post.site_id, "device_id": post.device_id}
        if post.every_seconds is None:
            days = days.with_columns(pl.lit(None, pl.Int64).alias(name) for name in COUNTS)
        yield days.with_columns(pl.lit(value, pl.String).alias(name) for name, value in about.items()).select(*WATCH)


def _days_of(promise: Promise, heard: pl.Series) -> pl.DataFrame:
    """By day, for how long a device had to report, how often at least, and for how long it did not."""
    begin, end = moment_of(promise.since - promise.since % HOUR), moment_of(promise.until - 1)
    hours = pl.DataFrame({"hour": pl.datetime_range(begin, end, "1h", eager=True, time_unit="us")})
    at, every = pl.col("hour").dt.epoch("us"), promise.post.every_seconds or 1.0
    overlap = pl.min_horizontal(at + HOUR, promise.until) - pl.max_horizontal(at, promise.since)
    told = hours.with_columns(seconds=overlap // SECOND, silent=~pl.col("hour").is_in(heard.implode()))
    lasting = pl.col("seconds").sum().over(pl.col("silent").rle_id())
    told = told.with_columns(broken=pl.col("silent") & (lasting >= every))
    counted = told.group_by(day=pl.col("hour").dt.date()).agg(
        promised_seconds=pl.col("seconds").sum(), unwatched_seconds=pl.col("seconds").filter("broken").sum()
    )
    return counted.with_columns(expected=(pl.col("promised_seconds") / every).floor().cast(pl.Int64))
