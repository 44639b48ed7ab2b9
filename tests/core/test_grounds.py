"""Authority, gallery and attestation: what a paper says, and whom it speaks about."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.contract import Message
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, registry_record, text_at, views_of
from small_world import a_world
from streams.core.case import assemble
from streams.core.facts import FACTS, CaseKind, Source
from streams.core.frame import MATCH_COLUMNS, frame_of
from streams.core.grounds import ATTESTABLE, NO_AUTHORITY


def case_of(*more: Message, without: tuple[str, ...] = (), feed: bool = True, **event: Any) -> dict[str, Any]:
    """The facts of one match event in the settled world, with some records more and some kinds fewer."""
    kept = [each for each in a_settled_world() if each.kind not in without]  # type: ignore[attr-defined]
    views = views_of([*kept, *more, *([a_feed()] if feed else [])])
    (row,) = assemble(frame_of([a_match(**event)], MATCH_COLUMNS), CaseKind.MATCH, views).to_dicts()
    return row


def an_order(**fields: Any) -> Message:
    return registry_record("authority", "order-2", **fields)


def test_who_names_no_authority_has_none_and_nothing_is_unknown() -> None:
    row = case_of()
    said = {name: value for name, value in NO_AUTHORITY.items() if name in FACTS}
    assert {name: row[name] for name in said} == said
    assert row["authority_targets_subject"] is False


def test_a_paper_that_is_not_granted_says_what_it_says_and_proves_nothing() -> None:
    row = case_of(an_order(status="rejected", urgent=True, fria_ref="fria-1"), authority_id="order-2")
    assert (row["authority_status"], row["authority_urgent"], row["authority_fria"]) == ("rejected", True, True)
    assert (row["authority_evidenced"], row["authority_basis"]) == (False, "none")
    assert (row["authority_in_scope"], row["authority_case_linked"]) == (True, True)


def test_what_a_paper_does_not_state_is_unknown() -> None:
    names = ("objective", "offence_annex_ii", "max_penalty_years", "narrow")
    row = case_of(an_order(**dict.fromkeys(names)), authority_id="order-2")
    assert [row[f"authority_{name}"] for name in names] == [None] * 4
    assert row["authority_evidenced"] is True


@pytest.mark.parametrize(
    ("asked", "said"), [(text_at(0, -1), True), (text_at(0), True), (text_at(0, 1), False), (None, False)]
)
def test_a_paper_was_asked_for_from_the_instant_it_was_asked_for(asked: str | None, said: bool) -> None:
    assert case_of(an_order(requested_at=asked), authority_id="order-2")["authority_requested"] is said


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        ({}, True),
        ({"device_ids": ["gate-1"]}, True),
        ({"device_ids": ["gate-2"]}, False),
        ({"site_ids": ["hall"]}, False),
        ({"controller_id": "mall"}, False),
    ],
)
def test_scope_is_told_apart_from_grant(scope: dict[str, Any], covers: bool) -> None:
    row = case_of(an_order(status="pending", **scope), authority_id="order-2")
    assert (row["authority_in_scope"], row["authority_evidenced"]) == (covers, False)


def test_where_the_device_stands_decides_a_scope_by_sites_and_may_be_unknown() -> None:
    row = case_of(an_order(site_ids=["gates"]), without=("device",), feed=False, authority_id="order-2")
    assert row["authority_in_scope"] is None
    assert row["authority_evidenced"] is None


@pytest.mark.parametrize(
    ("targets", "event", "named"),
    [
        ([PEOPLE[0]], {}, True),
        ([PEOPLE[1]], {}, False),
        (None, {}, False),
        ([PEOPLE[1]], {"subject_ref": None, "comparison_decision": "non_match"}, False),
        ([PEOPLE[1]], {"subject_ref": None}, None),
        (None, {"subject_ref": None}, False),
    ],
)
def test_an_authority_targets_whom_it_names(targets: Any, event: dict[str, Any], named: bool | None) -> None:
    row = case_of(an_order(target_refs=targets), authority_id="order-2", **event)
    assert row["authority_targets_subject"] is named


def test_an_authority_that_may_be_under_way_leaves_everything_about_it_unknown() -> None:
    row = case_of(feed=False, authority_id="order-9")
    held = [name for name, fact in FACTS.items() if fact.source is Source.AUTHORITY and row[name] is not None]
    assert held == []
    assert row["why_authority"] == "feed_missing"


@pytest.mark.parametrize(
    ("named", "registered", "provenance", "criteria"),
    [
        (None, False, "none", []),
        ("members", True, "enrolment", []),
        ("list-1", True, "scraped", ["political_view"]),
        ("unheard-of", False, None, None),
    ],
)
def test_the_gallery_is_the_one_that_the_event_names(
    named: str | None, registered: bool, provenance: str | None, criteria: list[str] | None
) -> None:
    listed = registry_record("gallery", "list-1", provenance="scraped", criteria=["political_view"])
    row = case_of(listed, reference_database_id=named)
    said = (row["gallery_registered"], row["gallery_provenance"], row["gallery_criteria"])
    assert said == (registered, provenance, criteria)


# -- attestations ------------------------------------------------------------------------------------------------------

SILENT: dict[str, Any] = {fact.name: None for fact in ATTESTABLE if fact.name in MATCH_COLUMNS}


def attest(thing: str, fact: str, value: object, **fields: Any) -> Message:
    return registry_record("attestation", f"{thing}-{fact}", about=thing, fact=fact, value=value, **fields)


def test_an_attestation_speaks_where_the_event_is_silent_and_not_where_it_speaks() -> None:
    paper = attest("device/gate-1", "original_image_retained", True)
    assert case_of(paper, original_image_retained=None)["original_image_retained"] is True
    assert case_of(paper, original_image_retained=False)["original_image_retained"] is False


def test_the_devices_attestation_comes_before_the_purposes() -> None:
    papers = [attest("purpose/entry", "timing", "post"), attest("device/gate-1", "timing", "realtime")]
    assert case_of(*papers, timing=None)["timing"] == "realtime"
    assert case_of(papers[0], timing=None)["timing"] == "post"


def test_papers_that_disagree_or_are_of_another_type_or_controller_say_nothing() -> None:
    disagree = [attest("device/gate-1", "timing", each, id=each) for each in ("post", "realtime")]
    assert case_of(*disagree, timing=None)["timing"] is None
    assert case_of(attest("device/gate-1", "timing", True), timing=None)["timing"] is None
    assert case_of(attest("device/gate-1", "timing", "post", controller_id="mall"), timing=None)["timing"] is None
    assert case_of(attest("device/gate-2", "timing", "post"), timing=None)["timing"] is None


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ({"valid_from": text_at(0)}, "post"),
        ({"valid_from": text_at(0, 1)}, None),
        ({"valid_until": text_at(0)}, None),
        ({"valid_until": text_at(0, 1)}, "post"),
    ],
)
def test_an_attestation_holds_in_its_time(interval: dict[str, Any], said: str | None) -> None:
    assert case_of(attest("device/gate-1", "timing", "post", **interval), timing=None)["timing"] == said


def test_attested_traits_are_sensitive_ones_too() -> None:
    row = case_of(attest("device/gate-1", "inferred_attributes", ["age", "race"]), inferred_attributes=None)
    assert (row["inferred_attributes"], row["sensitive_attributes"]) == (["age", "race"], ["race"])


def test_a_purpose_record_that_is_silent_is_completed_by_an_attestation() -> None:
    silent = registry_record("purpose", "entry", record_id="purpose-silent", necessary_for_service=None)
    assert case_of(silent, without=("purpose",))["necessary_for_service"] is None
    paper = attest("purpose/entry", "necessary_for_service", True)
    assert case_of(silent, paper, without=("purpose",))["necessary_for_service"] is True


def test_every_fact_says_what_to_supply() -> None:
    assert FACTS["timing"].supply == "Report it with the event, or attest it for the device or the purpose."
    assert FACTS["decision_effect"].supply == "Report it with the event."
    assert FACTS["site_public"].supply == "State it in the record of the site."


def test_a_violation_that_rests_on_an_attestation_names_it() -> None:
    paper = {
        "kind": "attestation", "id": "a-1", "record_id": "attested-1", "controller_id": "zoo", "about": "device/gate-1",
        "fact": "original_image_retained", "value": True, "attested_by": "auditor-1", "evidence_ref": "paper-7",
    }  # fmt: skip
    world = a_world(event={"original_image_retained": None}, more=[paper], only="cn2023.art17")
    assert "attested-1" in world.violations()["cn2023.art17.original"].deciding_records
