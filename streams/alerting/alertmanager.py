"""One Alertmanager as a destination: groups as alerts of its v2 API, posted again for as long as they stand.

Rules:
1. The labels of an alert are its identity: rule, controller, site and severity, never a person, never a count.
2. What stands is posted again well within its lifetime. Only what is resolved is ended; silence of ours for longer than
   the lifetime ends an alert too, and then it says nothing of why.
3. A dormant group goes on standing. A second alert beside it, `ConsentinelDormant`, inhibits it, so that nobody is
   called again until something new comes.
4. A correction is an alert of its own beside the group's, at the same severity and so to the same receiver; the end of
   a group says its reason itself.
5. Groups that were raised in a storm carry the label `storm`, and `ConsentinelStorm` tells of them together.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from streams.alerting.alert_group import AlertGroup, AlertGroups, Change, Effect, GroupKey, GroupState
from streams.alerting.notice import Stationery, labels_of, place, plural
from streams.alerting.posting import About, Notice, Posting, Round, notice_of
from streams.alerting.storm import StormWatch
from streams.alerting.wording import CAUTION, CLAIM, moment
from streams.core.discretion import discreet

ALERTS_PER_POSTING = 200
CORRECTION_SECONDS = 600.0
"""So long a correction stands; what is corrected meanwhile is told with its end."""
LINES_OF_SUMMARY = 20
"""The largest groups that a summary names one by one; of the others it gives the sum."""
TOLD: dict[Effect, About] = {
    Effect.RAISED: "raised",
    Effect.CORRECTED: "corrected",
    Effect.RESOLVED: "resolved",
}

Alert = dict[str, Any]
"""One element of what is posted to `/api/v2/alerts`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what stands is posted again, how long it then stands, and after what silence it is dormant; seconds."""

    repost_seconds: float = 60.0
    lifetime_seconds: float = 3_600.0
    dormant_seconds: float = 3_600.0


@dataclass(slots=True)
class _Correction:
    """What was corrected in a group lately, and until when it is told."""

    until: float
    count: int = 0


class Alertmanager:
    """One Alertmanager; `address` is its root, without the path of the API."""

    def __init__(
        self, name: str, address: str, *, groups: AlertGroups, stationery: Stationery, storm: StormWatch, pace: Pace
    ) -> None:
        self._name = name
        self._url = f"{address.rstrip('/')}/api/v2/alerts"
        self._groups = groups
        self._stationery = stationery
        self._storm = storm
        self._pace = pace
        self._changed: dict[GroupKey, list[float]] = {}
        self._owed: dict[tuple[GroupKey, About], bool] = {}
        self._corrections: dict[GroupKey, _Correction] = {}
        self._awake: set[GroupKey] = set()
        self._summarised: set[tuple[str, str]] = set()
        self._post_all_at = 0.0

    @property
    def name(self) -> str:
        """Its name in metrics and records."""
        return self._name

    def storms(self, now: float) -> bool:
        """Whether groups that are raised now go into a summary."""
        return self._storm.budget.is_spent(now)

    def headers(self, posting: Posting, now: float) -> Mapping[str, str]:  # noqa: ARG002 - nothing is signed
        """The headers of one try."""
        return {"Content-Type": "application/json"}

    def tell(self, change: Change, now: float) -> None:
        """Take note of a change."""
        key = change.group.key
        self._changed.setdefault(key, []).append(change.recorded_at)
        if change.effect is Effect.CORRECTED:
            known = self._corrections.setdefault(key, _Correction(now + CORRECTION_SECONDS))
            known.count += 1
        about = TOLD.get(change.effect)
        if about is not None:
            self._owed.setdefault((key, about), False)

    def lost(self, posting: Posting) -> None:
        """Tell again, with the next round, what could not be told."""
        self._post_all_at = 0.0
        self._awake.clear()
        for notice in posting.notices:
            self._changed.setdefault(notice.key, [])
            self._owed[notice.key, notice.about] = True

    def take(self, now: float) -> Round:
        """Everything that stands when it is time, else what has changed."""
        changed, self._changed = self._changed, {}
        owed, self._owed = self._owed, {}
        everything = now >= self._post_all_at
        keys = dict.fromkeys(changed)
        if everything:
            self._post_all_at = now + self._pace.repost_seconds
            keys |= dict.fromkeys(group.key for group in self._groups if group.standing)
        alerts: list[tuple[GroupKey | None, Alert]] = [
            (key, alert) for key in keys for alert in self._alerts(self._groups[key], now)
        ]
        if keys:
            alerts += [(None, alert) for alert in self._summaries(now)]
        told: defaultdict[GroupKey, list[Notice]] = defaultdict(list)
        for (key, about), again in owed.items():
            told[key].append(notice_of(self._groups[key], about, again=again))
        return Round([self._posting(part, told, changed) for part in _parts(alerts)])

    def _posting(
        self,
        part: Sequence[tuple[GroupKey | None, Alert]],
        told: dict[GroupKey, list[Notice]],
        changed: dict[GroupKey, list[float]],
    ) -> Posting:
        """One request; each notice and each time goes with the first request that names its group."""
        keys = dict.fromkeys(key for key, _ in part if key is not None)
        return Posting(
            self._url,
            json.dumps([alert for _, alert in part], separators=(",", ":")).encode(),
            notices=tuple(notice for key in keys for notice in told.pop(key, ())),
            recorded_at=tuple(each for key in keys for each in changed.pop(key, ())),
        )

    # -- alerts -------------------------------------------------------------------------------------------------------

    def _alerts(self, group: AlertGroup, now: float) -> Iterator[Alert]:
        """The alert of a group, and those beside it: whether it is dormant, and what was corrected."""
        if not group.was_raised:
            return
        state = group.state(now, self._pace.dormant_seconds)
        began = now if group.first_at is None else group.first_at.timestamp()
        storm = {"storm": "yes"} if group.in_storm else {}
        yield self._alert(
            {"alertname": "ConsentinelViolation", **labels_of(group.key), **storm},
            self._annotations(group, state),
            began,
            now if state is GroupState.RESOLVED else None,
            now,
        )
        if state is GroupState.DORMANT or group.key not in self._awake:
            yield self._dormancy(group, now, dormant=state is GroupState.DORMANT)
        corrected = self._corrections.get(group.key)
        if corrected is not None:
            yield self._correction(group, corrected, storm, now)

    def _annotations(self, group: AlertGroup, state: GroupState) -> dict[str, str]:
        """What an alert says beside its identity; bounded, but for the counts, which are exact."""
        said = {
            "summary": self._stationery.summary(group.key),
            "description": self._stationery.describe(group),
            "title": self._stationery.title(group.key.rule_id),
            "state": str(state),
            "violations": str(group.standing),
            "contested": str(group.counts["contested"]),
            "excused": str(group.counts["excused"]),
            "retracted": str(group.counts["retracted"]),
            "events": ", ".join(each.name for each in group.happenings),
            "correction": group.correction,
            **self._stationery.links(group.key),
        }
        if group.first_at is not None and group.last_at is not None:
            said |= {"first_seen": moment(group.first_at), "last_seen": moment(group.last_at)}
        return said

    def _dormancy(self, group: AlertGroup, now: float, *, dormant: bool) -> Alert:
        """The alert that inhibits a dormant group, or the end of that alert: once after a start and each sleep."""
        (self._awake.discard if dormant else self._awake.add)(group.key)
        said = {"summary": f"Nothing new of {group.key.rule_id} at {place(group.key)}; it is still open"}
        labels = {"alertname": "ConsentinelDormant", **labels_of(group.key)}
        return self._alert(labels, said, now, None if dormant else now, now)

    def _correction(self, group: AlertGroup, corrected: _Correction, storm: dict[str, str], now: float) -> Alert:
        """The alert that says what was corrected; it ends by itself, or with its group, which says the reason then."""
        until = corrected.until if group.standing else min(now, corrected.until)
        if now >= until:
            del self._corrections[group.key]
        corrections = plural(corrected.count, "violation was corrected", "violations were corrected")
        said = {
            "summary": f"{corrections} of {group.key.rule_id} at {place(group.key)}: {group.correction}",
            "description": self._stationery.describe(group),
            "corrected": str(corrected.count),
            "violations": str(group.standing),
            **self._stationery.links(group.key),
        }
        labels = {"alertname": "ConsentinelCorrection", **labels_of(group.key), **storm}
        return self._alert(labels, said, until - CORRECTION_SECONDS, until, now)

    def _summaries(self, now: float) -> Iterator[Alert]:
        """One alert for each controller and severity with groups of a storm, and the end of those without."""
        found: defaultdict[tuple[str, str], list[AlertGroup]] = defaultdict(list)
        for group in self._groups:
            if group.in_storm and group.standing:
                found[group.key.controller_id, group.key.severity].append(group)
        for whose, groups in found.items():
            yield self._summary(whose, groups, None, now)
        for gone in self._summarised - found.keys():
            yield self._summary(gone, [], now, now)
        self._summarised = set(found)

    def _summary(self, whose: tuple[str, str], groups: list[AlertGroup], ended: float | None, now: float) -> Alert:
        controller, severity = whose
        total = sum(group.standing for group in groups)
        largest = sorted(groups, key=lambda group: (-group.standing, group.key))
        lines = [
            f"{group.standing} of {group.key.rule_id} at {place(group.key)}" for group in largest[:LINES_OF_SUMMARY]
        ]
        rest = largest[LINES_OF_SUMMARY:]
        if rest:
            lines.append(f"{sum(group.standing for group in rest)} in {plural(len(rest), 'more group', 'more groups')}")
        began = min((group.raised_at or now for group in groups), default=now)
        said = {
            "summary": f"{CLAIM}, many at once: {plural(total, 'violation', 'violations')} in "
            f"{plural(len(groups), 'group', 'groups')} of {controller}",
            "description": f"{CAUTION} Many at once are nearly always one missing record. " + "; ".join(lines),
            "violations": str(total),
            "groups": str(len(groups)),
            "runbook_url": f"{self._stationery.runbook_url}#alerts-storm",
        }
        labels = {"alertname": "ConsentinelStorm", "controller": discreet(controller), "severity": severity}
        return self._alert(labels, said, began, ended, now)

    def _alert(
        self, labels: dict[str, str], annotations: dict[str, str], began: float, ended: float | None, now: float
    ) -> Alert:
        # A device's clock may be ahead, and an alert that begins after its end is refused.
        until = now + self._pace.lifetime_seconds if ended is None else ended
        return {
            "labels": labels,
            "annotations": {name: discreet(text) for name, text in annotations.items() if text},
            "startsAt": _iso(min(began, now, until)),
            "endsAt": _iso(until),
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _parts(
    alerts: Iterable[tuple[GroupKey | None, Alert]],
) -> Iterator[Sequence[tuple[GroupKey | None, Alert]]]:
    """The alerts in portions of a request each."""
    every = list(alerts)
    for start in range(0, len(every), ALERTS_PER_POSTING):
        yield every[start : start + ALERTS_PER_POSTING]
