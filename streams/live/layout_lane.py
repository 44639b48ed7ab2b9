"""The lane of layouts: match events of producers that write alike are decoded together, before any lane of the core.

Rules:
1. It says what `streams.core.decode` says, row by row, on any bytes. It takes events and refuses none: whatever it does
   not take goes there.
2. It takes a record that is of the layout of a sound one, where each of its loose values is of the grammar that a plain
   record has for that field, and where the event is what the contract asks of numbers, times and between fields.
3. A sound record is plain, and the contract accepts it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from schemas.contract import ContractError
from schemas.match import MATCH, MatchEvent
from streams.core.decode import PLAIN, PLAIN_BYTES_MAX, ROW, SURE, Decoded, Refused, decode, decode_few
from streams.core.frame import MATCH_COLUMNS, frame_of
from streams.core.lines import END
from streams.core.plain_record import MICROS_LENGTH, RATIO, grammars, moment
from streams.live.block import Block, Mask, Places
from streams.live.layout import Cut, cuts
from streams.live.letters import are_of, letters_of
from streams.live.written_time import times

RECORDS_MIN = 64
"""Fewer records are read by the contract, one by one: columns cost ten milliseconds before the first record is read."""
PLAIN_ALONE = re.compile(PLAIN)
"""For one text: Polars would make its automaton anew each time."""
GRAMMARS = grammars(MatchEvent)
PROPER_RATIO = "^(?:0[.][0-9]{1,20})$"
"""Ratios below one, as nearly all are; these also keep the bounds of the contract."""
LETTERS = {name: letters_of(PROPER_RATIO if RATIO in grammar else grammar) for name, grammar in GRAMMARS.items()}


def decode_alike(values: Sequence[bytes | None], unread: Collection[str] = ()) -> Decoded:
    """The match events that the values of a batch of records hold, as `decode` gives them but without columns that
    are to be left `unread`.
    """
    decoded = _decoded(values, unread)
    return replace(decoded, frame=decoded.frame.drop(unread)) if unread else decoded


def _decoded(values: Sequence[bytes | None], unread: Collection[str]) -> Decoded:
    if len(values) < RECORDS_MIN:
        return decode_few(values)
    block = values if isinstance(values, Block) else _block(values)
    try:
        taken = [events_of(cut, unread) for cut in cuts(block, _candidates(block), _sound)]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        # As in `decode`, which looks at all records now, and says so if it fails too.
        taken = []
    left = np.ones(len(values), np.bool_)
    for each in taken:
        left[each["row"].to_numpy()] = False
    if left.all():
        return decode(values.whole() if isinstance(values, Block) else values)
    if left.any():
        return _together(taken, values, np.flatnonzero(left))
    frame = taken[0] if len(taken) == 1 else pl.concat(taken).sort("row")
    return Decoded(frame, (), fast=len(values), contract=0)


def _together(taken: Sequence[pl.DataFrame], values: Sequence[bytes | None], left: Places) -> Decoded:
    """The events that were taken, and what `decode` says of the records that are left."""
    rows = left.tolist()
    rest = decode(values.some(left) if isinstance(values, Block) else [values[row] for row in rows])
    others = rest.frame.with_columns(pl.Series(rows, dtype=ROW).gather(rest.frame["row"]).alias("row"))
    refused = tuple(Refused(rows[each.row], each.error) for each in rest.refused)
    fast = sum(each.height for each in taken) + rest.fast
    frame = pl.concat([*taken, others]).sort("row")
    return Decoded(frame, refused, fast=fast, contract=rest.contract, fell_back=rest.fell_back)


def _block(values: Sequence[bytes | None]) -> Block:
    """The values, a line each; one that cannot be a line, or would be a long one, is an empty one."""
    lines = [b"" if value is None or len(value) > PLAIN_BYTES_MAX or END in value else value for value in values]
    return Block(END.join((*lines, b"")))


def _candidates(block: Block) -> Places:
    """The lines that may be plain."""
    return np.flatnonzero((block.ends - block.starts) <= PLAIN_BYTES_MAX)


def _sound(value: bytes) -> MatchEvent | None:
    """The event that a record says, where it is plain."""
    if not (value.isascii() and PLAIN_ALONE.fullmatch(value.decode("ascii"))):
        return None
    try:
        return MATCH.read(value)
    except ContractError:
        return None


def events_of(cut: Cut[MatchEvent], unread: Collection[str] = ()) -> pl.DataFrame:
    """The events of the records of one layout, without those whose loose values leave a doubt.

    What all of them say stands there once, in columns that Polars keeps as one value until somebody asks for its rows;
    so does what is to be left `unread`, and is then what one of them says.
    """
    like = frame_of([cut.like])
    read, sound = _read(cut, unread)
    rows = pl.DataFrame([*read, pl.Series("row", cut.rows).cast(ROW)])
    same = (pl.lit(like[name]).first().alias(name) for name in MATCH_COLUMNS if name not in rows.columns)
    events = rows.with_columns(same).select(*MATCH_COLUMNS, "row")
    sure = events.select(SURE).to_series() & pl.Series(sound)
    return events if sure.all() else events.filter(sure)


def _read(cut: Cut[MatchEvent], unread: Collection[str]) -> tuple[list[pl.Series], Mask]:
    """The loose values as columns, and which records hold only values of the grammars of their fields.

    Fields of one grammar are asked together, because its automaton is made anew for each question; those whose letters
    are of its classes are not asked.
    """
    sound = np.ones(len(cut.rows), np.bool_)
    read: list[pl.Series] = []
    asked: defaultdict[str, list[pl.Series]] = defaultdict(list)
    for name, values in cut.values.items():
        if name == "occurred_at" and values.lengths is None and values.bytes.shape[1] == MICROS_LENGTH:
            instants, there = times(values.bytes)
            read.append(instants.alias(name))
            sound &= there
            continue
        certain = are_of(values, LETTERS[name])
        if certain and name in unread:
            continue
        texts = values.texts().alias(name)
        if not certain:
            asked[GRAMMARS[name]].append(texts)
        read.append(texts.to_frame().select(_typed(name)).to_series())
    for grammar, fields in asked.items():
        found = pl.concat([texts.alias("text") for texts in fields]).str.contains(grammar)
        sound &= found.to_numpy().reshape(len(fields), len(sound)).all(axis=0)
    return read, sound


def _typed(name: str) -> pl.Expr:
    """The column of a loose value; null where its text is of another type."""
    match MATCH_COLUMNS[name]:
        case pl.Datetime():
            return moment(name)
        case pl.Boolean():
            return pl.col(name) == "true"
        case dtype:
            return pl.col(name).cast(dtype, strict=False)
