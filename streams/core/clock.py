"""Clocks: whether an event says that it happened after the broker had taken it.

Rules:
1. The only clock that is asked is the broker's, by the append time of the record: a replay years later agrees.
2. Where nobody says when a record was taken, nothing is too late.
"""

from __future__ import annotations

import polars as pl


def ahead(occurred_at: pl.Series, recorded_at: pl.Series, tolerance_seconds: float) -> pl.Series:
    """Whether each instant lies more than the tolerance after its append time; the second may be null."""
    bound = recorded_at.dt.epoch("us") + round(tolerance_seconds * 1e6)
    return (occurred_at.dt.epoch("us") > bound).fill_null(value=False)
