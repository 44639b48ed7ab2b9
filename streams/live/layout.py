"""Layouts: plain records that agree in all but some of their values are cut into columns together.

Rules:
1. A layout is made of one sound record. Some of its values are *loose*: texts, numbers, truth values. All else is
   *fixed*: keys, their order, spaces, lists, nulls, the version, and values that were the same wherever it was looked.
2. A record is of a layout where its fixed text is the same, byte for byte, from its beginning to its end, and where
   its loose values are ASCII. So it says what the sound record says but for its loose values, and these are all that
   is left to be asked about.
3. Which values are loose is a guess from a few records. A wrong guess costs time and never truth: it leaves records.
4. Bytes are compared in rows of NumPy, thousands of lines at a time and eight bytes at once: that takes less than a
   quarter of the time of a parser of JSON behind a pattern, which look at every key of every record again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.contract import Message
from streams.live.block import WORD, Block, Bytes, Mask, Places

SAMPLE = 32
"""So many records are looked at to tell which values of a layout are loose."""
SPREAD = np.arange(SAMPLE) * 0.6180339887498949 % 1
"""Where they stand, as shares of all: in no rhythm, for producers take turns."""
LAYOUTS_MAX = 8
FEW = 4
"""A layout of less than one in so many of the records that are left is of few: these are sooner parsed than compared,
and no more layouts are looked for. So no record is looked at more than four times, on average."""
SPARE = 8
"""A loose value may be so many bytes longer than those that were looked at."""
SOUND_TRIES = 3
"""So many records that look alike are read, to find one that a layout can be made of."""
FIELD = re.compile(rb'"([^"]+)": ?("[^"]*"|\[[^]]*\]|[^,}]+)')
"""A key of a plain record and its value."""
KEY = re.compile(rb'"([^"]+)":')
ALWAYS_FIXED = frozenset(("kind", "schema_version"))
"""Fields that have one value in every plain record."""

AT_ONCE = 2_048
"""Lines whose bytes are compared together: few enough that they stay in the processor's cache from value to value."""

Words = npt.NDArray[np.uint64]
M = TypeVar("M", bound=Message)
ASCII = 128
BEYOND_ASCII = bytes((ASCII,))


class Loose(NamedTuple):
    """A value that differs between the records of a layout."""

    name: str
    width: int
    """So many bytes are looked at."""
    one_width: bool
    """Whether each value has this width; otherwise it ends where the fixed text behind it may begin."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Fixed texts, and a loose value between two of them."""

    fixed: tuple[bytes, ...]
    loose: tuple[Loose, ...]


class Values(NamedTuple):
    """The values of one field in some records: a row of bytes each, of which so many count; None where all do."""

    bytes: Bytes
    lengths: Places | None

    def texts(self) -> pl.Series:
        """The same as texts."""
        whole = pl.Series("whole", self.bytes).arr.to_list().cast(pl.Binary)
        if self.lengths is not None:
            lengths = pl.lit(pl.Series(self.lengths))
            whole = whole.to_frame().select(pl.col("whole").bin.head(lengths)).to_series()
        return whole.cast(pl.String)


@dataclass(frozen=True, slots=True)
class Cut(Generic[M]):
    """The records of one layout."""

    layout: Layout
    like: M
    """What the record says that the layout was made of."""
    rows: Places
    values: Mapping[str, Values]
    """The loose values of each record by field, as they stand there, without quotes; they are ASCII."""


def cuts(lines: Block, left: Places, read: Callable[[bytes], M | None]) -> Iterator[Cut[M]]:
    """The records among some lines that layouts fit, a layout at a time.

    A layout is made of a record that `read` finds sound: plain, and of the contract.
    """
    for _ in range(LAYOUTS_MAX):
        if not len(left):
            return
        alike = _alike([lines[row] for row in left[np.unique((SPREAD * len(left)).astype(np.int64))].tolist()])
        sound = next(((raw, said) for raw in alike[:SOUND_TRIES] if (said := read(raw)) is not None), None)
        if sound is None:
            return
        raw, like = sound
        layout = layout_of(raw, alike)
        fits, values = _cut(lines.bytes, layout, lines.starts[left], lines.ends[left])
        if np.count_nonzero(fits) * FEW < len(left):
            return
        by_name = {loose.name: each for loose, each in zip(layout.loose, values, strict=True)}
        yield Cut(layout, like, left[fits], by_name)
        left = left[~fits]


def _alike(records: Sequence[bytes]) -> list[bytes]:
    """Those of some records that have the same keys in the same order as most of them."""
    by_keys: defaultdict[tuple[bytes, ...], list[bytes]] = defaultdict(list)
    for each in records:
        by_keys[tuple(re.findall(KEY, each))].append(each)
    return max(by_keys.values(), key=len, default=[])


def layout_of(plain: bytes, others: Sequence[bytes]) -> Layout:
    """The layout of a plain record; loose is what differs in some others, which have the same keys or are ignored."""
    fields = list(FIELD.finditer(plain))
    said = [values for values in map(FIELD.findall, (plain, *others)) if len(values) == len(fields)]
    fixed: list[bytes] = []
    loose: list[Loose] = []
    begin = 0
    for place, field in enumerate(fields):
        name, value = field[1].decode(), field[2]
        values = {values[place][1] for values in said}
        if len(values) == 1 or name in ALWAYS_FIXED or value == b"null" or value.startswith(b"["):
            continue
        marks = value.startswith(b'"')
        widths = {len(each) - 2 * marks for each in values}
        fixed.append(plain[begin : field.start(2) + marks])
        loose.append(Loose(name, max(widths) + SPARE * (len(widths) > 1), one_width=len(widths) == 1))
        begin = field.end(2) - marks
    return Layout((*fixed, plain[begin:]), tuple(loose))


