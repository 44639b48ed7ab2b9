"""A block has the lines of a file, and knows where each of them stands."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.core.lines import END, Lines
from streams.live import block
from streams.live.block import Block, newlines_of

BYTES = st.lists(st.sampled_from([b"{}", b"a", b"\n", b"\n", b"\r\n", b"\r", b" ", b"\xc3\xa4", b"\xff"])).map(b"".join)


@given(BYTES)
def test_lines_are_those_of_a_file_and_stand_where_it_says(held: bytes) -> None:
    found = Block(held)
    assert list(found) == list(Lines(held)) == [line.rstrip(b"\r\n") for line in io.BytesIO(held)]
    assert [held[begin:end] for begin, end in zip(found.starts, found.ends, strict=True)] == list(found)
    assert found[1:] == list(found)[1:]
    assert list(found.some(np.arange(1, len(found), 2))) == list(found)[1::2]
    assert list(Block(memoryview(held), newlines_of(np.frombuffer(held, np.uint8)))) == list(found)


def test_a_block_of_many_parts_is_looked_through_whole() -> None:
    held = b"x" * (block.PART_BYTES - 1) + b"\n" + b"y\n" * block.PART_BYTES + b"long enough for words\n" * 99 + b"z"
    assert Block(held).newlines.tolist() == [at for at, byte in enumerate(held) if byte == END[0]] + [len(held)]
    assert Block(held)[-2:] == [b"long enough for words", b"z"]
