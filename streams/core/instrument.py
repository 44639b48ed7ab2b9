"""A legal instrument in time: every version of an exception or authority, each from when it was recorded.

Rules:
1. A version acts from its own `valid_from`, but never before it was recorded, up to its end or until a higher version
   of the same record was recorded, whichever is first: a correction cannot reach back either.
2. The order in which versions are read changes nothing, and a version read twice counts as recorded when it first was.
3. Of several that act at an instant the one that began last stands, at equal instants the record that sorts last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from schemas.registry import RegistryRecord
from streams.core.timeline import Statement


class Version(NamedTuple):
    """One version of a record, and when it was recorded."""

    statement: Statement[RegistryRecord]
    recorded_at: int


class Acting(NamedTuple):
    """From and until when a version acts; half-open."""

    since: int
    record_id: str
    until: int
    statement: Statement[RegistryRecord]


class Instrument:
    """All versions of all records about one instrument."""

    __slots__ = ("_versions",)

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int], Version] = {}

    def add(self, statement: Statement[RegistryRecord], recorded_at: int) -> bool:
        """Take a version in; true where that may change what acts."""
        place = (statement.record_id, statement.record_version)
        known = self._versions.get(place)
        if known is not None and known.recorded_at <= recorded_at:
            return False
        self._versions[place] = Version(statement, recorded_at)
        return True

    def in_force(self, instant: int) -> Statement[RegistryRecord] | None:
        """What acts at an instant."""
        acting = [each for each in self._acting() if each.since <= instant]
        last = max(acting, default=None, key=lambda each: (each.since, each.record_id))
        return last.statement if last is not None and instant < last.until else None

    def instants(self) -> set[int]:
        """Every instant at which `in_force` may change."""
        return {edge for each in self._acting() for edge in (each.since, each.until)}

    def _acting(self) -> Iterator[Acting]:
        for (record_id, number), version in self._versions.items():
            replaced = [
                other.recorded_at
                for (other_id, other_number), other in self._versions.items()
                if other_id == record_id and other_number > number
            ]
            since = max(version.statement.valid_from, version.recorded_at)
            until = min([version.statement.valid_until, *replaced])
            if since < until:
                yield Acting(since, record_id, until, version.statement)
