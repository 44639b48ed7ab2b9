"""Letters: of ids it is enough to know that no byte is of another class, which takes a tenth of the time of a pattern.

Rules:
1. Values that are of the letters of a grammar are of the grammar. Of those that are not, nothing is said.
2. A grammar has letters where it is a row of classes and only the last of them may stand more or less often.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from streams.core.plain_record import LETTERS
from streams.live.layout import ASCII, Values


class Letters(NamedTuple):
    """Bytes of one class, so many of them."""

    allowed: bytes
    least: int
    most: int


def letters_of(grammar: str) -> tuple[Letters, ...]:
    """The letters of which the texts of an anchored grammar are; none where it is not as simple."""
    found: list[Letters] = []
    rest = grammar.removeprefix("^(?:").removesuffix(")$")
    while rest:
        part = LETTERS.match(rest)
        if part is None or (found and found[-1].least != found[-1].most):
            return ()
        allowed = bytes(each for each in range(ASCII) if re.fullmatch(part["class"], chr(each)))
        found.append(Letters(allowed, int(part["least"] or 1), int(part["most"] or 1)))
        rest = rest[part.end() :]
    return tuple(found)


def are_of(values: Values, letters: Sequence[Letters]) -> bool:
    """Whether all of some values are of some letters; false also where there are none."""
    rows, lengths = values
    shortest, longest = (rows.shape[1],) * 2 if lengths is None else (int(lengths.min()), int(lengths.max()))
    before = sum(each.least for each in letters[:-1])
    if not letters or not before + letters[-1].least <= shortest <= longest <= before + letters[-1].most:
        return False
    if lengths is not None:  # what stands behind a value is none of its letters
        rows = np.where(np.arange(longest) < lengths[:, np.newaxis], rows[:, :longest], letters[-1].allowed[0])
    at = 0
    for each in letters:
        length = longest - before if each is letters[-1] else each.least
        if rows[:, at : at + length].tobytes().translate(None, each.allowed):
            return False
        at += length
    return True
