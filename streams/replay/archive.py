"""The archive: ranges of the logs as Parquet, each offset exactly once, with a manifest that says what is held.

Rules:
1. A part is written whole, flushed to the disk, and only then named and put on the manifest. What a killed run wrote
   beyond its manifest is written again, byte for byte: where a part ends depends on the log alone.
2. What is held of a partition is one range. A run extends it, and fetches whatever of it is not there; records of law
   are held from their beginning, since they are the state.
3. The logs are read as a worker reads them: only what is committed, with checksums, and with the broker's own offsets
   passed over. A log that is shorter than what is held is not the log that was archived.
4. Nothing is written to a topic, and one archive is written by one process at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path

import polars as pl

from schemas.topics import TopicName
from streams.core.instant import moment_of
from streams.errors import ConfigurationError, InputError, LogError, Place
from streams.live.log_reader import LogReader
from streams.live.run import LogRecord
from streams.replay.log_range import Patience, Range
from streams.replay.manifest import (
    MANIFEST,
    Expired,
    Manifest,
    Part,
    Span,
    Stretch,
    Table,
    Wanted,
    missing,
    read_manifest,
    unsound,
    write_manifest,
)
from streams.replay.part import Cut, tables_of
from streams.replay.whole_file import digest_of, put_in_place, to_disk

DAY_MILLIS = 24 * 3600 * 1000
PART_OFFSETS = 131_072
"""A part ends before an offset that is a multiple of it, wherever it began."""
PART_BYTES = 64 * 1024 * 1024
"""A part ends before its values become larger than this, so that the memory is bounded whatever producers send."""
COMMIT_SHARE = 32
"""The manifest is written when the new parts are more than such a share of it: writing it costs what it is long."""
LOOK_SECONDS = 0.05
LOCK = ".lock"


Bar = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""What shows how far one is: told how many offsets there are, it gives what is to be told how many more are done."""


@contextmanager
def silent(_whole: int) -> Iterator[Callable[[int], None]]:
    """Shows nothing."""
    yield lambda _: None


@dataclass(slots=True)
class Tail:
    """The records of a partition that are not in a part yet; cuts them, `[first, ...)` and on."""

    topic: TopicName
    partition: int
    first: int
    end: int
    """The first offset that is not asked for."""
    part_offsets: int
    _records: list[LogRecord] = field(default_factory=list)
    _bytes: int = 0

    def take(self, records: Sequence[LogRecord]) -> Iterator[Cut]:
        """Add the next records of the partition; yields each cut that is complete."""
        for record in records:
            if record.offset >= self.end:
                break
            size = len(record.value or b"")
            if self._records and self._ends_before(record, size):
                yield self._cut(record.offset)
            self._records.append(record)
            self._bytes += size

    def finish(self) -> Cut:
        """The last cut, up to the end of what was asked for; it may hold no record."""
        return self._cut(self.end)

    def _ends_before(self, record: LogRecord, size: int) -> bool:
        last = self._records[-1]
        return (
            record.offset // self.part_offsets != last.offset // self.part_offsets
            or record.timestamp // DAY_MILLIS != last.timestamp // DAY_MILLIS
            or self._bytes + size > PART_BYTES
        )

    def _cut(self, next_offset: int) -> Cut:
        cut = Cut(self.topic, self.partition, self.first, next_offset, self._records)
        self.first, self._records, self._bytes = next_offset, [], 0
        return cut


