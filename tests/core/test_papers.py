"""Papers and claims: a notice, an assessment, an authority or an exception counts within its scope and its time."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.contract import Message
from schemas.registry import RegistryRecord
from settled_world import (
    a_settled_world,
    registry_record,
    text_at,
    tick,
    views_of,
)
from streams.core.context import Combination, Context, context_at
from streams.core.facts import Source, Unknown
from streams.core.registry import Registry

HERE = Combination("zoo", "gate-1", "gates", "entry", None, None, None)


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


# -- papers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"controller_id": "mall"}, {"method_version": "2"}, {"site_ids": ["hall"]}, {"purpose_ids": ["ads"]}]
)
def test_a_notice_for_something_else_is_none(changes: dict[str, Any]) -> None:
    found = context(world(registry_record("notice", "notice-1", **changes)), notice_id="notice-1")
    assert [found.facts[name] for name in ("notice_in_force", "notice_states_retention", "prompt_given")] == [False] * 3
    assert Source.NOTICE in found.absent
    assert found.records[Source.NOTICE] == ()


@pytest.mark.parametrize("changes", [{"controller_id": "mall"}, {"method_version": "2"}, {"purpose_ids": ["ads"]}])
def test_an_assessment_of_something_else_is_none(changes: dict[str, Any]) -> None:
    found = context(world(registry_record("assessment", "pia-1", **changes)))
    assert found.facts["assessment_current"] is False
    assert Source.ASSESSMENT in found.absent


def test_a_notice_bound_to_sites_cannot_be_judged_without_the_device() -> None:
    notice = registry_record("notice", "notice-1", site_ids=["gates"])
    assert context(world(notice)).facts["notice_in_force"] is True
    found = context(world(notice, without="device"))
    assert found.facts["notice_in_force"] is None
    assert found.why[Source.NOTICE] is Unknown.NOT_REGISTERED


def test_a_prompt_is_a_notice_in_force_that_the_event_names() -> None:
    assert context(world(), notice_id="notice-1").facts["prompt_given"] is True
    assert context(world(), notice_id="notice-2").facts["prompt_given"] is False
    assert context(world(), notice_id=None).facts["prompt_given"] is False


def test_what_a_notice_lacks_may_stand_in_another_so_it_rests_on_absence() -> None:
    silent = registry_record("notice", "notice-1", states_retention=False)
    found = context(world(silent))
    assert (found.facts["notice_in_force"], found.facts["notice_states_retention"]) == (True, False)
    assert Source.NOTICE in found.absent
    assert Source.NOTICE not in found.why
    assert Source.NOTICE in context(world(), notice_id="notice-2").absent
    assert Source.NOTICE not in context(world()).absent


def test_what_a_hidden_notice_may_say_is_unknown_and_what_another_says_stands() -> None:
    registry = world(registry_record("notice", "notice-1", states_retention=False))
    registry.mark_unreadable("notice/notice-2")
    found = context(registry, notice_id="notice-2")
    assert found.facts["notice_in_force"] is True
    assert found.facts["notice_states_retention"] is None
    assert found.facts["prompt_given"] is None
    assert found.why[Source.NOTICE] is Unknown.RECORD_UNREADABLE


# -- claims -----------------------------------------------------------------------------------------------------------

NOTHING = {"authority_evidenced": False, "authority_basis": "none", "authority_requested_by_subject": False}


def authority(found: Context) -> dict[str, object]:
    return {name: found.facts.get(name) for name in NOTHING}


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence_ref": None},
        {"status": "pending"},
        {"status": "expired"},
        {"controller_id": "mall"},
        {"device_ids": ["gate-2"]},
        {"site_ids": ["hall"]},
        {"valid_until": text_at(0)},
    ],
)
def test_an_authority_lacking_grant_evidence_scope_or_time_gives_nothing(changes: dict[str, Any]) -> None:
    found = context(world(registry_record("authority", "order-1", **changes)), authority_id="order-1")
    assert authority(found) == NOTHING


@pytest.mark.parametrize("changes", [{}, {"device_ids": ["gate-1"]}, {"site_ids": ["gates", "hall"]}])
def test_an_authority_in_scope_gives_its_basis(changes: dict[str, Any]) -> None:
    order = registry_record("authority", "order-1", requested_by_subject=True, **changes)
    assert authority(context(world(order), authority_id="order-1")) == {
        "authority_evidenced": True,
        "authority_basis": "public_security",
        "authority_requested_by_subject": True,
    }


def test_an_authority_that_nobody_claims_or_nobody_recorded_gives_nothing() -> None:
    unclaimed = context(world())
    assert authority(unclaimed) == NOTHING
    assert Source.AUTHORITY not in unclaimed.absent
    unrecorded = context(world(), authority_id="order-9")
    assert authority(unrecorded) == NOTHING
    assert Source.AUTHORITY in unrecorded.absent


def test_an_unreadable_claim_is_unknown() -> None:
    registry = world()
    registry.mark_unreadable("authority/order-1")
    registry.mark_unreadable("exception/excuse-1")
    found = context(registry, authority_id="order-1", exception_id="excuse-1")
    assert set(authority(found).values()) == {None}
    assert "exception_evidenced" not in found.facts
    assert found.why[Source.AUTHORITY] is found.why[Source.EXCEPTION] is Unknown.RECORD_UNREADABLE


def test_a_claim_bound_to_sites_cannot_be_judged_without_the_device() -> None:
    order, excuse = (
        registry_record(kind, thing, site_ids=["gates"])
        for kind, thing in (("authority", "order-1"), ("exception", "excuse-1"))
    )
    found = context(world(order, excuse, without="device"), authority_id="order-1", exception_id="excuse-1")
    assert set(authority(found).values()) == {None}
    assert "exception_evidenced" not in found.facts
    assert found.why[Source.AUTHORITY] is found.why[Source.EXCEPTION] is Unknown.NOT_REGISTERED


@pytest.mark.parametrize(
    ("changes", "evidenced"),
    [
        ({}, True),
        ({"purpose_ids": ["entry"]}, True),
        ({"purpose_ids": ["ads"]}, False),
        ({"evidence_ref": None}, False),
        ({"evidence_ref": None, "site_ids": ["gates"]}, False),
        ({"site_ids": ["hall"]}, False),
        ({"device_ids": ["gate-2"]}, False),
        ({"controller_id": "mall"}, False),
    ],
)
def test_an_exception_counts_within_its_scope_and_with_its_evidence(changes: dict[str, Any], evidenced: bool) -> None:
    found = context(world(registry_record("exception", "excuse-1", **changes)), exception_id="excuse-1")
    assert found.facts["exception_evidenced"] is evidenced


def test_an_exception_that_nobody_recorded_is_not_evidenced_and_absent() -> None:
    assert context(world()).facts["exception_evidenced"] is False
    found = context(world(), exception_id="excuse-9")
    assert found.facts["exception_evidenced"] is False
    assert Source.EXCEPTION in found.absent


