"""The Personal Information Protection Law, judged in small worlds."""

from __future__ import annotations

import pytest

from law_case import (
    ASSESSMENT,
    BEHIND,
    CONSENT,
    JUST_AFTER,
    JUST_BEFORE,
    MINOR,
    NEVER_TWICE,
    NO_RULES_FOR_CHILDREN,
    NOTICE,
    ORDER,
    PUBLIC_SECURITY,
    PURPOSE,
    SENSITIVE,
    SIGN,
    SILENT,
    WITHDRAWN,
    Case,
    boundary,
    clear,
    excused,
    firing,
    hold,
    of,
    table,
    unknown,
)
from small_world import CLEAR, IN_PASSING, LOOKED_AT, NOON, NOT_APPLICABLE, TURNED_AWAY, VIOLATION, Change, a_world

REFUSAL = (
    firing("who declines is offered nothing and stays outside", door=TURNED_AWAY),
    clear("who declines is shown to the desk", door={}),
    clear("nobody declined", door=TURNED_AWAY | {"face_scan_refused": False}),
    clear("the service cannot be had without the face", door=TURNED_AWAY, purpose={"necessary_for_service": True}),
    unknown("not_reported", "the record does not say whether the scan is necessary",
            door=TURNED_AWAY, purpose={"necessary_for_service": None}),
    unknown("not_reported", "the door does not say whether anything was offered",
            door=TURNED_AWAY | {"alternative_offered": None}),
    boundary(CLEAR, "offered nothing, and let in all the same", door={"alternative_offered": False}),
    boundary(CLEAR, "offered another way, and turned away for another reason", door={"outcome": "denied"}),
    excused("a state rule prescribes recognition here", door=TURNED_AWAY, site={"face_required_by": "A decree"}),
)  # fmt: skip

TO_SHARE: Change = {"actions": ["collect", "identify", "share"]}
SHARE = (
    firing("the person consented to identification and not to sharing", handover={}),
    firing("no consent at all", handover={}, consent=None),
    firing("consent to sharing, but bundled", handover={}, consent=TO_SHARE | {"consent_form": "bundled"}),
    clear("the person separately consented to sharing", handover={}, consent=TO_SHARE),
    clear("the recipient is a processor, which acts for the controller", handover={"recipient_role": "processor"}),
    clear("the person asked for the data", handover={"recipient_role": "subject"}),
    clear("the consent to sharing is known, and none could undo it", handover={}, consent=TO_SHARE, feed=BEHIND),
    unknown("feed_behind", "a consent may be under way", handover={}, consent=None, feed=BEHIND),
    unknown("feed_behind", "consent to identification is known, and one to sharing may be under way",
            handover={}, feed=BEHIND),
    unknown("not_reported", "nobody says whose data it was", handover={"subject_ref": None}),
    boundary(CLEAR, "consent to sharing from the very instant", handover={}, consent=TO_SHARE | {"valid_from": NOON}),
    boundary(VIOLATION, "consent to sharing was withdrawn at that very instant",
             handover={}, consent=TO_SHARE, withdrawal={"valid_from": NOON}),
    excused("a statute with a reference demands it",
            handover={"legal_basis": "legal_obligation", "evidence_ref": "paper-3"}),
    firing("a statute is named and no reference given", handover={"legal_basis": "legal_obligation"}),
    firing("a contract is no substitute for separate consent",
           handover={"legal_basis": "contract", "evidence_ref": "paper-4"}),
)  # fmt: skip

NO_RETENTION = (
    clear("a notice need not state retention", notice={"states_retention": False}),
    clear("a notice without retention is known, and no other one could undo it",
          notice={"states_retention": False}, feed=BEHIND),
)  # fmt: skip

RESTRICTED = (
    firing("the data may only be stored", restriction={"valid_from": JUST_BEFORE}),
    clear("there is no restriction"),
    clear("no restriction came so far, and the feed keeps its promise", feed=BEHIND),
    clear("another controller's data is restricted", restriction={"controller_id": "mall", "valid_from": JUST_BEFORE}),
    unknown("feed_behind", "the feed of restrictions stopped on Friday", feed=SILENT),
    unknown("identity_unlinked", "the id is linked to nobody", event={"subject_ref": None}),
    boundary(VIOLATION, "restricted from the instant of the match", restriction={"valid_from": NOON}),
    boundary(CLEAR, "restricted a microsecond later", restriction={"valid_from": JUST_AFTER}),
    boundary(CLEAR, "the restriction ended at the instant of the match", restriction={"valid_until": NOON}),
    firing("an authority does not lift a restriction",
           restriction={"valid_from": JUST_BEFORE}, event=ORDER, authority={}),
)  # fmt: skip

STATUTE = (
    excused("a statute, as an authority with evidence",
            event={"inferred_attributes": ["health"]} | ORDER, authority={"basis": "statute"}),
)  # fmt: skip

CASES: list[Case] = [
    *of("cnpipl.art06.purpose", *PURPOSE),
    *of("cnpipl.art13.consent", *CONSENT, *NEVER_TWICE),
    *of("cnpipl.art15.after-withdrawal", *WITHDRAWN),
    *of("cnpipl.art16.refusal", *REFUSAL),
    *of("cnpipl.art17.notice", *NOTICE, *NO_RETENTION),
    *of("cnpipl.art23.share", *SHARE),
    *of("cnpipl.art26.sign", *SIGN),
    *of("cnpipl.art26.public-security", *PUBLIC_SECURITY),
    *of("cnpipl.art28.sensitive-inference", *SENSITIVE, *STATUTE),
    *of("cnpipl.art31.minor", *MINOR, *NO_RULES_FOR_CHILDREN),
    *of("cnpipl.art47.restricted-use", *RESTRICTED),
    *of("cnpipl.art55.pia", *ASSESSMENT),
]


@table(CASES)
def test_the_law_says(case: Case) -> None:
    hold(case)


def test_after_a_withdrawal_one_rule_fires_and_not_two() -> None:
    world = a_world(withdrawal={"valid_from": JUST_BEFORE})
    assert world.says("cnpipl.art15.after-withdrawal") == VIOLATION
    assert world.says("cnpipl.art13.consent") == CLEAR


@pytest.mark.parametrize("event", [IN_PASSING, LOOKED_AT, LOOKED_AT | {"operation": "detection"}])
def test_rules_about_a_person_do_not_apply_to_a_stranger(event: Change) -> None:
    world = a_world(event=event)
    for rule in ("cnpipl.art15.after-withdrawal", "cnpipl.art31.minor", "cnpipl.art47.restricted-use"):
        assert world.says(rule) == NOT_APPLICABLE


@pytest.mark.parametrize("operation", ["categorisation", "emotion_recognition", "detection"])
def test_a_person_whom_the_system_names_is_no_stranger(operation: str) -> None:
    event: Change = {"operation": operation, "comparison_decision": "not_reported"}
    world = a_world(event=event, restriction={"valid_from": JUST_BEFORE})
    assert world.says("cnpipl.art47.restricted-use") == VIOLATION
