"""What a rule says of small worlds: one line a case, in words, with the outcome that a lawyer would expect.

Rules:
1. The cases are beside those that stand inside the rules (`consentinel rules test`), which have every shape.
2. A case changes as little of `small_world` as it can, and its sentence says what.
3. The groups below are shared by laws that ask the same; each law's test adds what is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from small_world import (
    CLEAR,
    EXCUSED,
    IN_PASSING,
    LOOKED_AT,
    NEVER_SEEN,
    NOON,
    STRANGER,
    UNDETERMINED,
    VIOLATION,
    Change,
    a_world,
)

JUST_BEFORE = "2026-03-10T03:59:59.999999Z"
JUST_AFTER = "2026-03-10T04:00:00.000001Z"
"""The microseconds before and after the event at `NOON`."""
BEHIND: Change = {"complete_until": "2026-03-10T03:59:59Z"}
"""A feed one second behind the event, but within its lag: what it said stands, what it did not say is unknown."""
CAUGHT_UP: Change = {"complete_until": JUST_AFTER}
"""The same feed when it has just passed the event: what it did not say is not so."""
SILENT: Change = {"complete_until": "2026-03-06T10:00:00Z"}
"""A feed that stopped on the Friday before: nothing that rests on it can be said."""
ORDER: Change = {"authority_id": "order-1"}
"""The event names an authority; whether one is on record is another question."""
EVIDENCED_CONTRACT: Change = {"legal_basis": "contract", "basis_evidence_ref": "contract-1"}
RESEARCH: Change = {"legal_basis": "research", "basis_evidence_ref": "protocol-1"}
BUNDLED: Change = {"consent_form": "bundled"}

FIRING, UNKNOWN, BOUNDARY = "firing", "unknown", "boundary"


@dataclass(frozen=True)
class Case:
    """One world and what one rule says of it; `why` is the reason where it is undetermined."""

    shape: str
    sentence: str
    expected: str
    world: Mapping[str, Any]
    rule: str = ""
    why: str | None = None


def firing(sentence: str, **world: Any) -> Case:
    """A world in which no valid record is found."""
    return Case(FIRING, sentence, VIOLATION, world)


def clear(sentence: str, **world: Any) -> Case:
    """A world that gives the rule nothing to say."""
    return Case(CLEAR, sentence, CLEAR, world)


def unknown(why: str, sentence: str, **world: Any) -> Case:
    """A world in which a fact is unknown, for the reason `why`."""
    return Case(UNKNOWN, sentence, UNDETERMINED, world, why=why)


def boundary(expected: str, sentence: str, **world: Any) -> Case:
    """A world on the line between two outcomes."""
    return Case(BOUNDARY, sentence, expected, world)


def excused(sentence: str, **world: Any) -> Case:
    """A world with a breach and a ground that excuses it."""
    return Case(EXCUSED, sentence, EXCUSED, world)


def of(rule: str, *cases: Case) -> list[Case]:
    """The cases as cases of one rule."""
    return [replace(case, rule=rule) for case in cases]


def table(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """The decorator that runs a test once a case, under the rule's id and the case's sentence."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.rule}: {case.sentence}") for case in cases])


def hold(case: Case) -> None:
    """Judge the world of a case and compare."""
    world = a_world(only=case.rule, **case.world)
    assert world.says(case.rule) == case.expected
    if case.why is not None:
        assert world.why(case.rule) == case.why


NEVER_TWICE = (
    boundary(CLEAR, "after a withdrawal the rule on withdrawal fires instead", withdrawal={"valid_from": JUST_BEFORE}),
    boundary(CLEAR, "and so it does in the instant of the withdrawal", withdrawal={"valid_from": NOON}),
)


def research(**flaw: Any) -> tuple[Case, ...]:
    """How the research exception of the Measures (Art. 2) treats a world with a flaw elsewhere than in the purpose."""
    return (
        excused("research with a reference is outside the Measures", purpose=RESEARCH, **flaw),
        firing("research without a reference is a word", purpose={"legal_basis": "research"}, **flaw),
        firing("a contract with a reference is no research", purpose=EVIDENCED_CONTRACT, **flaw),
    )


