"""What stays the same while a worker lives."""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.rulebook import Rulebook
from streams.live.topic_names import TopicNames


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """By which rules which topics are judged, and at what pace; `partitions` is the count of `matches`.

    An event more than `future_seconds` ahead of its append time is rejected; a case can be corrected for
    `memory_seconds` after its event was recorded, as far as `memory_bytes` reach; `held_bytes` bound what is kept back.
    """

    rulebook: Rulebook
    names: TopicNames
    partitions: int
    hold_seconds: float
    commit_seconds: float
    future_seconds: float
    memory_seconds: float
    memory_bytes: int
    held_bytes: int
