"""Label values of an open list, bounded: so many have series of their own, the rest share `other`."""

from __future__ import annotations

from threading import Lock

from streams.core.discretion import names_somebody
from streams.metrics.metric import OTHER


class Bounded:
    """Label values of an open list: the first `most` that name nobody, and `other` for the rest, in `width` parts."""

    def __init__(self, most: int, width: int) -> None:
        self._most = most
        self.rest: tuple[str, ...] = (OTHER,) * width
        """What the values beyond the bound share."""
        self._known: set[tuple[str, ...]] = set()
        self._lock = Lock()  # the judging thread and the event loop both ask

    def fit(self, *values: str | None) -> tuple[str, ...]:
        """The values where they have a series of their own; a part that is None has none."""
        assert len(values) == len(self.rest), "a value for each part"
        named = tuple(value for value in values if value is not None and not names_somebody(value))
        if len(named) < len(values) or named == self.rest:
            return self.rest
        with self._lock:
            if named not in self._known:
                if len(self._known) >= self._most:
                    return self.rest
                self._known.add(named)
            return named
