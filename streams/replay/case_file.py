"""The file of one case: the event, everything on record around it, and what every rule says of it.

Rules:
1. It is read from files of NDJSON, as a judgement of files is, by the same decoder, views and oracle.
2. The records shown are those that could have a say: of the person towards the controller, and of every thing that the
   event and its device name. What lies after the event is shown too; it says why it came too late.
3. A case file speaks of a person by the random token alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from schemas.contract import ContractError
from schemas.registry import AssessmentRecord, DeviceRecord, NoticeRecord, RegistryRecord
from schemas.subject import SUBJECT, SubjectRecord
from streams.core.case import Views, assemble
from streams.core.explanation import Explanation, explain
from streams.core.facts import CaseKind
from streams.core.rulebook import Rulebook
from streams.errors import InputError, Place
from streams.replay.offline import Offline, decode_lines, frames, lines_of

PAPERS = ("notice", "assessment")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a case file; half-open in time, `until` None where it has no end."""

    kind: str
    record_id: str
    since: datetime
    until: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Whether the record is in force at a moment."""
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with its records by time, and the rules about its kind in the order of the rulebook."""

    kind: CaseKind
    row: dict[str, Any]
    entries: tuple[Entry, ...]
    explanations: tuple[Explanation, ...]


def case_files(
    event_id: str, rulebook: Rulebook, events: Sequence[Path], subjects: Sequence[Path], registry: Sequence[Path]
) -> tuple[list[CaseFile], Offline]:
    """The file of every event of that id (versions, candidates, controllers), and what was read for it.

    Raises InputError where no event has the id.
    """
    offline = Offline(rulebook)
    offline.read_records(subjects, registry)
    found = [
        (kind, row)
        for kind, frame in _with_id(event_id, events)
        for row in _rows(frame, kind, offline.views, rulebook)
    ]
    if not found:
        place = Place(", ".join(str(file) for file in events))
        raise InputError("expected an event with the id that --case names", place=place)
    persons = {row["subject_ref"] for _, row in found} - {None}
    records = list(_subject_records(persons, subjects))
    return [
        CaseFile(
            kind,
            row,
            tuple(_entries(row, records, offline.views)),
            tuple(explain(rule, row) for rule in rulebook.of_kind(kind)),
        )
        for kind, row in found
    ], offline


def _with_id(event_id: str, files: Sequence[Path]) -> Iterator[tuple[CaseKind, pl.DataFrame]]:
    """The events of one id, decoded; other lines are passed over by their text, since a log of years is long."""
    needle = event_id.encode()
    lines = [line for file in files for line in lines_of(file) if needle in line]
    for kind, frame in frames(*decode_lines(lines)):
        named = frame.filter(pl.col("event_id") == event_id)
        if not named.is_empty():
            yield kind, named


def _rows(frame: pl.DataFrame, kind: CaseKind, views: Views, rulebook: Rulebook) -> list[dict[str, Any]]:
    return assemble(frame, kind, views, rulebook.facts_of(kind)).to_dicts()


def _subject_records(persons: set[str], files: Sequence[Path]) -> Iterator[SubjectRecord]:
    for file in files:
        for line in lines_of(file):
            if any(person.encode() in line for person in persons):
                try:
                    yield SUBJECT.read(line)
                except ContractError:
                    continue  # told where the views were read


def _entries(row: dict[str, Any], records: Sequence[SubjectRecord], views: Views) -> list[Entry]:
    """What is on record around a case, by time; the newest version of each statement."""
    found: dict[tuple[str, str], tuple[int, Entry]] = {}
    own = [
        record
        for record in records
        if (record.subject_ref, record.controller_id) == (row["subject_ref"], row["controller_id"])
    ]
    records_around: list[SubjectRecord | RegistryRecord] = [*own, *_registry_records(row, views)]
    for record in records_around:
        kind = record.kind  # type: ignore[union-attr]  # each kind fixes its own literal
        entry = Entry(kind, record.record_id, record.valid_from, record.valid_until)
        known = found.get((entry.kind, entry.record_id))
        if known is None or record.record_version > known[0]:
            found[entry.kind, entry.record_id] = (record.record_version, entry)
    return sorted((entry for _, entry in found.values()), key=lambda each: (each.since, each.kind, each.record_id))


def _registry_records(row: dict[str, Any], views: Views) -> Iterator[RegistryRecord]:
    """The records of everything that the event and its device name, and the papers about its purpose."""
    registry = views.registry
    devices = registry.statements("device", row["device_id"])
    yield from devices
    for site in sorted({each.site_id for each in devices if isinstance(each, DeviceRecord)}):
        yield from registry.statements("site", site)
    named = {"controller": "controller_id", "purpose": "purpose_id", "gallery": "reference_database_id"}
    named |= {"authority": "authority_id", "exception": "exception_id"}
    for kind, column in named.items():
        if row.get(column) is not None:
            yield from registry.statements(kind, row[column])
    for kind in PAPERS:
        for paper in sorted(registry.paper_ids(kind, row["purpose_id"] or "")):
            for each in registry.statements(kind, paper):
                if isinstance(each, NoticeRecord | AssessmentRecord) and each.controller_id == row["controller_id"]:
                    yield each
