"""A column as JSON writes its values: what is hashed must be the bytes that `json.dumps` gives, value by value.

Rules:
1. Numbers, and texts that stand in JSON as they are, are written in columns; where one text needs an escape, the whole
   column is written by `json.dumps`.
2. What is not there is `null`.
"""

from __future__ import annotations

import json
from functools import partial

import polars as pl

PLAIN = r'^[^"\\\x00-\x1f]*$'
"""Texts that stand in JSON as they are, between quotes."""
PLAIN_ASCII = r"^[ !#-\[\]-~]*$"
"""The same where JSON is to be ASCII."""


def json_column(column: pl.Series, *, ascii_only: bool = False) -> pl.Series:
    """The values of a column of integers, texts or lists of texts as JSON, without spaces.

    Whatever is beyond ASCII is escaped where JSON is to be `ascii_only`, and else stands as it is.
    """
    if column.dtype.is_integer():
        return column.cast(pl.String).fill_null("null")
    listed = isinstance(column.dtype, pl.List)
    texts = column.explode(empty_as_null=True) if listed else column
    if not texts.str.contains(PLAIN_ASCII if ascii_only else PLAIN).all():
        write = partial(json.dumps, separators=(",", ":"), ensure_ascii=ascii_only)
        return pl.Series(column.name, [write(value) for value in column.to_list()], dtype=pl.String)
    value = pl.col(column.name)
    if listed:
        quoted = value.list.eval(pl.lit('"') + pl.element() + pl.lit('"'))
        written = pl.lit("[") + quoted.list.join(",") + pl.lit("]")
    else:
        written = pl.lit('"') + value + pl.lit('"')
    return column.to_frame().select(written.fill_null("null").alias(column.name)).to_series()
