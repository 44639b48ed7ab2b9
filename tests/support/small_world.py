"""A small world to judge in: one gate of a zoo in Shanghai, one member who agreed, every paper in order.

Rules:
1. `a_world()` breaks no rule of any pack and leaves nothing unknown, so a test changes one thing and says what follows.
2. Each part is a mapping of the fields to change, or None for "there is no such record"; parts that a zoo does not need
   (authority, exception, withdrawal, restriction) are there only when named, `authority={}` as they come by default.
3. Every verdict and every reason is said twice, by the columns and by the interpreter, and they must agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from schemas.encounter import ENCOUNTER, AccessOutcome
from schemas.match import MATCH, MatchEvent
from schemas.registry import REGISTRY, RegistryRecord
from schemas.subject import SUBJECT, SubjectRecord
from schemas.verdict import Violation
from streams.core.case import Views, assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.judge import Outcome, Verdicts, judge, judge_row
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook
from streams.core.violation import violations
from streams.packs import rulebook

Change: TypeAlias = dict[str, Any]

FOUNDED = "2020-01-01T00:00:00Z"
NOON = "2026-03-10T04:00:00Z"
"""Noon in Shanghai, on a day on which every pack in force is in force."""
MEMBER = "s_member_0000000000001"
NEVER_SEEN = "s_member_0000000000002"
"""A person of whom no record tells."""

CLEAR, VIOLATION, EXCUSED = "clear", "violation", "excused"
UNDETERMINED, NOT_APPLICABLE = "undetermined", "not_applicable"

DEFAULTS: Mapping[str, Change] = {
    "controller": {"id": "zoo", "title": "A zoo", "controller_type": "private", "minor_rules": True},
    "site": {
        "id": "zoo-gates",
        "controller_id": "zoo",
        "title": "The gates",
        "site_kind": "zoo",
        "jurisdictions": ["CN", "CN-SH"],
        "timezone": "Asia/Shanghai",
        "publicly_accessible": True,
        "sign_verified_at": FOUNDED,
        "alternative_methods": ["card", "staffed_desk"],
        "recognition_default": False,
    },
    "device": {"id": "gate-1", "controller_id": "zoo", "site_id": "zoo-gates", "zone": "gate"},
    "purpose": {
        "id": "entry",
        "controller_id": "zoo",
        "specific_text": "Let members in without a card",
        "necessity_ref": "memo-1",
        "category": "access_control",
        "legal_basis": "consent",
        "necessary_for_service": False,
        "operations": ["verification", "identification"],
        "retention_days": 30,
    },
    "notice": {
        "id": "notice-1",
        "controller_id": "zoo",
        "purpose_ids": ["entry"],
        "method_version": "1",
        "states_retention": True,
        "language": "zh-CN",
    },
    "assessment": {"id": "pia-1", "controller_id": "zoo", "purpose_ids": ["entry"], "method_version": "1"},
    "authority": {
        "id": "order-1",
        "controller_id": "zoo",
        "authority_type": "administrative",
        "basis": "public_security",
        "issuer": "A security bureau",
        "status": "granted",
        "evidence_ref": "paper-1",
        "requested_by_subject": False,
    },
    "exception": {
        "id": "excuse-1",
        "controller_id": "zoo",
        "rule_ids": ["cn2025.art13.sign"],
        "legal_basis": "A decree",
        "reason": "A reason",
        "author_id": "desk-1",
        "approver_id": "desk-2",
        "evidence_ref": "paper-2",
    },
    "enrolment": {"controller_id": "zoo", "subject_ref": MEMBER, "age_band": "adult"},
    "consent": {
        "kind": "consent_given",
        "controller_id": "zoo",
        "subject_ref": MEMBER,
        "purposes": ["entry"],
        "actions": ["collect", "identify"],
        "consent_form": "separate",
    },
    "withdrawal": {"kind": "consent_withdrawn", "controller_id": "zoo", "subject_ref": MEMBER, "purposes": ["entry"]},
    "restriction": {"controller_id": "zoo", "subject_ref": MEMBER, "basis": "dispute"},
}
REGISTRY_PARTS = (
    *("controller", "site", "device", "purpose", "notice", "assessment", "authority", "exception"),
    *("gallery", "attestation"),
)
ONLY_WHEN_NAMED = frozenset({"authority", "exception", "withdrawal", "restriction"})

FEED: Change = {
    "kind": "feed",
    "record_id": "feed-1",
    "id": "everything",
    "valid_from": FOUNDED,
    "covers": [
        *("controller", "site", "device", "purpose", "notice", "assessment", "authority", "exception"),
        *("consent_given", "consent_withdrawn", "enrolment", "restriction", "gallery"),
    ],
    "complete_until": "2027-01-01T00:00:00Z",
    "max_lag_seconds": 3600,
}
WHERE: Change = {"controller_id": "zoo", "device_id": "gate-1", "site_id": "zoo-gates", "purpose_id": "entry"}
PROBE: Change = {
    "kind": "match",
    "event_id": "event-1",
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
    "notice_id": "notice-1",
    "decision_effect": "admit",
}
STRANGER: Change = {"subject_ref": None, "comparison_decision": "non_match", "notice_id": None}
"""What changes of an event when nobody we know was found; what was agreed on the spot is not said."""
IN_PASSING: Change = STRANGER | {"active_involvement": False}
"""A stranger whom a camera searched as they walked by."""
LOOKED_AT: Change = IN_PASSING | {"operation": "categorisation", "comparison_decision": "not_reported"}
"""Somebody who walked by and was compared with nobody."""
DOOR: Change = {
    "kind": "access_outcome",
    "event_id": "event-1",
    "subject_ref": None,
    "face_scan_refused": True,
    "alternative_offered": True,
    "outcome": "admitted",
}
TURNED_AWAY: Change = {"alternative_offered": False, "outcome": "denied"}
"""What changes at the door when the visitor who declines is offered nothing and stays outside."""
HANDOVER: Change = {
    "kind": "disclosure",
    "event_id": "event-1",
    "subject_ref": MEMBER,
    "recipient_id": "insurer",
    "recipient_role": "other_controller",
    "legal_basis": "consent",
}


@cache
def the_law() -> Rulebook:
    """The packs of the distribution."""
    return rulebook()


@cache
def the_law_about(beginning: str) -> Rulebook:
    """The rules whose id begins so: a single case need not pay for all of them."""
    law = the_law()
    return Rulebook(tuple(rule for rule in law.rules if rule.id.startswith(beginning)), law.digest, law.packs)


@dataclass(frozen=True)
class World:
    """What was judged: verdicts of all rules about the one message, and the view they rest on."""

    verdicts: Verdicts
    views: Views

    def says(self, rule_id: str) -> str:
        """The outcome of one rule, as its word."""
        return self._outcome(_rule(self.verdicts, rule_id))

    def why(self, rule_id: str) -> str:
        """The reason why one rule is undetermined."""
        wanted = _rule(self.verdicts, rule_id)
        (reason,) = [reason for rule, reason in self.verdicts.undetermined() if rule is wanted]
        return reason

    def rules(self, outcome: str, pack: str = "") -> set[str]:
        """The ids of all rules (of one pack) that say `outcome`."""
        return {rule.id for rule in self.verdicts.rules if rule.id.startswith(pack) and self._outcome(rule) == outcome}

    def violations(self) -> dict[str, Violation]:
        """The messages that would go out, by rule id; open and excused ones."""
        return {message.rule_id: message for *_, message in violations(self.verdicts, self.views)}

    def _outcome(self, rule: Rule) -> str:
        return Outcome(self.verdicts.outcomes[rule.column][0]).word


def a_world(
    *,
    at: str = NOON,
    event: Change | None = None,
    door: Change | None = None,
    handover: Change | None = None,
    feed: Change | None = None,
    more: Iterable[Change] = (),
    only: str = "",
    **parts: Change | None,
) -> World:
    """The world with some parts changed, judged at the instant `at`.

    `event` changes fields of the match event; `door` or `handover` put an encounter at its place. `more` are further
    records beside those of `DEFAULTS`, whole but for `record_id` and `valid_from`. `only` is how the ids of the rules
    to judge begin; all are, if it is empty.
    """
    views = Views()
    for record in records(feed=feed, more=more, **parts):
        if isinstance(record, RegistryRecord):
            views.registry.add(record)
        else:
            views.histories.add(record)
    kind, message = _message(at, event, door, handover)
    columns = MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
    cases = assemble(frame_of([message], columns), kind, views)
    verdicts = judge(cases, kind, the_law_about(only))
    _agree(verdicts)
    return World(verdicts, views)


def records(
    *, feed: Change | None = None, more: Iterable[Change] = (), **parts: Change | None
) -> list[RegistryRecord | SubjectRecord]:
    """Every record of the world, changed as `a_world` says; its feed comes last."""
    unknown = set(parts) - set(DEFAULTS)
    assert not unknown, f"no such part: {unknown}"
    return [*_records(parts, more), REGISTRY.fit(_said(FEED | dict(feed or {})))]


def a_match(*, at: str = NOON, **change: Any) -> MatchEvent:
    """The match event of the world with some fields changed."""
    return MATCH.fit(_said({"occurred_at": at} | WHERE | PROBE | change))


def an_encounter(*, at: str = NOON, **change: Any) -> AccessOutcome:
    """What happened at the door of the world, with some fields changed."""
    found = ENCOUNTER.fit(_said({"occurred_at": at} | WHERE | DOOR | change))
    assert isinstance(found, AccessOutcome)
    return found


def _records(parts: Mapping[str, Change | None], more: Iterable[Change]) -> list[RegistryRecord | SubjectRecord]:
    wholes: list[Change] = []
    for name, fields in DEFAULTS.items():
        change = parts.get(name, None if name in ONLY_WHEN_NAMED else {})
        if change is not None:
            wholes.append({"kind": name, "record_id": f"{name}-record"} | dict(fields) | dict(change))
    wholes += [{"record_id": f"more-{number}"} | dict(whole) for number, whole in enumerate(more)]
    stated = [_said({"valid_from": FOUNDED} | whole) for whole in wholes]
    return [(REGISTRY if each["kind"] in REGISTRY_PARTS else SUBJECT).fit(each) for each in stated]


def _message(at: str, event: Change | None, door: Change | None, handover: Change | None) -> tuple[CaseKind, Any]:
    """The one message to judge, and its kind."""
    if door is not None:
        return CaseKind.ACCESS_OUTCOME, ENCOUNTER.fit(_said({"occurred_at": at} | WHERE | DOOR | dict(door)))
    if handover is not None:
        return CaseKind.DISCLOSURE, ENCOUNTER.fit(_said({"occurred_at": at} | WHERE | HANDOVER | dict(handover)))
    return CaseKind.MATCH, MATCH.fit(_said({"occurred_at": at} | WHERE | PROBE | dict(event or {})))


def _said(fields: Change) -> dict[str, Any]:
    """The fields that say something: a None leaves its field out."""
    return {name: value for name, value in fields.items() if value is not None}


def _rule(verdicts: Verdicts, rule_id: str) -> Rule:
    found = [rule for rule in verdicts.rules if rule.id == rule_id]
    assert len(found) == 1, f"expected one rule {rule_id} about a {verdicts.kind}, found {len(found)}"
    return found[0]


def _agree(verdicts: Verdicts) -> None:
    """Fail where the columns and the interpreter say different things of a case."""
    assert not verdicts.failed
    rows: Sequence[dict[str, Any]] = verdicts.cases.to_dicts()
    for rule in verdicts.rules:
        columns = verdicts.outcomes[rule.column].to_list()
        oracle = [judge_row(rule, row).value for row in rows]
        assert columns == oracle, f"{rule.id}: columns say {columns}, the interpreter says {oracle}"
    reasons = [(rule, verdicts.reason(rule, rows[row])) for row, rule, _ in verdicts.found(Outcome.UNDETERMINED)]
    assert verdicts.undetermined() == Counter(reasons)
