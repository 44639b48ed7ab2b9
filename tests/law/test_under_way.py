"""While a feed is behind, nothing is said that a record under way could undo."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from law_case import BEHIND, CAUGHT_UP
from pace import examples
from schemas.vocabulary import ConsentAction, ConsentForm
from small_world import (
    CLEAR,
    IN_PASSING,
    LOOKED_AT,
    MEMBER,
    NEVER_SEEN,
    UNDETERMINED,
    VIOLATION,
    Change,
    World,
    a_world,
)

CONSENTS = st.fixed_dictionaries(
    {
        "consent_form": st.sampled_from(get_args(ConsentForm)),
        "giver": st.sampled_from(["self", "guardian"]),
        "actions": st.lists(st.sampled_from(get_args(ConsentAction)), unique=True, min_size=1, max_size=4),
    }
)
EVENTS = st.fixed_dictionaries(
    {
        "operation": st.sampled_from(["identification", "verification", "categorisation"]),
        "subject_ref": st.sampled_from([MEMBER, MEMBER, NEVER_SEEN]),
        "inferred_attributes": st.lists(st.sampled_from(["ethnicity", "health", "age"]), unique=True),
        "internet_transfer": st.booleans(),
        "original_image_retained": st.booleans(),
    }
)
PURPOSES = st.fixed_dictionaries(
    {
        "written_consent_required": st.booleans(),
        "legal_basis": st.sampled_from(["consent", "consent", "contract"]),
        "category": st.sampled_from(["access_control", "marketing"]),
    }
)
AGES = st.sampled_from(["adult", "under_14"])


def outcomes(world: World) -> dict[str, str]:
    return {rule.id: world.says(rule.id) for rule in world.verdicts.rules}


@settings(max_examples=examples(40), deadline=None)
@given(st.none() | CONSENTS, CONSENTS, EVENTS, PURPOSES, AGES)
def test_no_consent_that_is_under_way_undoes_what_was_said_without_it(
    known: Change | None, under_way: Change, event: Change, purpose: Change, age: str
) -> None:
    parts: dict[str, Any] = {"consent": known, "event": event, "purpose": purpose, "enrolment": {"age_band": age}}
    about = {"controller_id": "zoo", "subject_ref": event["subject_ref"], "purposes": ["entry"]}
    behind = outcomes(a_world(**parts, feed=BEHIND))
    for arrived in ([], [{"kind": "consent_given"} | about | under_way]):
        in_the_end = outcomes(a_world(**parts, feed=CAUGHT_UP, more=arrived))
        assert {rule: said for rule, said in behind.items() if said != UNDETERMINED}.items() <= in_the_end.items()


NOTICES = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["notice-1", "notice-9"]),
        "record_id": st.just("under-way"),
        "method_version": st.sampled_from(["1", "2"]),
        "states_retention": st.booleans(),
        "site_ids": st.sampled_from([[], ["zoo-gates"], ["aquarium"]]),
    }
)


@settings(max_examples=examples(40), deadline=None)
@given(st.none() | NOTICES, NOTICES, st.sampled_from([None, "notice-1", "notice-9"]), st.booleans())
def test_no_notice_that_is_under_way_undoes_what_was_said_without_it(
    known: Change | None, under_way: Change, given_notice: str | None, device: bool
) -> None:
    parts: dict[str, Any] = {"event": {"notice_id": given_notice}, "device": {} if device else None}
    notice = {"kind": "notice", "controller_id": "zoo", "purpose_ids": ["entry"], "language": "zh-CN"}
    before = None if known is None else known | {"record_id": "known", "id": "notice-8"}
    behind = outcomes(a_world(**parts, notice=before, feed=BEHIND))
    for arrived in ([], [notice | under_way]):
        in_the_end = outcomes(a_world(**parts, notice=before, feed=CAUGHT_UP, more=arrived))
        assert {rule: said for rule, said in behind.items() if said != UNDETERMINED}.items() <= in_the_end.items()


@pytest.mark.parametrize("event", [IN_PASSING, LOOKED_AT | {"inferred_attributes": ["ethnicity"]}])
def test_nobody_we_know_has_no_records_to_wait_for(event: Change) -> None:
    world = a_world(event=event, feed=BEHIND)
    assert outcomes(world) == outcomes(a_world(event=event, feed=CAUGHT_UP))
    assert world.rules(VIOLATION)


def test_consent_to_identify_is_known_and_consent_to_the_transfer_is_waited_for() -> None:
    online: Change = {"internet_transfer": True}
    world = a_world(event=online, feed=BEHIND)
    assert world.says("cn2025.art06.consent") == CLEAR
    assert (world.says("cn2025.art08.offdevice"), world.why("cn2025.art08.offdevice")) == (UNDETERMINED, "feed_behind")
    assert a_world(event=online, feed=CAUGHT_UP).says("cn2025.art08.offdevice") == VIOLATION


@pytest.mark.parametrize("missing", ["device", "site", "purpose", "notice", "assessment"])
def test_what_rests_on_a_record_under_way_says_that_its_feed_is_behind(missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    world = a_world(feed=BEHIND, **without)
    assert world.rules(VIOLATION) == set()
    assert {world.why(rule) for rule in world.rules(UNDETERMINED)} == {"feed_behind"}


def test_a_notice_for_sites_waits_for_the_record_that_says_where_the_device_is() -> None:
    at_the_gates: Change = {"site_ids": ["zoo-gates"]}
    for feed, reason in ((BEHIND, "feed_behind"), (CAUGHT_UP, "not_registered")):
        cases = a_world(device=None, notice=at_the_gates, feed=feed).verdicts.cases
        assert (cases["notice_in_force"].to_list(), cases["why_notice"].to_list()) == ([None], [reason])
