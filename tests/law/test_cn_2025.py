"""The Measures of 2025, judged in small worlds."""

from __future__ import annotations

import pytest

from law_case import (
    ASSESSMENT,
    BEHIND,
    BUNDLED,
    CAUGHT_UP,
    CONSENT,
    EVIDENCED_CONTRACT,
    JUST_AFTER,
    JUST_BEFORE,
    MINOR,
    NEVER_TWICE,
    NO_RULES_FOR_CHILDREN,
    NOTICE,
    ORDER,
    PUBLIC_SECURITY,
    PURPOSE,
    RESEARCH,
    SIGN,
    WITHDRAWN,
    Case,
    boundary,
    clear,
    excused,
    firing,
    hold,
    of,
    research,
    table,
    unknown,
)
from small_world import CLEAR, EXCUSED, IN_PASSING, NEVER_SEEN, NOON, TURNED_AWAY, VIOLATION, Change, a_world

OWN_PURPOSE = (
    excused("research with a reference is outside the Measures", purpose=RESEARCH | {"necessity_ref": None}),
    firing("research without a reference is a word", purpose={"legal_basis": "research", "necessity_ref": None}),
    firing("a contract with a reference is no research", purpose=EVIDENCED_CONTRACT | {"necessity_ref": None}),
)
OWN_NOTICE = (
    firing("the notice says nothing on retention", notice={"states_retention": False}),
    unknown("feed_behind", "a notice is known, and one that states retention may be under way",
            notice={"states_retention": False}, feed=BEHIND),
    boundary(VIOLATION, "a notice without retention is known, and the feed has passed the event",
             notice={"states_retention": False}, feed=CAUGHT_UP),
    clear("one of two notices states retention", notice={"states_retention": False},
          more=[{"kind": "notice", "id": "notice-2", "controller_id": "zoo", "purpose_ids": ["entry"],
                 "method_version": "1", "states_retention": True, "language": "en"}]),
    *research(notice=None),
)  # fmt: skip
OWN_CONSENT = (clear("research does not rest on consent", purpose=RESEARCH, consent=None),)

ONLY_BUNDLED = (
    firing("the only consent is bundled", consent=BUNDLED),
    firing("the only consent is implied", consent={"consent_form": "implied"}),
    firing("one face is compared with one reference", event={"operation": "verification"}, consent=BUNDLED),
    clear("a face was detected and compared with nobody", event={"operation": "detection"}, consent=BUNDLED),
    clear("the basis is a contract", consent=BUNDLED, purpose=EVIDENCED_CONTRACT),
    clear("the consent is separate"),
    clear("there is no consent to find fault with", consent=None),
    clear("the service cannot be had without it", consent=BUNDLED, purpose={"necessary_for_service": True}),
    unknown("not_reported", "the record does not say whether it is necessary",
            consent=BUNDLED, purpose={"necessary_for_service": None}),
    clear("an explicit consent is known, and no other one could undo it",
          consent={"consent_form": "explicit"}, feed=BEHIND),
    unknown("feed_behind", "a consent may be under way", consent=None, feed=BEHIND),
    unknown("feed_behind", "the only consent known is bundled, and a better one may be under way",
            consent=BUNDLED, feed=BEHIND),
    boundary(VIOLATION, "the only consent known is bundled, and the feed has passed the match",
             consent=BUNDLED, feed=CAUGHT_UP),
    unknown("identity_unlinked", "the id is linked to nobody", event={"subject_ref": None}),
    boundary(CLEAR, "a second consent is explicit, if not separate", consent=BUNDLED,
             more=[{"kind": "consent_given", "controller_id": "zoo", "subject_ref": "s_member_0000000000001",
                    "purposes": ["entry"], "actions": ["identify"], "consent_form": "explicit"}]),
    boundary(VIOLATION, "two consents, one implied and one bundled", consent=BUNDLED,
             more=[{"kind": "consent_given", "controller_id": "zoo", "subject_ref": "s_member_0000000000001",
                    "purposes": ["entry"], "actions": ["identify"], "consent_form": "implied"}]),
    excused("an authority with evidence is another basis", consent=BUNDLED, event=ORDER, authority={}),
)  # fmt: skip

