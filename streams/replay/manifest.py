"""The manifest of an archive: which offsets of which logs it was told to hold, which it holds, and in which files.

Rules:
1. A part covers a half-open range of offsets of one partition, every offset of it: a row, a refusal, or one that the
   broker needed for itself. Parts of a partition never overlap, so an offset is in at most one.
2. What was asked for and is in no sound part is a hole. A hole is told, never guessed over. A partition of which
   nothing was asked for stands here too, so that it is known to be there.
3. A part is sound where its files are there and have the digest that is written here.
4. No clock time of the archiving stands here: the same range of the same logs makes the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.contract import Digest, UtcTime
from schemas.topics import TopicName
from streams.errors import InputError, Place
from streams.replay.whole_file import digest_of, write_whole

MANIFEST = "manifest.json"
HOLES_SHOWN = 5

Offset = Annotated[int, Field(ge=0)]
BareTopic = Annotated[TopicName, Field(strict=False)]


class Stored(BaseModel):
    """What is written to a manifest: closed, frozen, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Table(Stored):
    """One Parquet file: its path below the archive, how many rows it has, and what it must digest to."""

    path: Annotated[str, Field(pattern=r"^[a-z]+(/[a-z0-9=-]+)+\.parquet$")]
    rows: Annotated[int, Field(ge=1)]
    size_bytes: Annotated[int, Field(ge=1)]
    sha256: Digest


class Part(Stored):
    """The offsets `[first_offset, next_offset)` of a partition, with what they say; all recorded on one day, UTC."""

    topic: BareTopic
    partition: Offset
    first_offset: Offset
    next_offset: Offset
    recorded_from: UtcTime | None = None
    """The earliest and the latest append time of its records; absent where it has none."""
    recorded_until: UtcTime | None = None
    accepted: Table | None = None
    """Messages of the contract, a row each; absent where it has none."""
    refused: Table | None = None
    """What is no message of the contract: place, reason and digest; absent where there is none."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its files."""
        return tuple(table for table in (self.accepted, self.refused) if table is not None)


class Stretch(Stored):
    """The offsets `[first_offset, next_offset)` of a partition."""

    topic: BareTopic
    partition: Offset
    first_offset: Offset
    next_offset: Offset


class Wanted(Stretch):
    """What the archive was told to hold of a partition; where both offsets are one, there was nothing to hold."""

    since: UtcTime | None = None
    """What was recorded from then on is asked for, up to the end; absent where nobody named an instant."""
    until: UtcTime | None = None
    """What was recorded before it is asked for, from the beginning on; of a log that was asked for to its end, the last
    instant that is recorded in any of the logs that were asked for with it."""


class Span(Stored):
    """The range of a replay for which all logs were fetched at once, as far as they went."""

    since: UtcTime
    """What was recorded from then on."""
    until: UtcTime


class Lack(StrEnum):
    """Why offsets cannot be replayed."""

    NOT_ARCHIVED = "not_archived"
    EXPIRED = "expired"
    FILE_MISSING = "file_missing"
    DIGEST_DIFFERS = "digest_differs"


class Expired(Stretch):
    """Offsets that the broker no longer held when they were asked for."""


class Hole(NamedTuple):
    """The offsets `[first_offset, next_offset)` of a partition that cannot be replayed, and why."""

    topic: TopicName
    partition: int
    first_offset: int
    next_offset: int | None
    """None where nobody knows up to where the log goes."""
    lack: Lack

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}: {offsets_text(self.first_offset, self.next_offset)}: {self.lack}"


def offsets_text(first: int, after: int | None) -> str:
    """The offsets `[first, after)` in words."""
    return f"offset {first} and on" if after is None else f"offsets {first} to {after - 1}"


