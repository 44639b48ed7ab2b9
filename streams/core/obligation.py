"""Obligations: what a deadline rule makes of triggers and of what answers them, up to an instant.

Rules:
1. An obligation is a pure function of what happened and of `until`; the order in which it became known changes nothing.
2. What comes at the last instant is in time; at one instant what opens a duty comes before what fulfils it.
3. A breach is said only where what would have fulfilled the duty is surely missing: its feed is complete beyond the
   deadline. Until then the duty is undetermined, with the reason.
4. A duty has one id, made of rule, revision, key and trigger (or period), however often it is looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from streams.core import calendar
from streams.core.condition import Condition
from streams.core.facts import Unknown
from streams.core.feed import Horizon
from streams.core.instant import NEVER, micros, moment_of
from streams.core.interpreter import interpret
from streams.core.rule import Amount, AnyRule, Clause, DeadlineRule
from streams.core.surroundings import Parts, Place, Surroundings

if TYPE_CHECKING:
    from streams.core.breach import Undone

ID_SCHEME = "1"


class Status(StrEnum):
    """How an obligation stands."""

    OPEN = "open"
    FULFILLED = "fulfilled"
    BREACHED = "breached"
    UNDETERMINED = "undetermined"
    VOID = "void"
    """A breach was said, and nothing opens the duty any more."""


class Happening(NamedTuple):
    """A record, or a case that was entered for a duty, as a duty sees it.

    `what` is the kind of a record, or the role of a case (`opens-0`); `known` is false where it cannot be said whether
    the case meets its condition, and `why` is then the reason, where there is one.
    """

    what: str
    id: str
    at: int
    until: int
    fields: Mapping[str, object]
    parts: Parts
    known: bool = True
    why: Unknown | None = None


class Trigger(NamedTuple):
    """What opens one duty, and from when it is counted."""

    id: str
    at: int
    row: Mapping[str, object]
    parts: Parts
    place: Place | None


@dataclass(frozen=True, slots=True)
class Obligation:
    """One duty as it stands at an instant; `due` is None where nothing can be said of its end."""

    rule: DeadlineRule
    id: str
    status: Status
    parts: Parts
    opened_by: str
    opened_at: int
    due: int | None
    closed_by: str | None = None
    why: Unknown | None = None
    waits_for: tuple[str, ...] = ()
    """Kinds of record whose feeds have to be complete beyond `due`."""
    undone: Undone | None = None
    again: bool = False
    """It was said before that this was breached, and then that it was not."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known to whoever looks: the surroundings, the feeds, and up to when he looks."""

    around: Surroundings
    horizon: Callable[[str, str], Horizon | None]
    hidden: Callable[[str], bool]
    """Whether some registry record of a kind cannot be read."""
    until: int


def obligations(rule: DeadlineRule, happenings: Sequence[Happening], known: Known) -> Iterator[Obligation]:
    """Every duty of a rule out of what happened around one key holder (a person, or a controller)."""
    groups: dict[str, list[tuple[Trigger, Unknown | None]]] = {}
    for trigger, open_question in _triggers(rule, happenings, known):
        identity = obligation_id(rule, trigger.parts, _period(rule, trigger))
        groups.setdefault(identity, []).append((trigger, open_question))
    answers = _Answers(rule, [each for each in happenings if each.at <= known.until]) if groups else None
    for identity, group in groups.items():
        assert answers is not None, "what is opened may be answered"
        found = _opened_by_the_first(rule, identity, group, answers, known)
        if found.status is not Status.OPEN or found.due is not None:
            yield found


