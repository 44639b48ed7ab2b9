"""A distribution counts a batch as Prometheus' own histogram counts value by value."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from streams.metrics.catalogue import EVENT_TO_VERDICT
from streams.metrics.distribution import Distribution

BOUNDS = EVENT_TO_VERDICT.buckets
SECONDS = st.one_of(st.sampled_from([*BOUNDS, 0.0, -1.0, 1e9]), st.floats(0, 5_000))


def exposed(registry: CollectorRegistry) -> dict[str, float]:
    return {
        f"{sample.name}{sample.labels}": sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(SECONDS | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=6))
def test_values_one_by_one_are_counted_as_a_batch_of_them_is(values: list[float]) -> None:
    together, apart = CollectorRegistry(), CollectorRegistry()
    Distribution(EVENT_TO_VERDICT, together).observe_all(pl.Series(values, dtype=pl.Float64))
    single = Distribution(EVENT_TO_VERDICT, apart)
    for value in values:
        single.observe(value)
    assert exposed(apart) == pytest.approx(exposed(together))


@given(st.lists(st.lists(SECONDS, max_size=20), max_size=4))
def test_a_batch_counts_like_its_values_one_by_one(batches: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    distribution = Distribution(EVENT_TO_VERDICT, ours)
    histogram = Histogram(EVENT_TO_VERDICT.full_name, EVENT_TO_VERDICT.help, buckets=BOUNDS, registry=theirs)
    for batch in batches:
        distribution.observe_all(pl.Series(batch, dtype=pl.Float64))
        for value in batch:
            histogram.observe(max(0.0, value))
    found, expected = exposed(ours), exposed(theirs)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


def test_what_is_no_number_is_not_counted() -> None:
    registry = CollectorRegistry()
    Distribution(EVENT_TO_VERDICT, registry).observe_all(pl.Series([None, math.nan, math.inf, 1.0]))
    assert registry.get_sample_value("consentinel_event_to_verdict_seconds_count") == 1
    assert registry.get_sample_value("consentinel_event_to_verdict_seconds_sum") == 1.0


def test_a_clock_that_is_ahead_never_lowers_the_sum() -> None:
    registry = CollectorRegistry()
    distribution = Distribution(EVENT_TO_VERDICT, registry)
    distribution.observe(2.0)
    distribution.observe(-30.0)
    assert registry.get_sample_value("consentinel_event_to_verdict_seconds_sum") == 2.0
    assert registry.get_sample_value("consentinel_event_to_verdict_seconds_bucket", {"le": "0.05"}) == 1


def test_two_metrics_cannot_have_one_name() -> None:
    registry = CollectorRegistry()
    Distribution(EVENT_TO_VERDICT, registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Distribution(EVENT_TO_VERDICT, registry)


def test_the_exposition_is_text_that_prometheus_reads() -> None:
    registry = CollectorRegistry()
    Distribution(EVENT_TO_VERDICT, registry).observe(3.2)
    text = generate_latest(registry).decode()
    assert "# TYPE consentinel_event_to_verdict_seconds histogram" in text
    assert 'consentinel_event_to_verdict_seconds_bucket{le="3.25"} 1.0' in text
    assert 'consentinel_event_to_verdict_seconds_bucket{le="+Inf"} 1.0' in text
