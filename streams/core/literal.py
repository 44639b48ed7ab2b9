"""The literals of a condition: numbers, times and intervals as a rule author writes them.

Rules:
1. A literal means one value everywhere: a time has a zone, a number is finite, a text stays a text.
2. A month and a year have no length: calendars belong to deadlines.
3. What cannot be read raises ValueError, whose text says what was expected and what came.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

from streams.core.condition import INTERVAL_LIMIT

_NUMBER: Final = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(?P<zone>Z|[+-]\d\d(:?\d\d)?)?", re.ASCII)
_LENGTH: Final = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.ASCII)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_CALENDAR_UNITS: Final = frozenset({"month", "quarter", "year", "decade", "century", "centurie", "millennium"})


def read_number(text: str) -> float:
    """The finite number of a text like `12`, `0.5` or `1e6`.

    >>> read_number("-2.50")
    -2.5
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {clip(text)}")
    return value


def read_time(text: str) -> datetime:
    """The UTC instant of a text like `2025-06-01 00:00:00+08:00`; seconds may be left out, the zone may not.

    >>> read_time("2025-06-01 00:00+08:00")
    datetime.datetime(2025, 5, 31, 16, 0, tzinfo=datetime.timezone.utc)
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a time like '2025-06-01 00:00:00+08:00', got {clip(text)!r}")
    if found["zone"] is None:
        raise ValueError(f"expected a time with a zone, like '2025-06-01 00:00:00+08:00' or '...Z', got {text!r}")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"expected a time that exists, got {text!r}") from None


def read_interval(text: str) -> timedelta:
    """The length of a text like `5 minutes` or `1 day 12 hours`, in whole microseconds.

    >>> read_interval("1.5 hours -1 minute")
    datetime.timedelta(seconds=5340)
    """
    lower = text.strip().lower()
    pieces = list(_LENGTH.finditer(lower))
    if not pieces or "".join(piece.group() for piece in pieces) != lower:
        raise ValueError(f"expected an interval like '5 minutes' or '1 day 12 hours', got {clip(text)!r}")
    total = sum((Fraction(piece[1]) * (_unit(piece[2]) // _MICROSECOND) for piece in pieces), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f"expected an interval in whole microseconds, got {clip(text)!r}")
    if abs(total) > INTERVAL_LIMIT // _MICROSECOND:
        raise ValueError(f"expected an interval of at most {INTERVAL_LIMIT.days} days, got {clip(text)!r}")
    return timedelta(microseconds=int(total))


def _unit(word: str) -> timedelta:
    name = word.removesuffix("s")
    if name in _UNITS:
        return _UNITS[name]
    reason = ": it has no fixed length, calendars belong to deadlines" if name in _CALENDAR_UNITS else ""
    raise ValueError(f"expected seconds, minutes, hours, days or weeks, got {word!r}{reason}")


def clip(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= 60 else text[:57] + "..."
