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
from schemas.contract import Message
from schemas.encounter import ENCOUNTER
from schemas.registry import FeedRecord, RegistryRecord
from settled_world import (
    COVERED,
    a_feed,
    a_match,
    a_settled_world,
    registry_record,
    subject_record,
    text_at,
    views_of,
)
from streams.core.case import KINDS, REGISTRY_SOURCES, SUBJECT_SOURCES, assemble
from streams.core.columns import COLUMN_TYPES
from streams.core.facts import FACTS, OF_KIND, CaseKind, Source, Unknown, why
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of

SOURCES = (*REGISTRY_SOURCES, *SUBJECT_SOURCES)
STRANGER = {"subject_ref": None, "comparison_decision": "non_match"}
CLAIMS = {"notice_id": "notice-1", "authority_id": "order-1", "exception_id": "excuse-1"}
WHOLE = settings(max_examples=40, deadline=None)


def frame(kind: CaseKind, messages: Sequence[Any]) -> pl.DataFrame:
    return frame_of(messages, MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS)


def assembled(world: World, messages: Sequence[Any] | None = None) -> list[dict[str, Any]]:
    messages = world.messages if messages is None else messages
    return assemble(frame(world.kind, messages), world.kind, views_of(world.records)).to_dicts()


def the_case(records: Sequence[Message], **event: Any) -> dict[str, Any]:
    """The facts of one match event over records."""
    (row,) = assemble(frame(CaseKind.MATCH, [a_match(**event)]), CaseKind.MATCH, views_of(records)).to_dicts()
    return row


def settled(*changes: Message, without: Sequence[str] = ()) -> list[Message]:
    """The settled world without some kinds of records, and with others."""
    kept = [record for record in a_settled_world() if record.model_dump()["kind"] not in without]
    return [*kept, *changes]


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
              "authority_requested_by_subject", "operation_allowed", "attributes_allowed", "site_allowed"}  # fmt: skip
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


# -- horizons ---------------------------------------------------------------------------------------------------------

EVERYTHING_GRANTED = subject_record(
    "consent_given",
    record_id="by-guardian",
    valid_from=text_at(-9),
    consent_form="written",
    giver="guardian",
    actions=["analyse_age"],
)
"""A consent that leaves no answer of the history negative."""
EACH = [(source, kind) for source in SOURCES for kind in KINDS[source]]


def facts_of(source: Source) -> list[str]:
    return [name for name in OF_KIND[CaseKind.MATCH] if FACTS[name].source is source]


def feeds_with(kind: str, complete: int, lag: int) -> list[FeedRecord]:
    """A feed of one kind, and one of everything else that reaches far."""
    others = a_feed(covers=[each for each in COVERED if each != kind])
    return [others, a_feed(id="slow", covers=[kind], complete_until=text_at(complete), max_lag_seconds=lag)]


def rows_at(records: Sequence[Message], *instants: tuple[int, int], **event: Any) -> list[dict[str, Any]]:
    messages = [a_match(**CLAIMS | event, occurred_at=text_at(*instant)) for instant in instants]
    return assemble(frame(CaseKind.MATCH, messages), CaseKind.MATCH, views_of(records)).to_dicts()


@pytest.mark.parametrize(("source", "kind"), EACH)
def test_what_was_said_stands_until_the_lag_is_over_and_then_nothing_does(source: Source, kind: str) -> None:
    records = settled(EVERYTHING_GRANTED, *feeds_with(kind, 1, lag=20))
    before, after = rows_at(records, (3, -1), (3, 0))
    assert all(before[name] is not None for name in facts_of(source))
    assert [after[name] for name in facts_of(source)] == [None] * len(facts_of(source))
    assert after[why(source)] == "feed_behind"
    for other in SOURCES:
        if kind not in KINDS[other]:
            assert after[why(other)] is None
            assert all(after[name] is not None for name in facts_of(other))


@pytest.mark.parametrize(("source", "kind"), EACH)
def test_what_no_feed_covers_is_unknown_for_ever(source: Source, kind: str) -> None:
    (row,) = rows_at([*a_settled_world(), a_feed(covers=[each for each in COVERED if each != kind])], (0, 0))
    assert [row[name] for name in facts_of(source)] == [None] * len(facts_of(source))
    assert row[why(source)] == "feed_missing"


ABSENT: dict[Source, dict[str, Any]] = {
    Source.DEVICE: {"device_registered": False},
    Source.SITE: {"site_registered": False},
    Source.PURPOSE: {"purpose_registered": False},
    Source.NOTICE: {"notice_in_force": False, "notice_states_retention": False, "prompt_given": False},
    Source.ASSESSMENT: {"assessment_current": False},
    Source.AUTHORITY: {
        "authority_evidenced": False,
        "authority_basis": "none",
        "authority_requested_by_subject": False,
    },
    Source.EXCEPTION: {"exception_evidenced": False},
    Source.CONSENT: {
        "consent_in_force": False,
        "separate_consent_in_force": False,
        "written_consent_in_force": False,
        "guardian_consent_in_force": False,
        "consent_forms": [],
        "consent_actions": [],
        "separate_consent_actions": [],
        "consented_attributes": [],
        "consent_withdrawn": False,
    },
}


