"""The draft of 2023, judged in small worlds: what would be if it had become law."""

from __future__ import annotations

from law_case import (
    ASSESSMENT,
    BEHIND,
    BUNDLED,
    CONSENT,
    EVIDENCED_CONTRACT,
    JUST_BEFORE,
    MINOR,
    ORDER,
    PUBLIC_SECURITY,
    PURPOSE,
    SENSITIVE,
    SIGN,
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
from small_world import (
    CLEAR,
    IN_PASSING,
    NOON,
    NOT_APPLICABLE,
    STRANGER,
    TURNED_AWAY,
    UNDETERMINED,
    VIOLATION,
    Change,
    a_world,
)

AFTER_WITHDRAWAL = (
    firing("the draft has no rule of its own on withdrawal", withdrawal={"valid_from": JUST_BEFORE}),
    boundary(VIOLATION, "withdrawal and match of one instant", withdrawal={"valid_from": NOON}),
)

ROOMS = (
    firing("a camera in a hotel room", device={"zone": "hotel_room"}),
    firing("a camera in a toilet of a house that is not public",
           device={"zone": "toilet"}, site={"publicly_accessible": False}),
    firing("an authority with evidence excuses no camera there",
           device={"zone": "public_bath"}, event=ORDER, authority={"basis": "national_security"}),
    *(
        firing(f"a camera in a zone that is private: {zone}", device={"zone": zone})
        for zone in ("public_bath", "changing_room", "toilet", "other_private")
    ),
    clear("a camera at the gate"),
    unknown("not_registered", "the device has no record", device=None),
    boundary(CLEAR, "a nursing room, which the draft does not name", device={"zone": "nursing_room"}),
    boundary(VIOLATION, "the camera was moved there at the instant of the event",
             more=[{"kind": "device", "id": "gate-1", "controller_id": "zoo", "site_id": "zoo-gates",
                    "zone": "toilet", "valid_from": NOON}]),
)  # fmt: skip

NO_NOTICE_GIVEN: Change = {"notice_id": None}
PLACES_OF_BUSINESS = ("hotel", "airport", "station", "zoo", "mall", "shop")
PROMPT = (
    *(
        firing(f"nothing was said at the gate of a {kind}", event=NO_NOTICE_GIVEN, site={"site_kind": kind})
        for kind in PLACES_OF_BUSINESS
    ),
    firing("one face is compared with one reference", event=NO_NOTICE_GIVEN | {"operation": "verification"}),
    clear("a face was detected and compared with nobody", event=NO_NOTICE_GIVEN | {"operation": "detection"}),
    firing("the notice that was given is not on record", event={"notice_id": "notice-9"}),
    clear("a notice in force was given at the check"),
    clear("the person takes no part in it", event=NO_NOTICE_GIVEN | {"active_involvement": False}),
    clear("a hospital is no place of business in this sense", event=NO_NOTICE_GIVEN, site={"site_kind": "hospital"}),
    unknown("not_reported", "the system does not say whether the person takes part",
            event=NO_NOTICE_GIVEN | {"active_involvement": None}),
    unknown("feed_behind", "the notice may be under way", event={"notice_id": "notice-9"}, notice=None, feed=BEHIND),
    unknown("feed_behind", "another notice is known, and the one that was given may be under way",
            event={"notice_id": "notice-9"}, feed=BEHIND),
    boundary(VIOLATION, "the notice that was given ended at that instant", notice={"valid_until": NOON}),
    boundary(CLEAR, "the notice that was given is in force from that instant", notice={"valid_from": NOON}),
    excused("a state rule prescribes recognition here",
            event=NO_NOTICE_GIVEN, site={"face_required_by": "A decree", "site_kind": "airport"}),
)  # fmt: skip

AT_THE_DOOR = (
    firing("who declines is offered nothing and stays outside", door=TURNED_AWAY),
    clear("who declines is shown to the desk", door={}),
    clear("nobody declined", door=TURNED_AWAY | {"face_scan_refused": False}),
    unknown("not_reported", "the door does not say whether anything was offered",
            door=TURNED_AWAY | {"alternative_offered": None}),
    boundary(CLEAR, "offered nothing, and let in all the same", door={"alternative_offered": False}),
    boundary(CLEAR, "offered another way, and turned away for another reason", door={"outcome": "denied"}),
    excused("a state rule prescribes recognition here", door=TURNED_AWAY, site={"face_required_by": "A decree"}),
)  # fmt: skip
COERCION = (
    *(
        firing(f"it happens at the door of a {kind}", door=TURNED_AWAY, site={"site_kind": kind})
        for kind in PLACES_OF_BUSINESS
    ),
    clear("a school is no place of business", door=TURNED_AWAY, site={"site_kind": "school"}),
    unknown("not_registered", "nobody knows where the door is", door=TURNED_AWAY, device=None),
)
MANAGED: Change = {"controller_type": "property_manager"}
BUILDING = tuple(
    Case(case.shape, case.sentence, case.expected, {"controller": MANAGED} | dict(case.world), why=case.why)
    for case in AT_THE_DOOR
)

REQUESTED: Change = {"requested_by_subject": True}
REMOTE = (
    firing("people are searched in passing", event=IN_PASSING),
    firing("a member is found in passing", event={"active_involvement": False}),
    firing("a security ground, and nobody asked for the search", event=IN_PASSING | ORDER, authority={}),
    firing("the person asked, and there is no security ground",
           event=IN_PASSING | ORDER, authority=REQUESTED | {"basis": "statute"}),
    firing("ground and request, and no evidence",
           event=IN_PASSING | ORDER, authority=REQUESTED | {"evidence_ref": None}),
    clear("the person stands at the gate"),
    *(
        clear(f"request and evidence, and the ground is {basis}",
              event=IN_PASSING | ORDER, authority=REQUESTED | {"basis": basis})
        for basis in ("national_security", "public_security", "emergency")
    ),
    clear("the place is not open to the public", event=IN_PASSING, site={"publicly_accessible": False}),
    clear("one is compared with one", event={"operation": "verification", "active_involvement": False}),
    clear("recordings are searched afterwards", event=IN_PASSING | {"timing": "post"}),
    unknown("not_reported", "the system does not say when it searches", event=IN_PASSING | {"timing": None}),
    unknown("not_reported", "the system does not say whether the person takes part",
            event=STRANGER | {"active_involvement": None}),
    unknown("not_reported", "nobody recorded who asked for the search",
            event=IN_PASSING | ORDER, authority={"requested_by_subject": None}),
    boundary(CLEAR, "the authority begins at that instant",
             event=IN_PASSING | ORDER, authority=REQUESTED | {"valid_from": NOON}),
    boundary(VIOLATION, "the authority ends at that instant",
             event=IN_PASSING | ORDER, authority=REQUESTED | {"valid_until": NOON}),
)  # fmt: skip

KEPT: Change = {"original_image_retained": True}
ORIGINAL = (
    firing("the picture is kept", event=KEPT),
    firing("the picture of a stranger is kept", event=IN_PASSING | KEPT),
    clear("the picture is not kept"),
    clear("the person separately consented to keeping it",
          event=KEPT, consent={"actions": ["identify", "retain_original"]}),
    unknown("not_reported", "the system does not say whether it keeps it", event={"original_image_retained": None}),
    unknown("feed_behind", "a consent may be under way", event=KEPT, consent=None, feed=BEHIND),
    unknown("feed_behind", "consent to identification is known, and one to keeping it may be under way",
            event=KEPT, feed=BEHIND),
    boundary(VIOLATION, "consent to keeping it is bundled",
             event=KEPT, consent=BUNDLED | {"actions": ["retain_original"]}),
    boundary(CLEAR, "consent to keeping it is of that instant",
             event=KEPT, consent={"actions": ["retain_original"], "valid_from": NOON}),
    excused("a statutory duty with a reference", event=KEPT,
            purpose={"legal_basis": "legal_obligation", "basis_evidence_ref": "decree-1"}),
    firing("a statutory duty without a reference", event=KEPT, purpose={"legal_basis": "legal_obligation"}),
    firing("a contract with a reference is no statute", event=KEPT, purpose=EVIDENCED_CONTRACT),
    firing("a purpose that nobody registered excuses nothing", event=KEPT, purpose=None),
    excused("a statute, as an authority with evidence", event=KEPT | ORDER, authority={"basis": "statute"}),
)  # fmt: skip

ONLY_BY_STATUTE = firing(
    "a statute is not among the grounds of the article",
    event={"inferred_attributes": ["health"]} | ORDER,
    authority={"basis": "statute"},
)

CASES: list[Case] = [
    *of("cn2023.art04.purpose", *PURPOSE),
    *of("cn2023.art05.consent", *CONSENT, *AFTER_WITHDRAWAL),
    *of("cn2023.art06.banned-zone", *ROOMS),
    *of("cn2023.art07.sign", *SIGN),
    *of("cn2023.art07.purpose-lock", *PUBLIC_SECURITY),
    *of("cn2023.art09.prompt", *PROMPT),
    *of("cn2023.art09.coercion", *AT_THE_DOOR, *COERCION),
    *of("cn2023.art10.remote", *REMOTE),
    *of("cn2023.art11.sensitive", *SENSITIVE, ONLY_BY_STATUTE),
    *of("cn2023.art13.minor", *MINOR, clear("rules for children are not asked", controller={"minor_rules": False})),
    *of("cn2023.art14.building", *BUILDING),
    *of("cn2023.art15.pia", *ASSESSMENT),
    *of("cn2023.art17.original", *ORIGINAL),
]


@table(CASES)
def test_the_draft_would_say(case: Case) -> None:
    hold(case)


def test_all_that_the_draft_says_is_a_what_if() -> None:
    world = a_world(consent=None, notice=None, site={"sign_verified_at": None})
    said = {rule: message.standing for rule, message in world.violations().items()}
    assert {standing for rule, standing in said.items() if rule.startswith("cn2023")} == {"what_if"}
    assert {standing for rule, standing in said.items() if not rule.startswith("cn2023")} == {"in_force"}


def test_the_rule_on_buildings_is_for_property_managers() -> None:
    assert a_world(door=TURNED_AWAY).says("cn2023.art14.building") == NOT_APPLICABLE
    assert a_world(door=TURNED_AWAY, controller=None).says("cn2023.art14.building") == UNDETERMINED