class _Answers:
    """What happened, found by the last part of a duty's key: thousands of duties of one controller share a list."""

    def __init__(self, rule: DeadlineRule, happenings: Iterable[Happening]) -> None:
        self._rule, self._part = rule, rule.key[-1]
        self._by_part: defaultdict[str | None, list[Happening]] = defaultdict(list)
        self._of_any: list[Happening] = []
        for each in happenings:
            held = self._by_part[each.parts[self._part]] if self._part in each.parts else self._of_any
            held.append(each)

    def about(self, trigger: Trigger) -> list[Happening]:
        """What is about the key of a duty."""
        near = self._by_part.get(trigger.parts.get(self._part), ())
        return [each for each in (*self._of_any, *near) if _same(self._rule, trigger, each)]


def _opened_by_the_first(
    rule: DeadlineRule,
    identity: str,
    group: Sequence[tuple[Trigger, Unknown | None]],
    answers: _Answers,
    known: Known,
) -> Obligation:
    """One duty of several triggers: opened by the first of which it is certain that it does, else by the first."""
    first: Obligation | None = None
    for trigger, open_question in sorted(group, key=lambda each: (each[0].at, each[0].id)):
        if open_question is not None:
            found = _undetermined(rule, identity, trigger, open_question)
        else:
            found = _settled(rule, identity, trigger, answers, known)
        if found.status is not Status.UNDETERMINED or found.due is not None:
            return found
        first = first or found
    assert first is not None, "a duty has a trigger"
    return first


def obligation_id(rule: DeadlineRule, parts: Parts, trigger: str) -> str:
    """The id of a duty; 64 hexadecimal digits."""
    key = [[part, parts.get(part)] for part in rule.key]
    identity = json.dumps([ID_SCHEME, rule.id, rule.revision, key, trigger], separators=(",", ":"))
    return hashlib.sha256(identity.encode()).hexdigest()


def _period(rule: DeadlineRule, trigger: Trigger) -> str:
    if rule.once == "each":
        return trigger.id
    if rule.once == "ever":
        return "ever"
    first, _ = calendar.period_of(trigger.at, rule.once, ZoneInfo(rule.timezone))
    return f"{rule.once} {first}"


# -- what opens a duty ------------------------------------------------------------------------------------------------


def _triggers(
    rule: DeadlineRule, happenings: Iterable[Happening], known: Known
) -> Iterator[tuple[Trigger, Unknown | None]]:
    """The triggers of a rule up to `until`, each with what is unknown about it."""
    openings = list(_named(rule, "opens"))
    for each in happenings:
        if each.at > known.until:
            continue
        for role, clause in openings:
            if each.what not in (role, clause.record):
                continue
            if clause.case is not None:  # the judge has said that the rule applies
                why = None if each.known else each.why or Unknown.NOT_REPORTED
                yield Trigger(each.id, each.at, {}, _own_parts(each), None), why
            elif (opened := _opened(rule, clause, each, known)) is not None:
                yield opened


def _own_parts(each: Happening) -> Parts:
    return {**each.parts, "record": each.id, "event": each.id}


def _opened(
    rule: DeadlineRule, clause: Clause, each: Happening, known: Known
) -> tuple[Trigger, Unknown | None] | None:
    opened_at = each.at
    if rule.continuing and each.at < rule.from_instant < each.until:
        opened_at = rule.from_instant
    if not rule.from_instant <= opened_at < rule.until_instant or opened_at > known.until:
        return None
    place = known.around.place(each.parts, opened_at)
    row = _row(each, place, known.around)
    trigger = Trigger(each.id, opened_at, row, _own_parts(each), place)
    applies = applies_to(rule, each.parts, opened_at, known.around)
    holds = _holds(clause.condition, row) if each.known else None
    if applies is False or holds is False:
        return None
    if applies is None:
        return trigger, Unknown.NOT_REGISTERED
    if holds is None:
        return trigger, Unknown.NOT_REPORTED if each.known else Unknown.CONFLICT
    return trigger, None


def applies_to(rule: AnyRule, parts: Parts, instant: int, around: Surroundings) -> bool | None:
    """Whether a rule binds a controller at a place; unknown where a record that would say so is missing."""
    said = {_in_place(rule, around.place(parts, instant)), _of_type(rule, parts, instant, around)}
    return False if False in said else None if None in said else True


