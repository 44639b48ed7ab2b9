"""The job of the live benchmark: sixty distinct rules, said once as SQL and once as Python, and what they judge.

Rules:
1. Both forms of a rule mean the same; the benchmark compares how many violations each side found.
2. One event in a hundred violates one rule: its person gave no consent. Everything else is clear under every rule.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.contract import time_text
from schemas.registry import (
    AssessmentRecord,
    ControllerRecord,
    DeviceRecord,
    FeedRecord,
    NoticeRecord,
    PurposeRecord,
    RegistryRecord,
    SiteRecord,
)
from schemas.subject import ConsentGiven
from schemas.vocabulary import Zone

SUBJECTS = 100_000
DEVICES = 500
SITES = 50
VIOLATING = 100
"""Every so many persons there is one without consent."""
START = datetime(2026, 11, 1, tzinfo=UTC)
SINCE = START - timedelta(days=30)
ZONES: tuple[Zone, ...] = (
    "entrance",
    "gate",
    "lobby",
    "corridor",
    "shop_floor",
    "office",
    "ward",
    "platform",
    "street",
    "classroom",
)
PRIVATE = ("hotel_room", "toilet", "public_bath", "changing_room", "fitting_room", "nursing_room")
ATTRIBUTES = ("race", "ethnicity", "religion", "health", "social_class", "political_opinion", "sex_life", "emotion")
CATEGORIES = ("payment", "boarding", "attendance", "marketing", "research", "other", "emergency", "law_enforcement")
Facts = Mapping[str, Any]


class Rule(NamedTuple):
    """One rule in both forms."""

    sql: str
    python: Callable[[Facts], bool]


def _in_zone(zone: str) -> Rule:
    return Rule(
        f"device_zone = '{zone}' AND operation = 'identification' AND NOT consent_in_force",
        lambda f: f["device_zone"] == zone and f["operation"] == "identification" and not f["consent_in_force"],
    )


def _private(zone: str) -> Rule:
    return Rule(
        f"device_zone = '{zone}' AND site_public",
        lambda f: f["device_zone"] == zone and f["site_public"],
    )


def _inferred(attribute: str) -> Rule:
    return Rule(
        f"'{attribute}' = ANY(inferred_attributes) AND NOT '{attribute}' = ANY(consented_attributes)",
        lambda f: attribute in f["inferred_attributes"] and attribute not in f["consented_attributes"],
    )


def _category(category: str) -> Rule:
    return Rule(
        f"purpose_category = '{category}' AND legal_basis = 'consent' AND consent_withdrawn",
        lambda f: f["purpose_category"] == category and f["legal_basis"] == "consent" and f["consent_withdrawn"],
    )


def _before(days: int) -> Rule:
    limit = START - timedelta(days=days)
    return Rule(
        f"occurred_at < TIMESTAMP '{time_text(limit)}' AND timing = 'realtime'",
        lambda f: f["occurred_at"] < limit and f["timing"] == "realtime",
    )


def _stored(place: str, decision: str) -> Rule:
    return Rule(
        f"storage_location = '{place}' AND comparison_decision = '{decision}' "
        "AND NOT 'internet_transfer' = ANY(separate_consent_actions)",
        lambda f: (
            f["storage_location"] == place
            and f["comparison_decision"] == decision
            and "internet_transfer" not in f["separate_consent_actions"]
        ),
    )


def _controller(kind: str) -> Rule:
    return Rule(
        f"controller_type = '{kind}' AND (NOT sign_verified OR NOT notice_in_force)",
        lambda f: f["controller_type"] == kind and (not f["sign_verified"] or not f["notice_in_force"]),
    )


CONSENT = Rule(
    "legal_basis = 'consent' AND NOT 'identify' = ANY(separate_consent_actions)",
    lambda f: f["legal_basis"] == "consent" and "identify" not in f["separate_consent_actions"],
)
RULES: tuple[Rule, ...] = (
    CONSENT,
    *map(_in_zone, ZONES),
    *map(_private, PRIVATE),
    *map(_inferred, ATTRIBUTES),
    *map(_category, CATEGORIES),
    *map(_before, range(1, 16)),
    *(_stored(place, decision) for place in ("lan", "cloud") for decision in ("match", "non_match", "inconclusive")),
    *map(_controller, ("private", "public_agency", "law_enforcement", "property_manager", "employer", "school")),
)
assert len(RULES) == len({rule.sql for rule in RULES}) == 60, "sixty rules, all distinct"


def pack() -> str:
    """The rules as a rule pack."""
    head = (
        "pack: bench\ntitle: Sixty rules\nstatus: in_force\ndescription: made for a benchmark\nsource: none\n"
        "jurisdictions: [CN]\ntimezone: UTC\nin_force: {from: 2020-01-01}\nrules:\n"
    )
    rule = (
        "  - id: bench.r{n:02d}.rule\n    title: rule {n}\n    description: made for a benchmark\n"
        "    citation: none at all\n    level: high\n    judges: match\n    condition: |\n      {sql}\n"
        "    per: device\n"
        "    annotations: {{summary: none, description: none, runbook: none}}\n"
    )
    return head + "".join(rule.format(n=n, sql=each.sql) for n, each in enumerate(RULES))


def subject_ref(number: int) -> str:
    """The token of a person."""
    return f"s_{number:022d}"


def zone_of(device: int) -> Zone:
    """Where a device looks."""
    return ZONES[device % len(ZONES)]


def registry() -> Iterator[RegistryRecord]:
    """The registry of the job: one controller, fifty sites, five hundred devices, three purposes."""
    common: dict[str, Any] = {"valid_from": SINCE}
    purposes = ("p-access", "p-entry", "p-gate")
    yield ControllerRecord(record_id="c", id="c1", title="C", controller_type="private", minor_rules=True, **common)
    for site in range(SITES):
        yield SiteRecord(
            record_id=f"s{site}", id=f"site-{site}", controller_id="c1", title="Site", site_kind="mall",
            jurisdictions=("CN",), timezone="Asia/Shanghai", publicly_accessible=True, sign_verified_at=SINCE,
            alternative_methods=("card",), **common,
        )  # fmt: skip
    for device in range(DEVICES):
        yield DeviceRecord(
            record_id=f"d{device}", id=f"cam-{device:04d}", controller_id="c1", site_id=f"site-{device % SITES}",
            zone=zone_of(device), **common,
        )  # fmt: skip
    for purpose in purposes:
        yield PurposeRecord(
            record_id=purpose, id=purpose, controller_id="c1", specific_text="Entry", necessity_ref="n-1",
            category="access_control", legal_basis="consent", operations=("verification",), **common,
        )  # fmt: skip
    yield NoticeRecord(
        record_id="n", id="n1", controller_id="c1", purpose_ids=purposes, method_version="1", states_retention=True,
        language="zh", **common,
    )  # fmt: skip
    yield AssessmentRecord(
        record_id="a", id="a1", controller_id="c1", purpose_ids=purposes, method_version="1", **common
    )
    yield FeedRecord(
        record_id="f", id="feed-1", complete_until=START + timedelta(days=365), max_lag_seconds=60,
        covers=("controller", "site", "device", "purpose", "notice", "assessment", "authority", "exception",
                "consent_given", "consent_withdrawn", "enrolment", "restriction"), **common,
    )  # fmt: skip


def subjects() -> Iterator[ConsentGiven]:
    """One consent a person, for two purposes; one person in a hundred has none."""
    for number in range(SUBJECTS):
        if number % VIOLATING:
            yield ConsentGiven(
                record_id=f"consent-{number}", controller_id="c1", subject_ref=subject_ref(number), valid_from=SINCE,
                purposes=("p-access", "p-entry"), actions=("collect", "identify"), consent_form="separate",
            )  # fmt: skip


def events(count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of match events of about 400 bytes, in the order of their time."""
    chance = random.Random(seed)
    for number in range(count):
        ref = subject_ref(chance.randrange(SUBJECTS))
        device = chance.randrange(DEVICES)
        at = time_text(START + timedelta(milliseconds=number))
        purpose = chance.choice(("p-access", "p-entry"))
        yield (
            ref,
            (
                f'{{"event_id":"e{number:010d}","probe_id":"p{number:010d}","occurred_at":"{at}","controller_id":"c1",'
                f'"device_id":"cam-{device:04d}","purpose_id":"{purpose}","operation":"verification","timing":"realtime",'
                f'"active_involvement":true,"subject_ref":"{ref}","comparison_decision":"match","comparison_score":'
                f'{chance.randrange(8000, 9999) / 10000},"inferred_attributes":[],"storage_location":"device"}}'
            ).encode(),
        )
