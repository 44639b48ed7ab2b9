"""Worlds by chance: records, heartbeats and messages over a handful of names and instants, so that they meet.

Rules:
1. Names are few and instants lie on a grid, a microsecond beside it for messages: edges are hit often.
2. Record ids repeat with several versions and contents, so corrections, repeats and conflicts come by themselves.
3. Everything is valid by its contract; a world is plain data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from hypothesis import strategies as st

from schemas.contract import Message, time_text
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH
from schemas.registry import REGISTRY, FeedRecord, RegistryRecord
from schemas.subject import SUBJECT, SubjectRecord
from schemas.vocabulary import AgeBand, ConsentForm, ControllerType, LegalBasis, Operation, PurposeCategory, Zone
from settled_world import (
    COMPLETE,
    CONTROLLERS,
    COVERED,
    DEVICES,
    EVENT,
    GRID,
    NOTICES,
    PEOPLE,
    PURPOSES,
    SITES,
    STEP,
    a_feed,
    a_settled_world,
    said,
    text_at,
    tick,
)
from streams.core.facts import CaseKind
from streams.core.instant import micros, moment_of

ticks = st.sampled_from(GRID).map(text_at)
_maybe = st.booleans() | st.none()
instants = st.tuples(st.sampled_from(GRID), st.sampled_from([-1, 0, 0, 1])).map(lambda each: tick(*each))
"""Instants on the grid and a microsecond beside it."""


def _words(words: Any, min_size: int = 0, max_size: int | None = None) -> st.SearchStrategy[list[str]]:
    choices = words if isinstance(words, tuple) else get_args(words)
    return st.lists(st.sampled_from(choices), unique=True, min_size=min_size, max_size=max_size)


def _thing(kind: str, ids: Sequence[str], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[RegistryRecord]:
    common: dict[str, st.SearchStrategy[Any]] = {
        "id": st.sampled_from(ids),
        "controller_id": st.none() if kind == "controller" else st.sampled_from([*CONTROLLERS[:1] * 3, CONTROLLERS[1]]),
    }
    return st.fixed_dictionaries(common | _dated() | fields).map(lambda each: _registry(kind, each))


def _dated() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "number": st.integers(1, 3),
        "record_version": st.sampled_from([1, 1, 2]),
        "from": st.sampled_from(GRID),
        "span": st.none() | st.integers(1, 6),
    }


def _interval(each: dict[str, Any]) -> dict[str, Any]:
    number, span = each.pop("from"), each.pop("span")
    return {"valid_from": text_at(number), "valid_until": None if span is None else text_at(number + span)}


def _registry(kind: str, each: dict[str, Any]) -> RegistryRecord:
    whole = {"kind": kind, "record_id": f"{kind}-{each['id']}-{each.pop('number')}"} | COMPLETE[kind]
    return REGISTRY.fit(said(whole | _interval(each) | each))


_scopes = {
    "site_ids": st.just([]) | _words(SITES, max_size=1),
    "device_ids": st.just([]) | _words(DEVICES, max_size=1),
    "evidence_ref": st.sampled_from(["paper-1", None]),
}
_versions = st.sampled_from(["1", "1", "2"])
registry_records: st.SearchStrategy[RegistryRecord] = st.one_of(
    _thing("controller", CONTROLLERS, controller_type=st.sampled_from(get_args(ControllerType)), minor_rules=_maybe),
    _thing(
        "site",
        SITES,
        jurisdictions=st.sampled_from([["CN"], ["CN", "CN-SH"], ["EU"]]),
        publicly_accessible=_maybe,
        sign_verified_at=st.none() | ticks,
        alternative_methods=st.sampled_from([None, [], ["card"]]),
        face_required_by=st.sampled_from([None, "A decree"]),
    ),
    _thing(
        "device",
        DEVICES,
        site_id=st.sampled_from(SITES),
        zone=st.sampled_from(get_args(Zone)),
        sign_verified_at=st.none() | ticks,
    ),
    _thing(
        "purpose",
        PURPOSES,
        specific_text=st.sampled_from([None, "Entry"]),
        category=st.sampled_from(get_args(PurposeCategory)),
        legal_basis=st.sampled_from(["consent", "consent", *get_args(LegalBasis)]),
        basis_evidence_ref=st.sampled_from([None, "paper-3"]),
        written_consent_required=st.booleans(),
        necessary_for_service=_maybe,
        operations=_words(Operation, min_size=1),
        attributes=_words(("age", "race", "emotion")),
        site_ids=st.just([]) | _words(SITES, max_size=1),
        method_version=_versions,
    ),
    _thing(
        "notice",
        NOTICES,
        purpose_ids=_words(PURPOSES, min_size=1),
        site_ids=st.just([]) | _words(SITES, max_size=1),
        method_version=_versions,
        states_retention=st.booleans(),
    ),
    _thing("assessment", ("pia-1",), purpose_ids=_words(PURPOSES, min_size=1), method_version=_versions),
    _thing(
        "authority",
        ("order-1",),
        basis=st.sampled_from(["national_security", "public_security", "emergency", "statute"]),
        status=st.sampled_from(["granted", "granted", "pending"]),
        requested_by_subject=_maybe,
        objective=st.sampled_from([None, "missing_person"]),
        target_refs=st.sampled_from([None, [PEOPLE[0]]]),
        requested_at=st.none() | ticks,
        narrow=_maybe,
        **_scopes,
    ),
    _thing("gallery", ("members",), criteria=st.sampled_from([None, ["other"]])),
    _thing(
        "attestation",
        ("paper-7", "paper-8"),
        about=st.sampled_from(["device/gate-1", "purpose/entry"]),
        fact=st.sampled_from(["timing", "original_image_retained", "inferred_attributes", "necessary_for_service"]),
        value=st.sampled_from([True, False, "realtime", ["race"]]),
    ),
    _thing(
        "exception",
        ("excuse-1",),
        rule_ids=_words(("core.purpose.drift", "cnpipl.art13.consent", "cn2025.art13.private-space"), min_size=1),
        purpose_ids=st.just([]) | _words(PURPOSES, max_size=1),
        **_scopes,
    ),
)
"""Registry records of every kind that gives facts."""


def _about(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[SubjectRecord]:
    common: dict[str, st.SearchStrategy[Any]] = {
        "controller_id": st.sampled_from([*CONTROLLERS[:1] * 3, CONTROLLERS[1]]),
        "subject_ref": st.sampled_from(PEOPLE[:2]),
    }

    def fit(each: dict[str, Any]) -> SubjectRecord:
        name = f"{kind}-{each['controller_id']}-{each['subject_ref']}-{each.pop('number')}"
        return SUBJECT.fit(said({"kind": kind, "record_id": name} | _interval(each) | each))

    return st.fixed_dictionaries(common | _dated() | fields).map(fit)


_consents = _about(
    "consent_given",
    purposes=_words(PURPOSES, min_size=1),
    actions=_words(("collect", "identify", "other_use", "analyse_race", "analyse_age"), min_size=1),
    consent_form=st.sampled_from(get_args(ConsentForm)),
    giver=st.sampled_from(["self", "guardian"]),
)
_withdrawals = _about("consent_withdrawn", purposes=_words(PURPOSES))
subject_records: st.SearchStrategy[SubjectRecord] = st.one_of(
    _consents,
    _consents,
    _withdrawals,
    _about(
        "enrolment",
        age_band=st.sampled_from(get_args(AgeBand)),
        source_of_image=st.sampled_from([None, "capture", "public_web"]),
    ),
    _about("restriction", basis=st.just("dispute")),
    _about("erasure_request"),
)
"""Subject records of two persons towards two controllers."""


def _heartbeat(each: dict[str, Any]) -> FeedRecord:
    span = each.pop("span")
    retired = {} if span is None else {"valid_until": time_text(moment_of(_after(each["valid_from"], span)))}
    return a_feed(**each, **retired)


def _after(text: str, span: int) -> int:
    return micros(a_feed(valid_from=text).valid_from) + span * STEP


feeds: st.SearchStrategy[FeedRecord] = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["feed-1", "feed-2", "feed-3"]),
        "record_id": st.sampled_from(["heartbeat-1", "heartbeat-2"]),
        "record_version": st.integers(1, 2),
        "controller_id": st.sampled_from([None, None, "zoo", "mall"]),
        "valid_from": ticks,
        "covers": st.just(list(COVERED)) | _words(COVERED, min_size=1),
        "complete_until": ticks | st.just(text_at(1_000)),
        "max_lag_seconds": st.sampled_from([1, 10, 25]),
        "span": st.none() | st.none() | st.integers(1, 6),
    }
).map(_heartbeat)
"""Heartbeats of three feeds, some behind, some retired."""


def _event(each: dict[str, Any]) -> Any:
    if each["operation"] == "identification" and each["comparison_decision"] == "non_match":
        each["subject_ref"] = None
    if each["comparison_decision"] == "non_match":
        each["rank"] = 0
    return MATCH.fit(said(dict(EVENT) | each))


_where: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.integers(0, 99_999).map(lambda number: f"event-{number}"),
    "occurred_at": instants.map(lambda each: time_text(moment_of(each))),
    "controller_id": st.sampled_from(["zoo", "zoo", "zoo", "mall"]),
    "device_id": st.sampled_from([*DEVICES, "gate-9"]),
    "site_id": st.sampled_from(["gates", "gates", "hall", None]),
    "purpose_id": st.sampled_from(["entry", "entry", "ads", None]),
    "subject_ref": st.sampled_from([*PEOPLE, None]),
    "authority_id": st.sampled_from([None, "order-1"]),
    "exception_id": st.sampled_from([None, "excuse-1"]),
    "claimed_basis": st.sampled_from([None, "statute"]),
}
events = st.fixed_dictionaries(
    _where
    | {
        "rank": st.sampled_from([0, 0, 1]),
        "operation": st.sampled_from(["identification", *get_args(Operation)]),
        "comparison_decision": st.sampled_from(["match", "non_match", "inconclusive", "not_reported"]),
        "active_involvement": _maybe,
        "on_site_consent": st.sampled_from([None, None, True, False]),
        "inferred_attributes": st.none() | _words(("age", "race", "emotion")),
        "notice_id": st.sampled_from([None, *NOTICES]),
        "original_image_retained": _maybe,
        "storage_location": st.sampled_from([None, "device", "cloud"]),
        "internet_transfer": _maybe,
        "timing": st.sampled_from([None, "realtime"]),
        "reference_database_id": st.sampled_from([None, "members", "unheard-of"]),
    }
).map(_event)
"""Match events about known and unknown persons, at known and unknown devices."""

_encounters: Mapping[CaseKind, dict[str, st.SearchStrategy[Any]]] = {
    CaseKind.ACCESS_OUTCOME: {
        "face_scan_refused": st.booleans(),
        "alternative_offered": _maybe,
        "outcome": st.sampled_from(["admitted", "denied"]),
    },
    CaseKind.HUMAN_REVIEW: {
        "match_event_id": st.just("event-1"),
        "result": st.sampled_from(["confirmed", "overruled"]),
    },
    CaseKind.DISCLOSURE: {
        "recipient_id": st.just("insurer"),
        "recipient_role": st.sampled_from(["other_controller", "authority"]),
        "legal_basis": st.sampled_from(["consent", "none"]),
        "evidence_ref": st.sampled_from([None, "paper-4"]),
        "for_value": st.booleans(),
    },
}


def messages_of(kind: CaseKind) -> st.SearchStrategy[Any]:
    """Messages of one kind of case."""
    if kind is CaseKind.MATCH:
        return events
    fields = _where | _encounters[kind]
    return st.fixed_dictionaries(fields).map(lambda each: ENCOUNTER.fit(said({"kind": kind.value} | each)))


@dataclass(frozen=True)
class World:
    """Records, heartbeats among them, and messages of one kind."""

    records: list[Message]
    kind: CaseKind
    messages: list[Any]


def worlds(most: int = 8) -> st.SearchStrategy[World]:
    """Worlds with at most so many messages; one in two rests on the settled records, or little would be in force."""

    def build(kind: CaseKind) -> st.SearchStrategy[World]:
        records = st.tuples(
            st.sampled_from([[], a_settled_world()]),
            st.lists(registry_records, max_size=8),
            st.lists(subject_records, max_size=6),
            st.lists(feeds, max_size=3) | st.just([a_feed()]),
        ).map(lambda parts: [record for part in parts for record in part])
        return st.builds(World, records, st.just(kind), st.lists(messages_of(kind), max_size=most))

    return st.sampled_from([CaseKind.MATCH, CaseKind.MATCH, *CaseKind]).flatmap(build)
