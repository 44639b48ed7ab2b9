"""A share: one owned partition with its queue, its tasks and its chamber, and how far it is finished and committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from faust.types import TP

from streams.core.chamber import Chamber
from streams.live.run import Run


class Offsets(Protocol):
    """The consumer's side of the pipeline: what `streams.live.transport.RunConsumer` offers."""

    @property
    def generation(self) -> int | None:
        """The generation of the present assignment."""

    def open(self, tp: TP, *, generation: int | None = None) -> bool:
        """Let a cold partition flow."""

    def log_end(self, tp: TP) -> int | None:
        """The end of the log; None before that is known."""

    def next_offset(self, tp: TP) -> int | None:
        """Where the next run begins; None before that is settled."""

    def release(self, run: Run) -> bool:
        """Give back the place of a finished run."""

    async def commit_next(self, offsets: dict[TP, int], *, generation: int | None = None) -> bool:
        """Commit next offsets; False when refused."""


@dataclass(slots=True)
class Anew:
    """What is stated anew of a log that was taken over: from where, up to its end as it was, with what was known."""

    first: int
    known_until: int
    """Microseconds."""
    end: int | None = None
    """None until the broker has said it."""


@dataclass(slots=True)
class Share:
    """One owned partition: its queue, its task, and how far it is finished and committed."""

    tp: TP
    generation: int
    queue: asyncio.Queue[Run]
    chamber: Chamber
    task: asyncio.Task[None] | None = None
    looks: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Who judges and delivers; two at once could tell of one violation in the wrong order."""
    through: tuple[int, float] | None = None
    """The next offset after the last run that came through, and when the broker took its last record (seconds)."""
    held: tuple[int, float] | None = None
    """The same of the earliest case that is held."""
    committed: int | None = None
    anew: Anew | None = None
    """What of the log is stated anew since it was taken over; None once that is told."""
    warm: bool = False
    at_work: bool = False
    leaving: bool = False

    @property
    def finished(self) -> int | None:
        """The offset below which everything is finished."""
        return None if self.through is None else self.through[0] if self.held is None else self.held[0]

    @property
    def recorded(self) -> float | None:
        """Until when everything that the broker took is finished, in seconds since 1970."""
        return None if self.through is None else self.through[1] if self.held is None else self.held[1]