CLOUD: Change = {"storage_location": "cloud"}
ONLINE: Change = {"internet_transfer": True}
OFF_DEVICE = (
    firing("face data lies in the cloud", event=CLOUD),
    firing("face data went over the internet", event=ONLINE),
    firing("face data of a stranger lies in the cloud", event=IN_PASSING | CLOUD),
    firing("the system says it sends, and not where it stores", event=ONLINE | {"storage_location": None}),
    clear("face data stays in the device"),
    clear("the person separately consented to the transfer", event=CLOUD | ONLINE,
          consent={"actions": ["identify", "internet_transfer"]}),
    unknown("not_reported", "the system does not say where it stores", event={"storage_location": None}),
    unknown("not_reported", "the system does not say whether it sends", event={"internet_transfer": None}),
    clear("the consent to the transfer is known, and no other one could undo it", event=ONLINE,
          consent={"actions": ["internet_transfer"]}, feed=BEHIND),
    unknown("feed_behind", "a consent may be under way", event=CLOUD, consent=None, feed=BEHIND),
    unknown("feed_behind", "consent to identification is known, and one to the transfer may be under way",
            event=ONLINE, feed=BEHIND),
    boundary(VIOLATION, "consent to identification is known, and the feed has passed the match",
             event=ONLINE, feed=CAUGHT_UP),
    boundary(VIOLATION, "the house's own network is not the device", event={"storage_location": "lan"}),
    boundary(VIOLATION, "the consent to the transfer is bundled", event=ONLINE,
             consent={"actions": ["internet_transfer"], "consent_form": "bundled"}),
    boundary(CLEAR, "the consent to the transfer is of that instant", event=ONLINE,
             consent={"actions": ["internet_transfer"], "valid_from": NOON}),
    excused("a statutory duty with a reference", event=CLOUD,
            purpose={"legal_basis": "legal_obligation", "basis_evidence_ref": "decree-1"}),
    firing("a statutory duty without a reference", event=CLOUD, purpose={"legal_basis": "legal_obligation"}),
    excused("a statute, as an authority with evidence", event=CLOUD | ORDER, authority={"basis": "statute"}),
    firing("public security is no statute that says so", event=CLOUD | ORDER, authority={}),
    firing("a purpose that nobody registered excuses nothing", event=CLOUD, purpose=None),
    *research(event=CLOUD),
)  # fmt: skip

ONLY_FACE: Change = {"alternative_methods": []}
SOLE_METHOD = (
    firing("the gate has no other way in", site=ONLY_FACE),
    firing("an entrance is a gate, too", site=ONLY_FACE, device={"zone": "entrance"}),
    firing("one face is compared with one reference", site=ONLY_FACE, event={"operation": "verification"}),
    clear("card and desk are there"),
    clear("a state rule prescribes recognition here", site=ONLY_FACE | {"face_required_by": "A decree"}),
    clear("the device watches the lobby, where nobody has to pass", site=ONLY_FACE, device={"zone": "lobby"}),
    clear("nobody is let in by it", site=ONLY_FACE, event={"operation": "detection"}),
    unknown("not_reported", "the site does not state its ways in", site={"alternative_methods": None}),
    unknown("not_registered", "the device has no record and so no zone", device=None),
    boundary(CLEAR, "one other way is enough", site={"alternative_methods": ["card"]}),
    boundary(VIOLATION, "the other way was closed at the instant of the event",
             more=[{"kind": "site", "record_id": "site-record", "record_version": 2, "id": "zoo-gates",
                    "controller_id": "zoo", "title": "The gates", "site_kind": "zoo", "jurisdictions": ["CN"],
                    "timezone": "Asia/Shanghai", "publicly_accessible": True, "alternative_methods": [],
                    "valid_from": NOON}]),
)  # fmt: skip

REFUSER = (
    firing("who declines is offered nothing and stays outside", door=TURNED_AWAY),
    clear("who declines is shown to the desk", door={}),
    clear("nobody declined", door=TURNED_AWAY | {"face_scan_refused": False}),
    unknown("not_reported", "the door does not say whether anything was offered",
            door=TURNED_AWAY | {"alternative_offered": None}),
    unknown("not_registered", "nobody knows where the door is", door=TURNED_AWAY, device=None),
    boundary(CLEAR, "offered nothing, and let in all the same", door={"alternative_offered": False}),
    boundary(CLEAR, "offered another way, and turned away for another reason", door={"outcome": "denied"}),
    boundary(VIOLATION, "the scan is necessary for the service, which Art. 10 does not ask",
             door=TURNED_AWAY, purpose={"necessary_for_service": True}),
    excused("a state rule prescribes recognition here", door=TURNED_AWAY, site={"face_required_by": "A decree"}),
)  # fmt: skip

