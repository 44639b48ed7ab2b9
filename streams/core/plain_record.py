"""The plain record: the one way to write a message that needs no doubt, as an anchored pattern made from its schema.

Rules:
1. The pattern is narrower than the contract, never wider: known keys, each with a value of its own grammar, ASCII,
   no escapes, at most one space behind a colon or a comma, version 1.0. The rest is for the contract to judge.
2. What it lets pass is JSON: no garbage ever reaches the parser of columns, which is quick and forgiving.
3. It says nothing of keys that stand twice, of required keys, of numeric bounds, of the calendar or of rules between
   fields; `streams.core.decode` asks for those in columns.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from schemas.contract import LIST_LENGTH_MAX, Message

LETTERS = re.compile(r"(?P<class>[A-Za-z0-9_]|\[[A-Za-z0-9._:/@-]+\])(?:\{(?P<least>\d+),(?P<most>\d+)\})?", re.ASCII)
"""A literal or a class of letters in a pattern of the contract, and how many of them: one where it does not say."""
SAFE_PATTERN = re.compile(rf"\^(?:{LETTERS.pattern})+\$", re.ASCII)
"""Patterns of the contract that hold no quote, no backslash and no letter beyond ASCII."""
TIME = r'"[0-9]{4}-(?:0[1-9]|1[0-2])-[0-3][0-9]T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z"'
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.fZ"
"""The same for Polars."""
MICROS_FORMAT, MICROS_LENGTH = "%Y-%m-%dT%H:%M:%S.%6fZ", 27
"""The same with six decimals, as the contract writes it: Polars reads this one in a sixth of the time."""
RATIO = r"[01](?:\.[0-9]{1,20})?"
"""Up to 20 decimals, which covers every shortest text of a double from 0.0001 to 1 (17 digits behind three zeros)."""
VERSION = r'"1\.0"'
KEY = r'"[^"]+":'
"""A key of a plain record, wherever it stands: no value holds a quote that a colon follows."""


def short_ascii(values: Sequence[bytes | None], bytes_max: int) -> pl.Series:
    """The values as texts, null where one is long or more than ASCII: one by one only where there is such a one.

    One byte beyond UTF-8 would fail the whole column, and a huge value would be copied; so both stay outside.
    """
    there = [value for value in values if value is not None]
    if max(map(len, there), default=0) > bytes_max or not b"".join(there).isascii():
        values = [None if value is None or len(value) > bytes_max or not value.isascii() else value for value in values]
    return pl.Series(values, dtype=pl.Binary).cast(pl.String)


def moment(name: str) -> pl.Expr:
    """The column of a time as a plain record writes it, in UTC; null where it is on no calendar."""
    text = pl.col(name)
    micros = text.str.len_bytes() == MICROS_LENGTH
    return pl.coalesce(
        _instant(pl.when(micros).then(text), MICROS_FORMAT), _instant(pl.when(~micros).then(text), TIME_FORMAT)
    )


def _instant(text: pl.Expr, time_format: str) -> pl.Expr:
    return text.str.to_datetime(time_format, time_unit="us", time_zone="UTC", strict=False, cache=False)


def plain_pattern(kind: type[Message]) -> str:
    """The pattern, for Rust's `regex`, of a plain record of `kind`: the whole text, keys in any order."""
    shapes = kind.model_json_schema()["properties"]
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, shape in shapes.items():
        names[VERSION if name == "schema_version" else _value(shape)].append(name)
    # Values of one grammar share their states, which keeps the automaton in the processor's cache.
    field = '"' + _either(f'{_either(keys)}": ?{value}' for value, keys in names.items())
    return rf"^\{{{field}(?:, ?{field})*\}}$"


def grammars(kind: type[Message]) -> dict[str, str]:
    """By field the pattern of one value as a plain record of `kind` writes it, a text without its quotes; no lists."""
    found: dict[str, str] = {}
    for name, shape in kind.model_json_schema()["properties"].items():
        choices = [each for each in shape.get("anyOf", [shape]) if each.get("type") != "null"]
        if name != "schema_version" and not any(each.get("type") == "array" for each in choices):
            found[name] = f"^{_either(map(_value, choices))}$".replace('"', "")
    return found


def _value(shape: Mapping[str, Any]) -> str:
    if "anyOf" in shape:
        return _either("null" if each["type"] == "null" else _value(each) for each in shape["anyOf"])
    if "enum" in shape or "const" in shape:
        return _either(re.escape(json.dumps(word)) for word in shape.get("enum", [shape.get("const")]))
    if shape["type"] == "array":
        word, most = _value(shape["items"]), shape.get("maxItems", LIST_LENGTH_MAX)
        return rf"\[(?:{word}(?:, ?{word}){{0,{most - 1}}})?\]"
    if shape["type"] == "string":
        return TIME if shape.get("format") == "date-time" else quoted(shape["pattern"])
    return _number(shape)


def quoted(pattern: str) -> str:
    """The pattern of a text as JSON writes it, out of the anchored pattern that the contract has of it."""
    assert SAFE_PATTERN.fullmatch(pattern), f"{pattern} may match what JSON would have to escape"
    return f'"{pattern[1:-1]}"'


def _number(shape: Mapping[str, Any]) -> str:
    if shape["type"] == "boolean":
        return "(?:true|false)"
    assert shape["minimum"] >= 0, "a plain record has no signs"
    if shape["type"] == "integer":
        return f"(?:0|[1-9][0-9]{{0,{len(str(shape['maximum'])) - 1}}})"
    assert shape["maximum"] <= 1, "the only numbers with decimals are ratios"
    return RATIO


def _either(choices: Iterable[str]) -> str:
    return f"(?:{'|'.join(choices)})"
