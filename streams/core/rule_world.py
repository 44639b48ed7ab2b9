"""The small world of a rule's own tests: one gate, one person who agreed, every paper in order; a test says the rest.

Rules:
1. Nothing in the world is unknown and nothing is missing, so a test writes only what matters to it.
2. A part is a mapping of the fields to change, or null for "there is no such record"; parts that an orderly gate does
   not need (authority, exception, withdrawal, restriction) are there only when a test names them.
3. `more` holds further records and events, whole or by difference; `repeat: 3` makes three of one, and `{n}` in a text
   is its number. `stored` says how many persons are stored from which day on, for rules that count them.
4. Times may be written beside the event: `at`, `at - 1 day`, `at + 1 microsecond`; a time without a zone is local.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.contract import Message, time_text
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH
from schemas.registry import REGISTRY, REGISTRY_KINDS, RegistryRecord
from schemas.subject import SUBJECT, SubjectRecord
from schemas.vocabulary import SearchLogField
from streams.core.facts import CaseKind

FOUNDED = "2020-01-01T00:00:00Z"
MEMBER = "s_member_0000000000001"
CONTROLLER, SITE, DEVICE, PURPOSE = "zoo", "zoo-gates", "gate-1", "entry"

COVERED = (
    *("controller", "site", "device", "purpose", "notice", "assessment", "gallery", "authority", "exception"),
    *("filing", "attestation", "consent_given", "consent_withdrawn", "enrolment", "restriction"),
    *("erasure_request", "deletion", "request_answer"),
)
PARTS: Mapping[str, dict[str, Any]] = {
    "controller": {
        "id": CONTROLLER,
        "title": "A zoo",
        "minor_rules": True,
        "exemptions": [],
        "retention_policy_ref": "policy-1",
    },
    "site": {
        "id": SITE,
        "title": "The gates",
        "site_kind": "zoo",
        "publicly_accessible": True,
        "sign_verified_at": FOUNDED,
        "alternative_methods": ["card", "staffed_desk"],
        "recognition_default": False,
    },
    "device": {"id": DEVICE, "site_id": SITE, "zone": "gate"},
    "purpose": {
        "id": PURPOSE,
        "specific_text": "Let members in without a card",
        "necessity_ref": "memo-1",
        "category": "access_control",
        "legal_basis": "consent",
        "necessary_for_service": False,
        "operations": ["verification", "identification"],
        "retention_days": 30,
        "special_category_basis": "explicit_consent",
        "commercial": True,
    },
    "notice": {
        "id": "notice-1",
        "purpose_ids": [PURPOSE],
        "method_version": "1",
        "states_retention": True,
        "language": "en",
    },
    "assessment": {"id": "assessment-1", "purpose_ids": [PURPOSE], "method_version": "1"},
    "gallery": {"id": "members", "purpose_ids": [PURPOSE], "provenance": "enrolment", "criteria": []},
    "authority": {
        "id": "order-1",
        "authority_type": "administrative",
        "basis": "public_security",
        "issuer": "A public body",
        "status": "granted",
        "evidence_ref": "paper-1",
        "requested_by_subject": False,
    },
    "exception": {
        "id": "exception-1",
        "rule_ids": ["none"],
        "legal_basis": "A decree",
        "reason": "A reason",
        "author_id": "desk-1",
        "approver_id": "desk-2",
        "evidence_ref": "paper-2",
    },
    "enrolment": {"subject_ref": MEMBER, "age_band": "adult", "purpose_id": PURPOSE, "source_of_image": "capture"},
    "consent": {
        "kind": "consent_given",
        "subject_ref": MEMBER,
        "purposes": [PURPOSE],
        "actions": ["collect", "identify"],
    },
    "withdrawal": {"kind": "consent_withdrawn", "subject_ref": MEMBER, "purposes": [PURPOSE]},
    "restriction": {"subject_ref": MEMBER, "basis": "dispute"},
}
ONLY_WHEN_NAMED = frozenset({"authority", "exception", "withdrawal", "restriction"})
FEED: Mapping[str, Any] = {
    "kind": "feed",
    "id": "everything",
    "covers": list(COVERED),
    "complete_until": "2199-01-01T00:00:00Z",
    "max_lag_seconds": 3600,
}
EVENTS: Mapping[str, dict[str, Any]] = {
    "match": {
        "probe_id": "probe-1",
        "operation": "identification",
        "timing": "realtime",
        "active_involvement": True,
        "subject_ref": MEMBER,
        "comparison_decision": "match",
        "inferred_attributes": [],
        "original_image_retained": False,
        "storage_location": "device",
        "internet_transfer": False,
        "reference_database_id": "members",
        "notice_id": "notice-1",
        "decision_effect": "admit",
        "confirmations": 2,
        "search_log_fields": list(SearchLogField.__args__),  # type: ignore[attr-defined]
    },
    "access_outcome": {
        "face_scan_refused": True,
        "alternative_offered": True,
        "outcome": "admitted",
        "method": "other",
    },
    "human_review": {"match_event_id": "event-0", "subject_ref": MEMBER, "result": "confirmed", "reviewers": 2},
    "disclosure": {
        "subject_ref": MEMBER,
        "recipient_id": "insurer",
        "recipient_role": "other_controller",
        "legal_basis": "consent",
        "evidence_ref": "paper-3",
        "unsolicited": False,
    },
}
KEYS = frozenset({*PARTS, *EVENTS, "feed", "more", "stored"})
"""What a test may give."""

BESIDE = re.compile(r"at(?: *([+-]) *(\d{1,6}) *(microsecond|second|minute|hour|day)s?)?")
Given = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when a rule is tested, by its pack, and whom it binds."""

    jurisdictions: tuple[str, ...]
    timezone: str
    controller_type: str
    at: datetime

    @property
    def sites_law(self) -> list[str]:
        """The jurisdictions of the site, from the widest."""
        code = self.jurisdictions[0] if self.jurisdictions else "CN"
        if code == "EU":
            return ["EU", "IE"]
        steps = code.split("-")
        return ["-".join(steps[: each + 1]) for each in range(len(steps))]