def _in_place(rule: AnyRule, place: Place | None) -> bool | None:
    if not rule.jurisdictions:
        return True
    return None if place is None else bool(set(rule.jurisdictions) & set(place.jurisdictions))


def _of_type(rule: AnyRule, parts: Parts, instant: int, around: Surroundings) -> bool | None:
    if not rule.controller_types:
        return True
    held = around.controller(str(parts["controller"]), instant)
    return None if held is None else held.controller_type in rule.controller_types


def _holds(condition: Condition | None, row: Mapping[str, object]) -> bool | None:
    return True if condition is None else interpret(condition.root, row)


def _own_row(each: Happening) -> dict[str, object]:
    """The fields of a record alone."""
    return {
        "valid_from": moment_of(each.at),
        "valid_until": None if each.until == NEVER else moment_of(each.until),
        "record_id": each.id,
        "controller_id": each.parts["controller"],
        **each.fields,
    }


def _row(each: Happening, place: Place | None, around: Surroundings) -> dict[str, object]:
    """The fields of a record and what surrounds it, as conditions name them."""
    purpose = around.purpose(each.parts, each.at)
    controller = around.controller(str(each.parts["controller"]), each.at)
    ended = None if purpose is None else purpose.valid_until
    days = None if purpose is None else purpose.retention_days
    return {
        "site_public": None if place is None else place.site_public,
        "site_kind": None if place is None else place.site_kind,
        "purpose_retention_days": None if days is None else float(days),
        "purpose_category": None if purpose is None else purpose.category,
        "purpose_ended_at": ended,
        "controller_exemptions": None if controller is None else controller.exemptions,
        **_own_row(each),
    }


# -- when it is due, and what became of it ----------------------------------------------------------------------------


def _undetermined(rule: DeadlineRule, identity: str, trigger: Trigger, why: Unknown) -> Obligation:
    return Obligation(rule, identity, Status.UNDETERMINED, trigger.parts, trigger.id, trigger.at, None, why=why)


def _settled(
    rule: DeadlineRule, identity: str, trigger: Trigger, answers: _Answers, known: Known
) -> Obligation:
    end = _due(rule.due, trigger.row, trigger.at, rule, trigger.place)
    found = Obligation(rule, identity, Status.OPEN, trigger.parts, trigger.id, trigger.at, None)
    if end is None:  # nothing says from when or how long: there is no deadline yet
        return found
    if isinstance(end, Unknown):
        return replace(found, status=Status.UNDETERMINED, why=end)
    about = answers.about(trigger)
    end = _extended(rule, trigger, end, about)
    found = replace(found, due=end.instant)
    said = [_answer(clause, role, trigger, about, end.instant) for role, clause in _named(rule, "fulfils")]
    in_time = [each.id for each, certain in filter(None, said) if certain]
    if in_time:
        return replace(found, status=Status.FULFILLED, closed_by=min(in_time))
    if known.until <= end.instant and rule.fulfilled_by:
        return found
    for each, _ in filter(None, said):
        return replace(found, status=Status.UNDETERMINED, why=each.why or Unknown.NOT_REPORTED)
    if end.estimated:
        return replace(found, status=Status.UNDETERMINED, why=Unknown.CALENDAR_UNPUBLISHED)
    why, kinds = _unearned(rule, trigger, end.instant, known)
    if why is not None:
        return replace(found, status=Status.UNDETERMINED, why=why, waits_for=kinds)
    return replace(found, status=Status.BREACHED)


def _named(rule: DeadlineRule, role: str) -> Iterator[tuple[str, Clause]]:
    return ((name, clause) for name, clause in rule.clauses() if name.startswith(role))


