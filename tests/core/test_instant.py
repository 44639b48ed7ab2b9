"""An instant is the exact number of microseconds, and comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from schemas.contract import LATEST
from streams.core.instant import EPOCH, NEVER, SECOND, micros, moment_of

MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(MOMENTS, ZONES)
def test_a_moment_comes_back_exactly_whatever_its_zone(moment: datetime, zone: timezone) -> None:
    aware = moment.replace(tzinfo=zone)
    assert moment_of(micros(aware)) == aware
    assert moment_of(micros(aware)).tzinfo is UTC


@given(MOMENTS, MOMENTS)
def test_instants_sort_as_moments_do(one: datetime, other: datetime) -> None:
    one, other = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    assert (micros(one) < micros(other)) == (one < other)


def test_the_scale_is_the_microsecond_since_1970_and_nothing_is_as_late_as_never() -> None:
    assert micros(EPOCH) == 0
    assert micros(datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)) == SECOND + 1
    assert micros(LATEST) < micros(datetime.max.replace(tzinfo=UTC)) < NEVER
