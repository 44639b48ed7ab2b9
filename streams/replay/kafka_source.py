"""A range of the Kafka logs as a source: moved to an archive beside the answer, and replayed from there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from schemas.topics import TopicName
from streams.live.log_reader import LogReader
from streams.progress import progress
from streams.replay.answer import Hole, Source
from streams.replay.archive import fill, opened
from streams.replay.log_range import Asked, ranges_of
from streams.replay.parquet_source import ParquetSource
from streams.replay.question import Question
from streams.replay.source import FoundRecord, Piece
from streams.settings import Settings

TOPICS = (TopicName.MATCHES, TopicName.ENCOUNTERS, TopicName.SUBJECTS, TopicName.REGISTRY)


class KafkaSource:
    """The logs on the broker of the settings, from a while before the range up to their ends of now."""

    dated = True

    def __init__(self, settings: Settings, question: Question, folder: Path, *, allow_holes: bool) -> None:
        """Fetch what is not in the archive yet; raises DeliveryError where no broker answers.

        An archive that is there already is of an interrupted replay: its range stays as it was.
        """
        if not folder.exists():
            ranges = ranges_of(settings.brokers, settings.prefix, TOPICS, Asked(since=question.recorded_since))
            with opened(folder, settings.prefix) as archive:
                archive.want(ranges)
        self._fetch(settings, folder)
        self._archive = ParquetSource(str(folder), allow_holes=allow_holes, since=question.recorded_since)
        self.holes: tuple[Hole, ...] = self._archive.holes
        self._prefix = settings.prefix
        self._folder = folder

    @staticmethod
    def _fetch(settings: Settings, folder: Path) -> None:
        with opened(folder, settings.prefix) as archive:
            spans: dict[TopicName, dict[int, tuple[int, int]]] = {}
            for each in archive.manifest.wanted:
                spans.setdefault(each.topic, {})[each.partition] = (each.first_offset, each.next_offset)
            if spans:
                ranges = ranges_of(settings.brokers, settings.prefix, spans, Asked(offsets=spans))
                fill(
                    archive,
                    ranges,
                    lambda topic, start: LogReader(settings.topic(topic), brokers=settings.brokers, start_at=start),
                    partial(progress, "fetching", "offsets"),
                )

    @property
    def told(self) -> Source:
        """What the answer says of it."""
        from streams.replay.manifest import read_manifest

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
