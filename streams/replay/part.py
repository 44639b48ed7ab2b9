"""A part of an archive as tables: what the records of one cut from a log say, in columns, and what was refused.

Rules:
1. Every record of a cut is a row of exactly one table: accepted, or refused by its offset and reason.
2. Events, subject records, violations and duties stand in the columns of their contracts, so that a replay reads
   columns. Records of law keep their bytes too, and whatever a newer minor version wrote: nothing it says is lost.
3. No bytes are kept of what was refused, nor of a dead letter: they may hold anything, and an archive lasts for years.
   Their place, size and digest are; of a record also its key, because an unreadable record makes its key unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import polars as pl

from schemas.contract import Contract, ContractError, Message
from schemas.encounter import AccessOutcome, Disclosure, HumanReview
from schemas.match import MatchEvent
from schemas.subject import AnySubjectRecord
from schemas.topics import EVENTS, ORIGIN, RECORDS, TOPICS, TopicName
from schemas.verdict import Obligation, Rejection, Violation
from streams.core.decode import Decoded, Refused, decode_encounters
from streams.core.frame import MATCH_COLUMNS, columns_of, frame_of
from streams.live.layout_lane import decode_alike
from streams.live.run import LogRecord

KEY_BYTES_MAX = 256
"""The keys of records are shorter: a kind and an identifier of 128 characters."""

TIME = pl.Datetime("us", "UTC")
PLACE: Mapping[str, pl.DataType] = {
    "topic": pl.String(), "partition": pl.Int32(), "offset": pl.Int64(), "recorded_at": TIME,
}  # fmt: skip
"""Where a row stood: the bare name of its topic, and the broker's append time."""
WITH_VALUE = (*RECORDS, TopicName.TALLIES, TopicName.RECEIPTS, TopicName.REJECTIONS)
"""Where `value` is the whole message in every row; elsewhere only where its version is newer than ours."""

KINDS: Mapping[TopicName, tuple[type[Message], ...]] = {
    TopicName.MATCHES: (MatchEvent,),
    TopicName.ENCOUNTERS: (AccessOutcome, HumanReview, Disclosure),
    TopicName.SUBJECTS: get_args(get_args(AnySubjectRecord)[0]),
    TopicName.VIOLATIONS: (Violation,),
    TopicName.OBLIGATIONS: (Obligation,),
}
COLUMNS: Mapping[TopicName, Mapping[str, pl.DataType]] = {
    topic: MATCH_COLUMNS if topic is TopicName.MATCHES else columns_of(*kinds) for topic, kinds in KINDS.items()
}
"""The columns of a contract that an archive spells out; of the other topics it keeps `kind` and `value`."""
KIND_ONLY: Mapping[str, pl.DataType] = {"kind": pl.String()}

REFUSED: Mapping[str, pl.DataType] = {
    **PLACE,
    "key": pl.String(),
    "reason": pl.String(),
    "expected": pl.String(),
    "size_bytes": pl.Int64(),
    "sha256": pl.String(),
}


class Tables(NamedTuple):
    """The two tables of a part, each in the order of offsets."""

    accepted: pl.DataFrame
    refused: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Cut:
    """Records of `topic`/`partition` within `[first_offset, next_offset)`, all recorded on one day, UTC."""

    topic: TopicName
    partition: int
    first_offset: int
    next_offset: int
    records: Sequence[LogRecord]


def schema_of(topic: TopicName) -> dict[str, pl.DataType]:
    """The columns of the accepted rows of a topic, in their order."""
    origin = {"origin": pl.String()} if topic in EVENTS else {}
    return {**PLACE, **origin, **COLUMNS.get(topic, KIND_ONLY), "value": pl.Binary()}