PURPOSE = (
    firing("the record has no specific wording", purpose={"specific_text": None}),
    firing("the record has no reference to its necessity", purpose={"necessity_ref": None}),
    firing("the purpose that is named has no record", purpose=None),
    firing("the record belongs to another controller", purpose={"controller_id": "mall"}),
    clear("wording and necessity are on record"),
    clear("a claim of research without a reference changes nothing of a purpose in order",
          purpose={"legal_basis": "research"}),
    unknown("not_reported", "the system names no purpose, which is no proof that there is none",
            event={"purpose_id": None}),
    unknown("feed_behind", "the record may be under way", purpose=None, feed=BEHIND),
    boundary(CLEAR, "the record begins at the instant of the event", purpose={"valid_from": NOON}),
    boundary(VIOLATION, "the record begins a microsecond later", purpose={"valid_from": JUST_AFTER}),
    boundary(VIOLATION, "the record ends at the instant of the event", purpose={"valid_until": NOON}),
)  # fmt: skip

NOTICE = (
    firing("there is no notice", notice=None),
    firing("the notice is about another purpose", notice={"purpose_ids": ["parking"]}),
    firing("the notice hangs at another site", notice={"site_ids": ["aquarium"]}),
    firing("the notice describes the method before the last change", purpose={"method_version": "2"}),
    clear("a notice for purpose, method and site is in force"),
    clear("the notice hangs at this very site", notice={"site_ids": ["zoo-gates"]}),
    clear("the notice is known, and no other one could undo it", feed=BEHIND),
    unknown("feed_behind", "the notice may be under way", notice=None, feed=BEHIND),
    unknown("feed_behind", "a notice about the new method may be under way",
            purpose={"method_version": "2"}, feed=BEHIND),
    unknown("feed_behind", "the purpose and so its notice may be under way", purpose=None, feed=BEHIND),
    unknown("not_reported", "the system names no purpose", event={"purpose_id": None}),
    boundary(CLEAR, "the notice is in force from the instant of the event", notice={"valid_from": NOON}),
    boundary(VIOLATION, "the notice ended at the instant of the event", notice={"valid_until": NOON}),
    excused("law requires secrecy, by an authority with evidence",
            notice=None, event=ORDER, authority={"basis": "national_security"}),
    excused("a statute needs no notice, by an authority with evidence",
            notice=None, event=ORDER, authority={"basis": "statute"}),
    excused("an emergency allows the notice to follow", notice=None, event=ORDER, authority={"basis": "emergency"}),
    firing("public security alone does not lift the duty of notice", notice=None, event=ORDER, authority={}),
    firing("an emergency that no paper proves", notice=None, event=ORDER,
           authority={"basis": "emergency", "evidence_ref": None}),
)  # fmt: skip

ASSESSMENT = (
    firing("there is no assessment", assessment=None),
    firing("the assessment is of another controller", assessment={"controller_id": "mall"}),
    firing("the method changed after the assessment", purpose={"method_version": "2"}, notice={"method_version": "2"}),
    clear("an assessment covers purpose and method"),
    clear("the assessment is known, and no other one could undo it", feed=BEHIND),
    unknown("feed_behind", "the assessment may be under way", assessment=None, feed=BEHIND),
    unknown("feed_behind", "the purpose and so its assessment may be under way", purpose=None, feed=BEHIND),
    boundary(CLEAR, "it was approved at the instant of the event", assessment={"valid_from": NOON}),
    boundary(VIOLATION, "it was approved a microsecond later", assessment={"valid_from": JUST_AFTER}),
)

