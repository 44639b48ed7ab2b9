"""A histogram that takes a whole batch at once.

Rules:
1. Buckets are upper bounds, inclusive, as in Prometheus; the exposition is that of any classic histogram.
2. A time below zero is a clock that is wrong: it counts as zero, so that the sum never falls.
3. What is no number (null, NaN, infinite) is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

import polars as pl
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from streams.metrics.catalogue import Metric


class Distribution(Collector):
    """Counts by bucket of one metric of the catalogue; observing one value at a time would cost more than judging."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        assert metric.buckets == tuple(sorted(metric.buckets)), "buckets rise"
        self._metric = metric
        # One more than the bounds: the last bucket takes what is beyond them all.
        self._counts = [0] * (len(metric.buckets) + 1)
        self._sum = 0.0
        self._lock = Lock()
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self.observe_all(pl.Series([seconds], dtype=pl.Float64))

    def observe_all(self, seconds: pl.Series) -> None:
        """Count every value of a batch, in seconds."""
        values = seconds.cast(pl.Float64)
        values = values.filter(values.is_finite()).clip(0.0)
        if values.is_empty():
            return
        reached = [int((values <= bound).sum()) for bound in self._metric.buckets] + [len(values)]
        total = float(values.sum())
        with self._lock:
            below = 0
            for index, count in enumerate(reached):
                self._counts[index] += count - below
                below = count
            self._sum += total

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Tell the registry the name, so that no other metric takes it."""
        return [HistogramMetricFamily(self._metric.full_name, self._metric.help)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The metric as it stands."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        bounds = [*map(floatToGoString, self._metric.buckets), "+Inf"]
        reached = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip(bounds, counts, strict=True):
            reached += count
            buckets.append((bound, reached))
        yield HistogramMetricFamily(self._metric.full_name, self._metric.help, buckets=buckets, sum_value=total)
