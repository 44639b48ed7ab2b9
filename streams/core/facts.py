"""The catalogue of facts: every name a condition may use, its type, where it comes from and what makes it unknown.

Rules:
1. A fact is NULL in a case exactly when it is unknown; "there is none" is a value (`FALSE`, `'none'`, an empty list).
   While the feed of a source is behind, but keeps its promise, what its records grant is known and what they do not
   grant is unknown: of the facts of CONSENT, NOTICE and ASSESSMENT TRUE stands and FALSE is NULL, and a list of CONSENT
   is known in part, with a NULL item. FALSE stands where a record says so: withdrawn, not restricted, a stranger.
2. Every fact rests on one source; the reason why it is unknown is the reason of that source in that case.
3. A fact is offered only to the kinds of case that can have it; a rule that asks another is refused when loaded.
4. Law by article: PIPL = Personal Information Protection Law, Measures = CAC and MPS Order No. 19.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from streams.core.condition import FactType

BOOLEAN, TEXT, NUMBER, TIME, TEXTS = (
    FactType.BOOLEAN,
    FactType.TEXT,
    FactType.NUMBER,
    FactType.TIME,
    FactType.TEXTS,
)


class CaseKind(StrEnum):
    """What is judged: a match event or one kind of encounter; the values are the `kind` of the messages."""

    MATCH = "match"
    ACCESS_OUTCOME = "access_outcome"
    HUMAN_REVIEW = "human_review"
    DISCLOSURE = "disclosure"


class Source(StrEnum):
    """Where a fact comes from: the message itself, or the records of one kind as in force at `occurred_at`."""

    EVENT = "event"
    DEVICE = "device"
    SITE = "site"
    CONTROLLER = "controller"
    PURPOSE = "purpose"
    NOTICE = "notice"
    ASSESSMENT = "assessment"
    CONSENT = "consent"
    ENROLMENT = "enrolment"
    RESTRICTION = "restriction"
    GALLERY = "gallery"
    AUTHORITY = "authority"
    EXCEPTION = "exception"


class Unknown(StrEnum):
    """Why a fact is unknown; the values are labels of the metric of undetermined verdicts."""

    NOT_REPORTED = "not_reported"
    FEED_MISSING = "feed_missing"
    FEED_BEHIND = "feed_behind"
    IDENTITY_UNLINKED = "identity_unlinked"
    NOT_REGISTERED = "not_registered"
    RECORD_UNREADABLE = "record_unreadable"
    CONFLICT = "conflict"
    RULE_FAILED = "rule_failed"
    CALENDAR_UNPUBLISHED = "calendar_unpublished"


BEHIND = (Unknown.FEED_BEHIND, Unknown.FEED_MISSING)
"""The reasons that a feed ends by itself, once it comes or comes further."""


EVERY = frozenset(CaseKind)
MATCH = frozenset({CaseKind.MATCH})
ACCESS = frozenset({CaseKind.ACCESS_OUTCOME})
REVIEW = frozenset({CaseKind.HUMAN_REVIEW})
DISCLOSURE = frozenset({CaseKind.DISCLOSURE})


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the catalogue; `unknown_when` completes "unknown when ..."."""

    name: str
    type: FactType
    source: Source
    meaning: str
    unknown_when: str = "its record is missing while the feed is behind, unreadable or in conflict"
    kinds: frozenset[CaseKind] = EVERY
    attestable: bool = False

    @property
    def supply(self) -> str:
        """What to supply so that the fact is known, as a sentence."""
        if self.source is not Source.EVENT:
            return f"State it in the record of the {self.source.value}."
        attested = ", or attest it for the device or the purpose" if self.attestable else ""
        return f"Report it with the event{attested}."


UNREPORTED = "the system does not report it"
UNSTATED = "the record does not state it, or is not known"

