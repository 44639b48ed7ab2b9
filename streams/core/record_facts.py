"""What a rule may ask of a record: the fields of its contract, by their own names, and what its surroundings add.

Rules:
1. A field that says nothing is NULL; a list that says nothing is NULL too, and an empty list is a list.
2. No condition can ask whom a record is about: a person is the key of a duty, never its ground.
3. What is joined holds at the record's own `valid_from`: the purpose it names, its controller, its device's site.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from schemas.contract import Message
from schemas.registry import (
    AssessmentRecord,
    AuthorityRecord,
    ControllerRecord,
    DeviceRecord,
    ExceptionRecord,
    FilingRecord,
    GalleryRecord,
    NoticeRecord,
    PurposeRecord,
    SiteRecord,
)
from schemas.subject import (
    ConsentGiven,
    ConsentWithdrawn,
    Deletion,
    Enrolment,
    ErasureRequest,
    RequestAnswer,
    Restriction,
)
from streams.core.condition import FactType

SUBJECT_RECORDS: Mapping[str, type[Message]] = {
    "consent_given": ConsentGiven,
    "consent_withdrawn": ConsentWithdrawn,
    "enrolment": Enrolment,
    "erasure_request": ErasureRequest,
    "deletion": Deletion,
    "request_answer": RequestAnswer,
    "restriction": Restriction,
}
REGISTRY_RECORDS: Mapping[str, type[Message]] = {
    "controller": ControllerRecord,
    "site": SiteRecord,
    "device": DeviceRecord,
    "purpose": PurposeRecord,
    "authority": AuthorityRecord,
    "assessment": AssessmentRecord,
    "notice": NoticeRecord,
    "filing": FilingRecord,
    "gallery": GalleryRecord,
    "exception": ExceptionRecord,
}
RECORDS = {**SUBJECT_RECORDS, **REGISTRY_RECORDS}
"""The kinds of record that a duty may rest on."""

HIDDEN = frozenset({"schema_version", "record_version", "kind", "subject_ref", "target_refs", "title"})
OF_PURPOSE: Mapping[str, FactType] = {
    "purpose_retention_days": FactType.NUMBER,
    "purpose_category": FactType.TEXT,
    "purpose_ended_at": FactType.TIME,
}
"""Joined where a record names one purpose."""
OF_CONTROLLER: Mapping[str, FactType] = {"controller_exemptions": FactType.TEXTS}
"""Joined always."""
OF_SITE: Mapping[str, FactType] = {"site_public": FactType.BOOLEAN, "site_kind": FactType.TEXT}
"""Joined where a record stands at a site."""

TYPES: Mapping[type, FactType] = {
    str: FactType.TEXT,
    bool: FactType.BOOLEAN,
    int: FactType.NUMBER,
    datetime: FactType.TIME,
}


def own_facts(kind: str) -> dict[str, FactType]:
    """The fields of a kind of record that a condition may ask, with their types."""
    return {
        name: fact_type
        for name, field in RECORDS[kind].model_fields.items()
        if name not in HIDDEN and (fact_type := _type_of(field.annotation)) is not None
    }


def facts_of(kind: str) -> dict[str, FactType]:
    """What a condition over a record that opens a duty may ask: its fields, and what surrounds it."""
    found = own_facts(kind) | dict(OF_CONTROLLER)
    if "purpose_id" in found:
        found.update(OF_PURPOSE)
    if kind in ("device", "site"):
        found.update(OF_SITE)
    return found


def _type_of(annotation: Any) -> FactType | None:
    """The type of the values of a field; None where a condition has no use for it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        found = {_type_of(each) for each in get_args(annotation) if each is not NoneType}
        return found.pop() if len(found) == 1 else None
    if origin is Literal:
        return TYPES.get(type(get_args(annotation)[0]))
    if origin is tuple:
        return FactType.TEXTS if _type_of(get_args(annotation)[0]) is FactType.TEXT else None
    return TYPES.get(annotation)
