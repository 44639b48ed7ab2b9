"""A posting: what one receiver is sent in one request, and what is recorded of it.

Rules:
1. A destination is pure: it takes changes and the time, and makes postings; sending is another's.
2. A posting carries the notices that stand in it, so that each is recorded as delivered or failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from schemas.notification import Notification
from streams.alerting.alert_group import AlertGroup, Change, GroupKey

About = Literal["raised", "corrected", "resolved", "violation", "summary"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a receiver is told."""

    about: About
    key: GroupKey
    violations: int
    in_storm: bool = False
    violation_id: str | None = None
    status: Literal["open", "retracted", "contested", "excused"] | None = None
    again: bool = False
    """It was given up before, and is told with what is posted now."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One request: to where, under which id, with which bytes, and what it tells.

    `recorded_at` is when each statement behind it was recorded, in seconds since 1970.
    """

    url: str
    body: bytes
    identity: str = ""
    notices: tuple[Notice, ...] = ()
    recorded_at: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """What is to be sent now; `whole` when nothing that was told before is still kept back."""

    postings: Sequence[Posting] = field(default_factory=tuple)
    whole: bool = True


class Destination(Protocol):
    """One receiver, and what is to be told to it. Times are in seconds since 1970."""

    @property
    def name(self) -> str:
        """Its name in metrics and records: its kind and a number."""

    def tell(self, change: Change, now: float) -> None:
        """Take note of a change."""

    def headers(self, posting: Posting, now: float) -> Mapping[str, str]:
        """The headers of one try; a signature is of the time of the try."""

    def take(self, now: float) -> Round:
        """What is to be sent now; it counts as told unless `lost` gives it back."""

    def lost(self, posting: Posting) -> None:
        """Take note that a posting was given up and recorded as failed."""

    def storms(self, now: float) -> bool:
        """Whether it is told by summaries now."""


def recorded(
    notice: Notice,
    receiver: str,
    failure: Literal["unreachable", "busy", "refused"] | None,
    http_status: int | None,
) -> Notification:
    """What the log of notifications says of a notice."""
    return Notification(
        receiver=receiver,
        result="delivered" if failure is None else "failed",
        about=notice.about,
        rule_id=notice.key.rule_id,
        controller_id=notice.key.controller_id,
        site_id=notice.key.site_id,
        severity=notice.key.severity,
        violations=notice.violations,
        in_storm=notice.in_storm,
        violation_id=notice.violation_id,
        status=notice.status,
        failure=failure,
        http_status=http_status,
    )


def notice_of(group: AlertGroup, about: About, *, again: bool) -> Notice:
    """The notice that a group began, was corrected or ended, as it stands now."""
    return Notice(about, group.key, group.standing, group.in_storm, again=again)
