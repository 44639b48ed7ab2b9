"""Files of JSON lines as a source: a folder with `matches` (or `events`), `encounters`, `subjects` and
`registry`, each `.ndjson`.

Rules:
1. A file may be compressed (`.gz`, `.zst`); several files of one log (`matches-01.ndjson`) are read in the order of
   their names, each as a partition of its own.
2. The offset of a line is its number, from 0. When it was recorded nobody says.
3. A line that is no contract is told by reason, never by content, and stops nothing. Only a `.zst` file with bytes that
   are not UTF-8 is refused as a whole: what unpacks it reads text.
4. Every value of a line is checked; of those that decide nothing no column is made, unless repeats have to be told
   apart.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from schemas.topics import EVENTS, RECORDS, TopicName
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS
from streams.core.lines import END
from streams.errors import InputError, Place
from streams.live.block import PART_BYTES, Block, Places, ends_in
from streams.replay.answer import Hole, Source
from streams.replay.offline import decode_lines, lines_of
from streams.replay.source import PLACED, REFUSED, UNREAD, Events, FoundRecord, Piece, Stamp, stamps

BYTES_A_LINE = 400
"""About; for the progress of a file whose lines nobody has counted."""
PIECE_BYTES = 256_000_000
"""Of a file that is not compressed so much is one piece; what is held of it are its columns, which take a third."""
PACKED_PIECE_BYTES = 100_000_000
"""The same of a compressed file: its bytes are held until the piece is judged, since nobody can go back in it."""
BLOCK_BYTES = 32_000_000
"""So many bytes are decoded at once: enough that what a block costs before its first line is a tenth of it."""
BATCH = 50_000
LINE_END = END.decode()


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
    def files(self) -> Sequence[Stamp]:
        """Every file."""
        return stamps(file for files in self._files.values() for file in files)

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
        """The events, so many bytes at a time; each piece begins and ends with a whole line."""
        for topic in EVENTS:
            for partition, file in enumerate(self._files[topic]):
                start = 0
                for rows, blocks in _stretches(file):
                    name = f"{topic}-{partition:05}-{start:012}"
                    yield Piece(name, topic, rows, partial(_events, blocks, partition, start))
                    start += rows


Blocks = Callable[[], Iterable[Block]]
"""Gives the blocks of a piece; each is good until the next one is asked for."""


STEMS = {TopicName.MATCHES: ("matches", "events")}
"""How the files of a log may begin; the simulator writes `events`. Any file of events may hold both kinds."""


def _files(folder: Path, topic: TopicName) -> list[Path]:
    named = re.compile(rf"(?:{'|'.join(STEMS.get(topic, (topic.value,)))})(?:-[^.]*)?[.]ndjson(?:[.]gz|[.]zst)?")
    return sorted(file for file in folder.glob("*.ndjson*") if named.fullmatch(file.name))


def opened(file: Path) -> Iterator[bytes]:
    """The lines of a file without their ends; raises InputError where it cannot be read."""
    if file.suffix == ".gz":
        return chain.from_iterable(_gzip_blocks(file))
    return chain.from_iterable(_zstd_blocks(file)) if file.suffix == ".zst" else lines_of(file)


def _stretches(file: Path) -> Iterator[tuple[int, Blocks]]:
    """A file in pieces: how many lines each has, and its blocks."""
    return _packed(file) if file.suffix in (".gz", ".zst") else _plain(file)


def _plain(file: Path) -> Iterator[tuple[int, Blocks]]:
    """Where its lines end is looked for once, and told to whoever reads them."""
    held: list[Places] = []
    begin = 0
    for ends in _line_ends(file):
        held.append(ends)
        if ends[-1] - begin >= PIECE_BYTES:
            newlines = np.concatenate(held)
            yield len(newlines), partial(_between, file, begin, newlines)
            held, begin = [], int(newlines[-1]) + 1
    if held:
        newlines = np.concatenate(held)
        yield len(newlines), partial(_between, file, begin, newlines)


def _line_ends(file: Path) -> Iterator[Places]:
    """Where the lines of a file end, some at a time; the last may lack its end."""
    held = bytearray(min(PART_BYTES, PIECE_BYTES))
    size, last = 0, -1
    try:
        with file.open("rb") as opened_file:
            while count := opened_file.readinto(held):
                ends = ends_in(np.frombuffer(held, np.uint8, count)) + size
                size += count
                if len(ends):
                    last = ends[-1]
                    yield ends
    except OSError:
        raise _unreadable(file) from None
    if last < size - 1:
        yield np.array([size])


def _between(file: Path, begin: int, newlines: Places) -> Iterator[Block]:
    """The blocks of a piece of a file; none is larger than asked but for its last line."""
    held = bytearray()
    try:
        with file.open("rb") as opened_file:
            while len(newlines):
                opened_file.seek(begin)
                count = int(np.searchsorted(newlines, begin + BLOCK_BYTES)) + 1
                some, newlines = newlines[:count], newlines[count:]
                size = int(some[-1]) + 1 - begin
                if size > len(held):
                    held = bytearray(size)
                read = opened_file.readinto(memoryview(held)[:size])
                if read < some[-1] - begin:
                    raise _unreadable(file)
                yield Block(memoryview(held)[:read], some - begin)
                begin += size
    except OSError:
        raise _unreadable(file) from None


def _unpacked(opened_file: gzip.GzipFile) -> Iterator[bytes]:
    """A file, in which nobody can go back, in blocks of whole lines."""
    while block := opened_file.read(min(BLOCK_BYTES, PIECE_BYTES)):
        yield block if block.endswith(END) else block + opened_file.readline()


def _packed(file: Path) -> Iterator[tuple[int, Blocks]]:
    held: list[Block] = []
    rows = size = 0
    for block in _gzip_blocks(file) if file.suffix == ".gz" else _zstd_blocks(file):
        held.append(block)
        rows += len(block)
        size += len(block.bytes)
        if size >= min(PACKED_PIECE_BYTES, PIECE_BYTES):
            yield rows, partial(iter, held)
            held, rows, size = [], 0, 0
    if held:
        yield rows, partial(iter, held)


def _gzip_blocks(file: Path) -> Iterator[Block]:
    try:
        with gzip.open(file, "rb") as opened_file:
            yield from map(Block, _unpacked(opened_file))
    except (OSError, EOFError, zlib.error):
        raise InputError("expected a readable file, compressed by gzip", place=Place(str(file))) from None


def _zstd_blocks(file: Path) -> Iterator[Block]:
    try:
        for batch in pl.scan_lines(file).collect_batches(chunk_size=BATCH, maintain_order=True):
            if batch.height:
                yield Block(f"{batch.to_series().str.join(LINE_END).item()}{LINE_END}".encode())
    except (pl.exceptions.PolarsError, OSError):
        message = "expected a readable file in UTF-8, compressed by zstd"
        raise InputError(message, place=Place(str(file))) from None


def _unreadable(file: Path) -> InputError:
    return InputError("expected a readable file of NDJSON", place=Place(str(file)))


def _events(blocks: Blocks, partition: int, start: int, whole: bool) -> Events:
    unread = frozenset() if whole else UNREAD
    columns = {name: dtype for name, dtype in MATCH_COLUMNS.items() if name not in unread}
    matches: list[pl.DataFrame] = [pl.DataFrame(schema={**columns, **PLACED})]
    encounters: list[pl.DataFrame] = [pl.DataFrame(schema={**ENCOUNTER_COLUMNS, **PLACED})]
    refused: list[pl.DataFrame] = [pl.DataFrame(schema=REFUSED)]
    first = start
    for lines in blocks():
        match, other = decode_lines(lines, unread)
        matches.append(_placed(match.frame, partition, first).select(*columns, *PLACED))
        encounters.append(_placed(other.frame, partition, first).select(*ENCOUNTER_COLUMNS, *PLACED))
        reasons = pl.DataFrame(
            {
                "reason": pl.Series([each.error.reason.value for each in other.refused], dtype=pl.String),
                "row": pl.Series([each.row for each in other.refused], dtype=pl.UInt32),
            }
        )
        refused.append(_placed(reasons, partition, first).select(*REFUSED))
        first += len(lines)
    return Events(*(pl.concat(each).rechunk() for each in (matches, encounters, refused)))


def _placed(frame: pl.DataFrame, partition: int, first: int) -> pl.DataFrame:
    return frame.with_columns(
        partition=pl.lit(partition, pl.Int32),
        offset=pl.col("row").cast(pl.Int64) + first,
        recorded_at=pl.lit(None, PLACED["recorded_at"]),
    )