class Archive:
    """The archive in a folder, for one writer; `manifest` is what it holds now."""

    def __init__(self, folder: Path, prefix: str, *, part_offsets: int = PART_OFFSETS) -> None:
        """Open or begin an archive; raises InputError where the folder holds one of another prefix, or none at all."""
        self.folder = folder
        self.part_offsets = part_offsets
        self.manifest = self._opened(prefix)
        self._fresh: list[Part] = []

    def _opened(self, prefix: str) -> Manifest:
        if not (self.folder / MANIFEST).exists():
            if any(each.name != LOCK for each in self.folder.iterdir()):
                raise InputError("expected an archive or an empty folder", place=Place(str(self.folder)))
            return Manifest(prefix=prefix)
        manifest = read_manifest(self.folder)
        if manifest.prefix != prefix:
            message = f"expected an archive of the topics {prefix}*, found one of {manifest.prefix}*"
            raise InputError(message, place=Place(str(self.folder / MANIFEST)))
        return manifest

    def forget_unsound(self) -> int:
        """Take the parts off the manifest whose files are missing or altered, so that they are fetched again."""
        torn = {(each.topic, each.partition, each.first_offset) for each in unsound(self.folder, self.manifest.parts)}
        kept = [each for each in self.manifest.parts if (each.topic, each.partition, each.first_offset) not in torn]
        self._replace(parts=tuple(kept))
        return len(torn)

    def want(self, ranges: Iterable[Range], span: Span | None = None) -> dict[TopicName, list[tuple[int, int, int]]]:
        """Note what is asked for, together with what was asked before; what of it is to be fetched, by topic.

        The ranges to fetch are partition, first and next offset; `span` is that of the replay for which all is fetched.
        Raises LogError where a log is shorter than what is held of it.
        """
        wanted = {(each.topic, each.partition): each for each in self.manifest.wanted}
        expired = list(self.manifest.expired)
        fetch: dict[TopicName, list[tuple[int, int, int]]] = {}
        for each in ranges:
            place = (each.topic, each.partition)
            before = wanted.get(place)
            if before is not None and before.next_offset > each.log_end:
                message = f"the log ends at {each.log_end}, and offsets up to {before.next_offset} are archived"
                raise LogError(message, place=Place(f"{each.topic}/{each.partition}"))
            wanted[place] = whole = _together(each, before)
            first, after = whole.first_offset, whole.next_offset
            for left, right in missing(first, after, self._held(*place)):
                begin = min(max(left, each.log_begin), right)
                if left < begin:
                    lost = Expired(topic=each.topic, partition=each.partition, first_offset=left, next_offset=begin)
                    expired.append(lost)
                if begin < right:
                    fetch.setdefault(each.topic, []).append((each.partition, begin, right))
        self._replace(wanted=tuple(sorted(wanted.values(), key=_order)), expired=_merged(expired), span=span)
        return fetch

    def reach(self, ranges: Iterable[Range]) -> None:
        """Note which logs are held to the ends that all had at once: up to the last instant recorded in any of them."""
        ends = {(each.topic, each.partition): each.log_end for each in ranges}
        topics = {topic for topic, _ in ends}
        last = [part.recorded_until for part in self.manifest.parts if part.topic in topics and part.recorded_until]
        if last and self.manifest.span is None:
            self._replace(
                wanted=tuple(
                    _until(each, max(last)) if ends.get((each.topic, each.partition)) == each.next_offset else each
                    for each in self.manifest.wanted
                )
            )

    def _held(self, topic: TopicName, partition: int) -> list[Part]:
        return [part for part in self.manifest.of(topic) if part.partition == partition]

    def add(self, cut: Cut) -> None:
        """Put a cut into the archive as a part; on the manifest with one of the next commits."""
        tables = tables_of(cut)
        stamps = pl.concat([tables.accepted["recorded_at"], tables.refused["recorded_at"]]).dt.epoch("us")
        days = {record.timestamp // DAY_MILLIS for record in cut.records}
        assert len(days) <= 1, "a cut ends at midnight"
        day = "".join(moment_of(each * DAY_MILLIS * 1_000).date().isoformat() for each in days)
        path = f"{cut.topic}/day={day}/part-{cut.partition}-{cut.first_offset}.parquet"
        part = Part(
            topic=cut.topic,
            partition=cut.partition,
            first_offset=cut.first_offset,
            next_offset=cut.next_offset,
            recorded_from=None if stamps.is_empty() else moment_of(int(stamps.min())),  # type: ignore[arg-type]
            recorded_until=None if stamps.is_empty() else moment_of(int(stamps.max())),  # type: ignore[arg-type]
            accepted=self._write(path, tables.accepted),
            refused=self._write(f"refused/{path}", tables.refused),
        )
        self._fresh.append(part)
        if len(self._fresh) * COMMIT_SHARE > len(self.manifest.parts):
            self.commit()

    def _write(self, path: str, table: pl.DataFrame) -> Table | None:
        if table.is_empty():
            return None
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = file.with_name(f".{file.name}.tmp")
        table.write_parquet(kept, compression="zstd", statistics=True)
        to_disk(kept)
        told = Table(path=path, rows=table.height, size_bytes=kept.stat().st_size, sha256=digest_of(kept))
        put_in_place(kept, file)
        return told

    def commit(self) -> None:
        """Put the parts that are on the disk onto the manifest."""
        self._replace(parts=tuple(sorted((*self.manifest.parts, *self._fresh), key=_order)))
        self._fresh = []

    def _replace(self, **changes: object) -> None:
        self.manifest = self.manifest.model_copy(update=changes)
        write_manifest(self.folder, self.manifest)


def _together(asked: Range, before: Wanted | None) -> Wanted:
    """What is asked for of a partition and what was asked for before, with what lies between."""
    now = Wanted(
        topic=asked.topic,
        partition=asked.partition,
        first_offset=asked.first,
        next_offset=asked.after,
        since=asked.since,
        until=asked.until,
    )
    if before is None or (before.first_offset == before.next_offset != asked.first):
        return now
    if asked.first == asked.after != before.next_offset:
        return before
    begins = [each for each in (now.since, before.since) if each is not None]
    whole = before.model_copy(
        update={
            "first_offset": min(now.first_offset, before.first_offset),
            "next_offset": max(now.next_offset, before.next_offset),
            "since": min(begins, default=None),
        }
    )
    return whole if now.until is None else _until(whole, now.until)


def _until(held: Wanted, moment: datetime) -> Wanted:
    return held.model_copy(update={"until": moment if held.until is None else max(held.until, moment)})


def _order(each: Stretch | Part) -> tuple[str, int, int]:
    return each.topic, each.partition, each.first_offset


def _merged(lost: Sequence[Expired]) -> tuple[Expired, ...]:
    """What has expired, without the ranges that an earlier run told already."""
    found: dict[tuple[str, int, int], Expired] = {}
    for each in lost:
        known = found.get(_order(each))
        if known is None or known.next_offset < each.next_offset:
            found[_order(each)] = each
    return tuple(found[place] for place in sorted(found))


@contextmanager
def opened(folder: Path, prefix: str, *, part_offsets: int = PART_OFFSETS) -> Iterator[Archive]:
    """The archive in a folder, made where it is not there, and locked against a second writer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=Place(str(folder))) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError("another process writes to this archive", place=Place(str(folder))) from None
        archive = Archive(folder, prefix, part_offsets=part_offsets)
        for torn in folder.rglob(".*.tmp"):
            torn.unlink()
        yield archive


def fill(
    archive: Archive,
    ranges: Sequence[Range],
    new_reader: Callable[[TopicName, Mapping[int, int]], LogReader],
    bar: Bar = silent,
    span: Span | None = None,
) -> int:
    """Fetch what of `ranges` is not in the archive; returns how many offsets that were.

    `new_reader` makes the reader of a whole log that starts at the offsets it is given, by partition; `bar` is told how
    many offsets there are, and then how many are done; `span` is that of the replay it is done for. Raises
    DeliveryError where the broker has gone away; what came before is kept.
    """
    ends = {(each.topic, each.partition): each.log_end for each in ranges}
    wanted = archive.want(ranges, span)
    whole = sum(after - first for gaps in wanted.values() for _, first, after in gaps)
    with bar(whole) as advance:
        try:
            for topic, gaps in wanted.items():
                for round_ in _rounds(gaps):
                    start = {partition: end for (name, partition), end in ends.items() if name is topic}
                    start |= {partition: first for partition, first, _ in round_}
                    tails = {
                        partition: Tail(topic, partition, first, after, archive.part_offsets)
                        for partition, first, after in round_
                    }
                    asyncio.run(_read(archive, new_reader(topic, start), tails, advance))
        finally:
            archive.commit()
    archive.reach(ranges)
    return whole


def _rounds(gaps: Sequence[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """The gaps so that each round has at most one of a partition: a reader stands at one place of each."""
    rounds: list[list[tuple[int, int, int]]] = []
    for gap in gaps:
        free = next((each for each in rounds if gap[0] not in {partition for partition, _, _ in each}), None)
        if free is None:
            rounds.append([gap])
        else:
            free.append(gap)
    return rounds


async def _read(
    archive: Archive, reader: LogReader, tails: Mapping[int, Tail], advance: Callable[[int], None]
) -> None:
    """Read until every partition has come to the end of what is asked of it."""

    def add(cut: Cut) -> None:
        archive.add(cut)
        advance(cut.next_offset - cut.first_offset)

    def apply(_topic: str, partition: int, records: Sequence[LogRecord]) -> None:
        if partition in tails:
            for cut in tails[partition].take(records):
                add(cut)

    reading = asyncio.ensure_future(reader.run(apply))
    left, patience = dict(tails), Patience(reader)
    try:
        while left and not reading.done():
            await asyncio.wait({reading}, timeout=LOOK_SECONDS)
            for partition in [each for each, tail in left.items() if reader.frontier[each] >= tail.end]:
                add(left.pop(partition).finish())
            patience.check()
    finally:
        await reader.stop()
        await reading


def summary(manifest: Manifest) -> Iterator[tuple[TopicName, int, int, int]]:
    """Of each log that is held: parts, accepted rows and refused rows."""
    for topic in TopicName:
        parts = list(manifest.of(topic))
        tables = list(chain.from_iterable(part.tables for part in parts))
        if parts:
            refused = sum(part.refused.rows for part in parts if part.refused)
            yield topic, len(parts), sum(table.rows for table in tables) - refused, refused
