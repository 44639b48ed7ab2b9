"""The recorder of the alerts process: counts what receivers were told, over an injected registry.

Rules:
1. Every series of every receiver is there at zero from the start.
2. A receiver is named by its kind and a number, never by its address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from streams.alerting.alert_group import GroupState
from streams.metrics import catalogue
from streams.metrics.catalogue import NotificationResult
from streams.metrics.distribution import Distribution
from streams.metrics.exposition import exposition
from streams.metrics.metric import Metric


class AlertRecorder:
    """Counts what `receivers` are told; `started_at` is aware, `version` is that of the distribution."""

    def __init__(
        self, registry: CollectorRegistry, receivers: Sequence[str], *, version: str, started_at: datetime
    ) -> None:
        assert started_at.tzinfo is not None, "a start has a time zone"
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it out
        self._registry = registry
        self._notifications = _counter(catalogue.NOTIFICATIONS, registry)
        self._failures = _counter(catalogue.NOTIFICATION_FAILURES, registry)
        self._seconds = Distribution(catalogue.NOTIFICATION_SECONDS, registry)
        self._groups = _gauge(catalogue.ALERT_GROUPS, registry)
        self._lag = _gauge(catalogue.ALERTS_LAG, registry)
        self._storm = _gauge(catalogue.STORM, registry)
        for receiver in receivers:
            self._failures.labels(receiver)
            for result in NotificationResult:
                self._notifications.labels(receiver, result)
        self.groups({})
        _gauge(catalogue.BUILD_INFO, registry).labels(version).set(1)
        _gauge(catalogue.START_TIME, registry).set(started_at.timestamp())

    def notified(self, receiver: str, result: NotificationResult, count: int = 1) -> None:
        """Notifications that a receiver took, or that were given up and recorded."""
        self._notifications.labels(receiver, result).inc(count)

    def failed_try(self, receiver: str) -> None:
        """One try that a receiver did not take."""
        self._failures.labels(receiver).inc()

    def since_recorded(self, seconds: Sequence[float]) -> None:
        """From the broker's append time of each statement to its delivery."""
        self._seconds.observe_all(pl.Series(seconds, dtype=pl.Float64))

    def groups(self, counts: Mapping[GroupState, int]) -> None:
        """How many groups are in each state; those not named are none."""
        for state in GroupState:
            self._groups.labels(state).set(counts.get(state, 0))

    def lag(self, records: int) -> None:
        """How many records of the log some receiver was not told of."""
        self._lag.set(records)

    def storm(self, *, storm: bool) -> None:
        """Whether some receiver gets summaries."""
        self._storm.set(storm)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in the format that an `Accept` header asks for."""
        return exposition(self._registry, accept)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.full_name, metric.help, metric.label_names, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.full_name, metric.help, metric.label_names, registry=registry)
