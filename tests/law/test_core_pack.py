"""The house rules, judged in small worlds: devices, purposes and claims that no record backs."""

from __future__ import annotations

import pytest

from law_case import (
    BEHIND,
    JUST_AFTER,
    ORDER,
    SILENT,
    Case,
    boundary,
    clear,
    firing,
    hold,
    of,
    table,
    unknown,
)
from small_world import CLEAR, EXCUSED, IN_PASSING, NOON, UNDETERMINED, VIOLATION, Change, a_world

DEVICE = (
    firing("no record of the device", device=None),
    firing("the device's record names a site that has none", site=None),
    clear("device and site are on record"),
    unknown("feed_behind", "the record may be under way", device=None, feed=BEHIND),
    unknown("feed_behind", "the feed of devices stopped on Friday", feed=SILENT),
    unknown("feed_missing", "no feed brings devices", feed={"covers": ["purpose", "site"]}),
    boundary(CLEAR, "registered at the instant of the event", device={"valid_from": NOON}),
    boundary(VIOLATION, "registered a microsecond later", device={"valid_from": JUST_AFTER}),
    boundary(VIOLATION, "taken off the register at the instant of the event", device={"valid_until": NOON}),
)  # fmt: skip

PURPOSE_KNOWN = (
    firing("the event names no purpose", event={"purpose_id": None}),
    firing("the purpose has no record", purpose=None),
    firing("the purpose is another controller's", purpose={"controller_id": "mall"}),
    clear("the purpose is on record"),
    unknown("feed_behind", "the record may be under way", purpose=None, feed=BEHIND),
    boundary(CLEAR, "registered at the instant of the event", purpose={"valid_from": NOON}),
    boundary(VIOLATION, "its record ended at the instant of the event", purpose={"valid_until": NOON}),
)  # fmt: skip

DRIFT = (
    firing("the purpose does not allow identification", purpose={"operations": ["verification"]}),
    firing("an attribute is inferred that the purpose does not allow", event={"inferred_attributes": ["age"]}),
    firing("the purpose belongs to another site", purpose={"site_ids": ["aquarium"]}),
    firing("the event claims another site than the device's record", event={"site_id": "aquarium"}),
    firing("the device belongs to another controller", device={"controller_id": "mall"}),
    clear("operation, attributes, site and controller agree"),
    clear("the attribute is allowed", event={"inferred_attributes": ["age"]}, purpose={"attributes": ["age"]}),
    clear("the event claims no site", event={"site_id": None}),
    unknown("not_reported", "the system does not say what it infers", event={"inferred_attributes": None}),
    unknown("not_registered", "the purpose has no record to drift from", purpose=None),
    boundary(VIOLATION, "one of two attributes is allowed",
             event={"inferred_attributes": ["age", "gender"]}, purpose={"attributes": ["age"]}),
    boundary(CLEAR, "the purpose is for this very site among others",
             purpose={"site_ids": ["aquarium", "zoo-gates"]}),
)  # fmt: skip