@pytest.mark.parametrize("source", list(ABSENT))
def test_a_missing_record_is_absent_only_before_its_feed_is_complete(source: Source) -> None:
    kind = KINDS[source][-1] if source is not Source.CONSENT else "consent_given"
    records = [*settled(without=[kind]), *feeds_with(kind, 1, lag=3_600)]
    before, after = rows_at(records, (1, -1), (1, 0))
    assert {name: before[name] for name in ABSENT[source]} == ABSENT[source]
    in_part = [name for name in facts_of(source) if source is Source.CONSENT and before[name] == []]
    assert all(after[name] == ([None] if name in in_part else None) for name in facts_of(source))
    assert before[why(source)] in (None, "not_registered")
    assert after[why(source)] == "feed_behind"


def test_a_feed_behind_on_devices_is_the_reason_for_the_site_too() -> None:
    before, after = rows_at([*settled(without=["device"]), *feeds_with("device", 1, lag=3_600)], (1, -1), (1, 0))
    assert (before["why_device"], before["why_site"]) == ("not_registered", "not_registered")
    assert (after["why_device"], after["why_site"]) == ("feed_behind", "feed_behind")


def test_a_person_who_withdrew_has_said_so_and_no_later_record_is_waited_for() -> None:
    withdrawal = subject_record("consent_withdrawn", valid_from=text_at(-1))
    (row,) = rows_at([*settled(withdrawal), *feeds_with("consent_given", 0, lag=60)], (0, 0))
    assert (row["consent_in_force"], row["consent_withdrawn"], row["why_consent"]) == (False, True, None)


def test_what_a_consent_does_not_grant_another_may_so_it_is_not_denied_while_the_feed_is_behind() -> None:
    weak = subject_record("consent_given", valid_from=text_at(-1), consent_form="implied")
    records = [*settled(weak, without=["consent_given"]), *feeds_with("consent_given", 1, lag=60)]
    before, after = rows_at(records, (1, -1), (1, 0))
    granted = {"consent_forms": ["implied"], "consent_actions": ["collect", "identify"]}
    denied = ("separate_consent_in_force", "written_consent_in_force", "guardian_consent_in_force")
    for row in (before, after):
        assert row["consent_in_force"] is True
        assert row["consent_withdrawn"] is False, "what was given is not taken for withdrawn"
    assert [before[name] for name in denied] == [False] * 3
    assert {after[name] for name in denied} == {None}
    lists = granted | {"separate_consent_actions": [], "consented_attributes": []}
    assert {name: before[name] for name in lists} == lists
    assert {name: after[name] for name in lists} == {name: [*texts, None] for name, texts in lists.items()}
    assert after["why_consent"] == "feed_behind"


def test_what_a_notice_does_not_say_another_may_so_it_is_not_denied_while_the_feed_is_behind() -> None:
    silent = registry_record("notice", "notice-1", states_retention=False)
    records = [*settled(silent, without=["notice"]), *feeds_with("notice", 1, lag=60)]
    before, after = rows_at(records, (1, -1), (1, 0))
    assert (before["notice_in_force"], before["notice_states_retention"], before["why_notice"]) == (True, False, None)
    assert (after["notice_in_force"], after["notice_states_retention"], after["why_notice"]) == (
        *(True, None),
        "feed_behind",
    )
    assert after["prompt_given"] is True


def test_a_claim_that_nobody_made_needs_no_feed() -> None:
    covers = [kind for kind in COVERED if kind not in ("authority", "exception")]
    (unclaimed,) = rows_at([*a_settled_world(), a_feed(covers=covers)], (0, 0), authority_id=None, exception_id=None)
    assert (unclaimed["authority_evidenced"], unclaimed["authority_basis"]) == (False, "none")
    assert unclaimed["exception_evidenced"] is False
    assert unclaimed["why_authority"] is None
    (claimed,) = rows_at([*a_settled_world(), a_feed(covers=covers)], (0, 0))
    assert (claimed["authority_evidenced"], claimed["exception_evidenced"]) == (None, None)


def test_a_purpose_that_is_not_named_needs_no_feed() -> None:
    covers = [kind for kind in COVERED if kind not in ("purpose", "notice", "assessment")]
    (row,) = rows_at([*a_settled_world(), a_feed(covers=covers)], (0, 0), purpose_id=None)
    assert row["purpose_registered"] is False
    assert (row["why_purpose"], row["why_notice"]) == ("not_reported", "not_reported")


def test_a_reason_that_a_feed_cannot_mend_is_kept() -> None:
    views = views_of([*a_settled_world(), a_feed(complete_until=text_at(-2), max_lag_seconds=1)])
    views.registry.mark_unreadable("device/gate-1")
    row = assemble(frame(CaseKind.MATCH, [a_match(subject_ref=None)]), CaseKind.MATCH, views).row(0, named=True)
    assert row["why_device"] == "record_unreadable"
    assert row["why_consent"] == "identity_unlinked"
    assert row["why_controller"] == "feed_behind"


def test_controllers_with_different_horizons_are_told_apart_in_one_batch() -> None:
    mall = [
        registry_record("controller", "mall", controller_type="public_agency"),
        a_feed(controller_id="zoo"),
        a_feed(id="slow", controller_id="mall", complete_until=text_at(-2), max_lag_seconds=5),
    ]
    messages = [a_match(controller_id=each) for each in ("zoo", "mall", "aquarium", "zoo")]
    cases = assemble(frame(CaseKind.MATCH, messages), CaseKind.MATCH, views_of([*a_settled_world(), *mall]))
    assert cases["controller_type"].to_list() == ["private", None, None, "private"]
    assert cases["why_controller"].to_list() == [None, "feed_behind", "feed_missing", None]