def _unearned(
    rule: DeadlineRule, trigger: Trigger, end: int, known: Known
) -> tuple[Unknown | None, tuple[str, ...]]:
    """Why it cannot be said yet that nothing fulfilled a duty, and on which feeds that hangs."""
    kinds = tuple(sorted({clause.record for clause in rule.fulfilled_by if clause.record is not None}))
    controller = str(trigger.parts["controller"])
    horizons = [known.horizon(controller, kind) for kind in kinds]
    if None in horizons:
        return Unknown.FEED_MISSING, kinds
    if any(known.hidden(kind) for kind in kinds):
        return Unknown.RECORD_UNREADABLE, ()
    if any(each is not None and each.complete_until <= end for each in horizons):
        return Unknown.FEED_BEHIND, kinds
    return None, ()


def _same(rule: DeadlineRule, trigger: Trigger, each: Happening) -> bool:
    """Whether something is about the key of a duty; what its kind cannot name does not set it apart."""
    return all(part not in each.parts or each.parts[part] == trigger.parts.get(part) for part in rule.key)


def _extended(rule: DeadlineRule, trigger: Trigger, end: calendar.Due, about: Iterable[Happening]) -> calendar.Due:
    clauses = dict(_named(rule, "extends"))
    for each in sorted(about, key=lambda each: (each.at, each.id)):
        if not trigger.at <= each.at <= end.instant or not each.known:
            continue
        for name, clause in clauses.items():
            if each.what not in (name, clause.record) or _holds(clause.condition, _own_row(each)) is not True:
                continue
            assert clause.due is not None, "an extension says by how much"
            start = each.at if clause.restarts else end.instant
            longer = _due(clause.due, each.fields, start, rule, trigger.place)
            if isinstance(longer, calendar.Due) and longer.instant > end.instant:
                end = longer
    return end


def _answer(
    clause: Clause, role: str, trigger: Trigger, about: Iterable[Happening], end: int
) -> tuple[Happening, bool] | None:
    """The first thing that fulfils a duty in time; else one of which it cannot be said; with whether it is certain."""
    doubtful: Happening | None = None
    for each in sorted(about, key=lambda each: (each.at, each.id)):
        if each.what not in (role, clause.record) or each.id == trigger.id:
            continue
        at = each.at if clause.at is None else _instant(each.fields.get(clause.at))
        if at is None:
            continue
        begun = trigger.at <= at or (clause.earlier and trigger.at < each.until)
        holds = _holds(clause.condition, _own_row(each)) if each.known else None
        if not begun or at > end or holds is False:
            continue
        if holds:
            return each, True
        doubtful = doubtful or each
    return None if doubtful is None else (doubtful, False)


def _instant(value: object) -> int | None:
    return micros(value) if isinstance(value, datetime) else None


def _due(
    amount: Amount, row: Mapping[str, object], at: int, rule: DeadlineRule, place: Place | None
) -> calendar.Due | Unknown | None:
    """The end of a duty; None where nothing says from when or how long, a reason where the calendar is not known."""
    zone = ZoneInfo(rule.timezone)
    start = at if amount.counted_from is None else _instant(row.get(amount.counted_from))
    after = amount.after if isinstance(amount.after, int) else row.get(amount.after)
    if start is None or not isinstance(after, int | float):
        return None
    working = None
    if amount.calendar is not None:
        name = _local(place) if amount.calendar == "local" else amount.calendar
        if name is None or not calendar.known(name):
            return Unknown.NOT_REGISTERED
        working = calendar.WorkingDays(name)
    if amount.from_end_of is not None:
        _, last = calendar.period_of(start, amount.from_end_of, zone)
        start = calendar.start_of(last + timedelta(days=1), zone) - 1
    return calendar.due(start, int(after), amount.unit, zone, working=working, roll=amount.roll)


def _local(place: Place | None) -> str | None:
    """The country, or part of one, whose working days hold at a place: the narrowest that has any."""
    codes = () if place is None else place.jurisdictions
    parts = ["-".join(code.split("-")[:2]) for code in codes if code != "EU"]
    return next((code for code in reversed(parts) if calendar.known(code)), None)
