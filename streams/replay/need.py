"""What a replay needs of an archive, and what of it the archive was never told to hold.

Rules:
1. All logs that a replay reads are needed, and all their partitions: a log that was empty is on the manifest, and one
   that is not on it may hold anything.
2. Records are needed from the beginning of their logs: what was agreed years ago is in force. Events are needed from
   what was recorded at the first instant that counts.
3. All is needed up to the end of the range, or up to what was known. Records are also needed as far as `registry` goes:
   its heartbeats would vouch for a consent that is not there.
4. What was recorded is in the order of the offsets: what stands before a record was recorded before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.topics import EVENTS, RECORDS, TopicName
from streams.replay.manifest import Hole, Lack, Manifest, Part, Wanted

NEEDED = (*EVENTS, *RECORDS)


@dataclass(frozen=True, slots=True)
class Need:
    """What was recorded from `since` to `until`, or below a frontier of offsets by topic and partition."""

    since: datetime
    until: datetime
    frontier: Mapping[str, Mapping[int, int]] | None = None

    def lacking(self, manifest: Manifest) -> Iterator[Hole]:
        """What is needed and was never asked for; what was asked for and is not there the manifest tells."""
        for topic in NEEDED:
            wanted = {each.partition: each for each in manifest.wanted if each.topic is topic}
            ends = None if self.frontier is None else self.frontier.get(topic, {})
            for partition in range(max([*wanted, *(ends or ())], default=0) + 1):
                end = None if ends is None else ends.get(partition, 0)
                if end == 0:
                    continue
                if partition not in wanted:
                    yield Hole(topic, partition, 0, end, Lack.NOT_ARCHIVED)
                    continue
                yield from self._beyond(wanted[partition], manifest, end)

    def _beyond(self, held: Wanted, manifest: Manifest, end: int | None) -> Iterator[Hole]:
        parts = [part for part in manifest.of(held.topic) if part.partition == held.partition]
        first, after = held.first_offset, held.next_offset
        if first > 0 and not self._begins(held, parts):
            yield Hole(held.topic, held.partition, 0, first if end is None else min(first, end), Lack.NOT_ARCHIVED)
        if (after < end) if end is not None else not self._ends(held, parts, manifest):
            yield Hole(held.topic, held.partition, after, end, Lack.NOT_ARCHIVED)

    def _begins(self, held: Wanted, parts: list[Part]) -> bool:
        """Whether nothing that is needed stands before what is held."""
        if held.topic in RECORDS:
            return False
        said = [held.since, *(part.recorded_from for part in parts)]
        return any(each is not None and each <= self.since for each in said)

    def _ends(self, held: Wanted, parts: list[Part], manifest: Manifest) -> bool:
        """Whether nothing that is needed stands after what is held."""
        span = manifest.span
        if span is not None and self.until <= span.until:
            return True
        last = [self.until]
        if held.topic in RECORDS:
            registry = [part.recorded_until for part in manifest.of(TopicName.REGISTRY)]
            last += [each for each in registry if each is not None]
        said = [held.until, *(part.recorded_until for part in parts)]
        return any(each is not None and each >= max(last) for each in said)
