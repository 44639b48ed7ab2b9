"""A batch: one run of records taken through decode, forwarding and judgement, as values; no broker, no clock.

Rules:
1. Every record of the run is judged, rejected or forwarded: exactly one of the three.
2. What a batch causes is a function of the records and the views; offsets order it.
3. A misplaced event goes once to the partition of its key, with its origin; one that comes misplaced with an origin
   is a rejection, so that nothing circles.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.contract import Contract, ContractError, Reason
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH
from schemas.topics import ORIGIN, TopicName
from schemas.verdict import Rejection
from streams.core.case import Views, assemble
from streams.core.clock import ahead
from streams.core.decode import Decoded, decode, decode_encounters
from streams.core.docket import holder_of, restarts
from streams.core.entry import Entry, entries
from streams.core.facts import CaseKind
from streams.core.judge import Verdicts, judge
from streams.core.partition import partitions_of
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook
from streams.core.violation import violations
from streams.live.docket_log import tallies
from streams.live.outbox import Outgoing
from streams.live.plan import Plan
from streams.live.run import LogRecord, Run
from streams.live.topic_names import TopicNames

KEY_BYTES_MAX = 3_000
"""A longer key is not copied: it would not fit a rejection, and what a piece of it is cannot be told."""
CONTRACTS: Mapping[TopicName, Contract[Any]] = {TopicName.MATCHES: MATCH, TopicName.ENCOUNTERS: ENCOUNTER}


@dataclass(slots=True)
class Batch:
    """What one run holds: events to judge, records to forward, refusals."""

    run: Run
    topic: TopicName
    decoded: Decoded
    frame: pl.DataFrame
    outgoing: list[Outgoing] = field(default_factory=list)
    refused: Counter[Reason] = field(default_factory=Counter)
    forwarded: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What a batch led to: verdicts by kind of case, and the violations to write."""

    verdicts: tuple[Verdicts, ...]
    outgoing: tuple[Outgoing, ...]
    violations: Mapping[Rule, int]


def open_batch(run: Run, topic: TopicName, plan: Plan) -> Batch:
    """Decode a run and set apart what is not judged here."""
    names, partitions = plan.names, plan.partitions
    values = [record.value for record in run.records]
    decoded = decode(values) if topic is TopicName.MATCHES else decode_encounters(values)
    batch = Batch(run, topic, decoded, decoded.frame)
    for refusal in decoded.refused:
        _reject(batch, names, run.records[refusal.row], refusal.error)
    _reject_future(batch, names, plan.future_seconds)
    _forward(batch, names, partitions)
    return batch


def _reject_future(batch: Batch, names: TopicNames, tolerance: float) -> None:
    """Reject the events that lie beyond their append time: a clock is wrong, and no record can be looked up by it."""
    frame, records = batch.frame, batch.run.records
    if frame.is_empty():
        return
    recorded = pl.Series([record.timestamp * 1_000 for record in records], dtype=pl.Int64).gather(frame["row"])
    future = ahead(frame["occurred_at"], recorded.cast(pl.Datetime("us")), tolerance)
    for row in frame["row"].filter(future).to_list():
        expected = f"occurred_at: expected at most {tolerance:g} s after the broker took the record"
        _reject(batch, names, records[row], ContractError(Reason.IN_FUTURE, expected))
    batch.frame = frame.filter(~future) if future.any() else frame


def _forward(batch: Batch, names: TopicNames, partitions: int) -> None:
    """Set apart the events whose key belongs to another partition."""
    keys = batch.frame.select(pl.coalesce("subject_ref", "device_id").alias("key")).to_series()
    homes = partitions_of(keys, partitions)
    away = homes != batch.run.partition
    if not away.any():
        return
    rows = batch.frame["row"].filter(away).to_list()
    for row, key, home in zip(rows, keys.filter(away).to_list(), homes.filter(away).to_list(), strict=True):
        record = batch.run.records[row]
        if any(name == ORIGIN for name, _ in record.headers):
            expected = f"expected partition {home} of {partitions} for the key of the event"
            _reject(batch, names, record, ContractError(Reason.FORWARDED_TWICE, expected))
            continue
        origin = f"{batch.run.topic}/{batch.run.partition}/{record.offset}"
        # The producer's own headers stay behind: nothing reads them, and a large one would be refused for ever.
        headers = ((ORIGIN, origin.encode()),)
        batch.outgoing.append(Outgoing(batch.run.topic, home, key.encode(), record.value or b"", headers))
        batch.forwarded += 1
    batch.frame = batch.frame.filter(~away)


