"""A source of logs: what a replay reads from, whatever holds it.

Rules:
1. A source gives the same pieces, each with the same rows in the same order, each time it is asked.
2. What a source does not hold is a hole, and is told.
3. Records come in the order of their partitions and offsets: an unreadable one is ended by a readable one after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import polars as pl

from schemas.topics import TopicName
from streams.replay.answer import Hole, Source

Given = TypeVar("Given")

PIECE_ROWS = 500_000
"""Events judged at once: enough that like cases are many, few enough that four pieces fit the memory."""
READERS = 2
"""Threads that read: of JSON lines to read a piece takes longer than to judge it."""
PLACED = {"partition": pl.Int32(), "offset": pl.Int64(), "recorded_at": pl.Datetime("us", "UTC")}
"""Where and when a row was recorded; null where the source does not tell."""
REFUSED = {"reason": pl.String(), **PLACED}
UNREAD = frozenset(
    {
        *("schema_version", "previous_key", "probe_id", "comparison_score", "comparison_threshold"),
        *("system_id", "model_version"),
    }
)
"""Columns of events that no rule asks and no verdict names."""


class Events(NamedTuple):
    """The events of a piece: the columns of the contract and `PLACED`, and what is no event."""

    matches: pl.DataFrame
    encounters: pl.DataFrame
    refused: pl.DataFrame


class Piece(NamedTuple):
    """A stretch of the logs of events that is judged at once."""

    name: str
    topic: TopicName
    rows: int
    """About how many, for the progress."""
    load: Callable[[bool], Events]
    """Reads it: whole where it is asked so, else at least the columns that decide."""


def read_ahead(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same pieces, cut by one thread and read by others while those before are judged; three are held at once."""
    with (
        ThreadPoolExecutor(1, thread_name_prefix="cut ahead") as cutter,
        ThreadPoolExecutor(READERS, thread_name_prefix="read ahead") as readers,
    ):
        waiting: deque[Piece] = deque()
        cutting = iter(pieces)
        coming = cutter.submit(next, cutting, None)
        while (piece := coming.result()) is not None:
            coming = cutter.submit(next, cutting, None)
            waiting.append(piece._replace(load=_begun(piece, readers.submit(piece.load, False))))
            if len(waiting) > READERS:
                yield waiting.popleft()
        yield from waiting


def _begun(piece: Piece, reading: Future[Events]) -> Callable[[bool], Events]:
    return lambda whole: piece.load(whole) if whole else reading.result()


def in_turn(works: Iterable[tuple[Given, Callable[[], None]]]) -> Iterator[Given]:
    """Do some works, each by a second thread while the next one is made; two are held at once.

    What stands beside a work is given when it is done.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="leave") as worker:
        waiting: tuple[Given, Future[None]] | None = None
        for beside, work in works:
            begun = beside, worker.submit(work)
            if waiting is not None:
                waiting[1].result()
                yield waiting[0]
            waiting = begun
        if waiting is not None:
            waiting[1].result()
            yield waiting[0]


class FoundRecord(NamedTuple):
    """One record of law as a log holds it; `value` is None where it was refused, and `key` its key then."""

    topic: TopicName
    partition: int
    offset: int
    recorded_at: int | None
    """Microseconds since 1970."""
    value: bytes | None
    key: str | None = None


Stamp: TypeAlias = tuple[str, int, int]
"""A file by name, size and the time of its last change, in nanoseconds: two that are alike are taken for one."""


def stamps(files: Iterable[Path]) -> list[Stamp]:
    """The stamps of some files, in their order; a digest would cost reading them."""
    return [(str(file), (told := file.stat()).st_size, told.st_mtime_ns) for file in files]


class LogSource(Protocol):
    """What a replay asks of whatever holds the logs."""

    @property
    def told(self) -> Source:
        """What the answer says of it."""

    @property
    def files(self) -> Sequence[Stamp]:
        """The files that it reads and no manifest names."""

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What it does not hold."""

    @property
    def rows(self) -> int | None:
        """About how many events there are; None where that is not known before they are read."""

    @property
    def dated(self) -> bool:
        """Whether it tells when each record was recorded."""

    def records(self) -> Iterator[FoundRecord]:
        """Every record of law."""

    def pieces(self) -> Iterator[Piece]:
        """The events, a piece at a time."""
