"""Who may be owed something: of most persons no duty has anything to say up to an instant, and columns find the others.

Rules:
1. Nothing is owed to a person where no statement opens a duty that could be breached or undetermined by then. Whatever
   else is said of the person may fulfil a duty or put it off, but brings none forward.
2. Statements that claim the same in the same surroundings open the same duties, and the later one is due no earlier.
   So one instant parts those that matter from those that do not, and it is found by halving.
3. To look at a person is never wrong: it is done where one is in doubt, was entered by a case, or was stored anew.
4. Those who are not looked at are counted as stored, by day and in columns; the others when they are looked at.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from streams.core.claim import ENROLLED, Claim
from streams.core.happenings import of_statement
from streams.core.instant import NEVER
from streams.core.obligation import Known, Status, obligations
from streams.core.registry import Registry
from streams.core.rule import DeadlineRule, Duty
from streams.core.stored_total import STORED_KINDS, counts_stored
from streams.core.subject_history import Histories
from streams.core.surroundings import Surroundings
from streams.core.timeline import Statement

SURROUNDING = ("site", "controller", "purpose")
"""Kinds of registry record that say whether, and for how long, something is owed to a person."""
OF_ITS_OWN = frozenset({"valid_from", "record_id"})
"""Facts that part records that claim the same: where a duty asks one of what opens it, none stands for another."""
TOLD = (Status.BREACHED, Status.UNDETERMINED)


class Stored(NamedTuple):
    """How many more persons a controller stores from a local day on; fewer where `step` is negative."""

    zone: str
    controller_id: str
    day: date
    step: int


class Owed(NamedTuple):
    """Who has to be looked at, and how many the others are."""

    persons: frozenset[str]
    """Those of whom something may be said; of the others nothing is, unless a case is entered for one."""
    stored: tuple[Stored, ...]
    """When the others begin and cease to be stored, in the time zones that rules ask for."""


def owed(
    duties: Collection[Duty], registry: Registry, histories: Histories, until: int, entered: Collection[str] = ()
) -> Owed:
    """Who may be owed something up to `until`, the last look; `entered` are the persons whom cases are about."""
    deadlines = tuple(duty for duty in duties if isinstance(duty, DeadlineRule) and duty.of_subject)
    table = _Table(histories, frozenset(entered), {*_opening(deadlines), *STORED_KINDS})
    zones = sorted({duty.timezone for duty in duties if counts_stored(duty)})
    found = [table.doubtful, _overdue(table, deadlines, registry, until)]
    if zones:
        found.append(_stored_anew(table))
    numbers = pl.concat(found).unique()
    others = table.rows.filter(~pl.col("person").is_in(numbers.implode()))
    counted = tuple(each for zone in zones for each in _stored(others, table.claims, zone))
    return Owed(frozenset(table.refs[number] for number in numbers.to_list()), counted)


class _Table:
    """The statements about persons as columns; of each only what duties may hang on."""

    def __init__(self, histories: Histories, entered: frozenset[str], kinds: Collection[str]) -> None:
        self.refs: list[str] = []
        self.claims: list[Claim] = []
        numbers: dict[int, int] = {}
        doubtful, person, made, since, until = (array("q") for _ in range(5))
        for place, (ref, history) in enumerate(histories.items()):
            self.refs.append(ref)
            if history.unreadable or history.conflicting or ref in entered:
                doubtful.append(place)
            for each in history:
                number = numbers.get(id(each.content))  # a claim is kept once for all who make it
                if number is None:
                    wanted = each.content.kind in kinds
                    number = numbers[id(each.content)] = len(self.claims) if wanted else -1
                    self.claims += [each.content] if wanted else []
                if number >= 0:
                    person.append(place)
                    made.append(number)
                    since.append(each.valid_from)
                    until.append(each.valid_until)
        self.doubtful = _series(doubtful, "person")
        named = {"person": person, "claim": made, "since": since, "until": until}
        self.rows = pl.DataFrame([_series(values, name) for name, values in named.items()])


def _series(values: array[int], name: str) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Int64)


# -- who may be owed something ----------------------------------------------------------------------------------------


def _opening(deadlines: Sequence[DeadlineRule]) -> set[str]:
    return {clause.record for duty in deadlines for clause in duty.opens if clause.record is not None}


def _overdue(table: _Table, deadlines: Sequence[DeadlineRule], registry: Registry, until: int) -> pl.Series:
    """The persons with a statement that opens something of which there is something to say."""
    kinds = _opening(deadlines)
    opening = pl.Series([number for number, claim in enumerate(table.claims) if claim.kind in kinds], dtype=pl.Int64)
    rows = table.rows.filter(pl.col("claim").is_in(opening.implode()))
    cuts = pl.Series(_cuts(deadlines, registry), dtype=pl.Int64)
    parted = rows.with_columns(cuts.search_sorted(rows["since"], side="right").alias("stretch"))
    alike = ("claim", "stretch", "until")
    classes = parted.group_by(alike).agg(pl.col("since").unique().sort())
    judge = _Judge(deadlines, Known(Surroundings(registry), registry.feeds.horizon, registry.hidden, until))
    firsts = [judge.first_idle(table.claims[claim], end, sinces) for claim, _, end, sinces in classes.iter_rows()]
    bounds = classes.select(alike).with_columns(pl.Series("bound", firsts, dtype=pl.Int64))
    return parted.join(bounds, on=alike).filter(pl.col("since") < pl.col("bound"))["person"]


def _cuts(deadlines: Sequence[DeadlineRule], registry: Registry) -> list[int]:
    """Every instant at which a rule begins or ends, or the surroundings of some person may change."""
    found = {bound for duty in deadlines for bound in (duty.from_instant, duty.until_instant)}
    for controller in registry.controllers():
        for kind in SURROUNDING:
            for thing in registry.owned(kind, controller):
                found |= registry.instants(kind, thing)
    return sorted(found)


class _Judge:
    """Says of a statement alone whether it opens a duty that is breached or undetermined."""

    def __init__(self, deadlines: Sequence[DeadlineRule], known: Known) -> None:
        self._deadlines, self._known = deadlines, known
        self._apart = {
            clause.record
            for duty in deadlines
            for clause in duty.opens
            if clause.condition is not None and not OF_ITS_OWN.isdisjoint(clause.condition.facts)
        }

    def first_idle(self, claim: Claim, end: int, sinces: Sequence[int]) -> int:
        """From which of some sorted instants on a claim opens nothing of which there is something to say."""
        if claim.kind in self._apart:
            return NEVER
        place = bisect_left(sinces, True, key=lambda since: not self._matters(claim, since, end))
        return sinces[place] if place < len(sinces) else NEVER

    def _matters(self, claim: Claim, since: int, end: int) -> bool:
        alone = of_statement(Statement("", 1, since, claim, end), "", known=True)
        return any(
            found.status in TOLD for duty in self._deadlines for found in obligations(duty, [alone], self._known)
        )


# -- who is stored ----------------------------------------------------------------------------------------------------


def _stored_anew(table: _Table) -> pl.Series:
    """The persons whose reference was deleted, or enrolled more than once by one controller."""
    kinds = _of_claims(table.claims, lambda claim: claim.kind)
    owners = _of_claims(table.claims, lambda claim: claim.controller_id)
    rows = table.rows.select("person", kind=kinds.gather(table.rows["claim"]), owner=owners.gather(table.rows["claim"]))
    deleted = rows.filter(kind="deletion")["person"]
    again = rows.filter(kind=ENROLLED).select("person", "owner")
    return pl.concat([deleted, again.filter(again.is_duplicated())["person"]])


def _stored(others: pl.DataFrame, claims: Sequence[Claim], zone: str) -> Iterator[Stored]:
    owners = _of_claims(claims, lambda claim: claim.controller_id if claim.kind == ENROLLED else None)
    rows = others.select("since", "until", owner=owners.gather(others["claim"])).filter(pl.col("owner").is_not_null())
    days = [
        rows.filter(pl.col(edge) < NEVER).select("owner", _day(edge, zone), step=pl.lit(step, pl.Int64))
        for edge, step in (("since", 1), ("until", -1))
    ]
    steps = pl.concat(days).group_by("owner", "day").agg(pl.col("step").sum()).sort("owner", "day")
    for owner, day, step in steps.filter(pl.col("step") != 0).iter_rows():
        yield Stored(zone, owner, day, step)


def _day(edge: str, zone: str) -> pl.Expr:
    instant = pl.col(edge).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return instant.dt.convert_time_zone(zone).dt.date().alias("day")


def _of_claims(claims: Sequence[Claim], ask: Callable[[Claim], str | None]) -> pl.Series:
    return pl.Series([ask(claim) for claim in claims], dtype=pl.String)
