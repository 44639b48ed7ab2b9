"""What happened around the holder of a key, as duties see it: statements of the views, and cases that were entered.

Rules:
1. A person's duties see their subject records, a controller's duties the registry records that name it.
2. A statement that is in conflict, or stands beside one that cannot be read, is there, but what it says is not known.
3. A record that may name a thing and does not (a filing about nothing in particular) is about the controller alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from schemas.registry import FilingRecord, RegistryRecord
from streams.core.claim import Claim
from streams.core.history import History
from streams.core.instant import NEVER, micros
from streams.core.obligation import Happening
from streams.core.record_facts import own_facts
from streams.core.registry import Registry
from streams.core.rule import ALWAYS_HELD
from streams.core.stored_count import Stay, stays
from streams.core.surroundings import Parts
from streams.core.timeline import Statement

NAMEABLE = ("device", "site", "purpose", "authority")
"""What a filing may be about."""


def of_subject(history: History, subject_ref: str, kinds: Iterable[str]) -> Iterator[Happening]:
    """The statements of some kinds about one person."""
    wanted, known = set(kinds), not (history.unreadable or history.conflicting)
    for each in history:
        if each.content.kind in wanted:
            yield of_statement(each, subject_ref, known=known)


def of_statement(each: Statement[Claim], subject_ref: str, *, known: bool) -> Happening:
    """One statement about a person; `known` is false where what it says is in doubt."""
    said = dict(each.content.said)
    parts: dict[str, str | None] = {"controller": each.content.controller_id, "subject": subject_ref}
    for part, field in (("purpose", "purpose_id"), ("record", "request_record_id")):
        if field in said:
            value = said[field]
            parts[part] = None if value is None else str(value)
    return Happening(each.content.kind, each.record_id, each.valid_from, each.valid_until, said, parts, known)


def of_controller(registry: Registry, controller_id: str, kinds: Iterable[str]) -> Iterator[Happening]:
    """The statements of some kinds of registry record that name a controller."""
    for kind in kinds:
        for thing in registry.owned(kind, controller_id):
            known = not registry.conflicting(kind, thing)
            for record in registry.statements(kind, thing):
                if getattr(record, "controller_id", record.id) == controller_id:
                    yield _of_record(record, kind, controller_id, known=known)


def _of_record(record: RegistryRecord, kind: str, controller_id: str, *, known: bool) -> Happening:
    until = NEVER if record.valid_until is None else micros(record.valid_until)
    fields = {name: _plain(getattr(record, name)) for name in own_facts(kind) if name not in ALWAYS_HELD}
    parts = _parts(record, kind, controller_id)
    return Happening(kind, record.record_id, micros(record.valid_from), until, fields, parts, known)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _parts(record: RegistryRecord, kind: str, controller_id: str) -> Parts:
    parts: dict[str, str | None] = {"controller": controller_id}
    if isinstance(record, FilingRecord):
        about = (record.about or "/").partition("/")
        parts |= dict.fromkeys(NAMEABLE)
        if about[0] in NAMEABLE:
            parts[about[0]] = about[2]
    elif kind in NAMEABLE:
        parts[kind] = record.id
    if (site := getattr(record, "site_id", None)) is not None:
        parts["site"] = site
    return parts


def stays_of(history: History) -> dict[str, list[Stay]]:
    """By controller, when it stores a person's reference."""
    enrolled: dict[str, list[Stay]] = {}
    deleted: dict[str, list[int]] = {}
    for each in history:
        claim = each.content
        if claim.kind == "enrolment":
            enrolled.setdefault(claim.controller_id, []).append(Stay(each.valid_from, each.valid_until))
        elif claim.kind == "deletion" and "reference" in (dict(claim.said).get("artefacts") or ()):  # type: ignore[operator]
            deleted.setdefault(claim.controller_id, []).append(each.valid_from)
    return {controller: stays(found, deleted.get(controller, ())) for controller, found in enrolled.items()}
