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
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from schemas.contract import ContractError
from schemas.match import MATCH, MatchEvent
from streams.core.decode import PLAIN, PLAIN_BYTES_MAX, ROW, SURE, Decoded, Refused, decode, decode_few
from streams.core.frame import MATCH_COLUMNS, frame_of
from streams.core.lines import END
from streams.core.plain_record import LETTERS, grammars, moment
from streams.live.block import Block, Bytes, Places
from streams.live.layout import Cut, cuts

RECORDS_MIN = 64
"""Fewer records are read by the contract, one by one: columns cost ten milliseconds before the first record is read."""
ASCII = 128
PLAIN_ALONE = re.compile(PLAIN)
"""For one text: Polars would make its automaton anew each time."""
GRAMMARS = grammars(MatchEvent)


def decode_alike(values: Sequence[bytes | None]) -> Decoded:
    """The match events that the values of a batch of records hold, as `decode` gives them."""
    if len(values) < RECORDS_MIN:
        return decode_few(values)
    block = values if isinstance(values, Block) else _block(values)
    try:
        taken = [events_of(cut) for cut in cuts(block, _candidates(block), _sound)]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        # As in `decode`, which looks at all records now, and says so if it fails too.
        taken = []
    left = np.ones(len(values), np.bool_)
    for each in taken:
        left[each["row"].to_numpy()] = False
    if left.all():
        return decode(values)
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
    """The lines that may be plain: short, and ASCII."""
    candidates = (block.ends - block.starts) <= PLAIN_BYTES_MAX
    if not block.block.isascii():
        beyond = np.flatnonzero(block.bytes >= ASCII)
        candidates[np.searchsorted(block.starts, beyond, side="right") - 1] = False
    return np.flatnonzero(candidates)


def _sound(value: bytes) -> MatchEvent | None:
    """The event that a record says, where it is plain."""
    if not PLAIN_ALONE.fullmatch(value.decode("ascii")):
        return None
    try:
        return MATCH.read(value)
    except ContractError:
        return None


def events_of(cut: Cut[MatchEvent]) -> pl.DataFrame:
    """The events of the records of one layout, without those whose loose values leave a doubt."""
    names, count = cut.texts.columns, len(cut.rows)
    like = frame_of([cut.like])
    read = cut.texts.select(_typed(name) for name in names)
    said = [read[name] if name in names else like[name].new_from_index(0, count) for name in MATCH_COLUMNS]
    events = pl.DataFrame([*said, pl.Series("row", cut.rows).cast(ROW)])
    sure = events.select(SURE).to_series() & _grammatical(cut)
    return events if sure.all() else events.filter(sure)


def _grammatical(cut: Cut[MatchEvent]) -> pl.Series:
    """Whether all loose values of a record are of the grammars of their fields.

    Fields of one grammar are asked together, because its automaton is made anew for each question. Values of one width
    are mostly ids: there it is enough that no byte is of another class, which takes a tenth of the time.
    """
    count = len(cut.rows)
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for name in cut.texts.columns:
        if name not in cut.bytes or not _are_of(cut.bytes[name], LETTERS_OF[name]):
            fields[GRAMMARS[name]].append(name)
    sound = np.ones(count, np.bool_)
    for grammar, names in fields.items():
        found = pl.concat(cut.texts[name].alias("text") for name in names).str.contains(grammar)
        sound &= found.to_numpy().reshape(len(names), count).all(axis=0)
    return pl.Series(sound)


class Letters(NamedTuple):
    """Bytes of one class, so many of them."""

    allowed: bytes
    least: int
    most: int


def _letters(grammar: str) -> tuple[Letters, ...]:
    """The letters of which texts of a grammar are; none where it is not as simple, or others than the last may vary."""
    found: list[Letters] = []
    rest = grammar.removeprefix("^(?:").removesuffix(")$")
    while rest:
        part = LETTERS.match(rest)
        if part is None or (found and found[-1].least != found[-1].most):
            return ()
        allowed = bytes(each for each in range(ASCII) if re.fullmatch(part["class"], chr(each)))
        found.append(Letters(allowed, int(part["least"] or 1), int(part["most"] or 1)))
        rest = rest[part.end() :]
    return tuple(found)


LETTERS_OF = {name: _letters(grammar) for name, grammar in GRAMMARS.items()}


def _are_of(values: Bytes, letters: Sequence[Letters]) -> bool:
    """Whether all values, of one width, are of some letters; false also where there are none."""
    at, width = 0, values.shape[1]
    for each in letters:
        length = width - at if each is letters[-1] else each.least
        if not each.least <= length <= each.most or values[:, at : at + length].tobytes().translate(None, each.allowed):
            return False
        at += length
    return bool(letters) and at == width


def _typed(name: str) -> pl.Expr:
    """The column of a loose value; null where its text is of another type."""
    match MATCH_COLUMNS[name]:
        case pl.Datetime():
            return moment(name)
        case pl.Boolean():
            return pl.col(name) == "true"
        case dtype:
            return pl.col(name).cast(dtype, strict=False)
