"""The lines of a block are the same one by one and as columns."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from streams.core.lines import Lines

BLOCKS = st.lists(
    st.sampled_from([b"{}", b"a", b"\n", b"\n", b"\r\n", b"\r", b" ", b"\x0b\x0c\x1c", b"\xc3\xa4", b"\xff"])
)


@given(BLOCKS.map(b"".join))
def test_lines_are_those_of_a_file_and_as_texts_the_same(block: bytes) -> None:
    lines = Lines(block)
    assert list(lines) == [line.rstrip(b"\r\n") for line in io.BytesIO(block)]
    texts = lines.texts()
    assert texts is None or [text.encode() for text in texts] == list(lines)
    assert (texts is None) == (b"\r" in block or not block.isascii())
