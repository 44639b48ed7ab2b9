"""Breaches of deadlines and windows that were said: what is said next, and how one is taken back.

Rules:
1. Something is said where it stands otherwise than was said before. A breach is remembered as it was said, for so it is
   taken back.
2. A breach that is none any more is retracted where what fulfils the duty reached the log as early as its feed
   promises; in any other case it is contested, and a person decides. Nobody acquits himself after the alarm.
3. What is unknown contests a breach too, for unknown never reads as clear. Only a feed that fell behind does not: it
   was complete when the breach was said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

from streams.core.arrival import Arrival, Arrivals
from streams.core.facts import BEHIND
from streams.core.feed import Feeds
from streams.core.holder import Holder, Standing, holder_of_standing
from streams.core.obligation import Obligation, Status
from streams.core.stored_total import counts_stored
from streams.core.window import Window


class Undone(NamedTuple):
    """A breach that was said and is taken back: what becomes of it, how it was said, and the record that undid it."""

    status: Literal["retracted", "contested"]
    breach: Standing
    by: Arrival | None


class Breaches:
    """What was said of everything that is pending, and every breach in whole; `arrivals` and `feeds` are the views'."""

    __slots__ = ("_again", "_arrivals", "_by_holder", "_feeds", "_said")

    def __init__(self, arrivals: Arrivals, feeds: Feeds) -> None:
        self._arrivals, self._feeds = arrivals, feeds
        self._said: dict[int, Status] = {}
        self._again: set[int] = set()
        self._by_holder: defaultdict[Holder, dict[str, Standing]] = defaultdict(dict)

    def note(self, standing: Standing) -> None:
        """Remember what was said."""
        holder, short = holder_of_standing(standing), _short(standing.id)
        breaches = self._by_holder[holder]
        if standing.status is Status.BREACHED:
            breaches[standing.id] = replace(standing, undone=None)
        elif breaches.pop(standing.id, None) is not None:
            self._again.add(short)
        if not breaches:
            del self._by_holder[holder]
        self._said[short] = standing.status

    def untold(self, standing: Standing) -> bool:
        """Whether nothing can be said of something, and nothing but its opening was said."""
        said = self._said.get(_short(standing.id))
        return standing.status is Status.UNDETERMINED and said in (None, Status.OPEN, Status.VOID)

    def next(self, standing: Standing) -> Standing | None:
        """What is to be said, and is said from now on, of something as it stands; None where that was said."""
        before = self._said.get(_short(standing.id))
        breach = self._by_holder.get(holder_of_standing(standing), {}).get(standing.id)
        if standing.status is Status.UNDETERMINED and (breach is None or standing.why in BEHIND):
            return None
        if before is standing.status and (breach is None or _core(breach) == _core(standing)):
            return None
        now = self._now(standing, breach)
        self.note(now)
        return now

    def _now(self, standing: Standing, breach: Standing | None) -> Standing:
        if breach is None or standing.status is Status.BREACHED:
            return replace(standing, again=breach is not None or _short(standing.id) in self._again)
        by = self._fulfilment(standing)
        word: Literal["retracted", "contested"] = "contested" if by is None or by.late(self._feeds) else "retracted"
        undone = Undone(word, breach, by)
        if standing.status is Status.UNDETERMINED:  # what is not known is not told: the duty is open again
            return replace(breach, status=Status.VOID if isinstance(breach, Window) else Status.OPEN, undone=undone)
        return replace(standing, undone=undone)

    def _fulfilment(self, standing: Standing) -> Arrival | None:
        """When the record came that fulfils a duty, as far as that is known."""
        record = standing.closed_by if isinstance(standing, Obligation) else None
        return None if record is None else next(iter(self._arrivals.of([record])), None)

    def gone(self, holder: Holder, there: Collection[str], *, kept_since: int) -> Iterator[Standing]:
        """The breaches that nothing gives rise to any more, as void; `there` are the ids of what stands.

        Those whose cases are forgotten by now (before `kept_since`) are forgotten too.
        """
        breaches = self._by_holder.get(holder, {})
        for breach in [each for each in breaches.values() if each.id not in there]:
            if _of_cases(breach) and _since(breach) < kept_since:
                del breaches[breach.id]
            else:
                yield replace(breach, status=Status.VOID)


def _core(breach: Standing) -> tuple[object, ...]:
    """What is said of a breach beside its id: late records may move its end, or open the duty by something earlier."""
    return (breach.due, breach.opened_by) if isinstance(breach, Obligation) else ()


def _since(standing: Standing) -> int:
    return standing.first if isinstance(standing, Window) else standing.opened_at


def _of_cases(standing: Standing) -> bool:
    """Whether cases gave rise to something, which are forgotten, and not records, which never are."""
    if isinstance(standing, Window):
        return not counts_stored(standing.rule)
    return any(clause.case is not None for clause in standing.rule.opens)


def _short(standing_id: str) -> int:
    """64 bits of an id: with a hundred million duties the odds that two agree are 1 in 3 700."""
    return int(standing_id[:16], 16)
