"""The account of one generation: which partitions are owned and open, what of them is in hand, where they stand.

Rules:
1. A partition starts cold: nothing of it is fetched until it is opened.
2. A partition at its bound, in runs or in bytes, is not wanted; the others go on.
3. The account, not the client, says where the next run must begin: what was not handed over is fetched again.
4. A new generation forgets everything of the old one; what is released late counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from faust.types import TP

from streams.live.run import Run


@dataclass(slots=True)
class _Account:
    """What is known of one owned partition; `handed` maps the first offset of a run out there to its size."""

    warm: bool = False
    next_offset: int | None = None
    handed: dict[int, int] = field(default_factory=dict)
    handed_bytes: int = 0


class Flow:
    """The partitions of one consumer, a generation at a time; pure bookkeeping on the main loop."""

    def __init__(self, *, max_runs: int, max_bytes: int) -> None:
        self._max_runs = max_runs
        self._max_bytes = max_bytes
        self._accounts: dict[TP, _Account] = {}
        self.generation: int | None = None

    def begin(self, generation: int, partitions: Iterable[TP]) -> None:
        """Own these partitions, all of them cold and without a position."""
        self.generation = generation
        self._accounts = {tp: _Account() for tp in partitions}

    def end(self) -> None:
        """Own nothing."""
        self.generation = None
        self._accounts = {}

    def settle(self, positions: Mapping[TP, int]) -> None:
        """Take the offsets at which the owned partitions are to be read next."""
        for tp, offset in positions.items():
            if tp in self._accounts:
                self._accounts[tp].next_offset = offset

    @property
    def owned(self) -> frozenset[TP]:
        """The partitions of this generation."""
        return frozenset(self._accounts)

    @property
    def cold(self) -> bool:
        """Whether some owned partition waits to be opened."""
        return any(not account.warm for account in self._accounts.values())

    def open(self, tp: TP, generation: int | None) -> bool:
        """Let a partition be fetched; False when it is not owned, or no longer in that generation."""
        if tp not in self._accounts or generation not in (None, self.generation):
            return False
        self._accounts[tp].warm = True
        return True

    def wanted(self) -> frozenset[TP]:
        """The partitions that are open and below both bounds."""
        return frozenset(tp for tp, account in self._accounts.items() if self._below_bounds(account))

    def _below_bounds(self, account: _Account) -> bool:
        return account.warm and len(account.handed) < self._max_runs and account.handed_bytes < self._max_bytes

    def expected(self, tp: TP) -> int | None:
        """The offset at which the next run of a partition must begin; None when it is not owned or not settled."""
        account = self._accounts.get(tp)
        return None if account is None else account.next_offset

    def accepts(self, run: Run) -> bool:
        """Whether a run is of this generation, of an open partition, and begins where the one before ended."""
        account = self._accounts.get(run.tp)
        return (
            account is not None
            and account.warm
            and run.generation == self.generation
            and run.first_offset == account.next_offset
        )

    def hand(self, run: Run) -> None:
        """Count an accepted run as handed over."""
        account = self._accounts[run.tp]
        account.next_offset = run.next_offset
        account.handed[run.first_offset] = run.size_bytes
        account.handed_bytes += run.size_bytes

    def release(self, run: Run) -> bool:
        """Give back what a run took; False when it was given back before or is of another generation."""
        account = self._accounts.get(run.tp)
        if account is None or run.generation != self.generation or run.first_offset not in account.handed:
            return False
        account.handed_bytes -= account.handed.pop(run.first_offset)
        return True

    def load(self, tp: TP) -> tuple[int, int]:
        """Return how many runs, and how many bytes, of a partition are handed over and not released."""
        account = self._accounts.get(tp)
        return (0, 0) if account is None else (len(account.handed), account.handed_bytes)