_FACTS = (
    # The event itself
    Fact("occurred_at", TIME, Source.EVENT, "when it happened in the world", "never"),
    Fact("operation", TEXT, Source.EVENT, "verification, identification, categorisation, ...", "never", MATCH),
    Fact("timing", TEXT, Source.EVENT, "realtime or post", UNREPORTED, MATCH, True),
    Fact("active_involvement", BOOLEAN, Source.EVENT, "the person takes part knowingly", UNREPORTED, MATCH, True),
    Fact("comparison_decision", TEXT, Source.EVENT, "match, non_match, inconclusive, not_reported", "never", MATCH),
    Fact("stranger", BOOLEAN, Source.EVENT, "nobody we know: a search without match, or no comparison", "never", MATCH),
    Fact("inferred_attributes", TEXTS, Source.EVENT, "traits inferred from the face", UNREPORTED, MATCH, True),
    Fact(
        "sensitive_attributes", TEXTS, Source.EVENT, "those of them that law calls sensitive", UNREPORTED, MATCH, True
    ),
    Fact("original_image_retained", BOOLEAN, Source.EVENT, "the original image is kept", UNREPORTED, MATCH, True),
    Fact("storage_location", TEXT, Source.EVENT, "device, lan or cloud", UNREPORTED, MATCH, True),
    Fact("internet_transfer", BOOLEAN, Source.EVENT, "face data left over the internet", UNREPORTED, MATCH, True),
    Fact("decision_effect", TEXT, Source.EVENT, "none, admit, deny or adverse", UNREPORTED, MATCH),
    Fact("confirmations", NUMBER, Source.EVENT, "persons who confirmed before it took effect", UNREPORTED, MATCH, True),
    Fact("search_log_fields", TEXTS, Source.EVENT, "what was documented of the search", UNREPORTED, MATCH, True),
    Fact("purpose_named", BOOLEAN, Source.EVENT, "the event names a purpose", "never"),
    Fact("exception_claimed", BOOLEAN, Source.EVENT, "the event claims an exception or authority", "never"),
    Fact("claimed_basis", TEXT, Source.EVENT, "the basis that the event claims, or 'none'", "never"),
    Fact("face_scan_refused", BOOLEAN, Source.EVENT, "the visitor declined the face scan", "never", ACCESS),
    Fact("alternative_offered", BOOLEAN, Source.EVENT, "another way was offered", UNREPORTED, ACCESS),
    Fact("access_outcome", TEXT, Source.EVENT, "admitted or denied", "never", ACCESS),
    Fact("access_method", TEXT, Source.EVENT, "face or other", UNREPORTED, ACCESS, True),
    Fact("review_result", TEXT, Source.EVENT, "confirmed or overruled", "never", REVIEW),
    Fact("reviewers", NUMBER, Source.EVENT, "how many persons agreed", "never", REVIEW),
    Fact(
        "recipient_role", TEXT, Source.EVENT, "other_controller, processor, authority or subject", "never", DISCLOSURE
    ),
    Fact("disclosure_basis", TEXT, Source.EVENT, "consent, legal_obligation, contract or none", "never", DISCLOSURE),
    Fact("disclosure_evidenced", BOOLEAN, Source.EVENT, "the basis has a reference", "never", DISCLOSURE),
    Fact("disclosed_for_value", BOOLEAN, Source.EVENT, "something was given in return", "never", DISCLOSURE),
    Fact("disclosure_unsolicited", BOOLEAN, Source.EVENT, "it was received unasked", UNREPORTED, DISCLOSURE),
    # Device, site, controller
    Fact("device_registered", BOOLEAN, Source.DEVICE, "a device record is in force"),
    Fact("device_zone", TEXT, Source.DEVICE, "where the device looks", "the device is not registered or not known"),
    Fact("controller_agrees", BOOLEAN, Source.DEVICE, "the device belongs to the controller that reports"),
    Fact("site_agrees", BOOLEAN, Source.DEVICE, "the device stands at the site the event claims, if it claims one"),
    Fact("site_registered", BOOLEAN, Source.SITE, "the record of the device's site is in force"),
    Fact("site_kind", TEXT, Source.SITE, "mall, airport, hotel, ...", "the site is not registered or not known"),
    Fact("jurisdictions", TEXTS, Source.SITE, "all that apply, from the widest", "the site is not known"),
    Fact("site_public", BOOLEAN, Source.SITE, "open to an undetermined number of people", UNSTATED),
    Fact(
        "sign_verified", BOOLEAN, Source.SITE, "a sign at device or site was verified before", "the site is not known"
    ),
    Fact("alternative_available", BOOLEAN, Source.SITE, "the site has a way without the face", UNSTATED),
    Fact("recognition_default", BOOLEAN, Source.SITE, "the face is the way in that is offered first", UNSTATED),
    Fact("face_required_by_law", BOOLEAN, Source.SITE, "a state rule prescribes recognition here", "site not known"),
    Fact("controller_type", TEXT, Source.CONTROLLER, "private, public_agency, law_enforcement, ...", "not known"),
    Fact("minor_rules", BOOLEAN, Source.CONTROLLER, "dedicated rules for under-14s exist (PIPL 31)", UNSTATED),
    Fact("controller_exemptions", TEXTS, Source.CONTROLLER, "as what it is exempt: glba, ...", UNSTATED),
    Fact("retention_policy_public", BOOLEAN, Source.CONTROLLER, "a public retention policy is on record", UNSTATED),
    # Purpose and its papers
    Fact("purpose_registered", BOOLEAN, Source.PURPOSE, "the named purpose has a record in force"),
    Fact("purpose_specific", BOOLEAN, Source.PURPOSE, "the purpose is put in words", UNSTATED),
    Fact("necessity_evidenced", BOOLEAN, Source.PURPOSE, "its necessity has a reference", UNSTATED),
    Fact("purpose_category", TEXT, Source.PURPOSE, "public_security, access_control, marketing, ...", UNSTATED),
    Fact("legal_basis", TEXT, Source.PURPOSE, "consent, contract, legal_obligation, ...", UNSTATED),
    Fact("basis_evidenced", BOOLEAN, Source.PURPOSE, "a basis other than consent has a reference", UNSTATED),
    Fact("written_consent_required", BOOLEAN, Source.PURPOSE, "law asks for written consent", UNSTATED),
    Fact(
        "necessary_for_service", BOOLEAN, Source.PURPOSE, "the service cannot be had without it", UNSTATED, EVERY, True
    ),
    Fact("operation_allowed", BOOLEAN, Source.PURPOSE, "the purpose allows this operation", UNSTATED, MATCH),
    Fact("attributes_allowed", BOOLEAN, Source.PURPOSE, "it allows every inferred attribute", UNSTATED, MATCH),
    Fact("site_allowed", BOOLEAN, Source.PURPOSE, "it may be pursued at the device's site", UNSTATED),
    Fact("retention_stated", BOOLEAN, Source.PURPOSE, "a retention period is fixed", UNSTATED),
    Fact("retention_days", NUMBER, Source.PURPOSE, "the retention period in days", UNSTATED),
    Fact("special_category_basis", TEXT, Source.PURPOSE, "ground of GDPR Art. 9(2), or 'none'", UNSTATED),
    Fact("purpose_commercial", BOOLEAN, Source.PURPOSE, "it is a commercial purpose", UNSTATED),
    Fact("notice_in_force", BOOLEAN, Source.NOTICE, "a notice covers purpose, method and site"),
    Fact("notice_states_retention", BOOLEAN, Source.NOTICE, "such a notice states the retention period"),
    Fact("prompt_given", BOOLEAN, Source.NOTICE, "a notice in force was given at this very probe", kinds=MATCH),
    Fact("assessment_current", BOOLEAN, Source.ASSESSMENT, "an assessment covers the purpose and its method"),
    # The gallery that was searched
    Fact("gallery_registered", BOOLEAN, Source.GALLERY, "the named gallery has a record in force", kinds=MATCH),
    Fact("gallery_provenance", TEXT, Source.GALLERY, "enrolment, scraped, ...; 'none' if none named", UNSTATED, MATCH),
    Fact("gallery_criteria", TEXTS, Source.GALLERY, "by what persons were put into it", UNSTATED, MATCH),
    # The person
    Fact("consent_in_force", BOOLEAN, Source.CONSENT, "some consent covers the purpose"),
    Fact("separate_consent_in_force", BOOLEAN, Source.CONSENT, "a separate or written one does"),
    Fact("written_consent_in_force", BOOLEAN, Source.CONSENT, "a written one does"),
    Fact("explicit_consent_in_force", BOOLEAN, Source.CONSENT, "an explicit, separate or written one to it"),
    Fact("guardian_consent_in_force", BOOLEAN, Source.CONSENT, "a guardian's does"),
    Fact("consent_forms", TEXTS, Source.CONSENT, "the forms of all that do"),
    Fact("consent_actions", TEXTS, Source.CONSENT, "the actions that they cover together"),
    Fact("separate_consent_actions", TEXTS, Source.CONSENT, "those covered by separate or written ones"),
    Fact("consented_attributes", TEXTS, Source.CONSENT, "attributes whose analysis has separate consent"),
    Fact("consent_withdrawn", BOOLEAN, Source.CONSENT, "it was withdrawn and not given again since"),
    Fact("age_band", TEXT, Source.ENROLMENT, "age as known at enrolment", "there is no enrolment, or it does not say"),
    Fact("image_source", TEXT, Source.ENROLMENT, "capture, upload, public_web, official", "no enrolment says it"),
    Fact("restricted", BOOLEAN, Source.RESTRICTION, "the person's data may only be stored (PIPL 47)"),
    # Grounds beyond consent
    Fact("authority_evidenced", BOOLEAN, Source.AUTHORITY, "the named authority is granted, in scope and evidenced"),
    Fact("authority_basis", TEXT, Source.AUTHORITY, "national_security, ... of such an authority, or 'none'"),
    Fact("authority_requested_by_subject", BOOLEAN, Source.AUTHORITY, "the person asked for the search", UNSTATED),
    Fact("authority_registered", BOOLEAN, Source.AUTHORITY, "the named authority has a record in force"),
    Fact("authority_status", TEXT, Source.AUTHORITY, "none, pending, granted, rejected or expired"),
    Fact("authority_type", TEXT, Source.AUTHORITY, "court_order, warrant, ... or 'none'"),
    Fact("authority_objective", TEXT, Source.AUTHORITY, "what the search is for, or 'none'", UNSTATED),
    Fact("authority_urgent", BOOLEAN, Source.AUTHORITY, "use began before it was asked for"),
    Fact("authority_requested", BOOLEAN, Source.AUTHORITY, "it had been asked for"),
    Fact("authority_in_scope", BOOLEAN, Source.AUTHORITY, "it covers time, device and site, granted or not"),
    Fact("authority_targets_subject", BOOLEAN, Source.AUTHORITY, "it names this person", kinds=MATCH),
    Fact("authority_offence_annex_ii", BOOLEAN, Source.AUTHORITY, "its offence is in Annex II of the AI Act", UNSTATED),
    Fact("authority_max_penalty_years", NUMBER, Source.AUTHORITY, "the longest penalty of its offence", UNSTATED),
    Fact("authority_fria", BOOLEAN, Source.AUTHORITY, "a fundamental rights impact assessment is on record"),
    Fact("authority_eu_registered", BOOLEAN, Source.AUTHORITY, "its registration in the EU database is on record"),
    Fact("authority_national_law", BOOLEAN, Source.AUTHORITY, "the national law that provides for it is on record"),
    Fact("authority_written_request", BOOLEAN, Source.AUTHORITY, "a written request is on record"),
    Fact("authority_facts_stated", BOOLEAN, Source.AUTHORITY, "a statement of facts is on record"),
    Fact("authority_case_linked", BOOLEAN, Source.AUTHORITY, "it names an offence, proceeding, threat or person"),
    Fact("authority_narrow", BOOLEAN, Source.AUTHORITY, "its scope is narrowly tailored", UNSTATED),
    Fact("exception_evidenced", BOOLEAN, Source.EXCEPTION, "the named exception is in force, in scope and evidenced"),
)

FACTS: Mapping[str, Fact] = {fact.name: fact for fact in _FACTS}
assert len(FACTS) == len(_FACTS), "a fact has one line"

OF_KIND: Mapping[CaseKind, Mapping[str, FactType]] = {
    kind: {fact.name: fact.type for fact in _FACTS if kind in fact.kinds} for kind in CaseKind
}
"""The names that a rule about one kind of case may use, with their types."""


def why(source: Source) -> str:
    """The name of the column that says why facts of `source` are unknown in a case."""
    return f"why_{source}"
