"""Cases: every row has every fact as of its own instant, whatever stands beside it, and only as far as feeds reach."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chance_world import World, worlds
from pace import examples
from schemas.contract import Message
from schemas.encounter import ENCOUNTER
from schemas.registry import RegistryRecord
from settled_world import (
    COVERED,
    a_feed,
    a_match,
    a_settled_world,
    text_at,
    views_of,
)
from streams.core.case import REGISTRY_SOURCES, SUBJECT_SOURCES, assemble
from streams.core.columns import COLUMN_TYPES
from streams.core.facts import FACTS, OF_KIND, CaseKind, Source, Unknown, why
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.horizon import KINDS

pytestmark = pytest.mark.untraced

SOURCES = (*REGISTRY_SOURCES, *SUBJECT_SOURCES)
STRANGER = {"subject_ref": None, "comparison_decision": "non_match"}
WHOLE = settings(max_examples=examples(40), deadline=None)


def frame(kind: CaseKind, messages: Sequence[Any]) -> pl.DataFrame:
    return frame_of(messages, MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS)


def assembled(world: World, messages: Sequence[Any] | None = None) -> list[dict[str, Any]]:
    messages = world.messages if messages is None else messages
    return assemble(frame(world.kind, messages), world.kind, views_of(world.records)).to_dicts()


def the_case(records: Sequence[Message], **event: Any) -> dict[str, Any]:
    """The facts of one match event over records."""
    (row,) = assemble(frame(CaseKind.MATCH, [a_match(**event)]), CaseKind.MATCH, views_of(records)).to_dicts()
    return row



# -- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(CaseKind))
def test_every_fact_of_the_catalogue_is_there_for_every_kind_that_has_it(kind: CaseKind) -> None:
    cases = assemble(frame(kind, []), kind, views_of(a_settled_world()))
    assert cases.height == 0
    for name, type_ in OF_KIND[kind].items():
        expected = pl.Int64() if name == "reviewers" else COLUMN_TYPES[type_]
        assert cases.schema[name] == expected, name
    reasons = {name for name in cases.columns if name.startswith("why_")}
    assert reasons == {why(source) for source in SOURCES}
    assert cases.schema["site_in_force"] == pl.String()


def test_a_case_has_the_facts_wanted_and_no_others() -> None:
    wanted = {"consent_in_force", "device_zone", "operation_allowed", "recipient_role"}
    cases = assemble(frame(CaseKind.MATCH, [a_match()]), CaseKind.MATCH, views_of(a_settled_world()), wanted)
    computed = {name for name, fact in FACTS.items() if fact.source is not Source.EVENT} & set(cases.columns)
    assert computed == {"consent_in_force", "device_zone", "operation_allowed", "prompt_given"}
    assert "stranger" not in cases.columns
    every = assemble(frame(CaseKind.MATCH, [a_match()]), CaseKind.MATCH, views_of(a_settled_world()))
    names = [*computed, *(name for name in cases.columns if name.startswith("why_"))]
    assert cases.select(names).equals(every.select(names))


@WHOLE
@given(worlds(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_facts_of_a_row_do_not_depend_on_other_rows(world: World, chance: Random, size: int) -> None:
    expected = [assembled(world, [message])[0] for message in world.messages]
    assert assembled(world) == expected
    order = list(range(len(world.messages)))
    chance.shuffle(order)
    views = views_of(world.records)
    for start in range(0, len(order), size):
        piece = order[start : start + size]
        cases = assemble(frame(world.kind, [world.messages[index] for index in piece]), world.kind, views)
        assert cases.to_dicts() == [expected[index] for index in piece]


@WHOLE
@given(worlds(most=4), st.randoms(use_true_random=False))
def test_the_order_of_records_and_their_repeats_change_no_case(world: World, chance: Random) -> None:
    shuffled = [*world.records, *world.records[::2]]
    chance.shuffle(shuffled)
    assert assembled(World(shuffled, world.kind, world.messages)) == assembled(world)


@WHOLE
@given(worlds(most=3), worlds(most=3))
def test_what_was_assembled_before_does_not_stick(world: World, other: World) -> None:
    views = views_of(world.records)
    assemble(frame(world.kind, world.messages), world.kind, views)
    for record in other.records:
        views.registry.add(record) if isinstance(record, RegistryRecord) else views.histories.add(record)  # type: ignore[arg-type]
    again = assemble(frame(other.kind, other.messages), other.kind, views).to_dicts()
    assert again == assembled(World([*world.records, *other.records], other.kind, other.messages))


def test_the_views_of_two_partitions_share_the_registry_and_not_the_persons() -> None:
    here = views_of([*a_settled_world(), a_feed()])
    there = here.beside(views_of([]).histories)
    answers = [
        assemble(frame(CaseKind.MATCH, [a_match()]), CaseKind.MATCH, views).row(0, named=True)
        for views in (here, there, here)
    ]
    assert [row["consent_in_force"] for row in answers] == [True, False, True]
    assert [row["device_registered"] for row in answers] == [True, True, True]


@WHOLE
@given(worlds())
def test_a_fact_that_is_unknown_has_a_reason_of_its_source_or_is_not_reported(world: World) -> None:
    stated = {"minor_rules", "alternative_available", "site_public", "necessary_for_service", "age_band",
              "authority_requested_by_subject", "operation_allowed", "attributes_allowed", "site_allowed",
              "recognition_default", "controller_exemptions", "retention_days", "purpose_commercial", "image_source",
              "gallery_criteria", "authority_objective", "authority_offence_annex_ii", "authority_max_penalty_years",
              "authority_narrow", "authority_targets_subject"}  # fmt: skip
    for row in assembled(world):
        for name in OF_KIND[world.kind]:
            source = FACTS[name].source
            if row[name] is None and source is not Source.EVENT and name not in stated:
                assert row[why(source)] is not None, name


# -- facts of the event -----------------------------------------------------------------------------------------------


def test_sensitive_attributes_are_those_of_the_inferred_that_law_calls_so() -> None:
    for inferred, sensitive in ((["age", "race"], ["race"]), (["age"], []), ([], []), (None, None)):
        assert the_case([], inferred_attributes=inferred)["sensitive_attributes"] == sensitive


def test_what_a_purpose_allows_is_compared_with_what_was_done() -> None:
    def allowed(**event: Any) -> tuple[object, object]:
        row = the_case([*a_settled_world(), a_feed()], **event)
        return row["operation_allowed"], row["attributes_allowed"]

    assert allowed(inferred_attributes=["age"]) == (True, True)
    assert allowed(inferred_attributes=["age", "race"]) == (True, False)
    assert allowed(inferred_attributes=None) == (True, None)
    assert allowed(operation="emotion_recognition") == (False, True)
    assert allowed(purpose_id="ads") == (None, None)


@pytest.mark.parametrize(
    ("claim", "claimed"),
    [
        ({}, False),
        ({"claimed_basis": "statute"}, True),
        ({"authority_id": "order-1"}, True),
        ({"exception_id": "excuse-1"}, True),
    ],
)
def test_a_claim_is_any_ground_that_the_event_names(claim: dict[str, str], claimed: bool) -> None:
    row = the_case([], **claim)
    assert row["exception_claimed"] is claimed
    assert row["claimed_basis"] == claim.get("claimed_basis", "none")


def test_a_purpose_is_named_or_not() -> None:
    assert the_case([])["purpose_named"] is True
    assert the_case([], purpose_id=None)["purpose_named"] is False


def test_encounters_have_their_own_facts_under_names_of_their_own() -> None:
    where = {"event_id": "e", "occurred_at": text_at(0), "controller_id": "zoo", "device_id": "gate-1"}
    door = {"kind": "access_outcome", "face_scan_refused": True, "outcome": "denied"}
    review = {"kind": "human_review", "match_event_id": "event-1", "result": "overruled", "reviewers": 2}
    handover = {"kind": "disclosure", "recipient_id": "x", "recipient_role": "authority", "legal_basis": "contract"}
    given = handover | {"evidence_ref": "p", "for_value": True}
    expected: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (door, {"access_outcome": "denied", "face_scan_refused": True, "alternative_offered": None}),
        (review, {"review_result": "overruled", "reviewers": 2}),
        (handover, {"disclosure_basis": "contract", "disclosure_evidenced": False, "disclosed_for_value": False}),
        (given, {"disclosure_basis": "contract", "disclosure_evidenced": True, "disclosed_for_value": True}),
    ]
    for message, facts in expected:
        kind = CaseKind(message["kind"])
        cases = assemble(frame(kind, [ENCOUNTER.fit(where | message)]), kind, views_of(a_settled_world()))
        assert {name: cases[name][0] for name in facts} == facts


def test_who_met_somebody_at_the_door_without_a_reference_is_not_reported() -> None:
    door = {"kind": "access_outcome", "face_scan_refused": True, "outcome": "denied", "event_id": "e"}
    where = {"occurred_at": text_at(0), "controller_id": "zoo", "device_id": "gate-1", "purpose_id": "entry"}
    views = views_of([*a_settled_world(), a_feed()])
    cases = assemble(frame(CaseKind.ACCESS_OUTCOME, [ENCOUNTER.fit(where | door)]), CaseKind.ACCESS_OUTCOME, views)
    assert cases["consent_in_force"].to_list() == [None]
    assert cases["why_consent"].to_list() == ["not_reported"]


# -- nobody we know ---------------------------------------------------------------------------------------------------

PROMPTED = {"notice_id": "notice-1"}


@pytest.mark.parametrize(
    ("event", "agreed", "reason"),
    [
        ({"active_involvement": False}, False, None),
        ({"active_involvement": False, "on_site_consent": True}, False, None),
        ({"active_involvement": True, "on_site_consent": True}, True, None),
        ({"active_involvement": True, "on_site_consent": False, **PROMPTED}, False, None),
        ({"active_involvement": True, **PROMPTED}, True, None),
        ({"active_involvement": True}, None, "not_reported"),
        ({"active_involvement": None, "on_site_consent": True}, None, "not_reported"),
    ],
)
def test_a_stranger_is_judged_by_what_was_agreed_on_the_spot(
    event: dict[str, Any], agreed: bool | None, reason: str | None
) -> None:
    row = the_case([*a_settled_world(), a_feed()], **STRANGER | event)
    assert row["stranger"] is True
    assert (row["consent_in_force"], row["separate_consent_in_force"]) == (agreed, agreed)
    assert row["why_consent"] == reason
    if agreed:
        assert row["separate_consent_actions"] == ["collect", "identify"]
        assert (row["consented_attributes"], row["consent_withdrawn"]) == ([], False)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"comparison_decision": "match"}, Unknown.IDENTITY_UNLINKED),
        ({"comparison_decision": "non_match", "operation": "verification"}, Unknown.IDENTITY_UNLINKED),
        ({"comparison_decision": "inconclusive"}, Unknown.NOT_REPORTED),
        ({"comparison_decision": "not_reported"}, Unknown.NOT_REPORTED),
    ],
)
def test_a_known_face_without_a_reference_is_unlinked_and_never_without_consent(
    event: dict[str, Any], reason: Unknown
) -> None:
    row = the_case([*a_settled_world(), a_feed()], subject_ref=None, on_site_consent=True, **event)
    assert row["stranger"] is False
    for source in SUBJECT_SOURCES:
        assert row[why(source)] == reason.value
    assert {row[name] for name, fact in FACTS.items() if fact.source in SUBJECT_SOURCES} == {None}


def test_a_stranger_needs_no_feed_of_persons_and_a_known_person_does() -> None:
    registry_only = a_feed(covers=[kind for kind in COVERED if kind not in KINDS[Source.CONSENT]])
    records = [*a_settled_world(), registry_only]
    assert the_case(records, **STRANGER, active_involvement=False)["consent_in_force"] is False
    assert the_case(records)["why_consent"] == "feed_missing"
