"""The context: what the registry says of device, site, purpose, papers and claims, and what it cannot say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chance_world import instants, registry_records
from pace import examples
from schemas.contract import Message
from schemas.registry import RegistryRecord
from settled_world import (
    DEVICES,
    NOTICES,
    PEOPLE,
    PURPOSES,
    a_settled_world,
    registry_record,
    text_at,
    tick,
    views_of,
)
from streams.core import context as module
from streams.core.context import Combination, Context, Contexts, context_at, index_at
from streams.core.facts import Source, Unknown
from streams.core.registry import Registry

HERE = Combination("zoo", "gate-1", "gates", "entry", None, None, None)
COMBINATIONS = st.builds(
    Combination,
    st.sampled_from(["zoo", "zoo", "mall"]),
    st.sampled_from([*DEVICES, "gate-9"]),
    st.sampled_from(["gates", "hall", None]),
    st.sampled_from([*PURPOSES, None]),
    st.sampled_from([*NOTICES, None]),
    st.sampled_from(["order-1", None]),
    st.sampled_from(["excuse-1", None]),
)


def world(*changes: RegistryRecord, without: str = "") -> Registry:
    """The settled world with some records replaced, or without one kind."""
    changed = {record.key for record in changes}
    kept: list[Message] = [
        record
        for record in a_settled_world()
        if not (isinstance(record, RegistryRecord) and (record.key in changed or record.key.startswith(f"{without}/")))
    ]
    return views_of([*kept, *changes]).registry


def context(registry: Registry, instant: int = tick(0), **claims: Any) -> Context:
    return context_at(registry, HERE._replace(**claims), instant)


def same(one: Context, other: Context) -> bool:
    return (one.facts, one.why, one.absent, one.records) == (other.facts, other.why, other.absent, other.records)


@settings(max_examples=examples(150))
@given(st.lists(registry_records, max_size=12), COMBINATIONS, st.lists(instants, min_size=1, max_size=8))
def test_a_context_changes_only_at_the_edges_of_records(
    records: list[RegistryRecord], combination: Combination, moments: list[int]
) -> None:
    registry = views_of(records).registry
    contexts = Contexts()
    contexts.refresh(registry)
    for moment in moments:
        segments = contexts.segments(registry, combination)
        assert same(contexts.rows[index_at(segments, moment)], context_at(registry, combination, moment))


@given(st.lists(registry_records, max_size=12), COMBINATIONS, instants, st.sampled_from(["", "site", "notice"]))
def test_only_a_record_that_is_not_there_is_absent(
    records: list[RegistryRecord], combination: Combination, moment: int, unreadable: str
) -> None:
    registry = views_of(records).registry
    registry.mark_unreadable(f"{unreadable}/gates")
    found = context_at(registry, combination, moment)
    for source in found.absent - {Source.NOTICE}:
        assert found.why[source] is Unknown.NOT_REGISTERED
    assert found.why.get(Source.NOTICE) in (None, Unknown.NOT_REGISTERED) or Source.NOTICE not in found.absent
    for source in set(found.why) - {Source.NOTICE, Source.AUTHORITY, Source.EXCEPTION}:
        assert (source in found.absent) == (found.why[source] is Unknown.NOT_REGISTERED)


PURPOSE = {
    "purpose_registered": True,
    "purpose_specific": True,
    "necessity_evidenced": True,
    "purpose_category": "access_control",
    "legal_basis": "consent",
    "basis_evidenced": False,
    "written_consent_required": False,
    "necessary_for_service": False,
    "purpose_operations": ("identification",),
    "purpose_attributes": ("age",),
    "retention_stated": True,
    "retention_days": 30,
    "special_category_basis": "none",
    "purpose_commercial": False,
    "site_allowed": True,
}
PAPER = {
    "authority_registered": True,
    "authority_status": "granted",
    "authority_type": "warrant",
    "authority_objective": "missing_person",
    "authority_urgent": False,
    "authority_requested": True,
    "authority_in_scope": True,
    "authority_offence_annex_ii": False,
    "authority_max_penalty_years": 3,
    "authority_fria": False,
    "authority_eu_registered": False,
    "authority_national_law": False,
    "authority_written_request": False,
    "authority_facts_stated": False,
    "authority_case_linked": True,
    "authority_narrow": True,
    "authority_targets": (PEOPLE[0],),
}


def test_everything_on_record_gives_every_fact_and_the_records_behind_it() -> None:
    gallery = {"reference_database_id": "members"}
    found = context(world(), tick(0), notice_id="notice-1", authority_id="order-1", exception_id="excuse-1", **gallery)
    assert not found.why
    assert not found.absent
    assert found.facts == {
        "device_registered": True,
        "device_zone": "gate",
        "controller_agrees": True,
        "site_agrees": True,
        "site_registered": True,
        "site_id": "gates",
        "site_kind": "zoo",
        "jurisdictions": ("CN",),
        "site_public": True,
        "sign_verified": True,
        "recognition_default": False,
        "alternative_available": True,
        "face_required_by_law": False,
        "controller_type": "private",
        "minor_rules": True,
        "controller_exemptions": ("glba",),
        "retention_policy_public": False,
        **PURPOSE,
        "notice_in_force": True,
        "notice_states_retention": True,
        "prompt_given": True,
        "assessment_current": True,
        "authority_evidenced": True,
        "authority_basis": "public_security",
        "authority_requested_by_subject": False,
        **PAPER,
        "excused_rules": ("core.purpose.drift",),
        "perhaps_excused_rules": (),
        "gallery_registered": True,
        "gallery_provenance": "enrolment",
        "gallery_criteria": (),
        "exception_evidenced": True,
    }
    assert found.records == {
        Source.DEVICE: ("device-gate-1",),
        Source.SITE: ("site-gates", "device-gate-1"),
        Source.CONTROLLER: ("controller-zoo",),
        Source.PURPOSE: ("purpose-entry",),
        Source.NOTICE: ("notice-notice-1",),
        Source.ASSESSMENT: ("assessment-pia-1",),
        Source.GALLERY: ("gallery-members",),
        Source.AUTHORITY: ("authority-order-1",),
        Source.EXCEPTION: ("exception-excuse-1",),
    }


def test_a_device_without_record_leaves_its_site_and_its_law_unknown() -> None:
    found = context(world(without="device"))
    assert found.facts["device_registered"] is False
    assert "device_zone" not in found.facts
    assert "site_registered" not in found.facts
    assert {Source.DEVICE, Source.SITE} <= found.absent
    assert found.why[Source.DEVICE] is found.why[Source.SITE] is Unknown.NOT_REGISTERED


def test_an_unreadable_device_is_unknown_and_not_absent() -> None:
    registry = world()
    registry.mark_unreadable("device/gate-1")
    found = context(registry)
    assert found.facts["device_registered"] is None
    assert found.why[Source.DEVICE] is found.why[Source.SITE] is Unknown.RECORD_UNREADABLE
    assert not found.absent


@pytest.mark.parametrize("kind", ["site", "controller", "purpose", "assessment", "notice"])
def test_a_missing_record_is_absent_and_an_unreadable_one_is_not(kind: str) -> None:
    source = Source(kind)
    thing = {"site": "gates", "controller": "zoo", "purpose": "entry", "assessment": "pia-1", "notice": "notice-1"}
    missing = context(world(without=kind))
    assert source in missing.absent
    assert missing.why[source] is Unknown.NOT_REGISTERED
    registry = world()
    registry.mark_unreadable(f"{kind}/{thing[kind]}")
    unreadable = context(registry)
    assert unreadable.why[source] is Unknown.RECORD_UNREADABLE
    assert source not in unreadable.absent


def test_a_purpose_of_another_controller_is_no_purpose_of_this_one() -> None:
    found = context(world(registry_record("purpose", "entry", controller_id="mall")))
    assert found.facts["purpose_registered"] is False
    for source in (Source.PURPOSE, Source.NOTICE, Source.ASSESSMENT):
        assert found.why[source] is Unknown.NOT_REGISTERED
        assert source in found.absent


def test_a_purpose_that_is_not_named_is_not_reported() -> None:
    found = context(world(), purpose_id=None)
    assert found.facts["purpose_registered"] is False
    assert {found.why[each] for each in (Source.PURPOSE, Source.NOTICE, Source.ASSESSMENT)} == {Unknown.NOT_REPORTED}
    assert not found.absent


def test_a_sign_counts_from_when_it_was_seen_at_the_site_or_at_the_device() -> None:
    at_site = world(registry_record("site", "gates", sign_verified_at=text_at(2)))
    assert [context(at_site, each).facts["sign_verified"] for each in (tick(2, -1), tick(2))] == [False, True]
    at_device = world(
        registry_record("site", "gates", sign_verified_at=None),
        registry_record("device", "gate-1", sign_verified_at=text_at(2)),
    )
    assert [context(at_device, each).facts["sign_verified"] for each in (tick(2, -1), tick(2))] == [False, True]


@pytest.mark.parametrize("kind", ["site", "device"])
def test_a_sign_that_is_seen_later_begins_a_stretch_of_its_own(kind: str) -> None:
    seen = {"site": None, "device": None} | {kind: text_at(2)}
    registry = world(
        registry_record("site", "gates", sign_verified_at=seen["site"]),
        registry_record("device", "gate-1", sign_verified_at=seen["device"]),
    )
    segments = Contexts()
    segments.refresh(registry)
    known = segments.segments(registry, HERE)
    signs = [segments.rows[index_at(known, each)].facts["sign_verified"] for each in (tick(2, -1), tick(2))]
    assert signs == [False, True]


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"alternative_methods": None}, {"alternative_available": None}),
        ({"alternative_methods": []}, {"alternative_available": False}),
        ({"face_required_by": "A decree"}, {"face_required_by_law": True}),
        ({"publicly_accessible": None}, {"site_public": None}),
    ],
)
def test_what_a_site_does_not_state_is_unknown(changes: dict[str, Any], facts: dict[str, object]) -> None:
    found = context(world(registry_record("site", "gates", **changes)))
    assert {name: found.facts[name] for name in facts} == facts


def test_a_claim_of_site_or_controller_decides_nothing_and_shows_the_drift() -> None:
    claimed = context(world(), site_id="hall").facts
    assert (claimed["site_agrees"], claimed["site_id"]) == (False, "gates")
    assert context(world(), site_id=None).facts["site_agrees"] is True
    assert context(world(registry_record("device", "gate-1", controller_id="mall"))).facts["controller_agrees"] is False


def test_a_purpose_bound_to_sites_is_allowed_there_only() -> None:
    here, there = (registry_record("purpose", "entry", site_ids=[site]) for site in ("gates", "hall"))
    assert context(world(here)).facts["site_allowed"] is True
    assert context(world(there)).facts["site_allowed"] is False
    assert context(world(here, without="device")).facts["site_allowed"] is None


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_contexts_are_kept_until_the_registry_changes() -> None:
    registry, contexts = world(), Contexts()
    contexts.refresh(registry)
    segments = contexts.segments(registry, HERE)
    rows, generation = len(contexts.rows), contexts.generation
    contexts.refresh(registry)
    assert contexts.segments(registry, HERE) is segments
    assert (len(contexts.rows), contexts.generation) == (rows, generation)
    registry.add(registry_record("device", "gate-1", record_id="later", valid_from=text_at(1), zone="lobby"))
    contexts.refresh(registry)
    assert contexts.generation > generation
    zones = [contexts.rows[index_at(contexts.segments(registry, HERE), each)].facts["device_zone"]
             for each in (tick(1, -1), tick(1))]  # fmt: skip
    assert zones == ["gate", "lobby"]


def test_a_flood_of_made_up_devices_is_forgotten_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 10)
    registry, contexts = world(), Contexts()
    contexts.refresh(registry)
    for number in range(20):
        contexts.segments(registry, HERE._replace(device_id=f"made-up-{number}"))
    assert len(contexts.rows) > 10, "within a batch nothing is forgotten"
    contexts.refresh(registry)
    assert contexts.rows == []