CONSENT = (
    firing("the person never consented", consent=None),
    firing("nobody ever heard of the person", event={"subject_ref": NEVER_SEEN}),
    firing("the consent is explicit but not separate", consent={"consent_form": "explicit"}),
    firing("the consent is only bundled", consent=BUNDLED),
    firing("the consent covers collecting and not identifying", consent={"actions": ["collect"]}),
    firing("the consent covers another purpose", consent={"purposes": ["marketing"]}),
    firing("the consent was given to another controller", consent={"controller_id": "mall"}),
    firing("law asks for a written consent and it is not written", purpose={"written_consent_required": True}),
    firing("one face is compared with one reference", event={"operation": "verification"}, consent=None),
    firing("the basis is a contract without a reference", purpose={"legal_basis": "contract"}, consent=None),
    firing("a stranger was searched in passing", event=IN_PASSING),
    firing("a stranger was searched in passing, and has no records to wait for", event=IN_PASSING, feed=BEHIND),
    firing("a stranger at the gate said no", event=STRANGER | {"on_site_consent": False}),
    clear("a separate consent to identification is in force"),
    clear("a written consent is separate, too",
          purpose={"written_consent_required": True}, consent={"consent_form": "written"}),
    clear("a stranger at the gate agreed on the spot", event=STRANGER | {"on_site_consent": True}),
    clear("the basis is a contract with a reference, for which nobody needs consent",
          purpose=EVIDENCED_CONTRACT, consent=None),
    clear("the separate consent is known, and no other one could undo it", feed=BEHIND),
    clear("a face was detected and compared with nobody", event={"operation": "detection"}, consent=None),
    unknown("feed_behind", "the consent may be under way", consent=None, feed=BEHIND),
    unknown("feed_behind", "a bundled consent is known, and a separate one may be under way",
            consent=BUNDLED, feed=BEHIND),
    unknown("feed_behind", "a separate consent is known, and the written one may be under way",
            purpose={"written_consent_required": True}, feed=BEHIND),
    unknown("feed_behind", "the feed of consents stopped on Friday", feed=SILENT),
    boundary(VIOLATION, "only a bundled consent is known when the feed has passed", consent=BUNDLED, feed=CAUGHT_UP),
    unknown("identity_unlinked", "the system recognised an id that nobody linked to a person",
            event={"subject_ref": None}),
    unknown("not_reported", "a stranger at the gate of whom nothing is reported", event=STRANGER),
    unknown("not_reported", "a stranger of whom it is not known whether they took part",
            event=STRANGER | {"active_involvement": None}),
    unknown("not_registered", "nobody registered the purpose, so its basis is unknown", purpose=None, consent=None),
    boundary(CLEAR, "it was given at the instant of the match", consent={"valid_from": NOON}),
    boundary(VIOLATION, "it was given a microsecond later", consent={"valid_from": JUST_AFTER}),
    boundary(VIOLATION, "it ended at the instant of the match", consent={"valid_until": NOON}),
    boundary(CLEAR, "it ended a microsecond later", consent={"valid_until": JUST_AFTER}),
    excused("an authority with evidence covers the match", consent=None, event=ORDER, authority={}),
    firing("an authority without evidence excuses nothing",
           consent=None, event=ORDER, authority={"evidence_ref": None}),
    firing("an authority that is not yet granted excuses nothing",
           consent=None, event=ORDER, authority={"status": "pending"}),
    firing("an authority for another device excuses nothing",
           consent=None, event=ORDER, authority={"device_ids": ["gate-2"]}),
    firing("a ground that is only claimed excuses nothing",
           consent=None, event={"claimed_basis": "national_security"}),
)  # fmt: skip

WITHDRAWN = (
    firing("consent was withdrawn the day before", withdrawal={"valid_from": "2026-03-09T04:00:00Z"}),
    firing("a withdrawal that names no purpose covers all", withdrawal={"purposes": [], "valid_from": JUST_BEFORE}),
    firing("one face is compared with one reference",
           event={"operation": "verification"}, withdrawal={"valid_from": JUST_BEFORE}),
    clear("a face was detected and compared with nobody",
          event={"operation": "detection"}, withdrawal={"valid_from": JUST_BEFORE}),
    clear("nothing was withdrawn"),
    clear("another purpose was withdrawn", withdrawal={"purposes": ["marketing"], "valid_from": JUST_BEFORE}),
    clear("it was withdrawn and given again", withdrawal={"valid_from": "2026-03-09T04:00:00Z"},
          consent={"valid_from": "2026-03-09T05:00:00Z"}),
    clear("the purpose rests on a contract with a reference",
          purpose=EVIDENCED_CONTRACT, withdrawal={"valid_from": JUST_BEFORE}),
    clear("what was given is not taken for withdrawn while the feed keeps its promise", feed=BEHIND),
    firing("the purpose rests on a contract, of which there is no reference",
           purpose={"legal_basis": "contract"}, withdrawal={"valid_from": JUST_BEFORE}),
    firing("the withdrawal is known, though the feed is behind", withdrawal={"valid_from": JUST_BEFORE}, feed=BEHIND),
    unknown("feed_behind", "the feed of withdrawals stopped on Friday", feed=SILENT),
    unknown("identity_unlinked", "nobody knows whose withdrawal to look for", event={"subject_ref": None}),
    boundary(CLEAR, "the match came a microsecond before the withdrawal", withdrawal={"valid_from": JUST_AFTER}),
    boundary(VIOLATION, "the withdrawal and the match are of one instant", withdrawal={"valid_from": NOON}),
    boundary(VIOLATION, "consent given again at the instant of the withdrawal does not undo it",
             withdrawal={"valid_from": NOON}, consent={"valid_from": NOON}),
    excused("an authority with evidence is another basis",
            withdrawal={"valid_from": JUST_BEFORE}, event=ORDER, authority={}),
)  # fmt: skip

