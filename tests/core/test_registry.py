"""The registry is a fold over its records: it says what holds at an instant, that nothing does, or why it cannot."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chance_world import instants, registry_records
from schemas.registry import RegistryRecord
from settled_world import CONTROLLERS, DEVICES, NOTICES, PURPOSES, SITES, a_feed, registry_record, text_at, tick
from streams.core.facts import Unknown
from streams.core.registry import Found, Registry

THINGS = [
    *(("controller", each) for each in CONTROLLERS),
    *(("site", each) for each in SITES),
    *(("device", each) for each in DEVICES),
    *(("purpose", each) for each in PURPOSES),
    *(("notice", each) for each in NOTICES),
    *[("assessment", "pia-1"), ("authority", "order-1"), ("exception", "excuse-1")],
]


def registry_of(*records: RegistryRecord) -> Registry:
    registry = Registry()
    for record in records:
        registry.add(record)
    return registry


@given(st.lists(registry_records, max_size=10), st.randoms(use_true_random=False), instants)
def test_order_and_repeats_of_records_change_no_answer(
    records: list[RegistryRecord], chance: Random, instant: int
) -> None:
    shuffled = [*records, *records[::2]]
    chance.shuffle(shuffled)
    one, other = registry_of(*records), registry_of(*shuffled)
    assert len(one) == len(other) == len({record.key for record in records})
    for kind, thing in THINGS:
        assert one.find(kind, thing, instant) == other.find(kind, thing, instant)
    for kind in ("notice", "assessment"):
        for purpose in PURPOSES:
            assert one.papers(kind, purpose, instant) == other.papers(kind, purpose, instant)
            assert one.paper_ids(kind, purpose) == other.paper_ids(kind, purpose)


@given(st.lists(registry_records, max_size=8), instants)
def test_an_answer_changes_only_at_the_instants_named(records: list[RegistryRecord], instant: int) -> None:
    registry = registry_of(*records)
    for kind, thing in THINGS:
        edges = registry.instants(kind, thing)
        before = max((edge for edge in edges if edge <= instant), default=None)
        expected = Found() if before is None else registry.find(kind, thing, before)
        if expected.why is None and registry.find(kind, thing, instant).why is None:
            assert registry.find(kind, thing, instant) == expected


def test_a_record_holds_from_its_first_instant_up_to_its_end() -> None:
    device = registry_record("device", "gate-1", valid_from=text_at(1), valid_until=text_at(3))
    registry = registry_of(device)
    found = [registry.find("device", "gate-1", each).record for each in (tick(1, -1), tick(1), tick(3, -1), tick(3))]
    assert found == [None, device, device, None]
    assert registry.statements("device", "gate-1") == (device,)
    assert registry.statements("device", "gate-2") == ()


def test_a_thing_of_another_kind_with_the_same_id_is_another_thing() -> None:
    assert registry_of(registry_record("device", "gate-1")).find("site", "gate-1", tick(0)) == Found()


def test_two_contents_of_one_version_are_unknown_until_a_correction() -> None:
    first, second = (registry_record("device", "gate-1", zone=zone) for zone in ("gate", "lobby"))
    registry = registry_of(first, second)
    assert registry.find("device", "gate-1", tick(0)) == Found(why=Unknown.CONFLICT)
    settled = registry_record("device", "gate-1", zone="office", record_version=2)
    registry.add(settled)
    assert registry.find("device", "gate-1", tick(0)) == Found(settled)


def test_an_unreadable_key_is_unknown_until_a_readable_record_replaces_it() -> None:
    device = registry_record("device", "gate-1")
    registry = registry_of(device)
    registry.mark_unreadable(device.key)
    assert registry.find("device", "gate-1", tick(0)) == Found(why=Unknown.RECORD_UNREADABLE)
    assert registry.find("device", "gate-2", tick(0)) == Found()
    before = registry.revision
    registry.add(device)
    assert registry.find("device", "gate-1", tick(0)) == Found(device)
    assert registry.revision > before, "the answer changed although the record is the same"


def test_the_revision_rises_only_where_an_answer_may_change() -> None:
    device = registry_record("device", "gate-1")
    registry = registry_of(device)
    before = registry.revision
    registry.add(device)
    registry.add(a_feed())
    assert registry.revision == before
    registry.mark_unreadable("site/gates")
    registry.mark_unreadable("site/gates")
    assert registry.revision == before + 1
    registry.add(registry_record("device", "gate-1", record_id="other"))
    assert registry.revision == before + 2
    assert registry.feeds.latest() == (a_feed(),)


@pytest.mark.parametrize("kind", ["notice", "assessment"])
def test_papers_are_those_in_force_about_the_purpose(kind: str) -> None:
    mine = registry_record(kind, "mine")
    old = registry_record(kind, "old", valid_until=text_at(0))
    other = registry_record(kind, "other", purpose_ids=["ads"])
    registry = registry_of(mine, old, other)
    assert registry.papers(kind, "entry", tick(0)) == ([mine], None)
    assert registry.papers(kind, "entry", tick(0, -1)) == ([mine, old], None)
    assert registry.papers(kind, "nothing", tick(0)) == ([], None)
    assert registry.paper_ids(kind, "entry") == {"mine", "old"}


def test_a_paper_that_turned_to_another_purpose_is_no_longer_about_the_first() -> None:
    before = registry_record("notice", "notice-1")
    after = registry_record("notice", "notice-1", record_id="n2", purpose_ids=["ads"], valid_from=text_at(1))
    registry = registry_of(before, after)
    assert registry.papers("notice", "entry", tick(0)) == ([before], None)
    assert registry.papers("notice", "entry", tick(1)) == ([], None)
    assert registry.papers("notice", "ads", tick(1)) == ([after], None)


def test_a_paper_that_cannot_be_read_may_hide_one_about_any_purpose() -> None:
    notice = registry_record("notice", "notice-1")
    registry = registry_of(notice)
    registry.mark_unreadable("notice/never-seen")
    assert registry.papers("notice", "entry", tick(0)) == ([notice], Unknown.RECORD_UNREADABLE)
    assert registry.papers("assessment", "entry", tick(0)) == ([], None)


def test_a_paper_in_conflict_hides_what_it_may_say() -> None:
    notices = [registry_record("notice", "notice-1", states_retention=each) for each in (True, False)]
    assert registry_of(*notices).papers("notice", "entry", tick(0)) == ([], Unknown.CONFLICT)
