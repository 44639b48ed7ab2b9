"""The scoreboard: the live view of a demo, drawn from numbers that others counted.

Rules:
1. The law in force and the draft stand apart: a what-if never looks like a breach.
2. No person is shown: a line about a violation names rule, place and time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.verdict import Violation
from streams.core.rulebook import Rulebook

LATEST = 6
RATE_WINDOW_SECONDS = 5.0


class Scoreboard:
    """What has happened so far; `notes` are said at the top, unchanged."""

    def __init__(self, rulebook: Rulebook, notes: Sequence[str]) -> None:
        self._rules = rulebook.rules
        self._notes = notes
        self._counts: Counter[tuple[str, str]] = Counter()
        self._latest: deque[Violation] = deque(maxlen=LATEST)
        self._judged: deque[tuple[float, int]] = deque()
        self.sent = 0
        self.rejected = 0
        self.forwarded = 0

    def see(self, violations: Sequence[Violation]) -> None:
        """Take in new violations."""
        for violation in violations:
            self._counts[violation.rule_id, violation.status] += 1
            if violation.standing == "in_force":
                self._latest.append(violation)

    def judged(self, seconds: float, count: int) -> None:
        """Take in how many events were judged up to an instant of some clock, in seconds."""
        self._judged.append((seconds, count))
        while len(self._judged) > 1 and seconds - self._judged[0][0] > RATE_WINDOW_SECONDS:
            self._judged.popleft()

    @property
    def rate(self) -> float:
        """Events judged a second, over the last seconds."""
        if len(self._judged) < 2:
            return 0.0
        (first, before), (last, now) = self._judged[0], self._judged[-1]
        return (now - before) / (last - first) if last > first else 0.0

    def render(self) -> RenderableType:
        """The whole view."""
        judged = self._judged[-1][1] if self._judged else 0
        numbers = Text(
            f"sent {self.sent:,}   judged {judged:,}   rejected {self.rejected:,}   forwarded {self.forwarded:,}   "
            f"{self.rate:,.0f} judged a second",
            style="bold",
        )
        return Group(
            *(Text(note, style="dim") for note in self._notes),
            numbers,
            Text(),
            self._last(),
            Text(),
            self._both(),
        )

    def _both(self) -> Table:
        """The law in force and the draft beside each other, last because a small terminal cuts the end off."""
        grid = Table.grid(padding=(0, 4))
        grid.add_row(
            self._verdicts("violations of the law in force", "in_force"),
            self._verdicts("what if the draft of 2023 were law", "what_if"),
        )
        return grid

    def _verdicts(self, title: str, standing: str) -> Table:
        table = Table("rule", "level", title=title, title_justify="left", box=None)
        table.add_column("open", justify="right")
        table.add_column("excused", justify="right")
        for rule in self._rules:
            opened, excused = self._counts[rule.id, "open"], self._counts[rule.id, "excused"]
            if rule.standing == standing and (opened or excused):
                table.add_row(rule.id, rule.level, f"{opened:,}", f"{excused:,}")
        return table

    def _last(self) -> Table:
        table = Table("at", "rule", "site", "device", title="latest violations", title_justify="left", box=None)
        for violation in reversed(self._latest):
            at = f"{violation.occurred_at:%H:%M:%S}"
            table.add_row(at, violation.rule_id, violation.site_id or "unknown", violation.device_id)
        return table