class Stretch(NamedTuple):
    """Bytes that stand at the same places of all records of a layout, up to a value whose width varies."""

    width: int
    words: Words
    """Its fixed texts, with zeros where a value is loose, and up to the end of the last word."""
    fixed: Words
    """Ones in all bits that are the same in all records: those of fixed texts, and of ASCII the highest."""
    loose: tuple[slice, ...]
    """Where the values of one width are."""
    varying: Loose | None
    """The value behind it; None at the end of the record."""


def _stretches(layout: Layout) -> Iterator[Stretch]:
    text, fixed, loose = b"", b"", list[slice]()
    for part, value in zip_longest(layout.fixed, layout.loose):
        text, fixed = text + part, fixed + b"\xff" * len(part)
        if value is not None and value.one_width:
            loose.append(slice(len(text), len(text) + value.width))
            text, fixed = text + bytes(value.width), fixed + BEYOND_ASCII * value.width
            continue
        rest = bytes(-len(text) % WORD)
        words, mask = (np.frombuffer(each + rest, np.uint64) for each in (text, fixed))
        yield Stretch(len(text), words, mask, tuple(loose), value)
        text, fixed, loose = b"", b"", []


def _cut(block: Bytes, layout: Layout, starts: Places, ends: Places) -> tuple[Mask, list[Values]]:
    """Which of some lines are of a layout, and the loose values of those."""
    stretches = list(_stretches(layout))
    reach = sum(len(each.words) * WORD + (each.varying.width if each.varying else 0) for each in stretches)
    fits, taken = np.zeros(len(starts), np.bool_), 0
    values = [_room(loose, len(starts)) for loose in layout.loose]
    for first in range(0, len(starts), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        begin = starts[first]
        part = block[begin:]
        if starts[some][-1] + reach > len(block):  # what is looked at may reach beyond the last line
            part = np.concatenate((part, np.zeros(reach, np.uint8)))
        rows, found = _cut_part(part, stretches, starts[some] - begin, ends[some] - begin)
        fits[first + rows] = True
        for room, each in zip(values, found, strict=True):
            _put(each, room, slice(taken, taken + len(rows)))
        taken += len(rows)
    return fits, [_some(each, slice(taken)) for each in values]


def _room(loose: Loose, count: int) -> Values:
    return Values(np.empty((count, loose.width), np.uint8), None if loose.one_width else np.empty(count, np.int64))


def _put(found: Values, room: Values, where: slice) -> None:
    room.bytes[where] = found.bytes
    if room.lengths is not None and found.lengths is not None:
        room.lengths[where] = found.lengths


def _cut_part(block: Bytes, stretches: Sequence[Stretch], starts: Places, ends: Places) -> tuple[Places, list[Values]]:
    """Which of some lines are of a layout; those that are not are dropped as soon as that is seen."""
    at, rows = starts, np.arange(len(starts))
    found: list[Values] = []
    for stretch, behind in pairwise((*stretches, None)):
        assert stretch is not None, "only the last has none behind it"
        windows = _windows(block, at, len(stretch.words) * WORD)
        there = _are(windows, stretch)
        at = at + stretch.width
        if behind is None:
            there = there & (at == ends[rows])
        if not there.all():
            at, rows, windows = at[there], rows[there], windows[there]
            found = [_some(each, there) for each in found]
        found += [Values(windows[:, place], None) for place in stretch.loose]
        if stretch.varying is not None and behind is not None:
            values = _windows(block, at, stretch.varying.width)
            ends_at = (values == behind.words.view(np.uint8)[0]).argmax(axis=1)
            beyond = values >= ASCII
            if beyond.any():
                there = ~(beyond & (np.arange(values.shape[1]) < ends_at[:, np.newaxis])).any(axis=1)
                at, rows, values, ends_at = at[there], rows[there], values[there], ends_at[there]
                found = [_some(each, there) for each in found]
            found.append(Values(values, ends_at))
            at = at + ends_at
    return rows, found


def _some(values: Values, which: Mask | slice) -> Values:
    return Values(values.bytes[which], None if values.lengths is None else values.lengths[which])


def _windows(block: Bytes, at: Places, width: int) -> Bytes:
    """So many bytes of a block from each of some places on, a row each.

    The block is seen as texts of that width, one from each byte on: to index those is five times faster than to index
    rows of bytes.
    """
    texts: npt.NDArray[np.bytes_] = np.ndarray((len(block) - width + 1,), f"S{width}", block, 0, (1,))
    return texts[at].view(np.uint8).reshape(len(at), width)


def _are(windows: Bytes, stretch: Stretch) -> Mask:
    """Which windows hold the fixed texts of a stretch; they mostly all do."""
    differ = windows.view(np.uint64) ^ stretch.words
    if not (np.bitwise_or.reduce(differ, axis=0) & stretch.fixed).any():  # a seventh of the time of asking row by row
        return np.ones(len(windows), np.bool_)
    there: Mask = np.logical_not((differ & stretch.fixed).any(axis=1))
    return there
