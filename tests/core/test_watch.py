"""The watch: silence is told from calm by what a record promises, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.registry import DeviceRecord, SiteRecord
from streams.core.instant import micros
from streams.core.registry import Registry
from streams.core.watch import DeviceState, Post, posts, promises, sites, state_of

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = micros(BEGAN + timedelta(days=1))


@pytest.mark.parametrize(
    ("every", "heard", "until", "state"),
    [
        (60.0, 950.0, 1_000.0, DeviceState.SPEAKING),
        (60.0, 940.0, 1_000.0, DeviceState.SPEAKING),
        (60.0, 939.9, 1_000.0, DeviceState.SILENT),
        (60.0, None, 1_000.0, DeviceState.SILENT),
        (60.0, None, 160.0, DeviceState.UNMEASURED),
        (60.0, None, 160.1, DeviceState.SILENT),
        (60.0, 1_950.0, None, DeviceState.SPEAKING),
        (60.0, 1_939.9, None, DeviceState.UNMEASURED),
        (60.0, None, None, DeviceState.UNMEASURED),
        (None, 990.0, 1_000.0, DeviceState.UNMEASURED),
    ],
)
def test_a_device_is_silent_only_where_its_record_promises_and_somebody_listened_for_as_long(
    every: float | None, heard: float | None, until: float | None, state: DeviceState
) -> None:
    assert state_of(Post("c", "s", "d", every), heard=heard, since=100.0, until=until, now=2_000.0) is state


def device(controller_id: str = "c1", *, since: datetime = BEGAN, every: int | None = None) -> DeviceRecord:
    return DeviceRecord(
        record_id=f"r-{controller_id}", id="d1", valid_from=since, controller_id=controller_id, site_id="mall",
        zone="gate", reports_every_seconds=every,
    )  # fmt: skip


def site() -> SiteRecord:
    return SiteRecord(
        record_id="r-site", id="mall", valid_from=BEGAN, controller_id="c1", title="Mall", site_kind="mall",
        jurisdictions=("CN", "CN-SH"), timezone="Asia/Shanghai",
    )  # fmt: skip


def test_the_registry_says_what_to_expect_and_which_law_holds() -> None:
    registry = Registry()
    registry.add(device(every=90))
    registry.add(site())
    assert list(posts(registry, NOW)) == [Post("c1", "mall", "d1", 90)]
    assert [tuple(each) for each in sites(registry, NOW)] == [("c1", "mall", ("CN", "CN-SH"))]


def test_a_device_counts_once_for_whom_its_record_in_force_names() -> None:
    registry = Registry()
    registry.add(device("c1"))
    registry.add(device("c2", since=BEGAN + timedelta(hours=1)))
    assert [post.controller_id for post in posts(registry, NOW)] == ["c2"]
    assert not list(posts(registry, micros(BEGAN) - 1))


def test_each_promise_holds_for_the_stretch_of_its_record_and_for_its_owner() -> None:
    registry = Registry()
    hours = [micros(BEGAN + timedelta(hours=hour)) for hour in range(4)]
    registry.add(device("c1", since=BEGAN + timedelta(hours=1), every=90))
    registry.add(device("c2", since=BEGAN + timedelta(hours=2)))
    first, second = Post("c1", "mall", "d1", 90), Post("c2", "mall", "d1", None)
    assert list(promises(registry, hours[0], hours[3])) == [
        (first, hours[1], hours[2]),
        (second, hours[2], hours[3]),
    ]
    assert list(promises(registry, hours[1] + 1, hours[2])) == [(first, hours[1] + 1, hours[2])]
    assert not list(promises(registry, hours[0], hours[1]))
