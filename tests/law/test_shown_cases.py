"""What lines between laws look like: cases in which one law speaks and its neighbour does not."""

from __future__ import annotations

from typing import Any

import pytest

from law_case import JUST_AFTER, JUST_BEFORE
from small_world import CLEAR, IN_PASSING, NOON, NOT_APPLICABLE, VIOLATION, Change, a_world

IN_BERLIN: Change = {"jurisdictions": ["EU", "DE"], "timezone": "Europe/Berlin"}
INFERRED: Change = {"inferred_attributes": ["health"]}
SECURITY: Change = {"basis": "national_security"}
ZONES = ("cn2025.art13.private-space", "cn2023.art06.banned-zone")


def test_live_search_in_a_private_shop_is_a_matter_of_the_gdpr_and_not_of_the_ban_on_police() -> None:
    shop: dict[str, Any] = {"site": IN_BERLIN | {"site_kind": "shop"}, "event": IN_PASSING, "consent": None}
    private = a_world(only="eu.", **shop)
    assert private.says("eu.gdpr.9.basis") == VIOLATION
    assert private.says("eu.aiact.5-1h.objective") == NOT_APPLICABLE
    police = a_world(only="eu.", **shop, controller={"controller_type": "law_enforcement"})
    assert police.says("eu.aiact.5-1h.objective") == VIOLATION
    assert police.says("eu.gdpr.9.basis") == NOT_APPLICABLE


def test_health_inferred_is_a_matter_of_the_draft_and_the_gdpr_and_not_on_the_closed_list_of_the_ai_act() -> None:
    in_china = a_world(only="cn2023.art11", event=INFERRED)
    assert in_china.says("cn2023.art11.sensitive") == VIOLATION
    in_the_union = a_world(only="eu.", site=IN_BERLIN, event=INFERRED)
    assert in_the_union.says("eu.gdpr.9.inference") == VIOLATION
    assert in_the_union.says("eu.aiact.5-1g.categorise") == CLEAR
    listed = a_world(only="eu.aiact.5-1g", site=IN_BERLIN, event={"inferred_attributes": ["religion"]})
    assert listed.says("eu.aiact.5-1g.categorise") == VIOLATION


@pytest.mark.parametrize("rule", ZONES)
def test_no_claim_of_national_security_excuses_a_camera_in_a_toilet(rule: str) -> None:
    claimed = {"claimed_basis": "national_security", "authority_id": "order-1", "exception_id": "excuse-1"}
    grounds: dict[str, Any] = {"authority": SECURITY, "exception": {"rule_ids": [rule]}}
    world = a_world(only=rule, device={"zone": "toilet"}, event=claimed, **grounds)
    assert world.says(rule) == VIOLATION
    assert world.violations()[rule].status == "open"
    assert a_world(only=rule, device={"zone": "gate"}, event=claimed, **grounds).says(rule) == CLEAR


@pytest.mark.parametrize(
    ("rule", "site"),
    [
        ("cn2025.art06.after-withdrawal", {}),
        ("cnpipl.art15.after-withdrawal", {}),
        ("eu.gdpr.7-3.after-withdrawal", IN_BERLIN),
    ],
)
def test_a_match_in_the_very_instant_of_a_withdrawal_comes_after_it(rule: str, site: Change) -> None:
    said = {
        at: a_world(only=rule, site=site, withdrawal={"valid_from": at}).says(rule)
        for at in (JUST_BEFORE, NOON, JUST_AFTER)
    }
    assert said == {JUST_BEFORE: VIOLATION, NOON: VIOLATION, JUST_AFTER: CLEAR}
