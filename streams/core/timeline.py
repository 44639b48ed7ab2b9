"""A timeline: every statement about one thing, and which of them holds at an instant.

Rules:
1. A timeline is a set: the order in which statements arrive, and how often, changes nothing.
2. Of one `record_id` the highest `record_version` counts; one version with two contents is a conflict, and a thing
   with a conflict is unknown at every instant until a higher version settles it. Of the contents the one that begins
   first is kept, for whoever counts statements and does not ask what they say.
3. Of several statements the one with the latest `valid_from` at or before the instant stands, at equal instants the
   one whose `record_id` sorts last; when it has ended, nothing is in force: an earlier one does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from streams.core.instant import NEVER

Content = TypeVar("Content")


class Statement(NamedTuple, Generic[Content]):
    """What one record says: `content` holds from `valid_from` up to, and without, `valid_until` (microseconds).

    A tuple, because millions are made in a rebuild, and a frozen dataclass takes four times as long to make.
    """

    record_id: str
    record_version: int
    valid_from: int
    content: Content
    valid_until: int = NEVER


def _order(statement: Statement[Content]) -> tuple[int, int, str]:
    return statement.valid_from, statement.valid_until, repr(statement.content)


class Statements(Generic[Content]):
    """The current version of each record about one thing, in any order of arrival."""

    __slots__ = ("_by_id", "_conflicts")

    def __init__(self, statements: Iterable[Statement[Content]] = ()) -> None:
        self._by_id: dict[str, Statement[Content]] = {}
        self._conflicts: frozenset[str] = frozenset()  # one object for all who have none: there are millions
        for statement in statements:
            self.add(statement)

    def add(self, statement: Statement[Content]) -> bool:
        """Take a statement in; true if anything changed."""
        known = self._by_id.get(statement.record_id)
        if known is not None and known.record_version > statement.record_version:
            return False
        if known is not None and known.record_version == statement.record_version:
            if known == statement:
                return False
            first, new = min(known, statement, key=_order), statement.record_id not in self._conflicts
            self._by_id[statement.record_id] = first
            self._conflicts |= {statement.record_id}
            return new or first is not known
        self._conflicts -= {statement.record_id}
        self._by_id[statement.record_id] = statement
        return True

    def change(self, statement: Statement[Content]) -> int | None:
        """Take a statement in; the first instant at which an answer may differ now, None where nothing changed."""
        known, doubtful = self._by_id.get(statement.record_id), self.conflicting
        if not self.add(statement):
            return None
        if doubtful or self.conflicting:
            return -NEVER
        return statement.valid_from if known is None else min(statement.valid_from, known.valid_from)

    @property
    def conflicting(self) -> bool:
        """Whether some record has two contents in its highest version."""
        return bool(self._conflicts)

    def __iter__(self) -> Iterator[Statement[Content]]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)


class Timeline(Statements[Content]):
    """Statements of which each replaces the one before it in time."""

    __slots__ = ()

    def in_force(self, instant: int) -> Statement[Content] | None:
        """The statement that holds at `instant`; without meaning while `conflicting`."""
        begun = (statement for statement in self if statement.valid_from <= instant)
        last = max(begun, key=lambda statement: (statement.valid_from, statement.record_id), default=None)
        return last if last is not None and instant < last.valid_until else None

    def instants(self) -> set[int]:
        """Every instant at which `in_force` may change."""
        return {edge for statement in self for edge in (statement.valid_from, statement.valid_until) if edge < NEVER}
