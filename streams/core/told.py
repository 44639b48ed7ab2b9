"""What was told of each event, and what must be told now that more is known: the life of a violation.

Rules:
1. A violation is told once, and again only where its status or anything it rests on has changed; the same again is a
   repeat and is not told.
2. What is no violation any more is retracted; it is contested instead where a record it rests on now came after the
   match and later than its source promises, where it is not known when one came, or where nothing can be said now.
   Unknown never reads as clear, and nobody acquits himself, neither by what else came nor by a newer version.
3. A corrected event takes back what was told of the one before it.
4. What was told is a function of the records and events known, not of the order in which they came, but for two things:
   what was never told needs no retraction, and what was retracted stays so while it is no violation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from schemas.verdict import VIOLATION, Cause, Violation
from streams.core.arrival import Arrival, Arrivals
from streams.core.feed import Feeds
from streams.core.instant import micros, moment_of
from streams.core.judge import Outcome
from streams.core.rule import Rule

Status = Literal["open", "retracted", "contested", "excused"]
STANDS = ("open", "excused")
NEW: Mapping[str, object] = {"cause": "judged", "changed_by": None, "in_force_since": None, "reached_log_at": None}
"""What a change adds to a message, as a first judgement has it."""
OVERHEAD_BYTES = 400
"""What one violation takes beside its message."""


class EventKey(NamedTuple):
    """What an event is known by, in all its versions."""

    controller_id: str
    event_id: str


class Told(NamedTuple):
    """The last that was told of one violation: its status, and its message as a first judgement writes it."""

    rule: Rule
    status: Status
    message: bytes
    from_log: bool = False


class Said(NamedTuple):
    """Something to be told now; `row` orders what one batch says."""

    row: int
    rule: Rule
    message: Violation
    first: bool
    """Whether nothing was told of this violation before."""


@dataclass(slots=True)
class Judgement:
    """What the rules say now of one event: its violations by id, and how its other rules ended."""

    key: EventKey
    row: int
    subject_ref: str | None
    version: int
    violations: dict[str, tuple[Rule, Violation]] = field(default_factory=dict)
    outcomes: Mapping[Rule, Outcome] = field(default_factory=dict)
    """Of the rules that were told of, how they end now."""
    resting_on: Mapping[Rule, tuple[str, ...]] = field(default_factory=dict)
    """Of the same rules, the records in force now."""
    at_boundary: Collection[Rule] = ()
    """Those of them that ask for consent, where the event lies within the skew of the clocks of an edge of one now."""
    in_conflict: bool = False
    """Whether one version of the event has two contents, so that nothing can be said."""


class Reason(NamedTuple):
    """Why something is judged again: what led to it, and the records that touched the event."""

    cause: Cause
    arrivals: tuple[Arrival, ...] = ()


class ToldBook:
    """The last word on each violation of the events that are remembered."""

    __slots__ = ("_by_event", "size_bytes")

    def __init__(self) -> None:
        self._by_event: dict[EventKey, dict[str, Told]] = {}
        self.size_bytes = 0

    def __contains__(self, key: object) -> bool:
        return key in self._by_event

    def __bool__(self) -> bool:
        return bool(self._by_event)

    def of(self, key: EventKey) -> Mapping[str, Told]:
        """What was told of an event, by violation id."""
        return self._by_event.get(key, {})

    def learn(self, message: Violation, rule: Rule) -> None:
        """Take in from the log what was told before; a later message replaces an earlier one unless it is overtaken."""
        key = EventKey(message.controller_id, str(message.event_id))
        before = self._by_event.get(key, {}).get(message.violation_id)
        if before is not None and not message.corrects:
            version = VIOLATION.read(before.message).event_version
            if message.is_overtaken(version=version, corrected=True):
                return
        core = message.model_copy(update=dict(NEW))
        # What was retracted says nothing of how it stood; what it was told as before still does.
        standing = message.status in STANDS or before is None
        text = core.to_json() if standing else before.message  # type: ignore[union-attr]  # there is one where not new
        self._put(key, message.violation_id, Told(rule, message.status, text, from_log=True))

    def forget(self, keys: Iterable[EventKey]) -> None:
        """Let go of events that are too old to be corrected."""
        for key in keys:
            for told in self._by_event.pop(key, {}).values():
                self.size_bytes -= len(told.message) + OVERHEAD_BYTES

    def say(self, now: Judgement, reason: Reason, known: Arrivals, feeds: Feeds) -> tuple[list[Said], int]:
        """What is to be told of an event as it is judged now, and how much of it was told before."""
        told = dict(self.of(now.key))
        said: list[Said] = []
        repeats = 0
        for violation_id, (rule, message) in now.violations.items():
            before, text = told.pop(violation_id, None), message.to_json()
            if before is not None and before.status == message.status and before.message == text:
                repeats += before.from_log
                continue
            cause = "reconciled" if before is not None and reason.cause == "judged" else reason.cause
            changed = message if cause == "judged" else _because(message, Reason(cause, reason.arrivals))
            said.append(Said(now.row, rule, changed, first=before is None))
            self._put(now.key, violation_id, Told(rule, message.status, text))
        for violation_id, before in told.items():
            found = self._undone(before, now, reason, known, feeds)
            if found is not None:
                said.append(Said(now.row, before.rule, found, first=False))
                self._put(now.key, violation_id, before._replace(status=found.status, from_log=False))
        return said, repeats

    @staticmethod
    def _undone(before: Told, now: Judgement, reason: Reason, known: Arrivals, feeds: Feeds) -> Violation | None:
        """What is to be told of a violation that is none now; None where that was told."""
        message = VIOLATION.read(before.message)
        status, arrivals = _fate(message, before, now, reason, known, feeds)
        if before.status in (status, "retracted"):
            return None
        resting = now.resting_on.get(before.rule) if message.subject_ref == now.subject_ref else None
        records = message.deciding_records if resting is None else resting
        corrected = now.version > message.event_version
        cause: Cause = "event" if corrected else "reconciled" if reason.cause == "judged" else reason.cause
        boundary = True if message.boundary or before.rule in now.at_boundary else None
        change = {"status": status, "excused_by": (), "deciding_records": records, "boundary": boundary}
        changed = message.model_copy(update=change)
        return _because(changed, Reason(cause, arrivals))

    def _put(self, key: EventKey, violation_id: str, told: Told) -> None:
        known = self._by_event.setdefault(key, {})
        before = known.get(violation_id)
        if before is not None:
            self.size_bytes -= len(before.message) + OVERHEAD_BYTES
        known[violation_id] = told
        self.size_bytes += len(told.message) + OVERHEAD_BYTES


def _fate(
    message: Violation, before: Told, now: Judgement, reason: Reason, known: Arrivals, feeds: Feeds
) -> tuple[Status, tuple[Arrival, ...]]:
    """What becomes of a violation that the rules do not find now, and the records that made it so."""
    if now.in_conflict:
        return "contested", ()
    if message.subject_ref != now.subject_ref:
        return "retracted", ()
    if now.outcomes.get(before.rule) is Outcome.UNDETERMINED:
        return "contested", reason.arrivals
    resting, happened = now.resting_on.get(before.rule, ()), micros(message.occurred_at)
    came = {each.record_id: each for each in (*known.of(resting), *reason.arrivals) if each.record_id in resting}
    # No alarm was there before the match, so what the broker took before it acquits nobody.
    late = [each for each in came.values() if each.recorded_at > happened and each.late(feeds)]
    forgotten = happened < known.since and not came.keys() >= set(resting) - set(message.deciding_records)
    new = [each for each in came.values() if each in reason.arrivals or each.record_id not in message.deciding_records]
    return "contested" if late or forgotten else "retracted", tuple(new or late or reason.arrivals or came.values())


def _because(message: Violation, reason: Reason) -> Violation:
    """A message with what led to it: the records that came, and of the latest of them since when and how late."""
    resting = [each for each in reason.arrivals if each.record_id in message.deciding_records]
    arrivals: Sequence[Arrival] = resting or reason.arrivals
    if not arrivals:
        return message.model_copy(update={"cause": reason.cause})
    last = max(arrivals, key=lambda each: (each.recorded_at, each.record_id))
    return message.model_copy(
        update={
            "cause": reason.cause,
            "changed_by": tuple(sorted({each.record_id for each in arrivals})),
            "in_force_since": moment_of(last.valid_from),
            "reached_log_at": moment_of(last.recorded_at),
        }
    )
