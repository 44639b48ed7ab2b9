"""A batch: one run of records taken through decode, forwarding and judgement, as values; no broker, no clock.

Rules:
1. Every record of the run is judged, rejected or forwarded: exactly one of the three.
2. What a batch causes is a function of the records and the views; offsets order it.
3. A misplaced event goes once to the partition of its key, with its origin; one that comes misplaced with an origin
   is a rejection, so that nothing circles.
4. A corrected event whose key has changed leaves a copy, as a note, on the partition of its previous key: what was told
   there of the version before it is taken back. A note is not judged.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.contract import Contract, ContractError, Reason
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH
from schemas.topics import ORIGIN, TopicName
from schemas.verdict import Rejection
from streams.core.chamber import Opinion
from streams.core.clock import ahead
from streams.core.decode import Decoded, decode_encounters
from streams.core.partition import partitions_of
from streams.core.told import EventKey
from streams.live.docket_log import tallies
from streams.live.layout_lane import decode_alike
from streams.live.outbox import Outgoing
from streams.live.plan import Plan
from streams.live.run import LogRecord, Run
from streams.live.topic_names import TopicNames

SUPERSEDED = "consentinel-superseded"
"""Header of a note: `topic/partition/offset` of the newer version of an event that was told of on this partition."""

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
    notes: list[tuple[EventKey, int, int]] = field(default_factory=list)
    """Events whose newer version lies elsewhere: key, that version, and the row of the note."""


def open_batch(run: Run, topic: TopicName, plan: Plan) -> Batch:
    """Decode a run and set apart what is not judged here."""
    names, partitions = plan.names, plan.partitions
    values = [record.value for record in run.records]
    decoded = decode_alike(values) if topic is TopicName.MATCHES else decode_encounters(values)
    batch = Batch(run, topic, decoded, decoded.frame)
    for refusal in decoded.refused:
        _reject(batch, names, run.records[refusal.row], refusal.error)
    recorded = pl.Series("recorded_at", [record.timestamp * 1_000 for record in run.records], dtype=pl.Int64)
    batch.frame = batch.frame.with_columns(recorded[batch.frame["row"]])
    _reject_future(batch, names, plan.future_seconds)
    _forward(batch, names, partitions)
    _note_previous(batch, partitions)
    return batch


def _reject_future(batch: Batch, names: TopicNames, tolerance: float) -> None:
    """Reject the events that lie beyond their append time: a clock is wrong, and no record can be looked up by it."""
    frame, records = batch.frame, batch.run.records
    if frame.is_empty():
        return
    future = ahead(frame["occurred_at"], frame["recorded_at"].cast(pl.Datetime("us")), tolerance)
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
        if any(name == SUPERSEDED for name, _ in record.headers):
            event = batch.frame.row(by_predicate=pl.col("row") == row, named=True)
            named = EventKey(event["controller_id"], event["event_id"])
            batch.notes.append((named, event["event_version"], row))
            continue
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


def _note_previous(batch: Batch, partitions: int) -> None:
    """Leave a note where the previous key of a corrected event belongs, if that is another partition."""
    if batch.frame["previous_key"].null_count() == batch.frame.height:
        return
    moved = batch.frame.filter(pl.col("previous_key").is_not_null()).select("row", "previous_key")
    homes = partitions_of(moved["previous_key"], partitions).to_list()
    for (row, key), home in zip(moved.iter_rows(), homes, strict=True):
        if home != batch.run.partition:
            record = batch.run.records[row]
            origin = f"{batch.run.topic}/{batch.run.partition}/{record.offset}".encode()
            batch.outgoing.append(
                Outgoing(batch.run.topic, home, key.encode(), record.value or b"", ((SUPERSEDED, origin),))
            )


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


def outgoing(opinion: Opinion, topic: str, partition: int, plan: Plan) -> list[Outgoing]:
    """What is to be written of what a chamber said: changes of violations in their order, and of the cases it entered.

    `topic` and `partition` are those of the log of events.
    """
    violations = plan.names[TopicName.VIOLATIONS]
    messages = (each.message for each in opinion.said)
    said = [Outgoing(violations, partition, each.violation_id.encode(), each.to_json()) for each in messages]
    entered = sorted(opinion.entered, key=lambda each: each.row)
    return [*said, *tallies(entered, (topic, partition), plan.names, plan.partitions)]
