"""Bytes become columns: a fast lane for plain records, and the contract for everything the fast lane doubts.

Rules:
1. Row i is record i. Each accepted row equals, field by field, what the contract says of those bytes alone, and a
   record is refused exactly where the contract refuses it; its neighbours in the batch never matter.
2. The fast lane never refuses: it takes what is surely well-formed and leaves the rest to the contract.
3. Per plain record Python only looks at its length and its bytes' range, and of `Lines` not even at that; all else is
   done in columns.
4. Where Polars itself fails on a batch, the whole batch goes to the contract, and the batch says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.contract import EARLIEST, LATEST, ContractError, Message
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH, MatchEvent
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.lines import Lines
from streams.core.plain_record import KEY, moment, plain_pattern, short_ascii

PLAIN_BYTES_MAX = 8_192
"""Longer records are never plain: all fields of a match event at their longest are below 4 KiB."""
HALVES_MIN = 1_024
"""So many records are worth two threads for the pattern, the one step that Polars does not spread by itself."""
SAMPLE = 32
"""So many records tell which fields a batch has; one with a field beside those is parsed once more."""
ROW = pl.UInt32()

PLAIN = plain_pattern(MatchEvent)
SHAPES = MatchEvent.model_json_schema()["properties"]
PARSED: Mapping[str, pl.DataType] = {**MATCH_COLUMNS, "occurred_at": pl.String(), "kind": pl.String()}
"""The fields as the parser of columns reads them: all of the contract, the time still as its text."""
OTHERS = tuple(name for name in MATCH_COLUMNS if name != "occurred_at")
REQUIRED = frozenset(name for name, field in MatchEvent.model_fields.items() if field.is_required())
DEFAULTS: Mapping[str, object] = {
    name: field.default
    for name, field in MatchEvent.model_fields.items()
    if name in MATCH_COLUMNS and not field.is_required() and field.default is not None
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is no message of the contract."""

    row: int
    """Its index in the batch."""
    error: ContractError


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of records says."""

    frame: pl.DataFrame
    """The accepted records in their order: the columns of the contract, and `row`, the index in the batch."""
    refused: tuple[Refused, ...]
    """The others, in their order."""
    fast: int
    """How many records the fast lane took."""
    contract: int
    """How many the contract judged, those it refused included."""
    few: int = 0
    """How many the contract judged because they were few, not because the fast lane doubted them."""
    fell_back: bool = False
    """Whether the fast lane failed on this batch, so that the contract judged all of it."""


def decode(values: Sequence[bytes | None]) -> Decoded:
    """The match events that the values of a batch of records hold; a tombstone is refused as empty."""
    fell_back = False
    try:
        plain = _plain_events(values)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        # Its text may show what a record holds, so it is neither chained nor logged.
        plain, fell_back = _no_events(), True
    if plain.height == len(values):
        return Decoded(plain, (), fast=plain.height, contract=0)
    taken = set(plain["row"].to_list())
    doubted = [row for row in range(len(values)) if row not in taken]
    frame, refused = _by_contract(values, doubted, MATCH.read, MATCH_COLUMNS)
    if frame.height:
        plain = pl.concat([plain, frame]).sort("row")
    return Decoded(plain, refused, fast=len(taken), contract=len(doubted), fell_back=fell_back)


def decode_few(values: Sequence[bytes | None]) -> Decoded:
    """What `decode` says, by the contract alone: of a few dozen records that takes a fraction of the time."""
    frame, refused = _by_contract(values, range(len(values)), MATCH.read, MATCH_COLUMNS)
    return Decoded(frame, refused, fast=0, contract=0, few=len(values))


def decode_encounters(values: Sequence[bytes | None]) -> Decoded:
    """The encounters that the values of a batch of records hold; they are few, so the contract reads them all."""
    frame, refused = _by_contract(values, range(len(values)), ENCOUNTER.read, ENCOUNTER_COLUMNS)
    return Decoded(frame, refused, fast=0, contract=len(values))


def _by_contract(
    values: Sequence[bytes | None],
    rows: Sequence[int],
    read: Callable[[bytes], Message],
    columns: Mapping[str, pl.DataType],
) -> tuple[pl.DataFrame, tuple[Refused, ...]]:
    events: list[Message] = []
    accepted: list[int] = []
    refused: list[Refused] = []
    for row in rows:
        try:
            events.append(read(values[row] or b""))
            accepted.append(row)
        except ContractError as error:
            refused.append(Refused(row, error))
    frame = frame_of(events, columns).with_columns(pl.Series("row", accepted, dtype=ROW))
    return frame, tuple(refused)


def _no_events() -> pl.DataFrame:
    return pl.DataFrame(schema={**MATCH_COLUMNS, "row": ROW})


def _plain_events(values: Sequence[bytes | None]) -> pl.DataFrame:
    """The events of the records that are surely well-formed."""
    texts = _texts(values)
    lines = texts.to_frame("text").with_columns(pl.int_range(pl.len(), dtype=ROW).alias("row"))
    lines = _filtered(lines, _plain(texts))
    if not lines.height:
        return _no_events()
    events, left = _parsed(values, lines, _sampled(lines["text"]))
    if left.height:
        others, _ = _parsed(values, left, PARSED)
        events = pl.concat([events, others]).sort("row")
    events = _filtered(events, events.select(SURE).to_series())
    return events.select(*(_with_default(name) for name in MATCH_COLUMNS), "row")


def _texts(values: Sequence[bytes | None]) -> pl.Series:
    """The values that may be plain as a column of texts, the others null."""
    whole = values.texts() if isinstance(values, Lines) else None
    if whole is None:
        return short_ascii(values, PLAIN_BYTES_MAX)
    long = whole.str.len_bytes() > PLAIN_BYTES_MAX
    return pl.select(pl.when(~long).then(whole)).to_series() if long.any() else whole


def _filtered(frame: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    return frame if wanted.all() else frame.filter(wanted)


def _sampled(texts: pl.Series) -> dict[str, pl.DataType]:
    """The required fields and those that some texts have: a column no text has costs as much as one that all have."""
    found = set(texts.gather_every(len(texts) // SAMPLE + 1).str.extract_all(KEY).explode().str.strip_chars('":'))
    return {name: dtype for name, dtype in PARSED.items() if name in found or name in REQUIRED}


def _parsed(
    values: Sequence[bytes | None], lines: pl.DataFrame, fields: Mapping[str, pl.DataType]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events of the plain records that have each key once and none beside `fields`, and the lines of the others."""
    events = lines.hstack(pl.read_ndjson(_joined(values, lines), schema=fields))
    events = events.select(
        "row",
        _keys_once(fields).alias("once"),
        moment("occurred_at"),
        *(name if name in fields else pl.lit(None, MATCH_COLUMNS[name]).alias(name) for name in OTHERS),
    )
    once = events["once"]
    return _filtered(events, once).drop("once"), _filtered(lines, ~once)


