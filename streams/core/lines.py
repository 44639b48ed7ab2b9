"""Lines: a block of bytes that holds a message a line, seen as columns without a Python object for each line.

Rules:
1. A line ends at a newline, and is told without it and without carriage returns before it. The last may lack its end.
2. Where a block is ASCII throughout, as most are, columns are cut out of it as a whole; otherwise line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import polars as pl

END = b"\n"


class Lines(Sequence[bytes]):
    """The lines of a block, in their order; a single one is cut out when it is asked for."""

    def __init__(self, block: bytes) -> None:
        self.block = block

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        return self._split[index]

    @cached_property
    def _count(self) -> int:
        return self.block.count(END) + (bool(self.block) and not self.block.endswith(END))

    @cached_property
    def _split(self) -> list[bytes]:
        return [line.rstrip(b"\r\n") for line in self.block.split(END)][: len(self)]

    def texts(self) -> pl.Series | None:
        """The lines as texts, cut out of the block as a whole; None where that cannot be done."""
        if b"\r" in self.block or not self.block.isascii():
            return None
        found = pl.scan_lines(self.block).collect().to_series().rechunk()
        return found if len(found) == len(self) else None