PRIVATE = (
    firing("a camera in a hotel room", device={"zone": "hotel_room"}, site={"site_kind": "hotel"}),
    firing("a camera in a toilet", device={"zone": "toilet"}),
    *(
        firing(f"a camera in a zone that is private: {zone}", device={"zone": zone})
        for zone in ("public_bath", "changing_room", "fitting_room", "nursing_room", "other_private")
    ),
    firing("an authority with evidence excuses no camera in a hotel room",
           device={"zone": "hotel_room"}, event=ORDER, authority={"basis": "national_security"}),
    firing("consent excuses no camera in a changing room", device={"zone": "changing_room"}),
    clear("the gate is no private space"),
    clear("a place that is not open to the public", device={"zone": "toilet"}, site={"publicly_accessible": False}),
    unknown("not_reported", "nobody said whether the place is open to the public",
            device={"zone": "toilet"}, site={"publicly_accessible": None}),
    unknown("not_registered", "the device has no record", device=None),
    boundary(CLEAR, "a staff dormitory is named by the video regulation, not here", device={"zone": "dormitory"}),
    boundary(CLEAR, "the camera moved out at the instant of the event",
             device={"zone": "toilet"},
             more=[{"kind": "device", "id": "gate-1", "controller_id": "zoo", "site_id": "zoo-gates", "zone": "gate",
                    "valid_from": NOON}]),
)  # fmt: skip

CASES: list[Case] = [
    *of("cn2025.art04.purpose", *PURPOSE, *OWN_PURPOSE),
    *of("cn2025.art05.notice", *NOTICE, *OWN_NOTICE),
    *of("cn2025.art06.consent", *CONSENT, *OWN_CONSENT, *NEVER_TWICE),
    *of("cn2025.art06.bundled", *ONLY_BUNDLED),
    *of("cn2025.art06.after-withdrawal", *WITHDRAWN),
    *of("cn2025.art07.minor", *MINOR, *NO_RULES_FOR_CHILDREN),
    *of("cn2025.art08.offdevice", *OFF_DEVICE),
    *of("cn2025.art09.pia", *ASSESSMENT, *research(assessment=None)),
    *of("cn2025.art10.sole-method", *SOLE_METHOD),
    *of("cn2025.art10.refuser", *REFUSER),
    *of("cn2025.art13.private-space", *PRIVATE),
    *of("cn2025.art13.sign", *SIGN),
    *of("cn2025.art13.public-security", *PUBLIC_SECURITY),
]


@table(CASES)
def test_the_measures_say(case: Case) -> None:
    hold(case)


def test_a_bundled_consent_fires_the_special_rule_and_the_general_one_beside_it() -> None:
    world = a_world(consent=BUNDLED)
    assert world.rules(VIOLATION, "cn2025") >= {"cn2025.art06.bundled", "cn2025.art06.consent"}
    assert world.says("cnpipl.art13.consent") == VIOLATION


def test_after_a_withdrawal_one_rule_of_the_measures_fires_and_not_two() -> None:
    assert a_world(withdrawal={"valid_from": JUST_BEFORE}).rules(VIOLATION, "cn2025.art06") == {
        "cn2025.art06.after-withdrawal"
    }


@pytest.mark.parametrize("change", [{"consent": None}, {"event": {"subject_ref": NEVER_SEEN}}])
def test_a_match_without_any_consent_breaks_measures_law_and_draft(change: Change) -> None:
    world = a_world(**change)
    assert {"cn2025.art06.consent", "cnpipl.art13.consent", "cn2023.art05.consent"} <= world.rules(VIOLATION)


def test_only_the_first_candidate_of_a_probe_answers_for_the_probe() -> None:
    second = a_world(event={"rank": 1}, notice=None, consent=None)
    assert second.says("cn2025.art05.notice") == "not_applicable"
    assert second.says("cn2025.art06.consent") == VIOLATION


def test_what_is_excused_is_recorded_with_the_ground() -> None:
    world = a_world(notice=None, event=ORDER, authority={"basis": "emergency"})
    assert world.says("cn2025.art05.notice") == EXCUSED
    message = world.violations()["cn2025.art05.notice"]
    assert (message.status, message.excused_by) == ("excused", ("emergency_notice_later",))


def test_a_withdrawal_a_microsecond_after_the_match_changes_nothing_in_any_pack() -> None:
    assert a_world(withdrawal={"valid_from": JUST_AFTER}).rules(VIOLATION) == set()