CHILD: Change = {"age_band": "under_14"}
BY_GUARDIAN: Change = {"giver": "guardian"}
MINOR = (
    firing("a child consented alone", enrolment=CHILD),
    firing("nobody consented for the child", enrolment=CHILD, consent=None),
    firing("one face is compared with one reference", event={"operation": "verification"}, enrolment=CHILD),
    clear("a face was detected and compared with nobody", event={"operation": "detection"}, enrolment=CHILD),
    clear("the guardian consented", enrolment=CHILD, consent=BY_GUARDIAN),
    clear("the guardian's consent is known, and no other one could undo it",
          enrolment=CHILD, consent=BY_GUARDIAN, feed=BEHIND),
    clear("the person is an adult"),
    clear("the basis is not consent", enrolment=CHILD, purpose={"legal_basis": "legal_obligation"}),
    unknown("feed_behind", "the child's own consent is known, and the guardian's may be under way",
            enrolment=CHILD, feed=BEHIND),
    unknown("not_reported", "nobody recorded an age", enrolment={"age_band": "unknown"}),
    unknown("not_reported", "the person was never enrolled", enrolment=None),
    unknown("identity_unlinked", "the id is linked to nobody", event={"subject_ref": None}),
    boundary(VIOLATION, "the child's own consent is known, and the feed has passed the match",
             enrolment=CHILD, feed=CAUGHT_UP),
    boundary(CLEAR, "fourteen is not under fourteen", enrolment={"age_band": "from_14_to_17"}),
    boundary(CLEAR, "the enrolment as a child came after the match", enrolment=CHILD | {"valid_from": JUST_AFTER},
             more=[{"kind": "enrolment", "controller_id": "zoo", "subject_ref": "s_member_0000000000001",
                    "age_band": "from_14_to_17"}]),
    boundary(VIOLATION, "the guardian's consent came a microsecond late",
             enrolment=CHILD, consent=BY_GUARDIAN | {"valid_from": JUST_AFTER}),
)  # fmt: skip
NO_RULES_FOR_CHILDREN = (
    firing("the controller has no rules for children",
           enrolment=CHILD, consent=BY_GUARDIAN, controller={"minor_rules": False}),
    unknown("not_reported", "the controller does not say whether it has rules for children",
            enrolment=CHILD, consent=BY_GUARDIAN, controller={"minor_rules": None}),
)  # fmt: skip

NO_SIGN: Change = {"sign_verified_at": None}
SIGN = (
    firing("nobody ever verified a sign", site=NO_SIGN),
    clear("a sign was verified at the site"),
    clear("a sign was verified at the device", site=NO_SIGN, device={"sign_verified_at": "2024-01-01T00:00:00Z"}),
    clear("the place is not open to the public", site=NO_SIGN | {"publicly_accessible": False}),
    unknown("not_reported", "nobody said whether the place is open to the public",
            site=NO_SIGN | {"publicly_accessible": None}),
    unknown("not_registered", "nobody knows where the device stands", device=None),
    unknown("feed_behind", "the record of the device, and so of its place, may be under way", device=None, feed=BEHIND),
    boundary(CLEAR, "the sign was verified at the instant of the event", site={"sign_verified_at": NOON}),
    boundary(VIOLATION, "the sign was verified a microsecond later", site={"sign_verified_at": JUST_AFTER}),
)  # fmt: skip

ONLY_COLLECT: Change = {"actions": ["collect"]}
PUBLIC_SECURITY = (
    firing("members are marketed to in public without consent to that",
           purpose={"category": "marketing"}, consent=ONLY_COLLECT),
    firing("a stranger in passing, for access control", event=IN_PASSING),
    clear("the purpose is public security", purpose={"category": "public_security"}, event=IN_PASSING),
    clear("the purpose is national security", purpose={"category": "national_security"}, event=IN_PASSING),
    clear("the purpose is an emergency", purpose={"category": "emergency"}, event=IN_PASSING),
    clear("the person consented to the other use",
          purpose={"category": "marketing"}, consent={"actions": ["collect", "other_use"]}),
    clear("the member consented to identification for this purpose"),
    clear("the consent to it is known, and no other one could undo it", feed=BEHIND),
    clear("the place is not open to the public", site={"publicly_accessible": False}, consent=None),
    unknown("feed_behind", "a consent may be under way", consent=None, feed=BEHIND),
    unknown("feed_behind", "a consent to collecting is known, and one to this use may be under way",
            consent=ONLY_COLLECT, feed=BEHIND),
    unknown("not_reported", "nobody said whether the place is open to the public",
            site={"publicly_accessible": None}, consent=None),
    unknown("not_registered", "the purpose has no record and so no category", purpose=None, consent=None),
    boundary(VIOLATION, "fighting crime is not yet public security",
             purpose={"category": "law_enforcement"}, event=IN_PASSING),
    boundary(VIOLATION, "the consent is separate but covers collecting alone", consent=ONLY_COLLECT, feed=CAUGHT_UP),
    boundary(VIOLATION, "the consent covers the other use but is bundled",
             consent={"actions": ["other_use"], "consent_form": "bundled"}),
)  # fmt: skip

