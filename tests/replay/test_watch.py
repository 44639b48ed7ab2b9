"""What was to be expected of a device, and when it was silent for longer than it promised, by its record alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl

from settled_world import START, registry_record, text_at
from streams.core.instant import SECOND, moment_of
from streams.core.registry import Registry
from streams.replay.answer import COVERAGE
from streams.replay.watch import watched

HOUR = 3_600 * SECOND
MIDNIGHT = START - START % (24 * HOUR)


def a_registry(**fields: Any) -> Registry:
    registry = Registry()
    registry.add(registry_record("device", "gate-1", controller_id="zoo", site_id="gates", **fields))
    return registry


def heard(*hours: int, device: str = "gate-1") -> pl.DataFrame:
    """One event of a device in each of some hours after midnight."""
    rows = [
        {"hour": moment_of(MIDNIGHT) + timedelta(hours=hour), "controller_id": "zoo", "site_id": "gates",
         "device_id": device, "judged": 1, "rejected": 0}
        for hour in hours
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=COVERAGE)


def told(registry: Registry, coverage: pl.DataFrame, first: float, last: float) -> list[tuple[Any, ...]]:
    """Promised and unwatched hours and expected events of each day, between two hours after the first midnight."""
    table = watched(registry, coverage, [MIDNIGHT + round(hour * HOUR) for hour in (first, last)])
    return table.select("promised_seconds", "expected", "unwatched_seconds").rows()


def test_a_device_is_unwatched_in_the_hours_of_a_silence_that_it_promised_not_to_keep() -> None:
    registry = a_registry(valid_from=text_at(-9_000), reports_every_seconds=1_800)
    ((promised, expected, unwatched),) = told(registry, heard(1, 2, 5), 1, 6)
    assert (promised, expected, unwatched) == (5 * 3_600, 10, 2 * 3_600)


def test_silence_within_what_was_promised_is_not_told() -> None:
    registry = a_registry(valid_from=text_at(-9_000), reports_every_seconds=3 * 3_600)
    assert told(registry, heard(1, 4, 8), 1, 9) == [(8 * 3_600, 2, 3 * 3_600)], "two hours are allowed, three are not"


def test_a_promise_counts_from_when_the_record_holds_and_days_are_told_apart() -> None:
    since = moment_of(MIDNIGHT + 22 * HOUR).isoformat().replace("+00:00", "Z")
    registry = a_registry(valid_from=since, reports_every_seconds=3_600)
    assert told(registry, heard(20, 24), 20, 26) == [(2 * 3_600, 2, 2 * 3_600), (2 * 3_600, 2, 3_600)]


def test_where_no_record_promises_anything_nothing_is_measured() -> None:
    registry = a_registry(valid_from=text_at(-9_000))
    assert told(registry, heard(1), 1, 3) == [(None, None, None)]
    assert watched(registry, heard(), []).is_empty()
