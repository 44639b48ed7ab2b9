"""The catalogue: names that Prometheus likes, labels that are closed or bounded, and no person among them."""

from __future__ import annotations

import re

import pytest

from schemas.contract import Reason
from streams.core.facts import Unknown
from streams.metrics import catalogue, replay_metric, site_metric
from streams.metrics.catalogue import CATALOGUE
from streams.metrics.metric import OTHER, Metric, MetricType

PERSONAL = {
    *("subject", "person", "native", "name", "ref", "key"),
    *("event", "record", "probe", "candidate", "device"),
}

each_metric = pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)


def test_every_metric_has_a_line_of_its_own() -> None:
    assert len({metric.full_name for metric in CATALOGUE}) == len(CATALOGUE)
    values = (*vars(catalogue).values(), *vars(site_metric).values(), *vars(replay_metric).values())
    declared = {value.name for value in values if isinstance(value, Metric)}
    assert declared == {metric.name for metric in CATALOGUE}


@each_metric
def test_a_name_says_product_and_unit(metric: Metric) -> None:
    assert re.fullmatch(r"consentinel_[a-z]+(_[a-z]+)*", metric.full_name)
    assert (metric.type is MetricType.COUNTER) == metric.full_name.endswith("_total")
    assert (metric.unit == "seconds") == metric.full_name.endswith("_seconds")
    assert metric.help.endswith(".")


@each_metric
def test_buckets_belong_to_histograms_and_rise(metric: Metric) -> None:
    assert bool(metric.buckets) == (metric.type is MetricType.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


@each_metric
def test_no_label_is_named_after_a_person_an_event_or_a_record(metric: Metric) -> None:
    for label in metric.labels:
        assert not PERSONAL & set(label.name.split("_"))


@each_metric
def test_a_label_has_a_closed_list_or_names_its_source(metric: Metric) -> None:
    for label in metric.labels:
        assert label.source
        assert OTHER not in label.values
        assert label.fit("s_AAAAAAAAAAAAAAAAAAAAAA") == OTHER
        assert all(label.fit(value) == value for value in label.values)


def test_the_words_of_the_contracts_are_the_values_of_the_labels() -> None:
    assert catalogue.REJECTIONS.labels[1].values == tuple(Reason)
    assert catalogue.UNDETERMINED.labels[1].values == tuple(Unknown)
