"""Files of JSON lines as a source: a folder with `matches` (or `events`), `encounters`, `subjects` and
`registry`, each `.ndjson`.

Rules:
1. A file may be compressed (`.gz`, `.zst`); several files of one log (`matches-01.ndjson`) are read in the order of
   their names, each as a partition of its own.
2. The offset of a line is its number, from 0. When it was recorded nobody says.
3. A line that is no contract is told by reason, never by content, and stops nothing.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import polars as pl

from schemas.topics import TopicName
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS
from streams.errors import InputError, Place
from streams.replay.answer import Hole, Source
from streams.replay.offline import decode_lines, lines_of
from streams.replay.source import PIECE_ROWS, PLACED, REFUSED, Events, FoundRecord, Piece

EVENTS = (TopicName.MATCHES, TopicName.ENCOUNTERS)
RECORDS = (TopicName.REGISTRY, TopicName.SUBJECTS)
BYTES_A_LINE = 400
"""About; for the progress of a file whose lines nobody has counted."""
BATCH = 50_000
DECODED_ROWS = 100_000
"""Lines decoded at once: the columns of more would leave the cache."""


class NdjsonSource:
    """The logs in a folder of JSON lines."""

    holes: tuple[Hole, ...] = ()
    dated = False

    def __init__(self, folder: Path) -> None:
        """Look for the files; raises InputError where there is none of events."""
        self._folder = folder
        self._files = {topic: _files(folder, topic) for topic in (*EVENTS, *RECORDS)}
        if not any(self._files[topic] for topic in EVENTS):
            message = "expected matches.ndjson or encounters.ndjson (also .gz, .zst), or the Parquet of an archive"
            raise InputError(message, place=Place(str(folder)))

    @property
    def told(self) -> Source:
        """What the answer says of it."""
        return Source(kind="ndjson", location=str(self._folder))

    @property
    def rows(self) -> int | None:
        """About how many events the files hold; unknown where one is compressed."""
        files = [file for topic in EVENTS for file in self._files[topic]]
        plain = all(file.suffix == ".ndjson" for file in files)
        return sum(file.stat().st_size for file in files) // BYTES_A_LINE if plain else None

    def records(self) -> Iterator[FoundRecord]:
        """Every line of the files of records."""
        for topic in RECORDS:
            for partition, file in enumerate(self._files[topic]):
                for offset, line in enumerate(opened(file)):
                    yield FoundRecord(topic, partition, offset, None, line)

    def pieces(self) -> Iterator[Piece]:
        """The events, so many lines at a time."""
        for topic in EVENTS:
            for partition, file in enumerate(self._files[topic]):
                lines, start = opened(file), 0
                while batch := list(islice(lines, PIECE_ROWS)):
                    name = f"{topic}-{partition:05}-{start:012}"
                    yield Piece(name, topic, len(batch), partial(_events, batch, partition, start))
                    start += len(batch)


STEMS = {TopicName.MATCHES: ("matches", "events")}
"""How the files of a log may begin; the simulator writes `events`. Any file of events may hold both kinds."""


def _files(folder: Path, topic: TopicName) -> list[Path]:
    named = re.compile(rf"(?:{'|'.join(STEMS.get(topic, (topic.value,)))})(?:-[^.]*)?[.]ndjson(?:[.]gz|[.]zst)?")
    return sorted(file for file in folder.glob("*.ndjson*") if named.fullmatch(file.name))


def opened(file: Path) -> Iterator[bytes]:
    """The lines of a file without their ends; raises InputError where it cannot be read."""
    if file.suffix == ".gz":
        return _gzip_lines(file)
    return _zstd_lines(file) if file.suffix == ".zst" else lines_of(file)


def _gzip_lines(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                yield line.rstrip(b"\r\n")
    except (OSError, EOFError):
        raise InputError("expected a readable file, compressed by gzip", place=Place(str(file))) from None


def _zstd_lines(file: Path) -> Iterator[bytes]:
    try:
        for batch in pl.scan_lines(file).collect_batches(chunk_size=BATCH, maintain_order=True):
            yield from batch.to_series().cast(pl.Binary).to_list()
    except (pl.exceptions.PolarsError, OSError):
        message = "expected a readable file in UTF-8, compressed by zstd"
        raise InputError(message, place=Place(str(file))) from None


def _events(lines: Sequence[bytes], partition: int, start: int, whole: bool) -> Events:  # noqa: ARG001 -- decoded whole anyway
    matches: list[pl.DataFrame] = [pl.DataFrame(schema={**MATCH_COLUMNS, **PLACED})]
    encounters: list[pl.DataFrame] = [pl.DataFrame(schema={**ENCOUNTER_COLUMNS, **PLACED})]
    refused: list[pl.DataFrame] = [pl.DataFrame(schema=REFUSED)]
    for begin in range(0, len(lines), DECODED_ROWS):
        match, other = decode_lines(lines[begin : begin + DECODED_ROWS])
        first = start + begin
        matches.append(_placed(match.frame, partition, first).select(*MATCH_COLUMNS, *PLACED))
        encounters.append(_placed(other.frame, partition, first).select(*ENCOUNTER_COLUMNS, *PLACED))
        reasons = pl.DataFrame(
            {
                "reason": pl.Series([each.error.reason.value for each in other.refused], dtype=pl.String),
                "row": pl.Series([each.row for each in other.refused], dtype=pl.UInt32),
            }
        )
        refused.append(_placed(reasons, partition, first).select(*REFUSED))
    return Events(*(pl.concat(each).rechunk() for each in (matches, encounters, refused)))


def _placed(frame: pl.DataFrame, partition: int, first: int) -> pl.DataFrame:
    return frame.with_columns(
        partition=pl.lit(partition, pl.Int32),
        offset=pl.col("row").cast(pl.Int64) + first,
        recorded_at=pl.lit(None, PLACED["recorded_at"]),
    )
