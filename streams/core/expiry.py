"""Expiry: which exceptions and authorities are about to end, or have ended, at an instant.

Rules:
1. Whoever answers for an instrument hears of its end `NEAR` before it comes, and when it has come.
2. The end of an instrument re-judges nothing: what was excused while it held stays excused.
3. Of an instrument the statement that ends last counts: one that was renewed in time is in force.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from streams.core.instant import NEVER, SECOND
from streams.core.registry import Registry

NEAR = 14 * 86_400 * SECOND
"""Two weeks: time to renew a paper that two persons have to sign."""


class Stage(StrEnum):
    """How near an instrument is to its end."""

    IN_FORCE = "in_force"
    EXPIRING = "expiring"
    EXPIRED = "expired"


class Expiry(NamedTuple):
    """One instrument, `exception/id` or `authority/id`, how near its end is, and when that is (microseconds)."""

    key: str
    stage: Stage
    end: int


def expiries(registry: Registry, now: int) -> list[Expiry]:
    """Every instrument that has begun, by key."""
    ends: dict[str, int] = {}
    for key, since, until in registry.instruments():
        if since <= now:
            ends[key] = max(until, ends.get(key, 0))
    return [Expiry(key, _stage(end, now), end) for key, end in ends.items()]


def _stage(end: int, now: int) -> Stage:
    if end <= now:
        return Stage.EXPIRED
    return Stage.EXPIRING if end < NEVER and end - now <= NEAR else Stage.IN_FORCE
