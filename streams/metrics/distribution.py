"""A histogram that takes a whole batch at once.

Rules:
1. Buckets are upper bounds, inclusive, as in Prometheus; the exposition is that of any classic histogram.
2. A time below zero is a clock that is wrong: it counts as zero, so that the sum never falls.
3. What is no number (null, NaN, infinite) is not counted.
4. An exemplar names an event, never a person; it is the slowest of its batch, and OpenMetrics alone shows it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from threading import Lock

import polars as pl
from prometheus_client import CollectorRegistry
from prometheus_client.core import Exemplar, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from streams.core.discretion import names_somebody
from streams.metrics.metric import Metric

EXEMPLAR_CHARACTERS = 100
"""OpenMetrics grants an exemplar 128 characters, name and value together; a longer id is left out."""


@dataclass(slots=True)
class Tally:
    """What was counted under one combination of labels; one count more than bounds, for what is beyond them all."""

    counts: list[int]
    total: float = 0.0
    exemplars: dict[int, Exemplar] = field(default_factory=dict)


class Distribution(Collector):
    """Counts by bucket of one metric of the catalogue; observing one value at a time would cost more than judging."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        assert metric.buckets == tuple(sorted(metric.buckets)), "buckets rise"
        self._metric = metric
        self._bounds = pl.Series(metric.buckets, dtype=pl.Float64)
        self._tallies: dict[tuple[str, ...], Tally] = {}
        self._lock = Lock()
        if not metric.labels:
            self.lay_out()
        registry.register(self)

    def lay_out(self, *labels: str) -> None:
        """Be there at zero under these labels."""
        with self._lock:
            self._tally(labels)

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one value, as `observe_all` counts one of many; each batch is timed four times, and a query is slow."""
        if not isfinite(seconds):
            return
        seconds = max(seconds, 0.0)
        with self._lock:
            tally = self._tally(labels)
            tally.counts[bisect_left(self._metric.buckets, seconds)] += 1
            tally.total += seconds

    def observe_all(self, seconds: pl.Series, *labels: str, event_ids: pl.Series | None = None) -> None:
        """Count every value of a batch, in seconds; `event_ids`, as long as they, may name an exemplar."""
        frame = pl.DataFrame({"seconds": seconds.cast(pl.Float64)})
        if event_ids is not None:
            frame = frame.with_columns(event_ids.alias("event_id"))
        frame = frame.filter(pl.col("seconds").is_finite()).with_columns(pl.col("seconds").clip(0.0))
        values = frame["seconds"]
        if values.is_empty():
            return
        reached = [*values.sort().search_sorted(self._bounds, "right").to_list(), len(values)]
        slowest = values.arg_max() if event_ids is not None else None
        with self._lock:
            tally = self._tally(labels)
            below = 0
            for index, count in enumerate(reached):
                tally.counts[index] += count - below
                below = count
            tally.total += float(values.sum())
            if slowest is not None:
                self._exemplify(tally, float(values[slowest]), frame["event_id"][slowest])

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Tell the registry the name, so that no other metric takes it."""
        return [self._family()]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The metric as it stands."""
        family = self._family()
        bounds = [*map(floatToGoString, self._metric.buckets), "+Inf"]
        with self._lock:
            for labels, tally in self._tallies.items():
                reached = 0
                buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
                for index, (bound, count) in enumerate(zip(bounds, tally.counts, strict=True)):
                    reached += count
                    exemplar = tally.exemplars.get(index)
                    buckets.append((bound, reached) if exemplar is None else (bound, reached, exemplar))
                family.add_metric(labels, buckets, sum_value=tally.total)
        yield family

    # -- inside -------------------------------------------------------------------------------------------------------

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._metric.full_name, self._metric.help, labels=self._metric.label_names)

    def _tally(self, labels: tuple[str, ...]) -> Tally:
        assert len(labels) == len(self._metric.labels), "a value for each label"
        return self._tallies.setdefault(labels, Tally([0] * (len(self._metric.buckets) + 1)))

    def _exemplify(self, tally: Tally, value: float, event_id: str | None) -> None:
        if (named := exemplar_of(event_id)) is not None:
            bucket = bisect_left(self._metric.buckets, value)
            tally.exemplars[bucket] = Exemplar(named, value)


def exemplar_of(event_id: str | None) -> dict[str, str] | None:
    """The labels of an exemplar; None for no event, one with too long an id, and one whose id names somebody."""
    if event_id is None or len(event_id) > EXEMPLAR_CHARACTERS or names_somebody(event_id):
        return None
    return {"event_id": event_id}
