"""Parquet as a source: an archive on disk or in an object store, or tables of the same layout without a manifest.

Rules:
1. With a manifest every offset that the replay needs is looked for and, on disk, every digest compared before anything
   is judged. Of an object store the number of rows of each part is compared, since its digest would cost reading it
   twice.
2. Without a manifest nobody can say what is missing; the answer then names no manifest. What every message says stands
   in every row all the same, or the table is refused by its name and the column.
3. Of events only the columns that decide are read, unless repeats have to be told apart.
4. An object store is named `s3://bucket/folder`; its endpoint and credentials come from the environment (`AWS_*`). What
   lies there has a manifest, since a store does not tell what is not there from what it does not show.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from schemas.contract import Message
from schemas.topics import EVENTS, RECORDS, TopicName
from streams.errors import InputError, Place
from streams.replay import manifest
from streams.replay.answer import Hole, Source
from streams.replay.manifest import MANIFEST, Lack, Part, Sound, Table, manifest_of, read_manifest, sound, unsound
from streams.replay.need import NEEDED, Need
from streams.replay.part import COLUMNS, KINDS
from streams.replay.source import PIECE_ROWS, PLACED, REFUSED, UNREAD, Events, FoundRecord, Piece, Stamp, stamps


def _said(kind: type[Message]) -> frozenset[str]:
    """The fields that every message of a kind says, or whose default is said for it."""
    shapes = kind.model_json_schema()["properties"].items()
    return frozenset(
        name for name, shape in shapes if all(each.get("type") != "null" for each in shape.get("anyOf", ()))
    )


SAID: Mapping[TopicName, frozenset[str]] = {
    topic: frozenset.intersection(*(_said(kind) for kind in KINDS[topic])) for topic in EVENTS
}
"""The fields of events that are null in no row."""


class Stretch(NamedTuple):
    """Rows of one file."""

    topic: TopicName
    path: str
    first: int
    rows: int
    refused: bool = False


class ParquetSource:
    """The logs in Parquet below a folder or an address."""

    dated = True

    def __init__(self, location: str, need: Need | None = None, *, allow_holes: bool = False) -> None:
        """Look through the archive; raises InputError where it has a hole, unless told that it may.

        Nothing is missed that nobody needs; parts of events that were recorded before what is needed are not read.
        """
        self._location = location.rstrip("/")
        self._need = need
        self._sound = _looked_through(self._location, need, allow_holes=allow_holes)
        self.holes = tuple(_hole(each) for each in self._sound.holes) if self._sound else ()
        self._stretches = list(self._of_manifest(self._sound) if self._sound else _of_folder(Path(location)))
        if not any(each.topic in EVENTS for each in self._stretches) and self._sound is None:
            message = (
                "expected matches/ or encounters/ with Parquet in it, matches.ndjson, or the address of an archive"
            )
            raise InputError(message, place=Place(location))

    @property
    def told(self) -> Source:
        """What the answer says of it."""
        digest = None if self._sound is None else self._sound.manifest.digest()
        return Source(kind="parquet", location=self._location, manifest_digest=digest)

    @property
    def files(self) -> Sequence[Stamp]:
        """The files of a folder without a manifest."""
        return stamps(Path(path) for path in dict.fromkeys(each.path for each in self._stretches if not self._sound))

    @property
    def rows(self) -> int | None:
        """How many events there are."""
        return sum(each.rows for each in self._stretches if each.topic in EVENTS)

    def records(self) -> Iterator[FoundRecord]:
        """Every record of law, with those that were refused in their places."""
        for topic in RECORDS:
            files = [each for each in self._stretches if each.topic is topic]
            for group in _groups(files, PIECE_ROWS):
                parts = [_found_records(each) for each in group]
                whole = pl.concat(parts).sort("partition", "offset")
                for row in whole.iter_rows():
                    yield FoundRecord(topic, *row)

    def pieces(self) -> Iterator[Piece]:
        """The events, about so many rows at a time."""
        for topic in EVENTS:
            for number, group in enumerate(
                _groups([each for each in self._stretches if each.topic is topic], PIECE_ROWS)
            ):
                rows = sum(each.rows for each in group)
                yield Piece(f"{topic}-{number:06}", topic, rows, partial(_events, topic, group))

    def _of_manifest(self, archive: Sound) -> Iterator[Stretch]:
        for part in sorted(archive.parts, key=_by_day):
            need, last = self._need, part.recorded_until
            if part.topic in EVENTS and need is not None and last is not None and last < need.since:
                continue
            for table, refused in ((part.accepted, False), (part.refused, True)):
                if table is not None:
                    yield Stretch(part.topic, f"{self._location}/{table.path}", 0, table.rows, refused)


def _by_day(part: Part) -> tuple[object, ...]:
    if part.topic in RECORDS:
        return (part.topic, part.partition, part.first_offset)
    return (
        part.topic,
        "" if part.recorded_from is None else str(part.recorded_from.date()),
        part.partition,
        part.first_offset,
    )


def _looked_through(location: str, need: Need | None, *, allow_holes: bool) -> Sound | None:
    """The archive that was looked through; None where there is no manifest."""
    if location.startswith("s3://"):
        held = _stored_manifest(location)
        broken = list(_broken(location, [part for part in held.parts if part.topic in NEEDED]))
    elif (Path(location) / MANIFEST).exists():
        held = read_manifest(Path(location))
        broken = list(unsound(Path(location), [part for part in held.parts if part.topic in NEEDED]))
    else:
        return None
    lacking = [] if need is None else list(need.lacking(held))
    return sound(held, broken, Place(location), topics=NEEDED, lacking=lacking, allow_holes=allow_holes)


def _stored_manifest(location: str) -> manifest.Manifest:
    place = Place(f"{location}/{MANIFEST}")
    try:
        lines = pl.scan_lines(str(place)).collect().to_series().to_list()
    except (pl.exceptions.PolarsError, OSError):
        raise InputError("expected the manifest of an archive, and an object store that answers", place=place) from None
    return manifest_of("\n".join([*lines, ""]).encode(), place)


def _broken(location: str, parts: Sequence[Part]) -> Iterator[manifest.Hole]:
    """The parts in an object store that are missing, or of another length than was written."""
    for part in parts:
        lacks = (_lack(f"{location}/{table.path}", table) for table in part.tables)
        lack = next((each for each in lacks if each is not None), None)
        if lack is not None:
            yield manifest.Hole(part.topic, part.partition, part.first_offset, part.next_offset, lack)


def _lack(path: str, table: Table) -> Lack | None:
    try:
        there = pl.scan_parquet(path).select(pl.len()).collect().item()
    except FileNotFoundError:
        return Lack.FILE_MISSING
    except OSError:
        raise InputError("expected an object store that answers", place=Place(path)) from None
    except pl.exceptions.PolarsError:
        return Lack.DIGEST_DIFFERS
    return None if there == table.rows else Lack.DIGEST_DIFFERS


def _hole(hole: manifest.Hole) -> Hole:
    return Hole(
        topic=hole.topic.value,
        partition=hole.partition,
        first_offset=hole.first_offset,
        last_offset=None if hole.next_offset is None else hole.next_offset - 1,
        reason=hole.lack.value,
    )


def _of_folder(folder: Path) -> Iterator[Stretch]:
    """The files of a folder without a manifest, the large ones in several stretches."""
    for topic in (*EVENTS, *RECORDS):
        for file in sorted((folder / topic.value).rglob("*.parquet")):
            with _readable(str(file)):
                rows = pl.scan_parquet(file).select(pl.len()).collect().item()
            for first in range(0, rows, PIECE_ROWS):
                yield Stretch(topic, str(file), first, min(PIECE_ROWS, rows - first))


def _groups(stretches: Collection[Stretch], rows_max: int) -> Iterator[list[Stretch]]:
    """Stretches in a row, so many together that they have about as many rows as are asked for.

    What was refused of a part stays with what was accepted of it: their offsets lie among each other.
    """
    group: list[Stretch] = []
    for each in stretches:
        if group and not each.refused and sum(one.rows for one in group) + each.rows > rows_max:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _events(topic: TopicName, group: Sequence[Stretch], whole: bool) -> Events:
    columns = COLUMNS[topic]
    wanted = [name for name in columns if whole or name not in UNREAD]
    asked = {name: columns[name] for name in wanted}
    accepted = [_read(each, asked, SAID[topic]) for each in group if not each.refused]
    refused = [_read(each, {"reason": pl.String()}, {"reason"}) for each in group if each.refused]
    frames = {name: pl.DataFrame(schema={**COLUMNS[name], **PLACED}) for name in EVENTS}
    if accepted:
        frames[topic] = pl.concat(accepted).rechunk()
    told = pl.concat(refused) if refused else pl.DataFrame(schema=REFUSED)
    return Events(frames[TopicName.MATCHES], frames[TopicName.ENCOUNTERS], told)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, OSError):
        message = "expected a table of the archive's layout, in Parquet, whole, each column of its type"
        raise InputError(message, place=Place(path)) from None


def _read(stretch: Stretch, columns: Mapping[str, pl.DataType], said: Collection[str]) -> pl.DataFrame:
    """Rows of a file, with the columns asked for and where they stood; a column that is not there is null.

    Raises InputError where a column is null that is `said` in every row, or where and when a row stood.
    """
    asked = {**columns, **PLACED}
    with _readable(stretch.path):
        scanned = pl.scan_parquet(stretch.path)
        there = scanned.collect_schema().names()
        found = (
            scanned.slice(stretch.first, stretch.rows)
            .select(
                (pl.col(name) if name in there else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in asked.items()
            )
            .collect()
        )
    for name in asked:
        if (name in said or name in PLACED) and found[name].null_count():
            raise InputError(f"expected in every row the column `{name}`", place=Place(stretch.path))
    return found


def _found_records(stretch: Stretch) -> pl.DataFrame:
    text = {"key": pl.String()} if stretch.refused else {"value": pl.Binary()}
    frame = _read(stretch, text, {"value"}).with_columns(pl.col("recorded_at").dt.epoch("us"))
    missing = {"value": pl.Binary(), "key": pl.String()}
    frame = frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in missing.items() if name not in text)
    return frame.select("partition", "offset", "recorded_at", "value", "key")
