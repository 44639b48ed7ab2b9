"""Layouts: plain records that agree in all but some of their values are cut into columns together.

Rules:
1. A layout is made of one sound record. Some of its values are *loose*: texts, numbers, truth values. All else is
   *fixed*: keys, their order, spaces, lists, nulls, the version, and values that were the same wherever it was looked.
2. A record is of a layout where its fixed text is the same, byte for byte, from its beginning to its end. So it says
   what the sound record says but for its loose values, and these are all that is left to be asked about.
3. Which values are loose is a guess from a few records. A wrong guess costs time and never truth: it leaves records.
4. Bytes are compared in rows of NumPy, thousands of lines at a time: that takes a quarter of the time of a parser of
   JSON behind a pattern, which look at every key of every record again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.contract import Message
from streams.live.block import Block, Bytes, Places

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

AT_ONCE = 4_096
"""Lines whose bytes are compared together: few enough that they stay in the processor's cache from value to value."""

Windows = npt.NDArray[np.bytes_]
Mask = npt.NDArray[np.bool_]
M = TypeVar("M", bound=Message)


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


@dataclass(frozen=True, slots=True)
class Cut(Generic[M]):
    """The records of one layout."""

    layout: Layout
    like: M
    """What the record says that the layout was made of."""
    rows: Places
    texts: pl.DataFrame
    """The loose values of each record, as they stand there; texts without their quotes."""


def cuts(lines: Block, left: Places, read: Callable[[bytes], M | None]) -> Iterator[Cut[M]]:
    """The records among some ASCII lines that layouts fit, a layout at a time.

    A layout is made of a record that `read` finds sound: plain, and of the contract.
    """
    if not len(left):
        return
    longest = int((lines.ends[left] - lines.starts[left]).max())
    padded = np.concatenate((lines.bytes, np.zeros(longest + SPARE, np.uint8)))
    for _ in range(LAYOUTS_MAX):
        alike = _alike([lines[row] for row in left[np.unique((SPREAD * len(left)).astype(np.int64))].tolist()])
        sound = next(((raw, said) for raw in alike[:SOUND_TRIES] if (said := read(raw)) is not None), None)
        if sound is None:
            return
        raw, like = sound
        layout = layout_of(raw, alike)
        fits, texts = _cut(padded, layout, lines.starts[left], lines.ends[left])
        if np.count_nonzero(fits) * FEW < len(left):
            return
        yield Cut(layout, like, left[fits], texts)
        left = left[~fits]
        if not len(left):
            return


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


def _cut(block: Bytes, layout: Layout, starts: Places, ends: Places) -> tuple[Mask, pl.DataFrame]:
    """Which of some lines are of a layout, and the loose values of those."""
    fits = np.zeros(len(starts), np.bool_)
    parts: list[list[_Found]] = []
    for first in range(0, len(starts), AT_ONCE):
        rows, found = _cut_part(block, layout, starts[first : first + AT_ONCE], ends[first : first + AT_ONCE])
        fits[first + rows] = True
        parts.append(found)
    columns = [_texts(value, [part[place] for part in parts]) for place, value in enumerate(layout.loose)]
    return fits, pl.DataFrame(columns)


class _Found(NamedTuple):
    """Where the values of one field are in some lines, and how long they are."""

    windows: Windows
    lengths: Places


def _cut_part(block: Bytes, layout: Layout, starts: Places, ends: Places) -> tuple[Places, list[_Found]]:
    """Which of some lines are of a layout; those that are not are dropped as soon as that is seen."""
    at, rows = starts, np.arange(len(starts))
    found: list[_Found] = []
    for text, value, behind in zip_longest(layout.fixed, layout.loose, layout.fixed[1:]):
        there = _are(_windows(block, at, len(text)), text)
        at = at + len(text)
        if value is None:
            there = there & (at == ends[rows])
        if not there.all():
            at, rows = at[there], rows[there]
            found = [_Found(each.windows[there], each.lengths[there]) for each in found]
        if value is not None:
            found.append(_found(_windows(block, at, value.width), value, behind))
            at = at + found[-1].lengths
    return rows, found


def _found(windows: Windows, value: Loose, behind: bytes) -> _Found:
    if value.one_width:
        return _Found(windows, np.full(len(windows), value.width))
    return _Found(windows, (_bytes_of(windows, value.width) == behind[0]).argmax(axis=1))


def _windows(block: Bytes, at: Places, width: int) -> Windows:
    """So many bytes of a block from each of some places on; a place that is too far gives what there is.

    The block is seen as texts of that width, one from each byte on: to index those is five times faster than to index
    rows of bytes.
    """
    texts: Windows = np.ndarray((len(block) - width + 1,), f"S{width}", block, 0, (1,))
    return texts[np.minimum(at, len(block) - width)]


def _bytes_of(windows: Windows, width: int) -> Bytes:
    return windows.view(np.uint8).reshape(len(windows), width)


def _are(windows: Windows, text: bytes) -> Mask:
    """Which windows hold a text; they mostly all do, and to compare them as one takes a fifth of the time."""
    if windows.tobytes() == text * len(windows):
        return np.ones(len(windows), np.bool_)
    there: Mask = windows == text
    return there


def _texts(value: Loose, parts: Sequence[_Found]) -> pl.Series:
    """The texts at the beginning of windows."""
    windows = np.concatenate([part.windows for part in parts])
    whole = pl.Series(value.name, _bytes_of(windows, value.width)).arr.to_list().cast(pl.Binary)
    if not value.one_width:
        lengths = pl.Series(np.concatenate([part.lengths for part in parts]))
        whole = whole.to_frame().select(pl.col(value.name).bin.head(pl.lit(lengths))).to_series()
    return whole.cast(pl.String)
