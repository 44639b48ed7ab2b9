"""The summary of a demo: what was sent, what was judged, what came of it, and whether the auditor agrees.

Rules:
1. Every number comes from outside the worker's code: the publisher's acknowledgements, the topic of violations, the
   pages of metrics.
2. No person: a line names event, rule and status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from streams.core.rulebook import Rulebook
from streams.simulator.auditor import Audit, Line
from streams.simulator.worker_child import Series, by_label, total

EVENTS = "consentinel_events_total"
UNDETERMINED = "consentinel_undetermined_total"
SHOWN_LINES = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a run: `events` acknowledged by the broker, `seconds` from the first of them to the last verdict."""

    seed: int
    events: int
    series: Series
    audit: Audit
    seconds: float

    @property
    def judged(self) -> int:
        """Events judged, as the worker counts them."""
        return total(self.series, EVENTS, outcome="judged")

    @property
    def rejected(self) -> int:
        """Events rejected, as the worker counts them."""
        return total(self.series, EVENTS, outcome="rejected")

    @property
    def agrees(self) -> bool:
        """Whether every event was judged and every verdict is the expected one; a run without events proves nothing."""
        return self.events > 0 and self.judged == self.events and self.rejected == 0 and self.audit.agrees

    def as_json(self) -> dict[str, Any]:
        """The summary as one object."""
        return {
            "seed": self.seed,
            "events": self.events,
            "judged": self.judged,
            "rejected": self.rejected,
            "violations": dict(self.audit.found),
            "expected": dict(self.audit.expected),
            "excused": dict(self.audit.excused),
            "missing": [_said(line) for line in self.audit.missing],
            "unexpected": [_said(line) for line in self.audit.unexpected],
            "twice": [_said(line) for line in self.audit.twice],
            "undetermined": by_label(self.series, UNDETERMINED, "reason"),
            "seconds": round(self.seconds, 1),
            "judged_per_second": round(self.judged / self.seconds) if self.seconds > 0 else 0,
            "agrees": self.agrees,
        }

    def lines(self) -> list[str]:
        """The summary in sentences, after the table."""
        said = self.as_json()
        counts = f"{self.events:,} events sent, {self.judged:,} judged, {self.rejected:,} rejected"
        found = [
            f"{counts}, {said['judged_per_second']:,} judged a second",
            "undetermined: " + (", ".join(f"{n:,} {why}" for why, n in said["undetermined"].items()) or "none"),
        ]
        if self.judged + self.rejected < self.events:
            found.append(
                f"{self.events - self.judged - self.rejected:,} events were not judged before patience ran out"
            )
        if not self.events:
            found.append("nothing was sent, so nothing is shown")
        for word in ("missing", "unexpected", "twice"):
            lines = getattr(self.audit, word)
            found += [f"{word}: {line.rule_id} {line.status} for {line.event_id}" for line in lines[:SHOWN_LINES]]
            if len(lines) > SHOWN_LINES:
                found.append(f"{word}: and {len(lines) - SHOWN_LINES} more")
        found.append("the auditor agrees: no difference" if self.agrees else "the auditor disagrees")
        return found

    def table(self, rulebook: Rulebook) -> Table:
        """Violations by rule: found and expected, the law in force first, the draft after it."""
        table = Table(title="violations by rule", title_justify="left", box=None)
        table.add_column("rule", no_wrap=True)
        table.add_column("level")
        table.add_column("standing", no_wrap=True)
        for column in ("found", "of which excused", "expected", "difference"):
            table.add_column(column, justify="right")
        for rule in sorted(rulebook.rules, key=lambda rule: (rule.standing, rule.id)):
            found, expected = self.audit.found.get(rule.id, 0), self.audit.expected.get(rule.id, 0)
            if found or expected:
                difference = f"{found - expected:+d}" if found != expected else "-"
                numbers = (f"{found:,}", f"{self.audit.excused.get(rule.id, 0):,}", f"{expected:,}", difference)
                table.add_row(rule.id, rule.level, rule.standing, *numbers)
        return table


def _said(line: Line) -> dict[str, str]:
    return line._asdict()
