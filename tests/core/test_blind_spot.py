"""Blind spots: one for each rule, device and fact that never comes; and instruments that are about to end."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from rule_texts import a_pack, a_rule
from schemas.contract import time_text
from schemas.registry import RegistryRecord
from settled_world import registry_record, tick
from small_world import a_match
from small_world import records as small_records
from streams.core.blind_spot import SPOTS_MAX, BlindSpot, BlindSpots
from streams.core.case import Views, assemble
from streams.core.expiry import NEAR, Stage, expiries
from streams.core.facts import CaseKind
from streams.core.frame import MATCH_COLUMNS, frame_of
from streams.core.instant import moment_of
from streams.core.judge import Verdicts, judge
from streams.core.registry import Registry
from streams.core.rulebook import load

RULES = (a_rule(condition="timing = 'post'"), a_rule("test.other", condition="internet_transfer"))
LAW = load([("test.yaml", a_pack(*RULES))])
RULE, OTHER = "test.rule", "test.other"


def said(*events: dict[str, Any], **parts: Any) -> Verdicts:
    """The verdicts of the two rules over events of the small world."""
    views = Views()
    for record in small_records(**parts):
        if isinstance(record, RegistryRecord):
            views.registry.add(record)
        else:
            views.histories.add(record)
    messages = [a_match(event_id=f"event-{number}", **event) for number, event in enumerate(events)]
    return judge(assemble(frame_of(messages, MATCH_COLUMNS), CaseKind.MATCH, views), CaseKind.MATCH, LAW)


def test_many_cases_are_one_spot_with_what_to_supply() -> None:
    spots = BlindSpots()
    fresh = spots.see(said({"timing": None}, {"timing": None}, {"timing": "realtime"}, {"device_id": "gate-1"}))
    assert fresh == [BlindSpot(RULE, "gate-1", "timing")]
    assert list(spots) == [(fresh[0], 2)]
    assert fresh[0].supply == "Report it with the event, or attest it for the device or the purpose."
    assert spots.see(said({"timing": None})) == [], "it is told once"
    assert [cases for _, cases in spots] == [3]


def test_each_rule_device_and_fact_is_a_spot_of_its_own() -> None:
    spots = BlindSpots()
    spots.see(said({"timing": None, "internet_transfer": None}, {"timing": None, "device_id": "gate-2"}))
    assert {spot for spot, _ in spots} == {
        BlindSpot(RULE, "gate-1", "timing"),
        BlindSpot(OTHER, "gate-1", "internet_transfer"),
        BlindSpot(RULE, "gate-2", "timing"),
    }


def test_a_fact_that_comes_closes_its_spot_for_its_device_only() -> None:
    spots = BlindSpots()
    spots.see(said({"timing": None}, {"timing": None, "device_id": "gate-2"}))
    spots.see(said({"timing": "realtime"}))
    assert [spot for spot, _ in spots] == [BlindSpot(RULE, "gate-2", "timing")]


@pytest.mark.parametrize("parts", [{"device": None}, {"feed": {"complete_until": "2026-03-10T03:59:59Z"}}])
def test_what_only_waits_is_no_blind_spot(parts: dict[str, Any]) -> None:
    book = load([("test.yaml", a_pack(a_rule(condition="site_public AND NOT consent_in_force", jurisdictions=["CN"])))])
    views = Views()
    for record in small_records(consent=None, **parts):
        if isinstance(record, RegistryRecord):
            views.registry.add(record)
        else:
            views.histories.add(record)
    cases = assemble(frame_of([a_match()], MATCH_COLUMNS), CaseKind.MATCH, views)
    verdicts = judge(cases, CaseKind.MATCH, book)
    assert sum(verdicts.undetermined().values()) == 1
    assert BlindSpots().see(verdicts) == []


def test_what_finds_no_room_is_counted() -> None:
    spots = BlindSpots()
    verdicts = said({"timing": None})
    many = pl.concat([verdicts.cases] * (SPOTS_MAX + 2)).with_columns(
        device_id=pl.Series([f"gate-{number}" for number in range(SPOTS_MAX + 2)])
    )
    spots.see(judge(many, CaseKind.MATCH, LAW))
    assert (len(spots), spots.overflow) == (SPOTS_MAX, 2)


def stages(now: int, **fields: Any) -> list[Stage]:
    registry = Registry()
    registry.add(registry_record("exception", "excuse-1", **fields))
    return [each.stage for each in expiries(registry, now)]


def test_an_instrument_is_about_to_end_two_weeks_before_it_does() -> None:
    end = tick(0)
    registry = Registry()
    paper = registry_record("exception", "excuse-1", valid_from="2020-01-01T00:00:00Z", valid_until=_text(end))
    registry.add(paper)
    for now, stage in ((end - NEAR - 1, "in_force"), (end - NEAR, "expiring"), (end - 1, "expiring"), (end, "expired")):
        assert [each.stage for each in expiries(registry, now)] == [Stage(stage)]
    assert stages(end, valid_from="2020-01-01T00:00:00Z") == [Stage.IN_FORCE]
    assert stages(end, valid_from=_text(end + 1)) == []


def test_one_that_was_renewed_is_in_force() -> None:
    end = tick(0)
    registry = Registry()
    early = {"valid_from": "2020-01-01T00:00:00Z"}
    registry.add(registry_record("exception", "excuse-1", record_id="first", valid_until=_text(end), **early))
    registry.add(registry_record("exception", "excuse-1", record_id="second", valid_from=_text(end - 5)))
    assert [each.stage for each in expiries(registry, end - 1)] == [Stage.IN_FORCE]


def _text(instant: int) -> str:
    return time_text(moment_of(instant))
