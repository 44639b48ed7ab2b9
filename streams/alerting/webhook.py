"""One webhook as a destination: each change of a violation as a CloudEvent, or a summary when there are too many.

Rules:
1. The id of an event is that of the violation, its status, and the place of the statement on the log. It is the
   idempotency key: what a crash or a retry sends again has the same id, and the receiver folds by it; a violation that
   goes to and fro has an id for each change. A summary's id is a digest of those of its changes.
2. In a storm the changes beyond the minute's share are counted by group and told in a summary when the minute is over.
   Events and summaries together tell of every change once.
3. Neither names a person, nor a record, which may lead to one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from streams.alerting.alert_group import Change, Effect, GroupKey
from streams.alerting.notice import Stationery
from streams.alerting.posting import Notice, Posting, Round
from streams.alerting.signature import signed
from streams.alerting.storm import MINUTE, Budget
from streams.alerting.wording import CAUTION, CLAIM, correction
from streams.core.discretion import discreet

WAITING_MAX = 1_000
"""So many events wait at most for a receiver that is slow or away; further ones are counted into the summary."""
GROUPS_PER_SUMMARY = 500
CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"


class _Counted(NamedTuple):
    """A change that a summary tells of."""

    identity: str
    status: str
    recorded_at: float


class Webhook:
    """One receiver at `url`; `keys` sign what it gets, `budget` is its share of a minute."""

    def __init__(
        self, name: str, url: str, *, keys: Sequence[bytes], stationery: Stationery, budget: Budget, source: str
    ) -> None:
        self._name = name
        self._url = url
        self._keys = tuple(keys)
        self._stationery = stationery
        self._budget = budget
        self._source = source
        self._waiting: list[Change] = []
        self._counted: dict[GroupKey, list[_Counted]] = {}
        self._summary_due: float | None = None

    @property
    def name(self) -> str:
        """Its name in metrics and records."""
        return self._name

    def storms(self, now: float) -> bool:
        """Whether changes are counted into a summary."""
        return self._summary_due is not None or self._budget.is_spent(now)

    def headers(self, posting: Posting, now: float) -> Mapping[str, str]:
        """The headers of one try, signed for its time: a receiver refuses what is old."""
        known = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": posting.identity}
        return {**known, **signed(self._keys, posting.identity, int(now), posting.body)}

    def tell(self, change: Change, now: float) -> None:
        """Take note of a change: for an event of its own, or for the summary."""
        if change.effect is Effect.QUIET:
            return
        if self._budget.admit(now) and len(self._waiting) < WAITING_MAX:
            self._waiting.append(change)
            return
        if self._summary_due is None:
            self._summary_due = (now // MINUTE + 1) * MINUTE
        counted = _Counted(_identity(change), change.violation.status, change.recorded_at)
        self._counted.setdefault(change.group.key, []).append(counted)

    def lost(self, posting: Posting) -> None:
        """What was given up is recorded as failed, violation by violation, and is not sent again."""

    def take(self, now: float) -> Round:
        """The events that wait, and the summary when its minute is over."""
        waiting, self._waiting = self._waiting, []
        postings = [self._event(change) for change in waiting]
        if self._summary_due is not None and now >= self._summary_due:
            postings += self._summaries()
        return Round(postings, whole=self._summary_due is None)

    def _event(self, change: Change) -> Posting:
        """One change of one violation."""
        violation, group = change.violation, change.group
        about = {
            "summary": self._stationery.summary(group.key),
            "caution": CAUTION,
            "rule_id": violation.rule_id,
            "revision": violation.revision,
            "title": self._stationery.title(violation.rule_id),
            "level": violation.level,
            "severity": group.key.severity,
            "status": violation.status,
            "cause": violation.cause,
            "reason": correction(violation) if violation.cause != "judged" else None,
            "violation_id": violation.violation_id,
            "event_id": violation.event_id,
            "event_kind": violation.event_kind,
            "occurred_at": violation.occurred_at.isoformat(),
            "recorded_at": _iso(change.recorded_at),
            "controller_id": violation.controller_id,
            "site_id": violation.site_id,
            "device_id": violation.device_id,
            "purpose_id": violation.purpose_id,
            "violations_of_group": group.standing,
            **self._stationery.links(group.key),
        }
        notice = Notice(
            "violation", group.key, group.standing, violation_id=violation.violation_id, status=violation.status
        )
        kind = f"consentinel.violation.{violation.status}"
        return self._posting(
            _identity(change), kind, violation.occurred_at.isoformat(), about, (notice,), (change.recorded_at,)
        )

    def _summaries(self) -> Iterator[Posting]:
        """What the summary counts, in portions of many groups."""
        counted = sorted(self._counted.items(), key=lambda item: _order(item[0]))
        self._counted, self._summary_due = {}, None
        for start in range(0, len(counted), GROUPS_PER_SUMMARY):
            part = counted[start : start + GROUPS_PER_SUMMARY]
            changes = [each for _, of_group in part for each in of_group]
            moments = tuple(each.recorded_at for each in changes)
            until = _iso(max(moments))
            told = {
                "summary": f"{CLAIM}, many at once: {len(changes)} changes in {len(part)} groups",
                "caution": f"{CAUTION} Many at once are nearly always one missing record.",
                "from": _iso(min(moments)),
                "until": until,
                "changes": len(changes),
                "groups": [_line(key, Counter(each.status for each in of_group)) for key, of_group in part],
                "runbook_url": f"{self._stationery.runbook_url}#alerts-storm",
            }
            notices = tuple(Notice("summary", key, len(of_group), in_storm=True) for key, of_group in part)
            digest = hashlib.sha256("\n".join(sorted(each.identity for each in changes)).encode()).hexdigest()
            yield self._posting(f"summary.{digest}", "consentinel.storm", until, told, notices, moments)

    def _posting(
        self,
        identity: str,
        kind: str,
        time: str,
        data: Mapping[str, Any],
        notices: tuple[Notice, ...],
        recorded_at: tuple[float, ...],
    ) -> Posting:
        said = {name: discreet(value) if isinstance(value, str) else value for name, value in data.items()}
        event = {
            "specversion": "1.0",
            "id": identity,
            "source": self._source,
            "type": kind,
            "time": time,
            "datacontenttype": "application/json",
            "data": {name: value for name, value in said.items() if value is not None},
        }
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        return Posting(self._url, body, identity, notices, recorded_at)


def _identity(change: Change) -> str:
    return f"{change.violation.violation_id}.{change.violation.status}.{change.place.partition}-{change.place.offset}"


def _order(key: GroupKey) -> tuple[str, str, str, str]:
    return key.severity, key.controller_id, key.site_id or "", key.rule_id


def _line(key: GroupKey, counts: Counter[str]) -> dict[str, Any]:
    """One group of a summary, with how many changes led to which status."""
    named = {
        "rule_id": key.rule_id,
        "controller_id": key.controller_id,
        "site_id": key.site_id,
        "severity": key.severity,
    }
    said = {name: discreet(value) for name, value in named.items() if value is not None}
    return {**said, "changes": counts.total(), "statuses": dict(sorted(counts.items()))}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