UNEVIDENCED = (
    firing("a ground is claimed and no paper named", event={"claimed_basis": "national_security"}),
    firing("the named authority has no record", event=ORDER),
    firing("the named authority has no evidence", event=ORDER, authority={"evidence_ref": None}),
    firing("the authority is still pending", event=ORDER, authority={"status": "pending"}),
    firing("the authority was refused", event=ORDER, authority={"status": "rejected"}),
    firing("the authority is for another site", event=ORDER, authority={"site_ids": ["aquarium"]}),
    firing("the named exception has no evidence",
           event={"exception_id": "excuse-1"}, exception={"evidence_ref": None}),
    *(
        firing(f"an exception record is no authority for a claim of {basis}",
               event={"claimed_basis": basis, "exception_id": "excuse-1"}, exception={})
        for basis in ("national_security", "public_security", "emergency")
    ),
    firing("a statute is claimed, and no paper named", event={"claimed_basis": "statute"}),
    firing("a statute is claimed, and neither paper has evidence",
           event=ORDER | {"claimed_basis": "statute", "exception_id": "excuse-1"},
           authority={"evidence_ref": None}, exception={"evidence_ref": None}),
    clear("a statute is claimed, and an exception record says which",
          event={"claimed_basis": "statute", "exception_id": "excuse-1"}, exception={}),
    clear("a statute is claimed, and an authority rests on it",
          event=ORDER | {"claimed_basis": "statute"}, authority={"basis": "statute"}),
    clear("an emergency is claimed, and an authority covers it",
          event=ORDER | {"claimed_basis": "emergency"}, authority={"basis": "emergency"}),
    clear("an authority without evidence is named, and an exception record stands in for it",
          event=ORDER | {"exception_id": "excuse-1"}, authority={"evidence_ref": None}, exception={}),
    unknown("feed_behind", "an emergency is claimed, and the authority may be under way",
            event=ORDER | {"claimed_basis": "emergency"}, feed=BEHIND),
    clear("nothing is claimed"),
    clear("the authority is granted, in scope and evidenced", event=ORDER, authority={}),
    clear("the exception is in scope and evidenced", event={"exception_id": "excuse-1"}, exception={}),
    unknown("feed_behind", "the paper may be under way", event=ORDER, feed=BEHIND),
    unknown("not_registered", "the authority names sites, and nobody knows where the device is",
            event=ORDER, authority={"site_ids": ["zoo-gates"]}, device=None),
    boundary(CLEAR, "granted from the instant of the event", event=ORDER, authority={"valid_from": NOON}),
    boundary(VIOLATION, "ended at the instant of the event", event=ORDER, authority={"valid_until": NOON}),
)  # fmt: skip

CASES: list[Case] = [
    *of("core.device.unregistered", *DEVICE),
    *of("core.purpose.unknown", *PURPOSE_KNOWN),
    *of("core.purpose.drift", *DRIFT),
    *of("core.exception.unevidenced", *UNEVIDENCED),
]


@table(CASES)
def test_the_house_says(case: Case) -> None:
    hold(case)


def test_an_unregistered_camera_leaves_every_law_undetermined_and_none_clear() -> None:
    world = a_world(device=None)
    assert world.says("core.device.unregistered") == VIOLATION
    assert world.rules(CLEAR, "cn") == set()
    assert world.rules(VIOLATION, "cn") == set()


BREACHES: list[tuple[str, Change]] = [
    ("cn2025.art06.consent", {"consent": None}),
    ("cn2023.art11.sensitive", {"event": {"inferred_attributes": ["race"]}}),
    ("cn2025.art05.notice", {"notice": None}),
    ("cn2023.art10.remote", {"event": IN_PASSING}),
]


@pytest.mark.parametrize(("rule", "change"), BREACHES, ids=[rule for rule, _ in BREACHES])
def test_a_claim_without_paper_leaves_the_violation_and_adds_one(rule: str, change: Change) -> None:
    claiming = change | {"event": change.get("event", {}) | {"claimed_basis": "emergency"}}
    assert a_world(**change).says("core.exception.unevidenced") == CLEAR
    world = a_world(**claiming)
    assert {rule, "core.exception.unevidenced"} <= world.rules(VIOLATION)


def test_ethnicity_inferred_under_an_order_is_excused_with_its_paper_and_a_violation_without() -> None:
    ethnicity = ORDER | {"inferred_attributes": ["ethnicity"]}
    rules = {"cn2023.art11.sensitive", "cnpipl.art28.sensitive-inference"}
    with_paper = a_world(event=ethnicity, authority={}, purpose={"attributes": ["ethnicity"]})
    without = a_world(event=ethnicity, authority={"evidence_ref": None}, purpose={"attributes": ["ethnicity"]})
    assert (with_paper.rules(EXCUSED), with_paper.rules(VIOLATION)) == (rules, set())
    assert (without.rules(EXCUSED), without.rules(VIOLATION)) == (set(), rules | {"core.exception.unevidenced"})


def test_a_dead_feed_accuses_nobody_and_acquits_nobody() -> None:
    whether_or_not: tuple[Change | None, ...] = ({}, None)
    for consent in whether_or_not:
        world = a_world(consent=consent, feed=SILENT)
        assert world.rules(VIOLATION) == set()
        assert world.says("cn2025.art06.consent") == UNDETERMINED
        assert world.why("cn2025.art06.consent") == "feed_behind"
