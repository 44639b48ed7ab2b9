"""The records of law that a replay knows, as the views that it judges by.

Rules:
1. A record counts where it was known (`streams.replay.question`); of what was not, only the number is kept.
2. A record that cannot be read makes its key unknown, as in the worker, until a readable one comes after it.
3. Where a log of records has a hole, no heartbeat vouches for what it holds: whatever rests on it is unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import get_args

import polars as pl

from schemas.contract import ContractError
from schemas.registry import REGISTRY, REGISTRY_KINDS, FeedRecord
from schemas.subject import ConsentWithdrawn, SubjectRecord
from schemas.topics import TopicName
from schemas.vocabulary import SubjectKind
from streams.core.case import Views
from streams.core.instant import micros
from streams.core.plain_statement import Stated, read_subjects
from streams.core.subject_history import Histories
from streams.phase import Done
from streams.replay.question import Known, Question
from streams.replay.source import FoundRecord, LogSource

TOGETHER = 50_000
"""Records read at once: enough to keep the columns busy, few enough to keep the memory small."""
WITHDRAWN_COLUMNS: Mapping[str, pl.DataType] = {
    "number": pl.UInt32(),
    "subject_ref": pl.String(),
    "controller_id": pl.String(),
    "purposes": pl.List(pl.String()),
    "withdrawn_at": pl.Datetime("us", "UTC"),
}


@dataclass(slots=True)
class Records:
    """The records of law that were known, as views."""

    views: Views
    unvouched: frozenset[str] = frozenset()
    """Kinds of record of which some may be lost."""
    withdrawals: list[ConsentWithdrawn] = field(default_factory=list)
    taken: int = 0
    refused: int = 0
    unknown: int = 0

    def take(self, found: Sequence[FoundRecord]) -> None:
        """Take some records of one log in, in their order, or note that they cannot be read."""
        values = [each.value for each in found]
        if found[0].topic is TopicName.REGISTRY:
            self._take_registry(found)
            return
        for each, read in zip(found, read_subjects(values, self.views.histories.claims), strict=True):
            self._take_subject(each, read)

    def _take_registry(self, found: Sequence[FoundRecord]) -> None:
        registry = self.views.registry
        for each in found:
            try:
                read = REGISTRY.read(each.value or b"")
                if isinstance(read, FeedRecord):
                    covers = tuple(kind for kind in read.covers if kind not in self.unvouched)
                    read = read.model_copy(update={"covers": covers})
                registry.add(read, each.recorded_at)
                self.taken += 1
            except ContractError:
                self.refused += 1
                if each.key is not None:
                    registry.mark_unreadable(each.key)

    def _take_subject(self, found: FoundRecord, read: Stated | SubjectRecord | ContractError) -> None:
        histories = self.views.histories
        if isinstance(read, ContractError):
            self.refused += 1
            if found.key is not None:
                histories.mark_unreadable(found.key)
            return
        self.taken += 1
        if isinstance(read, Stated):
            histories.put(read.subject_ref, read.statement)
            return
        histories.add(read)
        if isinstance(read, ConsentWithdrawn):
            self.withdrawals.append(read)


def read_records(source: LogSource, question: Question, done: Done = lambda _: None) -> Records:
    """Everything of law that was known; `done` is told how many more records were read."""
    views = Views(histories=Histories(question.rulebook.asked()), skew=round(question.skew_seconds * 1e6))
    records = Records(views, _unvouched({hole.topic for hole in source.holes}))
    for _, log in groupby(source.records(), key=lambda found: found.topic):
        while some := list(islice(log, TOGETHER)):
            known = some if question.known.everything else [each for each in some if _known(each, question.known)]
            records.unknown += len(some) - len(known)
            if known:
                records.take(known)
            done(len(some))
    return records


def _unvouched(torn: Collection[str]) -> frozenset[str]:
    """The kinds of record for which nobody vouches where some logs have holes; heartbeats stand in `registry`."""
    if TopicName.REGISTRY in torn:
        return frozenset((*get_args(SubjectKind), *REGISTRY_KINDS))
    return frozenset(get_args(SubjectKind) if TopicName.SUBJECTS in torn else ())


def _known(found: FoundRecord, known: Known) -> bool:
    return known.holds(found.topic.value, found.partition, found.offset, found.recorded_at)


def withdrawals_before(records: Records, until: int) -> pl.DataFrame:
    """The withdrawals before the end of the range, numbered by their ids; of one id of a person the highest version."""
    newest: dict[tuple[str, str], ConsentWithdrawn] = {}
    for each in records.withdrawals:
        named = each.record_id, each.subject_ref
        held = newest.get(named)
        if held is None or held.record_version < each.record_version:
            newest[named] = each
    ordered = [each for _, each in sorted(newest.items()) if micros(each.valid_from) < until]
    rows = [
        (number, each.subject_ref, each.controller_id, list(each.purposes), each.valid_from)
        for number, each in enumerate(ordered)
    ]
    return pl.DataFrame(rows, schema=WITHDRAWN_COLUMNS, orient="row")
