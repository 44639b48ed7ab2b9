"""Deadlines on a calendar: hours, days, months, years and working days, in local time, as the last instant in time.

Rules:
1. A deadline in hours or minutes ends to the microsecond; one in days or longer ends with the last instant of its last
   local day. What happens at that very instant is in time.
2. The day of the trigger is not counted. A month ends on the day of the same number, or on the last day of a shorter
   month: 31 January and one month is 28 February (Regulation 1182/71, Art. 3).
3. Working days are data of the library `holidays`, with the Sundays that China works in return for a long holiday. It
   publishes the days of a year in the November before; of a year that is not published a date is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.metadata import version
from typing import Literal
from zoneinfo import ZoneInfo

import holidays
from holidays.registry import EntityLoader

from streams.core.instant import SECOND, micros, moment_of

Unit = Literal["minutes", "hours", "days", "months", "years", "working_days"]
Period = Literal["day", "month", "quarter", "year"]
PERIOD_MONTHS = {"month": 1, "quarter": 3, "year": 12}
EXACT = {"minutes": 60 * SECOND, "hours": 3_600 * SECOND}
DATA_VERSION = version("holidays")
"""The version of the days; it enters the digest of a rulebook that counts by them."""
PUBLISHED_YEARLY = frozenset({"CN"})
"""Countries whose working days are fixed each year anew."""
ALWAYS = 9_999


@dataclass(frozen=True, slots=True)
class Due:
    """When a deadline ends, and whether the days up to it are published."""

    instant: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """The working days of a country, or of a part of it: `CN`, `IE`, `US-IL`."""

    place: str

    def __contains__(self, day: date) -> bool:
        return bool(_days(self.place).is_working_day(day))

    def next_from(self, day: date) -> date:
        """The day itself where it is a working day, else the next one."""
        while day not in self:
            day += timedelta(days=1)
        return day

    def after(self, day: date, count: int) -> date:
        """The `count`-th working day after `day`."""
        for _ in range(count):
            day = self.next_from(day + timedelta(days=1))
        return day

    @property
    def published_until(self) -> int:
        """The last year whose days are known for certain."""
        country = self.place.partition("-")[0]
        if country not in PUBLISHED_YEARLY:
            return ALWAYS
        return max(day.year for day in _days(self.place).weekend_workdays)


def known(place: str) -> bool:
    """Whether there are working days of a place."""
    if "-" not in place:
        # To make the days of one country the library imports all of them: that waits for the first deadline.
        return place in EntityLoader.get_country_codes()
    try:
        _days(place)
    except NotImplementedError:
        return False
    return True


@lru_cache(maxsize=64)
def _days(place: str) -> holidays.HolidayBase:
    country, _, part = place.partition("-")
    return holidays.country_holidays(country, subdiv=part or None, years=range(2018, 2041))


def due(
    start: int,
    amount: int,
    unit: Unit,
    zone: ZoneInfo,
    *,
    working: WorkingDays | None = None,
    roll: bool = False,
) -> Due:
    """The last instant in time of a deadline of `amount` `unit`s after `start`; `roll` moves it to a working day."""
    if unit in EXACT:
        return Due(start + amount * EXACT[unit])
    day = local_day(start, zone)
    if unit == "working_days":
        assert working is not None, "a rule that counts working days names its calendar"
        last = working.after(day, amount)
    elif unit == "days":
        last = day + timedelta(days=amount)
    else:
        last = _months_after(day, amount * (12 if unit == "years" else 1))
    if roll:
        assert working is not None, "a rule that moves a deadline names its calendar"
        last = working.next_from(last)
    return Due(end_of(last, zone), working is not None and last.year > working.published_until)


def local_day(instant: int, zone: ZoneInfo) -> date:
    """The day of an instant at a place."""
    return moment_of(instant).astimezone(zone).date()


def start_of(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day."""
    return micros(datetime.combine(day, time(), tzinfo=zone).astimezone(UTC))


def end_of(day: date, zone: ZoneInfo) -> int:
    """The last instant of a local day."""
    return start_of(day + timedelta(days=1), zone) - 1


def period_of(instant: int, period: Period, zone: ZoneInfo) -> tuple[date, date]:
    """The first and the last day of the local day, month, quarter or year that an instant lies in."""
    day = local_day(instant, zone)
    if period == "day":
        return day, day
    months = PERIOD_MONTHS[period]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    return first, _months_after(first, months) - timedelta(days=1)


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    longest = (date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - first).days
    return first.replace(day=min(day.day, longest))