class Manifest(Stored):
    """What an archive holds; lists are sorted by topic, partition and offset."""

    format: Literal[1] = 1
    prefix: str
    """What stood before the names of the topics on the broker."""
    wanted: Annotated[tuple[Wanted, ...], Field(strict=False)] = ()
    span: Span | None = None
    """Absent of an archive that was made for no one replay."""
    expired: Annotated[tuple[Expired, ...], Field(strict=False)] = ()
    parts: Annotated[tuple[Part, ...], Field(strict=False)] = ()

    def to_json(self) -> bytes:
        """The bytes of the file: the same manifest gives the same ones."""
        return self.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"

    def digest(self) -> str:
        """SHA-256 of the whole archive, since the manifest digests every part of it."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def of(self, topic: TopicName) -> Iterator[Part]:
        """The parts of one log, in the order of partitions and offsets."""
        return (part for part in self.parts if part.topic == topic)

    def holes(self, unsound: Iterable[Hole] = (), topics: Collection[TopicName] = tuple(TopicName)) -> list[Hole]:
        """What was asked for and is in no part, and the parts that are `unsound`; of the logs in `topics`."""
        found = [hole for hole in unsound if hole.topic in topics]
        for each in self.wanted:
            if each.topic not in topics:
                continue
            parts = [part for part in self.of(each.topic) if part.partition == each.partition]
            gaps = missing(each.first_offset, each.next_offset, parts)
            lost = [one for one in self.expired if (one.topic, one.partition) == (each.topic, each.partition)]
            for first, after in gaps:
                found += [Hole(each.topic, each.partition, *span) for span in _why(first, after, lost)]
        return sorted(found)


def _why(first: int, after: int, lost: Sequence[Expired]) -> Iterator[tuple[int, int, Lack]]:
    """A gap, cut into what the broker had lost and what was not fetched yet."""
    gone = [(max(first, each.first_offset), min(after, each.next_offset)) for each in lost]
    for left, right in sorted(span for span in gone if span[0] < span[1]):
        if first < left:
            yield first, left, Lack.NOT_ARCHIVED
        if first < right:
            yield max(first, left), right, Lack.EXPIRED
            first = right
    if first < after:
        yield first, after, Lack.NOT_ARCHIVED


def missing(first: int, after: int, held: Iterable[Part]) -> list[tuple[int, int]]:
    """The ranges of `[first, after)` that no part of one partition covers, in order."""
    gaps = []
    for part in sorted(held, key=lambda each: each.first_offset):
        if first < min(part.first_offset, after):
            gaps.append((first, min(part.first_offset, after)))
        first = max(first, part.next_offset)
    if first < after:
        gaps.append((first, after))
    return gaps


# -- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """An archive that was looked through: the parts that may be read, and the holes, which are not replayable."""

    manifest: Manifest
    parts: tuple[Part, ...]
    holes: tuple[Hole, ...]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an archive on disk; raises InputError where there is none, or one of another format."""
    place = Place(str(folder / MANIFEST))
    try:
        return manifest_of((folder / MANIFEST).read_bytes(), place)
    except OSError:
        raise InputError("expected the manifest of an archive", place=place) from None


def manifest_of(text: bytes, place: Place) -> Manifest:
    """The manifest that a file holds, wherever it lies; raises InputError where it is none."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(
            f"expected the manifest of an archive, format 1; {where}: {first['msg']}", place=place
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest on disk: at any instant there is the old one or the new one, whole."""
    write_whole(folder / MANIFEST, manifest.to_json())


def unsound(folder: Path, parts: Iterable[Part]) -> Iterator[Hole]:
    """The parts whose files are missing or are not those that were written; reads every file whole."""
    for part in parts:
        for table in part.tables:
            lack = _lack(folder / table.path, table)
            if lack is not None:
                yield Hole(part.topic, part.partition, part.first_offset, part.next_offset, lack)
                break


def _lack(path: Path, table: Table) -> Lack | None:
    if not path.is_file():
        return Lack.FILE_MISSING
    if path.stat().st_size != table.size_bytes or digest_of(path) != table.sha256:
        return Lack.DIGEST_DIFFERS
    return None


def sound(
    manifest: Manifest,
    broken: Collection[Hole],
    place: Place,
    *,
    topics: Collection[TopicName] = tuple(TopicName),
    lacking: Iterable[Hole] = (),
    allow_holes: bool = False,
) -> Sound:
    """What may be read of the archive of some logs, whose parts that cannot be read are `broken`.

    Raises InputError where a hole is in it, or where it is `lacking` what was never asked for, unless `allow_holes`;
    then the holes are in the answer, and what lies in them must be called not replayable.
    """
    parts = [part for part in manifest.parts if part.topic in topics]
    holes = sorted([*manifest.holes(broken, topics), *lacking], key=lambda hole: hole[:3])
    if holes and not allow_holes:
        raise InputError(_refusal(holes), place=place)
    torn = {(hole.topic, hole.partition, hole.first_offset) for hole in broken}
    whole = tuple(part for part in parts if (part.topic, part.partition, part.first_offset) not in torn)
    return Sound(manifest, whole, tuple(holes))


def _refusal(holes: Sequence[Hole]) -> str:
    shown = "\n".join(f"  {hole}" for hole in holes[:HOLES_SHOWN])
    more = f"\n  and {len(holes) - HOLES_SHOWN} more" if len(holes) > HOLES_SHOWN else ""
    return f"expected an archive without holes (--allow-holes reads it and calls them not replayable)\n{shown}{more}"
