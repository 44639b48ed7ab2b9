"""Which law holds is decided by the moment of the match, in the time of Beijing, and by where the device stands."""

from __future__ import annotations

import pytest

from small_world import CLEAR, NOT_APPLICABLE, UNDETERMINED, VIOLATION, a_world

FIRST_INSTANTS = [
    ("cnpipl.art13.consent", "2021-10-31T15:59:59.999999Z", "2021-10-31T16:00:00Z"),
    ("cn2023.art05.consent", "2023-08-07T15:59:59.999999Z", "2023-08-07T16:00:00Z"),
    ("cn2025.art06.consent", "2025-05-31T15:59:59.999999Z", "2025-05-31T16:00:00Z"),
]


@pytest.mark.parametrize(("rule", "last_before", "first"), FIRST_INSTANTS, ids=[each[0] for each in FIRST_INSTANTS])
def test_a_law_begins_with_the_first_instant_of_its_day_in_beijing(rule: str, last_before: str, first: str) -> None:
    assert a_world(consent=None, at=last_before).says(rule) == NOT_APPLICABLE
    assert a_world(consent=None, at=first).says(rule) == VIOLATION


def test_the_video_regulation_begins_on_the_first_of_april_2025() -> None:
    before, first = (
        a_world(at=at, device={"zone": "toilet"}) for at in ("2025-03-31T15:59:59.999999Z", "2025-03-31T16:00:00Z")
    )
    assert before.says("cnvideo.art08.zone") == NOT_APPLICABLE
    assert first.says("cnvideo.art08.zone") == VIOLATION


def test_an_event_written_in_beijing_time_is_the_same_instant() -> None:
    assert a_world(consent=None, at="2025-06-01T00:00:00+08:00").says("cn2025.art06.consent") == VIOLATION
    assert a_world(consent=None, at="2025-05-31T23:59:59.999999+08:00").says("cn2025.art06.consent") == NOT_APPLICABLE


def test_a_shanghai_match_of_2024_without_consent_breaks_the_law_of_then_and_not_the_measures() -> None:
    world = a_world(consent=None, at="2024-05-20T02:00:00Z")
    assert world.says("cnpipl.art13.consent") == VIOLATION
    assert world.says("cn2023.art05.consent") == VIOLATION
    assert {rule.rpartition(".")[0] for rule in world.rules(NOT_APPLICABLE)} >= {"cn2025.art06", "cnvideo.art08"}
    assert world.rules(VIOLATION, "cn2025") == set()


def test_a_match_of_2020_breaks_no_chinese_pack_but_the_house_rules_hold() -> None:
    world = a_world(consent=None, purpose=None, at="2020-06-01T02:00:00Z")
    assert world.rules(VIOLATION) == {"core.purpose.unknown"}


@pytest.mark.parametrize("jurisdictions", [["HK"], ["EU", "IE"], ["US", "US-IL"]], ids=lambda codes: str(codes[-1]))
def test_chinese_law_is_not_asked_elsewhere(jurisdictions: list[str]) -> None:
    world = a_world(consent=None, notice=None, site={"jurisdictions": jurisdictions})
    chinese = {rule.id for rule in world.verdicts.rules if rule.pack.startswith("cn")}
    assert chinese
    assert world.rules(NOT_APPLICABLE, "cn") == chinese
    assert world.says("core.device.unregistered") == CLEAR


def test_where_the_place_is_unknown_the_law_is_undetermined_and_not_clear() -> None:
    world = a_world(consent=None, site=None)
    assert world.says("cnpipl.art13.consent") == UNDETERMINED
    assert world.why("cnpipl.art13.consent") == "not_registered"


def test_the_claim_of_an_event_to_stand_elsewhere_does_not_move_it_out_of_the_law() -> None:
    world = a_world(consent=None, event={"site_id": "dublin"})
    assert world.says("cnpipl.art13.consent") == VIOLATION
    assert world.says("core.purpose.drift") == VIOLATION
