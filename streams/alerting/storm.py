"""A storm: so much is to be told in a minute that a summary tells it, with the exact count of each group.

Rules:
1. So many are told by themselves in each minute of the clock; whatever is beyond goes into the summary and is counted.
2. Nothing is dropped: what was told by itself and what the summary counts are together all there was.
3. A group that was raised in a storm stays with the summary until it is resolved: a storm that ends pages nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.alerting.alert_group import Change, Effect

MINUTE = 60.0


@dataclass(slots=True)
class Budget:
    """How many may be told by themselves in each minute of the clock; `now` is in seconds."""

    per_minute: int
    _minute: int = -1
    _spent: int = 0

    def admit(self, now: float) -> bool:
        """Take one from the minute's share; False when it is used up."""
        minute = int(now // MINUTE)
        if minute != self._minute:
            self._minute, self._spent = minute, 0
        self._spent += 1
        return self._spent <= self.per_minute

    def is_spent(self, now: float) -> bool:
        """Whether something had to go into the summary in this minute."""
        return int(now // MINUTE) == self._minute and self._spent > self.per_minute


@dataclass(slots=True)
class StormWatch:
    """Decides for all Alertmanagers at once whether a group that is raised is told by itself."""

    budget: Budget

    def mark(self, change: Change, now: float) -> None:
        """Note on a group that was just raised whether a summary tells of it."""
        if change.effect is Effect.RAISED:
            change.group.in_storm = not self.budget.admit(now)
