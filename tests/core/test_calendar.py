"""Deadlines end where a lawyer with a calendar would end them, to the microsecond."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.calendar import WorkingDays, due, end_of, known, local_day, period_of, start_of
from streams.core.instant import micros

BEIJING, DUBLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Dublin")
CHINA, IRELAND = WorkingDays("CN"), WorkingDays("IE")
days = st.dates(date(2019, 1, 1), date(2039, 12, 31))


def at(day: date, zone: ZoneInfo, hour: int = 12) -> int:
    return micros(datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC))


def last_day(start: date, amount: int, unit: str, zone: ZoneInfo, **options: object) -> date:
    return local_day(due(at(start, zone), amount, unit, zone, **options).instant, zone)  # type: ignore[arg-type]


def test_thirty_working_days_from_the_first_of_june_2025_end_on_the_fourteenth_of_july() -> None:
    # The date that the Cyberspace Administration itself published; 2 June was a holiday.
    assert last_day(date(2025, 6, 1), 30, "working_days", BEIJING, working=CHINA) == date(2025, 7, 14)


def test_a_sunday_that_is_worked_in_return_for_a_long_holiday_is_a_working_day() -> None:
    assert date(2025, 9, 28) in CHINA
    assert date(2025, 10, 1) not in CHINA
    assert last_day(date(2025, 9, 27), 1, "working_days", BEIJING, working=CHINA) == date(2025, 9, 28)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 3, 31), 1, date(2026, 4, 30)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 1, 15), 12, date(2027, 1, 15)),
    ],
)
def test_a_month_ends_on_the_day_of_its_number_or_on_the_last_of_a_shorter_month(
    start: date, months: int, end: date
) -> None:
    assert last_day(start, months, "months", DUBLIN) == end


def test_a_year_from_a_leap_day_ends_on_the_last_of_february() -> None:
    assert last_day(date(2028, 2, 29), 1, "years", DUBLIN) == date(2029, 2, 28)


def test_a_deadline_on_a_holiday_moves_to_the_next_working_day_only_where_the_rule_says_so() -> None:
    # One month after 25 November 2026 is Christmas, a Friday; Saturday is St Stephen's Day.
    assert last_day(date(2026, 11, 25), 1, "months", DUBLIN) == date(2026, 12, 25)
    assert last_day(date(2026, 11, 25), 1, "months", DUBLIN, working=IRELAND, roll=True) > date(2026, 12, 26)


def test_hours_are_clock_hours_even_over_a_change_of_the_clock() -> None:
    start = at(date(2026, 3, 28), DUBLIN)  # the night after has 23 hours
    assert due(start, 24, "hours", DUBLIN).instant - start == 86_400_000_000


def test_days_end_with_the_last_instant_of_the_local_day_even_where_it_has_23_hours() -> None:
    start = at(date(2026, 3, 28), DUBLIN)
    ended = due(start, 1, "days", DUBLIN).instant
    assert ended == end_of(date(2026, 3, 29), DUBLIN) == start_of(date(2026, 3, 30), DUBLIN) - 1
    assert ended - end_of(date(2026, 3, 28), DUBLIN) == 23 * 3_600_000_000


def test_working_days_of_a_year_that_china_has_not_published_are_an_estimate() -> None:
    far = date(CHINA.published_until + 1, 3, 2)
    assert due(at(far, BEIJING), 30, "working_days", BEIJING, working=CHINA).estimated
    assert not due(at(date(2025, 6, 1), BEIJING), 30, "working_days", BEIJING, working=CHINA).estimated
    assert not due(at(far, DUBLIN), 30, "working_days", DUBLIN, working=IRELAND).estimated


def test_there_are_no_working_days_of_a_place_that_is_none() -> None:
    assert known("CN")
    assert known("US-IL")
    assert not known("QQ")


@given(days, st.integers(0, 40))
def test_so_many_working_days_lie_after_the_trigger_and_the_last_is_the_end(start: date, count: int) -> None:
    end = CHINA.after(start, count)
    passed = [start + timedelta(days=each) for each in range(1, (end - start).days + 1)]
    assert sum(day in CHINA for day in passed) == count
    assert count == 0 or end in CHINA


@given(days, st.integers(0, 40), st.integers(0, 40))
def test_a_longer_time_never_ends_earlier(start: date, shorter: int, longer: int) -> None:
    shorter, longer = sorted((shorter, longer))
    for unit in ("days", "months", "years"):
        assert last_day(start, shorter, unit, BEIJING) <= last_day(start, longer, unit, BEIJING)


@given(days, st.sampled_from(["day", "month", "quarter", "year"]))
def test_a_day_lies_in_its_period_and_the_next_period_begins_where_it_ends(day: date, period: str) -> None:
    first, last = period_of(at(day, BEIJING), period, BEIJING)  # type: ignore[arg-type]
    assert first <= day <= last
    after, _ = period_of(at(last + timedelta(days=1), BEIJING), period, BEIJING)  # type: ignore[arg-type]
    assert after == last + timedelta(days=1)
