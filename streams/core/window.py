"""Windows: how many cases, persons or sites count for a key within whole local days, and what follows from it.

Rules:
1. A window begins at local midnight of the rule's time zone and lasts whole days, counted from 1 January 1970 there; a
   day of a clock change has 23 or 25 hours.
2. A case counts once, by its event id, however often and in whatever order it is entered.
3. A bound that is reached stays reached, so the breach is said at once; only what could still be silenced (`unless`)
   waits for the end. Where cases that could not be judged would make the difference, the window is undetermined.
4. An exception record may allow less than the rule does; the least that it allowed at the instant of a counted case
   counts, so that more cases never undo a breach.
5. The id comes from rule, revision, key and window, never from an event.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from streams.core import calendar
from streams.core.facts import Unknown
from streams.core.obligation import Happening, Known, Status, applies_to
from streams.core.rule import WindowRule

if TYPE_CHECKING:
    from streams.core.breach import Undone

ID_SCHEME = "1"
FIRST_DAY = date(1970, 1, 1)
NOWHERE = "unknown"
"""The key of cases whose site no record names."""
MEASURED = {"subjects": "subject", "sites": "site"}


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one key as it stands; `first` is its first instant, `last` its last one."""

    rule: WindowRule
    id: str
    status: Status
    controller: str
    key: str
    first: int
    last: int
    why: Unknown | None = None
    allowed: int | None = None
    """What an exception record allows, where that is less than the bound of the rule and was gone beyond."""
    undone: Undone | None = None
    again: bool = False
    """It was said before that the bound was reached, and then that it was not."""


def window_of(rule: WindowRule, instant: int) -> tuple[int, int]:
    """The first and the last instant of the window that an instant lies in."""
    zone = ZoneInfo(rule.timezone)
    since = (calendar.local_day(instant, zone) - FIRST_DAY).days
    first = FIRST_DAY + timedelta(days=since - since % rule.days)
    return calendar.start_of(first, zone), calendar.end_of(first + timedelta(days=rule.days - 1), zone)


def window_id(rule: WindowRule, controller: str, key: str, first: int) -> str:
    """The id of a window; 64 hexadecimal digits."""
    identity = json.dumps([ID_SCHEME, rule.id, rule.revision, controller, key, first], separators=(",", ":"))
    return hashlib.sha256(identity.encode()).hexdigest()


Allowed = Callable[[str, str, int], int | None]
"""How many cases a day may name an exception: of a controller, by its id, at an instant; None where it does not say."""


def windows(
    rule: WindowRule, entered: Iterable[Happening], until: int, allowed: Allowed = lambda *_: None
) -> Iterator[Window]:
    """Every window of a rule of which something is to be said: breached, or undetermined at its end."""
    found: defaultdict[tuple[str, str, int, int], list[Happening]] = defaultdict(list)
    for case in entered:
        each = case
        key = each.parts.get(rule.key)
        if key is None and rule.key == "site":  # it happened somewhere, and no record says where
            key, each = NOWHERE, case._replace(known=False)
        if key is not None and each.at <= until:
            found[str(each.parts["controller"]), key, *window_of(rule, each.at)].append(each)
    for (controller, key, first, last), cases in sorted(found.items()):
        status = _status(rule, cases, ended=last < until)
        bound = None
        if rule.or_beyond is not None and status is not Status.BREACHED:
            bound, status = _beyond(cases, allowed, ended=last < until) or (None, status)
        if status is not None:
            identity = window_id(rule, controller, f"{rule.key}/{key}", first)
            unknown = Unknown.NOT_REGISTERED if key == NOWHERE else _why(cases)
            why = unknown if status is Status.UNDETERMINED else None
            yield Window(rule, identity, status, controller, f"{rule.key}/{key}", first, last, why, bound)


def _why(cases: Iterable[Happening]) -> Unknown:
    """Why most of the cases in doubt are; of reasons that are as frequent the first of the alphabet."""
    counted = Counter((each.why or Unknown.NOT_REPORTED).value for each in cases if not each.known)
    return Unknown(min(counted, key=lambda reason: (-counted[reason], reason))) if counted else Unknown.NOT_REPORTED


def _beyond(cases: Iterable[Happening], allowed: Allowed, *, ended: bool) -> tuple[int, Status] | None:
    """What an exception allows that is named more often than that, or at the end perhaps is; the certain ones first."""
    named: defaultdict[str, list[Happening]] = defaultdict(list)
    for each in cases:
        if (paper := each.parts.get("exception")) is not None:
            named[paper].append(each)
    found: list[tuple[bool, int]] = []
    for paper, uses in named.items():
        limits = [allowed(str(each.parts["controller"]), paper, each.at) for each in uses]
        bound = min((each for each in limits if each is not None), default=None)
        surely = len({each.id for each in uses if each.known})
        if bound is not None and (surely > bound or (ended and len({each.id for each in uses}) > bound)):
            found.append((surely <= bound, bound))
    if not found:
        return None
    doubtful, bound = min(found)
    return bound, Status.UNDETERMINED if doubtful else Status.BREACHED


def _status(rule: WindowRule, cases: Sequence[Happening], *, ended: bool) -> Status | None:
    counted = [each for each in cases if each.what == "counts"]
    surely = measure(rule, [each for each in counted if each.known])
    perhaps = measure(rule, counted)
    if rule.unless is None:
        if surely >= rule.at_least:
            return Status.BREACHED
        return Status.UNDETERMINED if ended and perhaps >= rule.at_least else None
    silencing = [each for each in cases if each.what == "unless"]
    if not ended or perhaps < rule.at_least or any(each.known for each in silencing):
        return None
    return Status.UNDETERMINED if silencing or surely < rule.at_least else Status.BREACHED


def bound_of(window: Window) -> int:
    """The number of cases at which a window speaks: that of its rule, or the next after what a record allows."""
    return window.rule.at_least if window.allowed is None else window.allowed + 1


def window_end(rule: WindowRule, instant: int) -> int:
    """The last instant of the window that an instant lies in."""
    return window_of(rule, instant)[1]


def stored_window(rule: WindowRule, controller: str, since: int, known: Known) -> Iterator[Window]:
    """The window of the day at whose end a controller came to store too many persons, where the rule holds there."""
    first, last = window_of(rule, since)
    if not rule.from_instant <= since < rule.until_instant:
        return
    applies = applies_to(rule, {"controller": controller}, since, known.around)
    if applies is not False:
        key = f"controller/{controller}"
        status, why = (Status.BREACHED, None) if applies else (Status.UNDETERMINED, Unknown.NOT_REGISTERED)
        yield Window(rule, window_id(rule, controller, key, first), status, controller, key, first, last, why)


def measure(rule: WindowRule, cases: Iterable[Happening]) -> int:
    """How many cases, persons or sites there are."""
    part = MEASURED.get(rule.count)
    if part is None:
        return len({each.id for each in cases})
    return len({each.parts[part] for each in cases if each.parts.get(part) is not None})