def tables_of(cut: Cut) -> Tables:
    """What the records of a cut say."""
    values = [record.value for record in cut.records]
    decoded = DECODERS.get(cut.topic, _by_contract)(cut.topic, values)
    rows = decoded.frame["row"].to_list()
    frame = decoded.frame.drop("row").hstack(_place(cut, [cut.records[row] for row in rows]))
    if cut.topic in EVENTS:
        origins = [_origin(cut.records[row]) for row in rows]
        frame = frame.with_columns(pl.Series("origin", origins, dtype=pl.String))
    if "value" not in frame.columns:
        kept = [values[row] for row in rows]
        if cut.topic not in WITH_VALUE:
            kept = _newer(cut.topic, frame["schema_version"], kept)
        frame = frame.with_columns(pl.Series("value", kept, dtype=pl.Binary))
    return Tables(frame.select(*schema_of(cut.topic)).rechunk(), _refused(cut, decoded.refused))


def _place(cut: Cut, records: Sequence[LogRecord]) -> list[pl.Series]:
    stamps = pl.Series("recorded_at", [record.timestamp * 1_000 for record in records], dtype=pl.Int64)
    return [
        pl.repeat(cut.topic.value, len(records), dtype=pl.String, eager=True).alias("topic"),
        pl.repeat(cut.partition, len(records), dtype=pl.Int32, eager=True).alias("partition"),
        pl.Series("offset", [record.offset for record in records], dtype=pl.Int64),
        stamps.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
    ]


def _newer(topic: TopicName, versions: pl.Series, values: Sequence[bytes | None]) -> list[bytes | None]:
    """The bytes of the messages of a newer minor version: the columns do not have all that they say."""
    ours = max(kind.MINOR for kind in KINDS[topic])
    newer = versions.str.extract(r"\.(\d+)$").cast(pl.Int64) > ours
    return [value if new else None for value, new in zip(values, newer.to_list(), strict=True)]


def _origin(record: LogRecord) -> str | None:
    return next((value.decode(errors="replace") for name, value in record.headers if name == ORIGIN), None)


# -- decoding ---------------------------------------------------------------------------------------------------------


def _by_contract(topic: TopicName, values: Sequence[bytes | None]) -> Decoded:
    """Messages one by one, through their contract, in the columns that are spelt out."""
    contract: Contract[Any] | None = TOPICS[topic].contract
    assert contract is not None, "every topic of the catalogue has a contract"
    accepted: list[Any] = []
    rows: list[int] = []
    refused: list[Refused] = []
    for row, value in enumerate(values):
        try:
            accepted.append(contract.read(value or b""))
            rows.append(row)
        except ContractError as error:
            refused.append(Refused(row, error))
    frame = frame_of(accepted, COLUMNS.get(topic, KIND_ONLY)).with_columns(pl.Series("row", rows, dtype=pl.UInt32))
    if topic is TopicName.REJECTIONS:
        frame = frame.with_columns(pl.Series("value", [_without_bytes(each) for each in accepted], dtype=pl.Binary))
    return Decoded(frame, tuple(refused), fast=0, contract=len(values))


def _without_bytes(rejection: Rejection) -> bytes:
    return rejection.model_copy(update={"key_base64": None, "value_base64": None}).to_json()


DECODERS: Mapping[TopicName, Callable[[TopicName, Sequence[bytes | None]], Decoded]] = {
    TopicName.MATCHES: lambda _, values: decode_alike(values),
    TopicName.ENCOUNTERS: lambda _, values: decode_encounters(values),
}


def _refused(cut: Cut, refused: Sequence[Refused]) -> pl.DataFrame:
    records = [cut.records[each.row] for each in refused]
    bodies = [record.value or b"" for record in records]
    told: dict[str, Sequence[str | int | None]] = {
        "key": [_key(cut.topic, record) for record in records],
        "reason": [each.error.reason.value for each in refused],
        "expected": [each.error.expected for each in refused],
        "size_bytes": [len(body) for body in bodies],
        "sha256": [hashlib.sha256(body).hexdigest() for body in bodies],
    }
    columns = [pl.Series(name, values, dtype=REFUSED[name]) for name, values in told.items()]
    return pl.DataFrame([*_place(cut, records), *columns]).select(*REFUSED).rechunk()


def _key(topic: TopicName, record: LogRecord) -> str | None:
    """The key of a record of law that cannot be read; None where it has none, or is not what such a key looks like."""
    contract, key = TOPICS[topic].contract, record.key
    if topic not in RECORDS or not key or len(key) > KEY_BYTES_MAX or (contract and contract.withholds(key)):
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
