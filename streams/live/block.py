"""A block: lines of bytes whose places are known, so that a line is cut out of it without its neighbours.

Rules:
1. Its lines are those of `streams.core.lines`; this is another way to find them, in a third of the time.
2. Where the lines of a block end may be told by whoever has looked through it before.
3. A block holds bytes of somebody else, who may write others there once nobody asks the block any more.
4. NumPy compares bytes here, outside the core; the core is given columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from streams.core.lines import END, Lines

RETURN = b"\r"
PART_BYTES = 1_048_576
"""So many bytes are looked through at once: what is noted of them stays in the processor's cache."""
WORD = 8
"""So many bytes are compared at once."""
Places = npt.NDArray[np.int64]
"""Indices of bytes in a block, or of lines."""
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Block(Sequence[bytes]):
    """The lines of a block, and where each begins and ends."""

    def __init__(self, held: bytes | memoryview, newlines: Places | None = None) -> None:
        """`newlines` are the `newlines_of` the block, where these are known already."""
        self.bytes = np.frombuffer(held, np.uint8)
        """The block as numbers."""
        self.newlines = newlines_of(self.bytes) if newlines is None else newlines
        """Where each line and its carriage returns end."""

    def __len__(self) -> int:
        return len(self.newlines)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return self.bytes[self.starts[index] : self.newlines[index]].tobytes().rstrip(RETURN)

    @cached_property
    def starts(self) -> Places:
        """Where each line begins."""
        return np.append(0, self.newlines[:-1] + 1) if len(self) else self.newlines

    @cached_property
    def ends(self) -> Places:
        """Where each line ends."""
        ends = self.newlines.copy()
        for at in np.flatnonzero(self.bytes[np.maximum(ends - 1, 0)] == RETURN[0]).tolist():
            ends[at] = self.starts[at] + len(self[at])
        return ends

    def some(self, rows: Places) -> Lines:
        """Some of the lines, as lines by themselves."""
        return Lines(b"".join(self[row] + END for row in rows.tolist()))

    def whole(self) -> Lines:
        """All of them."""
        return Lines(self.bytes.tobytes())


def newlines_of(block: Bytes) -> Places:
    """Where each line of a block and its carriage returns end."""
    found = [ends_in(block[at : at + PART_BYTES]) + at for at in range(0, len(block), PART_BYTES)]
    last = [] if not len(block) or block[-1] == END[0] else [len(block)]
    return np.concatenate((*found, np.array(last, np.int64)))


def ends_in(part: Bytes) -> Places:
    """Where newlines are, looked for by words of bytes, which takes two thirds of the time of looking byte by byte."""
    there = part == END[0]
    whole = len(there) // WORD * WORD
    words = there[:whole].reshape(-1, WORD)
    held = np.flatnonzero(words.view(np.uint64) != 0)
    bytes_held = words[held]
    if np.count_nonzero(bytes_held) > len(held) or there[whole:].any():  # two in a word, or one behind the last
        return np.flatnonzero(there)
    ends: Places = held * WORD + bytes_held.argmax(axis=1)
    return ends
