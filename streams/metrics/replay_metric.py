"""The metrics of a comparison: what a replay by other rules found, as a file for node_exporter's textfile collector.

Rules:
1. A comparison is a command that ends, so nobody can scrape it: it leaves a file, written whole or not at all.
2. The file of a later comparison replaces the earlier one; the time in it says how old it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from streams.core.discretion import names_somebody
from streams.errors import InputError, Place
from streams.metrics.metric import OTHER, Label, Metric, gauge

CHANGES = ("no_longer_violating", "newly_violating", "newly_undetermined", "otherwise", "other_grounds")

REPLAY_DIFFERENCE = gauge(
    "replay_difference",
    "verdicts",
    "Verdicts that the last comparison found changed, by rule and how; every rule that changed has all of them.",
    Label("rule_id", (), "the rulebooks that were compared"),
    Label("change", CHANGES, "closed"),
)
REPLAY_COMPARED = gauge(
    "replay_compared",
    "events",
    "What the last comparison compared, its denominator: events judged by two rulebooks, or breaches.",
)
REPLAY_TIME = gauge(
    "replay_timestamp_seconds",
    "seconds",
    "When the last comparison ended, in seconds since 1970.",
    Label("command", ("rules diff", "compare", "reconcile"), "closed"),
)
REPLAY_METRICS: tuple[Metric, ...] = (REPLAY_DIFFERENCE, REPLAY_COMPARED, REPLAY_TIME)
"""What a comparison writes to its file."""


def write(path: Path, command: str, changes: Mapping[tuple[str, str], int], *, compared: int, at: float) -> None:
    """Write the file; `changes` is by rule id and change, `at` in seconds since 1970.

    Raises InputError where the place cannot be written.
    """
    registry = CollectorRegistry()
    difference, events, ended = (
        Gauge(metric.full_name, metric.help, metric.label_names, registry=registry) for metric in REPLAY_METRICS
    )
    for rule_id, change in changes:
        for each in CHANGES:
            difference.labels(_named(rule_id), each).inc(0)
        difference.labels(_named(rule_id), REPLAY_DIFFERENCE.labels[1].fit(change)).inc(changes[rule_id, change])
    events.set(compared)
    ended.labels(REPLAY_TIME.labels[0].fit(command)).set(at)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(generate_latest(registry))
        part.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", place=Place(str(path))) from error


def _named(rule_id: str) -> str:
    return OTHER if names_somebody(rule_id) else rule_id
