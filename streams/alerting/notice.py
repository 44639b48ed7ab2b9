"""What every notice of a group says, whoever receives it: title, sentences, counts, times and links.

Rules:
1. A notice names rule, controller, site and events, and never a person: whatever looks like one is taken out.
2. Links are made of the addresses in the settings; the anchor in the runbooks is the rule's id with dots as dashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from streams.alerting.alert_group import AlertGroup, GroupKey
from streams.alerting.wording import CAUTION, CLAIM, moment
from streams.core.discretion import discreet

NO_SITE = "(none)"
"""Stands for the site of what has none; no id can be written so."""


@dataclass(frozen=True, slots=True)
class Stationery:
    """What notices are written on: titles of rules by id, and where runbooks and dashboards are."""

    titles: Mapping[str, str] = field(default_factory=dict)
    runbook_url: str = "docs/runbooks.md"
    dashboard_url: str = ""

    def title(self, rule_id: str) -> str:
        """The title of a rule, or its id where no pack that is loaded has it."""
        return self.titles.get(rule_id, rule_id)

    def links(self, key: GroupKey) -> dict[str, str]:
        """The runbook of a rule, and the dashboard of a group where there is one."""
        found = {"runbook_url": f"{self.runbook_url}#{key.rule_id.replace('.', '-')}"}
        if self.dashboard_url:
            shown = {"var-rule": key.rule_id, "var-controller": key.controller_id, "var-site": key.site_id or ""}
            found["dashboard_url"] = f"{self.dashboard_url}?{urlencode({k: v for k, v in shown.items() if v})}"
        return {name: discreet(value) for name, value in found.items()}

    def summary(self, key: GroupKey) -> str:
        """One sentence: what was not found, and where."""
        return discreet(f"{CLAIM}: {self.title(key.rule_id)}, at {place(key)}")

    def describe(self, group: AlertGroup) -> str:
        """The whole of what is known of a group, in sentences."""
        what = plural(
            group.standing or sum(group.counts.values()), "event, deadline or count", "events, deadlines or counts"
        )
        said = [f"{CLAIM} for {what} at {place(group.key)}, as {group.key.rule_id} asks. {CAUTION}"]
        if group.first_at is not None and group.last_at is not None:
            said.append(f"First {moment(group.first_at)}, last {moment(group.last_at)}.")
        others = [
            f"{group.counts[status]} {status}"
            for status in ("contested", "excused", "retracted")
            if group.counts[status]
        ]
        said += [f"Of this group: {', '.join(others)}."] if others else []
        said += [group.correction] if group.correction else []
        return discreet(" ".join(said))


def place(key: GroupKey) -> str:
    """Where a group is: its site and its controller."""
    return f"{key.site_id or 'no site'} ({key.controller_id})"


def labels_of(key: GroupKey) -> dict[str, str]:
    """The labels that identify a group."""
    found = {"rule": key.rule_id, "controller": key.controller_id, "site": key.site_id or NO_SITE}
    return {**{name: discreet(value) for name, value in found.items()}, "severity": key.severity}


def plural(count: int, one: str, many: str) -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else many}"
