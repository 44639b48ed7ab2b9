"""Tokens of persons as numbers of 128 bits: what a source draws at random and writes in 22 letters takes 16 bytes.

Rules:
1. The letters are those of base64 for addresses (RFC 4648, section 5), without what fills the last four.
2. A number stands for one text and no other: a text that is written in any other way has none, and is kept as it is.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

import polars as pl

LENGTH, BYTES = 24, 16


def packed(tokens: pl.Series) -> pl.Series:
    """The number of each token; null for one that has none."""
    long, foreign = tokens.str.len_bytes() == LENGTH, tokens.str.contains_any(["+", "/", "="])
    alike = long & tokens.str.starts_with("s_") & ~foreign
    letters = tokens.set(~alike, None).str.slice(2)
    letters = letters.str.replace_all("-", "+", literal=True).str.replace_all("_", "/", literal=True)
    # What is no base64, or holds bits beyond the 128, is refused.
    data = (letters + "==").str.decode("base64", strict=False)
    return data.bin.reinterpret(dtype=pl.UInt128, endianness="big")


def unpacked(numbers: pl.Series) -> pl.Series:
    """The tokens of some numbers."""
    texts = [f"s_{urlsafe_b64encode(each.to_bytes(BYTES))[:-2].decode()}" for each in numbers]
    return pl.Series(numbers.name, texts, dtype=pl.String)
