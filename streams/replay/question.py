"""A question: what a replay is asked, and what follows from it for records, events and rules.

Rules:
1. The range is one of the world: events count by `occurred_at`, from the first instant up to, and without, the last.
2. What was recorded after `known_at`, or at an offset beyond it, does not count, be it a record or an event.
3. `rules_as_of` judges the whole range by the rules that were in force on that day, where they hold; without it each
   event is judged by the rules of its own instant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streams.core.instant import micros, moment_of
from streams.core.rulebook import Rulebook
from streams.errors import ConfigurationError, InputError, Place
from streams.replay.answer import KnownAt
from streams.replay.need import Need

FRONTIER: TypeAdapter[dict[str, dict[int, int]]] = TypeAdapter(dict[str, dict[int, int]])


@dataclass(frozen=True, slots=True)
class Known:
    """Up to where the logs were known: an instant of recording (microseconds), or offsets by topic and partition."""

    instant: int | None = None
    frontier: Mapping[str, Mapping[int, int]] | None = None

    def holds(self, topic: str, partition: int, offset: int, recorded_at: int | None) -> bool:
        """Whether a record was known; of a log that the frontier does not name nothing was."""
        if self.frontier is not None:
            return offset < self.frontier.get(topic, {}).get(partition, 0)
        return self.instant is None or (recorded_at is not None and recorded_at <= self.instant)

    @property
    def everything(self) -> bool:
        """Whether all that there is counts."""
        return self.instant is None and self.frontier is None

    def told(self, moment: datetime | None) -> KnownAt | None:
        """What the answer says of it."""
        if self.everything:
            return None
        ends = self.frontier or {}
        named = {topic: {str(place): end for place, end in each.items()} for topic, each in ends.items()}
        named_or_none = named if self.frontier is not None else None
        return KnownAt(instant=moment, frontier=named_or_none)


@dataclass(frozen=True, slots=True)
class Question:
    """What a replay is asked."""

    since: datetime
    until: datetime
    rulebook: Rulebook
    titles: Mapping[str, tuple[str, str]]
    """By pack its title and standing."""
    known: Known = Known()
    known_at: datetime | None = None
    rules_as_of: date | None = None
    future_seconds: float = 60.0
    skew_seconds: float = 1.0
    command: str = "consentinel replay"

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise ConfigurationError("expected --from before --to")

    @property
    def span(self) -> tuple[int, int]:
        """The range in microseconds, half-open."""
        return micros(self.since), micros(self.until)

    @property
    def recorded_since(self) -> datetime:
        """What was recorded before this happened before the range."""
        return self.since - timedelta(seconds=self.future_seconds)

    @property
    def need(self) -> Need:
        """What the logs must hold for it."""
        until = self.until if self.known.instant is None else min(self.until, moment_of(self.known.instant))
        return Need(self.recorded_since, until, self.known.frontier)


def known_at(text: str | None) -> tuple[Known, datetime | None]:
    """What `--known-at` names: an instant, or a file of offsets; everything without it. Raises where it is neither."""
    if text is None:
        return Known(), None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return Known(frontier=_frontier(Path(text))), None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return Known(instant=micros(moment)), moment


def _frontier(file: Path) -> dict[str, dict[int, int]]:
    try:
        return FRONTIER.validate_python(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, ValidationError):
        message = (
            'expected an instant, or a JSON object of the first offsets that were not known, {"matches": {"0": n}}'
        )
        raise InputError(message, place=Place(str(file))) from None