ETHNICITY: Change = {"inferred_attributes": ["ethnicity"]}
FOR_HEALTH: Change = {"actions": ["identify", "analyse_health"]}
SENSITIVE = (
    firing("a mall infers ethnicity of a person who consented to being identified", event=ETHNICITY),
    firing("ethnicity of a stranger in passing", event=IN_PASSING | ETHNICITY),
    *(
        firing(f"ethnicity of passers-by, of whom nobody asks who they are: {operation}",
               event=LOOKED_AT | {"operation": operation} | ETHNICITY, feed=BEHIND)
        for operation in ("categorisation", "emotion_recognition", "detection")
    ),
    firing("who agrees at a kiosk to be looked at has not agreed to the analysis of a trait",
           event=LOOKED_AT | ETHNICITY | {"active_involvement": True, "on_site_consent": True}),
    firing("consent to the analysis of another trait", event=ETHNICITY, consent=FOR_HEALTH),
    clear("nothing was inferred"),
    clear("nothing was inferred of a person of whom nothing is known", event={"subject_ref": None}),
    clear("the person separately consented to that analysis", event=ETHNICITY,
          consent={"actions": ["identify", "analyse_ethnicity"]}),
    unknown("not_reported", "the system does not say what it infers", event={"inferred_attributes": None}),
    clear("nothing was inferred, so no consent is waited for", consent=None, feed=BEHIND),
    clear("the consent to that analysis is known, and no other one could undo it", event=ETHNICITY,
          consent={"actions": ["analyse_ethnicity"]}, feed=BEHIND),
    unknown("feed_behind", "a consent may be under way", event=ETHNICITY, consent=None, feed=BEHIND),
    unknown("feed_behind", "consent to another analysis is known, and one to this may be under way",
            event=ETHNICITY, consent=FOR_HEALTH, feed=BEHIND),
    unknown("not_reported", "passers-by, of whom it is not known whether they take part",
            event=LOOKED_AT | ETHNICITY | {"active_involvement": None}),
    unknown("identity_unlinked", "a face was matched before its trait was inferred, and the id is linked to nobody",
            event=LOOKED_AT | ETHNICITY | {"comparison_decision": "match"}),
    unknown("identity_unlinked", "nobody knows whose consent to look for", event=ETHNICITY | {"subject_ref": None}),
    boundary(VIOLATION, "consent to one of two traits", event={"inferred_attributes": ["ethnicity", "health"]},
             consent={"actions": ["analyse_ethnicity"]}),
    boundary(CLEAR, "consent to both of two traits", event={"inferred_attributes": ["ethnicity", "health"]},
             consent={"actions": ["analyse_health", "analyse_ethnicity"]}),
    boundary(CLEAR, "age, gender and emotion are no sensitive traits in this sense",
             event={"inferred_attributes": ["age", "gender", "emotion", "other"]}),
    boundary(VIOLATION, "consent to the analysis is bundled", event=ETHNICITY,
             consent={"actions": ["analyse_ethnicity"], "consent_form": "bundled"}),
    excused("an authority for public security, granted and evidenced", event=ETHNICITY | ORDER, authority={}),
    excused("an authority for national security, granted and evidenced",
            event=ETHNICITY | ORDER, authority={"basis": "national_security"}),
    excused("an authority for an emergency, granted and evidenced",
            event=ETHNICITY | ORDER, authority={"basis": "emergency"}),
    firing("an authority without evidence", event=ETHNICITY | ORDER, authority={"evidence_ref": None}),
    firing("an authority that nobody registered", event=ETHNICITY | ORDER),
    firing("the authority ended at the instant of the event", event=ETHNICITY | ORDER, authority={"valid_until": NOON}),
    firing("a claim of national security, and no paper", event=ETHNICITY | {"claimed_basis": "national_security"}),
)  # fmt: skip
