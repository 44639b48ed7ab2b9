"""Which offsets of the logs lie between two instants, or are named, as the broker has them now.

Rules:
1. An instant is one of recording, by the broker's clock: the first offset that was recorded at or after it.
2. Records of law are asked for from their beginning, whatever the first instant: a month's events rest on all of them.
3. A log that gives nothing for long is told, and not waited for for ever.
4. The end that is not named is the last stable offset of this moment: what an open transaction hides is not there yet.
5. The end of `registry` is asked first. Its heartbeats say up to when other records are complete: one that is written
   while the ends are asked would vouch for a consent that came with it and is not fetched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from schemas.topics import RECORDS, TopicName
from streams.core.instant import micros
from streams.errors import ConfigurationError, DeliveryError, InputError, Place
from streams.live.log_reader import LogReader

ANSWER_MS = 20_000


class Range(NamedTuple):
    """The offsets `[first, after)` of a partition that are asked for, and those that the log holds, `[begin, end)`."""

    topic: TopicName
    partition: int
    first: int
    after: int
    log_begin: int
    log_end: int
    since: datetime | None = None
    """What was recorded from then on; None where nobody named an instant."""
    until: datetime | None = None
    """What was recorded before it; None where nobody named an instant."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks of the logs: two instants of recording, or offsets by topic and partition."""

    since: datetime | None = None
    until: datetime | None = None
    offsets: Mapping[TopicName, Mapping[int, tuple[int, int]]] | None = None


OFFSETS: TypeAdapter[dict[TopicName, dict[int, tuple[int, int]]]] = TypeAdapter(
    dict[TopicName, dict[int, tuple[int, int]]]
)


def offsets_in(file: Path) -> dict[TopicName, dict[int, tuple[int, int]]]:
    """The offsets a file names: `{"matches": {"0": [first, next]}}`; raises InputError where it says something else."""
    try:
        named = OFFSETS.validate_python(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        named = {}
    spans = [span for partitions in named.values() for span in partitions.values()]
    if not spans or any(not 0 <= first <= after for first, after in spans):
        message = 'expected a JSON object of offsets, {"matches": {"0": [first, next]}}'
        raise InputError(message, place=Place(str(file)))
    return named


def ranges_of(brokers: Collection[str], prefix: str, topics: Iterable[TopicName], asked: Asked) -> list[Range]:
    """The ranges that are asked for, a partition each; a topic that is not there has none.

    Raises DeliveryError where no broker answers, and ConfigurationError where an offset is asked for that is not there
    yet.
    """
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    consumer: Any = None
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=list(brokers),
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            bootstrap_timeout_ms=ANSWER_MS,
            request_timeout_ms=ANSWER_MS,
        )
        there = consumer.topics()
        return [
            found
            for topic in sorted(topics, key=lambda each: each is not TopicName.REGISTRY)
            if f"{prefix}{topic}" in there
            for found in _ranges(consumer, f"{prefix}{topic}", topic, asked)
        ]
    except KafkaError as error:
        message = f"the broker did not answer as expected ({type(error).__name__})"
        raise DeliveryError(message, place=Place(", ".join(brokers))) from error
    finally:
        if consumer is not None:
            consumer.close()


def _ranges(consumer: Any, name: str, topic: TopicName, asked: Asked) -> list[Range]:
    from kafka import TopicPartition

    tps = [TopicPartition(name, each) for each in sorted(consumer.partitions_for_topic(name) or ())]
    begins, ends = consumer.beginning_offsets(tps), consumer.end_offsets(tps)
    since = begins if asked.since is None else _at(consumer, ends, asked.since)
    until = ends if asked.until is None else _at(consumer, ends, asked.until)
    found = []
    for tp in tps:
        first = 0 if topic in RECORDS else since[tp]
        span = (min(first, until[tp]), until[tp])
        each = Range(topic, tp.partition, *span, begins[tp], ends[tp], asked.since, asked.until)
        found.append(each if asked.offsets is None else _named(each, asked.offsets.get(topic, {})))
    return found


def _named(there: Range, offsets: Mapping[int, tuple[int, int]]) -> Range:
    """The offsets that are named of a partition; of one that is not named, none."""
    first, after = offsets.get(there.partition, (there.log_end, there.log_end))
    if after > there.log_end:
        message = f"offsets up to {after} are asked for, and the log ends at {there.log_end}"
        raise ConfigurationError(message, place=Place(f"{there.topic}/{there.partition}"))
    return there._replace(first=first, after=after, since=None, until=None)


def _at(consumer: Any, ends: Mapping[Any, int], moment: datetime) -> Mapping[Any, int]:
    """The first offset of each partition that was recorded at or after a moment; its end, where there is none."""
    millis = -(-micros(moment) // 1_000)
    found = consumer.offsets_for_times(dict.fromkeys(ends, millis))
    told = {tp: at.offset for tp, at in found.items() if at is not None}
    return {tp: min(told.get(tp, end), end) for tp, end in ends.items()}


PATIENCE_SECONDS = 30.0
"""A broker that is there gives something in a second; one that elects a leader needs some."""


class Patience:
    """How long a reader may come no further, before that is an error: a command is not to wait for ever."""

    def __init__(self, reader: LogReader, clock: Callable[[], float] = monotonic) -> None:
        self._reader, self._clock = reader, clock
        self._stood, self._since = dict(reader.frontier), clock()

    def check(self) -> None:
        """Raise DeliveryError where nothing has come for `PATIENCE_SECONDS`."""
        now, stands = self._clock(), self._reader.frontier
        if stands != self._stood:
            self._stood, self._since = dict(stands), now
        elif now - self._since > PATIENCE_SECONDS:
            message = f"the broker has given nothing for {PATIENCE_SECONDS:g} s; the same command goes on where it was"
            raise DeliveryError(message, place=Place(self._reader.topic))
