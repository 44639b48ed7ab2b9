"""What stays the same while a worker lives."""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.rulebook import Rulebook
from streams.live.topic_names import TopicNames


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """By which rules which topics are judged, and at what pace; `partitions` is the count of `matches`."""

    rulebook: Rulebook
    names: TopicNames
    partitions: int
    hold_seconds: float
    commit_seconds: float