def noon(day: date, zone: str) -> datetime:
    """Local noon of a day, in UTC."""
    return datetime.combine(day, time(12), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def read_time(value: datetime | date | str, setting: Setting) -> datetime:
    """The instant that a test means; raises ValueError where it is none."""
    if isinstance(value, str) and (found := BESIDE.fullmatch(value)):
        sign, amount, unit = found.groups()
        step = timedelta(**{f"{unit}s": int(amount)}) if unit else timedelta()
        return setting.at - step if sign == "-" else setting.at + step
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(setting.timezone))).astimezone(UTC)


def records(given: Given, setting: Setting) -> Iterator[RegistryRecord | SubjectRecord]:
    """Every record of the world as a test changes it; raises ContractError where one is no record."""
    for name, fields in PARTS.items():
        left_out = name in ONLY_WHEN_NAMED or (name == "enrolment" and "stored" in given)
        change = given.get(name, None if left_out else {})
        if change is not None:
            said = {"kind": name, "record_id": f"{name}-record"}
            yield _record(said | fields | _local(name, setting) | change, setting)
    for number, whole in _more(given):
        if whole.get("kind") not in EVENTS:
            yield record_of({"record_id": f"more-{number}"} | whole, setting)
    if (feed := given.get("feed", {})) is not None:
        yield _record({"record_id": "feed-record"} | dict(FEED) | feed, setting)


def _local(name: str, setting: Setting) -> dict[str, Any]:
    """What of a part depends on where the rule holds."""
    if name == "controller":
        return {"controller_type": setting.controller_type}
    if name == "site":
        return {"jurisdictions": setting.sites_law, "timezone": setting.timezone}
    if name == "consent":
        return {"consent_form": "written" if setting.sites_law[0] == "US" else "separate"}
    return {}


def record_of(whole: Mapping[str, Any], setting: Setting) -> RegistryRecord | SubjectRecord:
    """A record that a test writes whole, but for what every record has; raises ContractError where it is none."""
    part = PARTS.get(str(whole.get("kind")), {}) if whole.get("kind") in REGISTRY_KINDS else {}
    here = _local(str(whole.get("kind")), setting) if part else {}
    return _record({"record_id": "later"} | part | here | dict(whole), setting)


def _more(given: Given) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a test adds, each with its number; what repeats, so often."""
    for number, whole in enumerate(given.get("more", ())):
        times = whole.get("repeat", 1)
        fields = {name: value for name, value in whole.items() if name != "repeat"}
        for n in range(times):
            yield f"{number}-{n}", {name: _numbered(value, n) for name, value in fields.items()}


def _numbered(value: Any, number: int) -> Any:
    return value.replace("{n}", str(number)) if isinstance(value, str) else value


def _record(whole: Mapping[str, Any], setting: Setting) -> RegistryRecord | SubjectRecord:
    fields = {"valid_from": FOUNDED} | dict(whole)
    registry = fields["kind"] in REGISTRY_KINDS
    if fields["kind"] not in ("controller", "feed"):
        fields.setdefault("controller_id", CONTROLLER)
    if not registry:
        fields.setdefault("subject_ref", MEMBER)
    said = _said(fields, setting)
    return REGISTRY.fit(said) if registry else SUBJECT.fit(said)


def events(given: Given, setting: Setting, *, always: bool) -> Iterator[tuple[CaseKind, Message]]:
    """The events that are judged, the usual match where none is given and one is `always` needed.

    Raises ContractError where one is none.
    """
    named = [name for name in EVENTS if name in given]
    for name in named or (["match"] if always else []):
        yield _event(name, {"event_id": f"{name}-1"} | dict(given.get(name) or {}), setting)
    for number, whole in _more(given):
        if whole.get("kind") in EVENTS:
            yield _event(whole["kind"], {"event_id": f"more-{number}"} | whole, setting)


def _event(kind: str, fields: Mapping[str, Any], setting: Setting) -> tuple[CaseKind, Message]:
    where = {"controller_id": CONTROLLER, "device_id": DEVICE, "site_id": SITE}
    whole = {"kind": kind, "occurred_at": "at", "purpose_id": PURPOSE} | where | EVENTS[kind] | dict(fields)
    said = _said(whole, setting)
    return CaseKind(kind), MATCH.fit(said) if kind == "match" else ENCOUNTER.fit(said)


class StoredCounts(NamedTuple):
    """How many persons a controller stores at the end of which days."""

    controller: str
    days: tuple[tuple[date, int], ...]


def stored(given: Given, setting: Setting) -> Iterator[StoredCounts]:
    """The numbers of stored persons that a test says: a list of `{at, persons}`."""
    zone = ZoneInfo(setting.timezone)
    steps = [
        (read_time(each["at"], setting).astimezone(zone).date(), int(each["persons"]))
        for each in given.get("stored", ())
    ]
    if steps:
        yield StoredCounts(CONTROLLER, tuple(steps))


def _said(fields: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """The fields that say something, times as the contracts write them."""
    return {name: _plain(name, value, setting) for name, value in fields.items() if value is not None}


def _plain(name: str, value: Any, setting: Setting) -> Any:
    is_time = isinstance(value, date) or (isinstance(value, str) and BESIDE.fullmatch(value) is not None)
    timed = name.endswith(("_at", "_from", "_until")) and isinstance(value, str | date)
    return time_text(read_time(value, setting)) if is_time or timed else value
