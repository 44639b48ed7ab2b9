"""A range of the Kafka logs as a source: moved to an archive beside the answer, and replayed from there.

Rules:
1. The archive notes for which range it was fetched, and serves no other: where the ends of its logs are says nothing of
   a log that was empty.
2. What is there already is of an interrupted replay: its ends stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from schemas.topics import TopicName
from streams.errors import ConfigurationError, Place
from streams.live.log_reader import LogReader
from streams.progress import progress
from streams.replay.answer import Hole, Source
from streams.replay.archive import Archive, fill, opened
from streams.replay.log_range import Asked, ranges_of
from streams.replay.manifest import Span, read_manifest
from streams.replay.need import NEEDED
from streams.replay.parquet_source import ParquetSource
from streams.replay.question import Question
from streams.replay.source import FoundRecord, Piece, Stamp
from streams.settings import Settings


class KafkaSource:
    """The logs on the broker of the settings, from a while before the range up to their ends of now."""

    dated = True
    files: Sequence[Stamp] = ()

    def __init__(self, settings: Settings, question: Question, folder: Path, *, allow_holes: bool) -> None:
        """Fetch what is not in the archive yet.

        Raises DeliveryError where no broker answers, and ConfigurationError where the archive is one of another range.
        """
        span = Span(since=question.recorded_since, until=question.until)
        with opened(folder, settings.prefix) as archive:
            if not archive.manifest.wanted:
                asked = Asked(since=question.recorded_since)
                archive.want(ranges_of(settings.brokers, settings.prefix, NEEDED, asked), span)
            if archive.manifest.span != span:
                message = "expected no archive, or one of this range: name another --out, or take this one away"
                raise ConfigurationError(message, place=Place(str(folder)))
            self._fetch(settings, archive)
        self._archive = ParquetSource(str(folder), question.need, allow_holes=allow_holes)
        self.holes: tuple[Hole, ...] = self._archive.holes
        self._prefix = settings.prefix
        self._folder = folder

    @staticmethod
    def _fetch(settings: Settings, archive: Archive) -> None:
        spans: dict[TopicName, dict[int, tuple[int, int]]] = {}
        for each in archive.manifest.wanted:
            spans.setdefault(each.topic, {})[each.partition] = (each.first_offset, each.next_offset)
        fill(
            archive,
            ranges_of(settings.brokers, settings.prefix, spans, Asked(offsets=spans)),
            lambda topic, start: LogReader(settings.topic(topic), brokers=settings.brokers, start_at=start),
            partial(progress, "fetching", "offsets"),
            archive.manifest.span,
        )

    @property
    def told(self) -> Source:
        """What the answer says of it."""
        manifest = read_manifest(self._folder)
        frontier: dict[str, dict[str, int]] = {}
        for each in manifest.wanted:
            frontier.setdefault(each.topic.value, {})[str(each.partition)] = each.next_offset
        names = ", ".join(f"{self._prefix}{topic}" for topic in frontier)
        return Source(kind="kafka", location=names, manifest_digest=manifest.digest(), frontier=frontier)

    @property
    def rows(self) -> int | None:
        """How many events there are."""
        return self._archive.rows

    def records(self) -> Iterator[FoundRecord]:
        """Every record of law."""
        return self._archive.records()

    def pieces(self) -> Iterator[Piece]:
        """The events, a piece at a time."""
        return self._archive.pieces()
