"""The watch: which devices speak as often as their records promise, so that silence reads as silence, not as calm.

Rules:
1. Only a record says what to expect (`reports_every_seconds`); where it says nothing, nothing is measured.
2. A device is silent once nothing of it was heard for longer than its record promises, up to the instant up to which
   the log was judged: a worker that is behind does not take its own delay for a device's silence. A device that was
   heard of within its promise from now speaks, however far the log is judged.
3. Who has not listened for so long himself cannot tell: `unmeasured`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from schemas.registry import DeviceRecord, SiteRecord
from streams.core.registry import Registry


class DeviceState(StrEnum):
    """Whether a device speaks; `unmeasured` where nobody can tell."""

    SPEAKING = "speaking"
    SILENT = "silent"
    UNMEASURED = "unmeasured"


class Post(NamedTuple):
    """A device at its site, and how often it reports at least, in seconds; None where no record says so."""

    controller_id: str
    site_id: str
    device_id: str
    every_seconds: float | None


class Site(NamedTuple):
    """A site with its law."""

    controller_id: str
    site_id: str
    jurisdictions: tuple[str, ...]


class Promise(NamedTuple):
    """A device at its site over a stretch `[since, until)` (microseconds) in which its record says one thing."""

    post: Post
    since: int
    until: int


def promises(registry: Registry, first: int, after: int) -> Iterator[Promise]:
    """Where every device stood and how often it had to report, over the instants `[first, after)`."""
    for controller_id in sorted(registry.controllers()):
        for device in registry.owned("device", controller_id):
            edges = sorted({first, *(each for each in registry.instants("device", device) if first < each < after)})
            for since, until in pairwise([*edges, after]):
                record = registry.find("device", device, since).record
                if isinstance(record, DeviceRecord) and record.controller_id == controller_id:
                    every = record.reports_every_seconds
                    yield Promise(Post(controller_id, record.site_id, record.id, every), since, until)


def posts(registry: Registry, instant: int) -> Iterator[Post]:
    """Every device whose record is in force at an instant (microseconds), by controller and id."""
    for record in _in_force(registry, "device", instant):
        if isinstance(record, DeviceRecord):
            yield Post(record.controller_id, record.site_id, record.id, record.reports_every_seconds)


def sites(registry: Registry, instant: int) -> Iterator[Site]:
    """Every site whose record is in force at an instant (microseconds), by controller and id."""
    for record in _in_force(registry, "site", instant):
        if isinstance(record, SiteRecord):
            yield Site(record.controller_id, record.id, record.jurisdictions)


def _in_force(registry: Registry, kind: str, instant: int) -> Iterator[object]:
    for controller_id in sorted(registry.controllers()):
        for thing in registry.owned(kind, controller_id):
            record = registry.find(kind, thing, instant).record
            # A thing that changed hands stands under both; it belongs to whom its record in force names.
            if record is not None and getattr(record, "controller_id", None) == controller_id:
                yield record


def state_of(post: Post, *, heard: float | None, since: float, until: float | None, now: float) -> DeviceState:
    """The state of a device, of which the broker took the last event at `heard`.

    `since` is when this worker began to listen and `until` up to when the log is judged, which is `now` at the latest,
    or None where that is not known; all in seconds since 1970.
    """
    if post.every_seconds is None:
        return DeviceState.UNMEASURED
    if heard is not None and (now if until is None else until) - heard <= post.every_seconds:
        return DeviceState.SPEAKING
    return DeviceState.SILENT if until is not None and until - since > post.every_seconds else DeviceState.UNMEASURED
