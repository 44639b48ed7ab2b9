"""The clerk: issues every id, token and chance of one simulated run, all from its seed and its start.

Rules:
1. The same seed and start give the same ids in the same order; no clock and no entropy of the machine is asked.
2. Ids carry a mark of the run, so that two runs on one broker never say one id twice with different contents.
3. A person is a random token, as the vault of a real controller would issue it.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

TOKEN_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"  # noqa: S105 -- letters, no secret
TOKEN_LENGTH = 22
MARK_LENGTH = 6


class Clerk:
    """The source of names and chance; `start` is the first instant of the run, aware."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.seed = seed
        self.start = start.astimezone(UTC)
        named = f"{seed}/{self.start.isoformat()}"
        self.chance = random.Random(named)
        self._mark = hashlib.sha256(named.encode()).hexdigest()[:MARK_LENGTH]
        self._issued: Counter[str] = Counter()

    def number(self, series: str) -> str:
        """The next id of a series, `series-mark-n`."""
        self._issued[series] += 1
        return f"{series}-{self._mark}-{self._issued[series]:07d}"

    def subject_ref(self) -> str:
        """A new person's token."""
        return "s_" + "".join(self.chance.choices(TOKEN_ALPHABET, k=TOKEN_LENGTH))

    def before(self, *, days: float) -> datetime:
        """An instant some days before the start."""
        return self.start - timedelta(days=days)

    def within(self, first: datetime, span: timedelta) -> datetime:
        """An instant drawn evenly, to the microsecond, from `span` after `first`."""
        return first + timedelta(microseconds=self.chance.randrange(span // timedelta(microseconds=1)))
