"""A native line: one JSON object of a recogniser, read exactly and without trust.

Rules:
1. A line of any size is read in bounded memory; one that is too long is a flaw, and the next line is read as usual.
2. Numbers with a point stay decimal, so that a time is exact to the microsecond.
3. A flaw says where it is and what was expected. It never says what was found: that may be a person's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, BinaryIO, NoReturn

from schemas.contract import EARLIEST, LATEST

LINE_BYTES_MAX = 8 * 1024 * 1024
"""A Lambda event holds at most 6 MB; beyond 8 MiB a line is no event of a recogniser."""

EXACT = Context(prec=60, rounding=ROUND_FLOOR)
"""Sums of times, rounded down at every step: what is beyond the microsecond is cut off, as the contract does."""
MICROSECOND = Decimal("0.000001")
SECONDS_MAX = int((LATEST - EARLIEST).total_seconds())


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in a line that is not as the recogniser's format has it; `where` is a path of known names."""

    where: str
    expected: str


def native_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file or pipe; of a line that is too long only the first bytes, so that `parse` refuses it."""
    while line := stream.readline(LINE_BYTES_MAX + 1):
        rest = line
        while len(rest) > LINE_BYTES_MAX and not rest.endswith(b"\n"):
            rest = stream.readline(LINE_BYTES_MAX + 1)
        yield line


def parse(raw: bytes) -> dict[str, Any] | Flaw:
    """The JSON object that a line holds, or its flaw."""
    if len(raw) > LINE_BYTES_MAX:
        return Flaw("line", f"at most {LINE_BYTES_MAX} bytes")
    try:
        # A byte order mark is what some editors put before the first line.
        text = raw.decode("utf-8-sig")
        data = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return Flaw("line", "one JSON object in UTF-8, each key once")
    return data if isinstance(data, dict) else Flaw("line", "a JSON object")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("JSON has no NaN and no Infinity")


def number(value: object) -> Decimal | None:
    """The number that a JSON value is, exactly; none for anything else, `true` included."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value)


def instant(*seconds: Decimal) -> datetime | None:
    """The time that lies so many seconds, added up exactly, after 1970; none outside of what the contract takes.

    >>> instant(Decimal("1795351125.193"), Decimal("0.4")).isoformat()
    '2026-11-22T12:38:45.593000+00:00'
    """
    total = Decimal(0)
    for part in seconds:
        if not 0 <= part < SECONDS_MAX:
            return None
        total = EXACT.add(total, part)
    whole = int(EXACT.scaleb(EXACT.quantize(total, MICROSECOND), 6))
    moment = EARLIEST + timedelta(microseconds=whole)
    return moment if moment < LATEST else None


def digest(*parts: str) -> str:
    """32 hexadecimal digits that stand for a list of texts; the lengths keep `a, bc` apart from `ab, c`."""
    found = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        found.update(len(encoded).to_bytes(8, "big"))
        found.update(encoded)
    return found.hexdigest()[:32]