def _reject(batch: Batch, names: TopicNames, record: LogRecord, error: ContractError) -> None:
    value, key, contract = record.value or b"", record.key, CONTRACTS[batch.topic]
    key_withheld = key is None or len(key) > KEY_BYTES_MAX or contract.withholds(key)
    value_withheld = error.reason is Reason.BIOMETRIC_PAYLOAD or contract.withholds(value)
    rejection = Rejection(
        topic=batch.run.topic,
        partition=batch.run.partition,
        offset=record.offset,
        reason=error.reason,
        expected=error.expected[:1_000],
        size_bytes=len(value),
        sha256=hashlib.sha256(value).hexdigest(),
        key_base64=None if key_withheld else base64.b64encode(key or b"").decode(),
        value_base64=None if value_withheld else base64.b64encode(value).decode(),
    )
    place = f"{batch.run.topic}/{batch.run.partition}".encode()
    batch.outgoing.append(Outgoing(names[TopicName.REJECTIONS], 0, place, rejection.to_json()))
    batch.refused[error.reason] += 1


def judge_batch(batch: Batch, rulebook: Rulebook, views: Views, names: TopicNames, partitions: int) -> Judged:
    """Judge every event of a batch; violations and entered cases come in the order of offsets, then of rules."""
    entered: list[Entry] = []
    verdicts: list[Verdicts] = []
    found: list[tuple[int, Outgoing]] = []
    counts: Counter[Rule] = Counter()
    for kind, frame in _by_kind(batch).items():
        cases = assemble(frame, kind, views, rulebook.facts_of(kind))
        said = judge(cases, kind, rulebook)
        verdicts.append(said)
        entered.extend(entries(cases, kind, rulebook))
        rows = cases["row"]
        for index, rule, violation in violations(said, views):
            key = violation.violation_id.encode()
            outgoing = Outgoing(names[TopicName.VIOLATIONS], batch.run.partition, key, violation.to_json())
            found.append((rows[index], outgoing))
            counts[rule] += 1
    found.sort(key=lambda each: each[0])
    entered.sort(key=lambda each: each.row)
    written = (*(outgoing for _, outgoing in found), *tallies(_latest(entered), names, partitions))
    return Judged(tuple(verdicts), written, counts)


def _latest(entered: Sequence[Entry]) -> Sequence[Entry]:
    """The entries without those that a later one of the same batch makes idle: of what restarts a duty the last."""
    last: dict[object, Entry] = {}
    for number, entry in enumerate(entered):
        duty, case = entry.role.duty, entry.case
        idle = restarts(duty, case.what)
        last[(duty.column, case.what, holder_of(duty, case), case.known) if idle else number] = entry
    return list(last.values())


def _by_kind(batch: Batch) -> Mapping[CaseKind, pl.DataFrame]:
    if batch.frame.is_empty():
        return {}
    if batch.topic is TopicName.MATCHES:
        return {CaseKind.MATCH: batch.frame}
    kinds = batch.frame["kind"].unique(maintain_order=True).to_list()
    return {CaseKind(kind): batch.frame.filter(pl.col("kind") == kind) for kind in kinds}


def span(batch: Batch) -> tuple[Sequence[str], int] | None:
    """The controllers of a batch and its latest instant (microseconds); None where nothing is to be judged."""
    if batch.frame.is_empty():
        return None
    latest = batch.frame.select(pl.col("occurred_at").dt.epoch("us").max()).item()
    return batch.frame["controller_id"].unique().to_list(), latest
