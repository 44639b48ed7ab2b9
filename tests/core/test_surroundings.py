"""What surrounds a record: where no law of a place may bind any more, none is found at any later instant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settled_world import GRID, registry_record, text_at, tick
from streams.core.registry import Registry
from streams.core.surroundings import Surroundings

LAWS = ("CN", "JP", "KR")
SITES = st.lists(
    st.tuples(
        st.sampled_from(["gates", "hall"]),
        st.sampled_from(GRID),
        st.one_of(st.none(), st.integers(1, 3)),
        st.lists(st.sampled_from(LAWS), min_size=1, max_size=2, unique=True),
    ),
    max_size=4,
)


def around(sites: list[tuple[str, int, int | None, list[str]]]) -> Surroundings:
    registry = Registry()
    for number, (name, since, length, laws) in enumerate(sites):
        until = {} if length is None else {"valid_until": text_at(since + length)}
        placed = {"record_id": f"site-{number}", "valid_from": text_at(since), "jurisdictions": laws, **until}
        registry.add(registry_record("site", name, **placed))
    return Surroundings(registry)


@given(sites=SITES, wanted=st.sampled_from(LAWS), since=st.sampled_from(GRID))
def test_what_may_not_bind_binds_at_no_later_instant_and_is_known_not_to(
    sites: list[tuple[str, int, int | None, list[str]]], wanted: str, since: int
) -> None:
    found = around(sites)
    parts: dict[str, str | None] = {"controller": "zoo", "subject": "s"}
    later = [found.place(parts, tick(each)) for each in GRID if each >= since] + [found.place(parts, tick(99))]
    binds = any(place is None or wanted in place.jurisdictions for place in later)
    assert found.may_bind((wanted,), parts, tick(since)) is binds


@pytest.mark.parametrize("parts", [{"site": "gates"}, {"device": "gate-1"}])
def test_of_what_stands_somewhere_nothing_is_said_beforehand(parts: dict[str, str | None]) -> None:
    assert around([]).may_bind(("CN",), {"controller": "zoo", **parts}, 0)


def test_a_rule_of_no_place_may_bind_everywhere() -> None:
    assert around([("gates", 0, None, ["CN"])]).may_bind((), {"controller": "zoo"}, tick(0))
