"""Instants as integers: microseconds since 1970 in UTC, the one form in which the core compares times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
NEVER = 2**62
"""Later than every instant of the contracts; the end of what has no end."""


def micros(moment: datetime) -> int:
    """Microseconds from 1970-01-01T00:00:00Z to an aware `moment`, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(instant: int) -> datetime:
    """The aware UTC time of an instant; the inverse of `micros`."""
    return EPOCH + timedelta(microseconds=instant)
