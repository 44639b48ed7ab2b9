"""The records of law that a replay knows, as the views that it judges by.

Rules:
1. A record counts where it was known (`streams.replay.question`); of what was not, only the number is kept.
2. A record that cannot be read makes its key unknown, as in the worker, until a readable one comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from schemas.contract import ContractError
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT, ConsentWithdrawn
from schemas.topics import TopicName
from streams.core.case import Views
from streams.core.instant import micros
from streams.core.subject_history import Histories
from streams.replay.question import Question
from streams.replay.source import FoundRecord, LogSource

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
    withdrawals: list[ConsentWithdrawn] = field(default_factory=list)
    taken: int = 0
    refused: int = 0
    unknown: int = 0

    def take(self, found: FoundRecord) -> None:
        """Take one record in, or note that it cannot be read."""
        registry, histories = self.views.registry, self.views.histories
        of_registry = found.topic is TopicName.REGISTRY
        try:
            if of_registry:
                registry.add(REGISTRY.read(found.value or b""), found.recorded_at)
            else:
                record = SUBJECT.read(found.value or b"")
                histories.add(record)
                if isinstance(record, ConsentWithdrawn):
                    self.withdrawals.append(record)
            self.taken += 1
        except ContractError:
            self.refused += 1
            if found.key is not None:
                (registry if of_registry else histories).mark_unreadable(found.key)


def read_records(source: LogSource, question: Question) -> Records:
    """Everything of law that was known."""
    records = Records(Views(histories=Histories(question.rulebook.asked())))
    known = question.known
    for found in source.records():
        if known.holds(found.topic.value, found.partition, found.offset, found.recorded_at):
            records.take(found)
        else:
            records.unknown += 1
    return records


def withdrawals_before(records: Records, until: int) -> pl.DataFrame:
    """The withdrawals before the end of the range, numbered by their ids; of one id the highest version."""
    newest: dict[str, ConsentWithdrawn] = {}
    for each in records.withdrawals:
        held = newest.get(each.record_id)
        if held is None or held.record_version < each.record_version:
            newest[each.record_id] = each
    ordered = [each for _, each in sorted(newest.items()) if micros(each.valid_from) < until]
    rows = [
        (number, each.subject_ref, each.controller_id, list(each.purposes), each.valid_from)
        for number, each in enumerate(ordered)
    ]
    return pl.DataFrame(rows, schema=WITHDRAWN_COLUMNS, orient="row")
