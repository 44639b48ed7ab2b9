"""A share: one owned partition with its queue, its tasks and its chamber, and how far it is finished and committed.

Rules:
1. Runs that wait are judged together while they are short. A look that left nothing to be judged again is followed by
   a rest of three times what it took, within bounds, so that looks do not hold up new events.
2. A chamber is touched in the judging thread alone: `judge` and `learned` are run there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from faust.types import TP

from schemas.topics import TopicName
from schemas.verdict import Cause, Violation
from streams.core.chamber import Chamber, Opinion
from streams.core.facts import CaseKind
from streams.live.batch import Batch
from streams.live.run import Run

LOOK_SECONDS = 0.05
"""How often is looked at what was held or touched, at the most."""
LONGEST_REST_SECONDS = 0.4
"""How long no look is made at the most: well within the second in which a correction is told."""
SHORT_RECORDS = 2_000
"""Fewer records than this cost what a batch costs, and hardly anything for each of them."""


def rest(took: float) -> float:
    """How long to rest after a look that took so many seconds: within the bounds, three times that."""
    return min(max(LOOK_SECONDS, 3 * took), LONGEST_REST_SECONDS)


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

    async def waiting_runs(self) -> list[Run]:
        """Take the runs that wait, at least one: while they are short they are judged together, and cost as one."""
        runs = [await self.queue.get()]
        records = len(runs[0].records)
        while not self.queue.empty() and records < SHORT_RECORDS:
            runs.append(self.queue.get_nowait())
            records += len(runs[-1].records)
        return runs

    @property
    def finished(self) -> int | None:
        """The offset below which everything is finished."""
        return None if self.through is None else self.through[0] if self.held is None else self.held[0]

    @property
    def recorded(self) -> float | None:
        """Until when everything that the broker took is finished, in seconds since 1970."""
        return None if self.through is None else self.through[1] if self.held is None else self.held[1]


def judge(chamber: Chamber, batch: Batch, due: int, heard: int, cause: Cause) -> Opinion:
    """Judge a batch in the chamber of its share, and what its notes tell of events that were judged there before."""
    opinion = chamber.enter(batch.frame, due=due, heard=heard, first_offset=batch.run.first_offset, cause=cause)
    for key, version, row in batch.notes:
        taken_back = chamber.supersede(key, version, row)
        opinion.said.extend(taken_back.said)
        opinion.entered.extend(taken_back.entered)
    return opinion


def learned(chamber: Chamber, topic: TopicName, told: Sequence[Violation], until: int) -> None:
    """Remember what was told of the events of one topic."""
    for message in told:
        if (message.event_kind == CaseKind.MATCH.value) == (topic is TopicName.MATCHES):
            chamber.learn(message)
    chamber.log_until = until
