"""The sources of records: each sends a heartbeat that says up to when it is complete, until the day it dies.

Rules:
1. A heartbeat promises that every record with an earlier `valid_from` is on the log; the simulation keeps that promise.
2. A dead source has said one last thing, long ago, and is never heard again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.registry import REGISTRY_KINDS, FeedRecord
from schemas.vocabulary import RegistryKind, SubjectKind

SUBJECT_KINDS: tuple[SubjectKind, ...] = (
    "consent_given",
    "consent_withdrawn",
    "enrolment",
    "erasure_request",
    "deletion",
    "restriction",
)
MAX_LAG_SECONDS = 60
FRIDAY = 4
CLOSING_HOUR_UTC = 10
"""Six in the evening in Beijing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of records; `died_at` is the last instant up to which it was complete, if it is dead."""

    feed_id: str
    controller_id: str | None
    covers: tuple[SubjectKind | RegistryKind, ...]
    max_lag_seconds: int = MAX_LAG_SECONDS
    died_at: datetime | None = None

    def heartbeat(self, complete_until: datetime, said_at: datetime, number: int) -> FeedRecord:
        """What the source says at `said_at`, for the `number`-th time."""
        return FeedRecord(
            record_id=f"r-{self.feed_id}-{number}",
            id=self.feed_id,
            controller_id=self.controller_id,
            valid_from=said_at,
            covers=self.covers,
            complete_until=complete_until,
            max_lag_seconds=self.max_lag_seconds,
        )

    def last_words(self) -> FeedRecord:
        """What a dead source said last."""
        assert self.died_at is not None, "only the dead have last words"
        return self.heartbeat(self.died_at, self.died_at, 0)


def registry_source() -> Source:
    """The source of the records of every kind about every controller, its own heartbeats apart."""
    kinds = tuple(kind for kind in REGISTRY_KINDS if kind != "feed")
    return Source(feed_id="fe-registry", controller_id=None, covers=kinds)


def subject_source(controller_id: str) -> Source:
    """The source of all subject records of one controller."""
    return Source(feed_id=f"fe-{controller_id}", controller_id=controller_id, covers=SUBJECT_KINDS)


def friday_evening_before(moment: datetime) -> datetime:
    """The latest Friday, six in the evening in Beijing, that lies at least a quarter of a day before `moment`."""
    latest = moment - timedelta(hours=6)
    evening = latest.replace(hour=CLOSING_HOUR_UTC, minute=0, second=0, microsecond=0)
    evening -= timedelta(days=(evening.weekday() - FRIDAY) % 7)
    return evening if evening <= latest else evening - timedelta(days=7)