def _joined(values: Sequence[bytes | None], lines: pl.DataFrame) -> bytes:
    """The plain records, a line each."""
    if lines.height < len(values):
        values = [values[row] for row in lines["row"].to_list()]
    return values.block if isinstance(values, Lines) else b"\n".join(values)  # type: ignore[arg-type]  # a plain one is not None


def _plain(texts: pl.Series) -> pl.Series:
    """Whether each text is a plain record; a null is none."""
    lines = texts.to_frame("text").lazy()
    middle = len(texts) // 2 if len(texts) >= HALVES_MIN else len(texts)
    halves = [lines.slice(0, middle), lines.slice(middle)]
    found = pl.collect_all([half.select(pl.col("text").str.contains(PLAIN).fill_null(value=False)) for half in halves])
    return pl.concat(found).to_series()


def _keys_once(fields: Collection[str]) -> pl.Expr:
    """Whether the text of a plain record has each key once, and only keys of `fields`.

    That is so if it has as many keys as fields that are there. A written null is a key and no field, so where the text
    may have one (a word may hold these four letters too) the keys themselves are compared.
    """
    text = pl.col("text")
    keys = text.str.count_matches(KEY[-2:])
    there = pl.sum_horizontal(pl.col(name).is_not_null().cast(pl.UInt32) for name in fields)
    nulls = text.str.contains("null", literal=True)
    suspect = pl.when(nulls).then(text)
    names = suspect.str.extract_all(KEY)
    exact = (names.list.n_unique() == names.list.len()) & (keys == there + suspect.str.count_matches('": ?null'))
    return pl.when(nulls).then(exact).otherwise(keys == there)


def _sure() -> pl.Expr:
    """What the contract asks of an event and the pattern of a plain record does not say."""
    present = [pl.col(name).is_not_null() for name in sorted(REQUIRED)]
    bounds = [
        pl.col(name).is_between(pl.lit(shape["minimum"]), pl.lit(shape["maximum"])).fill_null(value=True)
        for name, shape in _choices()
        if "minimum" in shape
    ]
    instant = pl.col("occurred_at").is_between(EARLIEST, LATEST, closed="left")
    non_match = pl.col("comparison_decision") == "non_match"
    searched = non_match & (pl.col("operation") == "identification")
    ranked = non_match & (pl.col("rank") > 0)
    between = [~(searched & pl.col("subject_ref").is_not_null()), ~ranked.fill_null(value=False)]
    return pl.all_horizontal(*present, *bounds, instant, *between).fill_null(value=False)


def _choices() -> list[tuple[str, Mapping[str, object]]]:
    return [(name, each) for name, shape in SHAPES.items() for each in shape.get("anyOf", [shape])]


SURE = _sure()


def _with_default(name: str) -> pl.Expr:
    return pl.col(name).fill_null(pl.lit(DEFAULTS[name])) if name in DEFAULTS else pl.col(name)
