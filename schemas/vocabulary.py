"""The closed word lists of the contracts, each with the source of its words.

Rules:
1. A word that is not in its list refuses the message: an attribute we do not know must not read as a harmless one.
2. A new word is a new minor version of every contract that uses the list, and old code refuses it loudly.
"""

from __future__ import annotations

from typing import Literal

Operation = Literal["verification", "identification", "categorisation", "emotion_recognition", "detection"]
"""What was done with the probe: one-to-one or one-to-many comparison (ISO/IEC 2382-37), or an inference about it."""

Timing = Literal["realtime", "post"]
"""Without significant delay, or afterwards (EU AI Act, Art. 3(42) and (43))."""

ComparisonDecision = Literal["match", "non_match", "inconclusive", "not_reported"]
"""ISO/IEC 2382-37 comparison decision; `not_reported` is a system that does not say."""

Attribute = Literal[
    "race",
    "ethnicity",
    "religion",
    "health",
    "social_class",
    "political_opinion",
    "trade_union_membership",
    "sex_life",
    "sexual_orientation",
    "other_sensitive",
    "emotion",
    "age",
    "gender",
    "other",
]
SENSITIVE_ATTRIBUTES: tuple[Attribute, ...] = (
    "race",
    "ethnicity",
    "religion",
    "health",
    "social_class",
    "political_opinion",
    "trade_union_membership",
    "sex_life",
    "sexual_orientation",
    "other_sensitive",
)
"""PIPL Art. 28, GDPR Art. 9(1) and Art. 11 of the Chinese draft of 2023, taken together."""

StorageLocation = Literal["device", "lan", "cloud"]
DecisionEffect = Literal["none", "admit", "deny", "adverse"]

ClaimedBasis = Literal["national_security", "public_security", "emergency", "statute"]
"""An exception that the recogniser's operator claims for one event; a claim alone excuses nothing."""

ControllerType = Literal["private", "public_agency", "law_enforcement", "property_manager", "employer", "school"]

SiteKind = Literal[
    "mall",
    "office_building",
    "airport",
    "hotel",
    "zoo",
    "hospital",
    "street",
    "school",
    "residential",
    "station",
    "shop",
    "restaurant",
    "entertainment_venue",
    "stadium",
    "museum",
    "workplace",
]

Zone = Literal[
    "entrance",
    "gate",
    "lobby",
    "corridor",
    "shop_floor",
    "office",
    "classroom",
    "ward",
    "platform",
    "street",
    "hotel_room",
    "public_bath",
    "changing_room",
    "toilet",
    "fitting_room",
    "nursing_room",
    "private_dining_room",
    "dormitory",
    "other_private",
]
"""Where a device looks; the private ones are those that Chinese law names (Measures 2025 Art. 13, video Art. 8)."""

LegalBasis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interest",
    "official_authority",
    "public_interest",
    "legitimate_interest",
    "news",
    "public_data",
    "research",
]
"""DPV legal bases, with the PIPL Art. 13 bases (5) and (6) and the research carve-out of the Measures, Art. 2."""

PurposeCategory = Literal[
    "public_security",
    "national_security",
    "emergency",
    "access_control",
    "payment",
    "boarding",
    "attendance",
    "marketing",
    "law_enforcement",
    "research",
    "dataset_labelling",
    "identity_documents",
    "medical",
    "missing_person",
    "safety",
    "other",
]

ConsentForm = Literal["implied", "bundled", "explicit", "separate", "written"]
"""How a consent was given; `written` includes an electronic signature where law accepts one, and is separate too."""

ConsentAction = Literal[
    "collect",
    "identify",
    "share",
    "internet_transfer",
    "retain_original",
    "other_use",
    "analyse_race",
    "analyse_ethnicity",
    "analyse_religion",
    "analyse_health",
    "analyse_social_class",
    "analyse_political_opinion",
    "analyse_trade_union_membership",
    "analyse_sex_life",
    "analyse_sexual_orientation",
    "analyse_other_sensitive",
    "analyse_emotion",
    "analyse_age",
    "analyse_gender",
    "analyse_other",
]
"""What a consent covers; `other_use` is use beyond public security (PIPL Art. 26), `analyse_*` names one attribute."""

Giver = Literal["self", "guardian"]
AgeBand = Literal["under_14", "from_14_to_17", "adult", "unknown"]
"""Age as known at enrolment, never inferred from a face; 14 is the bound of PIPL Art. 31."""

AuthorityType = Literal["court_order", "warrant", "judicial", "administrative", "internal"]
AuthorityBasis = Literal["national_security", "public_security", "emergency", "statute"]
AuthorityStatus = Literal["pending", "granted", "rejected", "expired"]
AuthorityObjective = Literal[
    "victim_search",
    "imminent_threat",
    "serious_crime_suspect",
    "crime_suspect",
    "missing_person",
    "deceased_person",
    "emergency",
    "other",
]
"""What a search is for; the first three are those of the EU AI Act, Art. 5(1)(h)."""

SpecialCategoryBasis = Literal[
    "explicit_consent",
    "employment_law",
    "vital_interest",
    "public_data",
    "legal_claims",
    "substantial_public_interest",
    "health_care",
    "public_health",
    "research",
]
"""The grounds of GDPR Art. 9(2), in its order, for processing biometric data to identify somebody."""

SearchLogField = Literal[
    "request", "datetime", "matches", "database", "requester", "reason", "recipient", "characteristics"
]
"""What Massachusetts asks to be documented of each search (M.G.L. c. 6 s. 220)."""

GalleryCriterion = Literal["protected_trait", "political_view", "event_attendance", "other"]
"""By what persons were put into a gallery (RCW 43.386.080(2) and (3))."""

ImageSource = Literal["capture", "upload", "public_web", "official"]
Provenance = Literal["enrolment", "official", "purchased", "scraped", "unknown"]
Level = Literal["critical", "high", "medium", "low", "info"]

SubjectKind = Literal[
    "consent_given",
    "consent_withdrawn",
    "enrolment",
    "erasure_request",
    "deletion",
    "restriction",
    "request_answer",
]
RegistryKind = Literal[
    "controller",
    "site",
    "purpose",
    "device",
    "authority",
    "assessment",
    "notice",
    "filing",
    "gallery",
    "exception",
    "attestation",
    "feed",
]
RecordKind = SubjectKind | RegistryKind
