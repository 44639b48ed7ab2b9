"""What a metric of the catalogue is: its name, type, labels with their values, unit, help and buckets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

from schemas.vocabulary import Level

PREFIX = "consentinel"
OTHER = "other"
"""The label value for whatever is not on the list."""


class MetricType(StrEnum):
    """The types of the exposition format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label and what its value may be: one of `values`, or, where there are none, what `source` says."""

    name: str
    values: tuple[str, ...]
    source: str

    def fit(self, value: str) -> str:
        """The value if it is on the closed list, else `other`."""
        return str(value) if value in self.values else OTHER


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the catalogue; `name` has neither prefix nor `_total`."""

    name: str
    type: MetricType
    labels: tuple[Label, ...]
    unit: str
    help: str
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as it is exposed and queried."""
        return f"{PREFIX}_{self.name}" + ("_total" if self.type is MetricType.COUNTER else "")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels' names, in order."""
        return tuple(label.name for label in self.labels)


LEVEL = Label("level", get_args(Level), "closed; the level of the rule")
STANDING = Label("standing", ("in_force", "what_if"), "closed; the standing of the rule")


def counter(name: str, unit: str, text: str, *labels: Label) -> Metric:
    """A counter of the catalogue."""
    return Metric(name, MetricType.COUNTER, labels, unit, text)


def gauge(name: str, unit: str, text: str, *labels: Label) -> Metric:
    """A gauge of the catalogue."""
    return Metric(name, MetricType.GAUGE, labels, unit, text)


def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: Label) -> Metric:
    """A classic histogram of seconds."""
    return Metric(name, MetricType.HISTOGRAM, labels, "seconds", text, buckets)
