"""Blind spots: a fact that one device or system never delivers, told once for each rule, with what to supply.

Rules:
1. A case that is undetermined because something was not reported shows a blind spot of its device; what only waits (a
   feed behind, a record in conflict, a device not registered) shows none.
2. A spot is one for each rule, device and fact, however many cases fall into it; it closes when the fact comes.
3. At most `SPOTS_MAX` are kept; what finds no room is counted, for nobody mends ten thousand at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from streams.core.facts import FACTS, Unknown
from streams.core.judge import Outcome, Verdicts
from streams.core.reason import first_open
from streams.core.rule import Rule

SPOTS_MAX = 10_000


class BlindSpot(NamedTuple):
    """One fact that a rule asks and a device never delivers."""

    rule_id: str
    device_id: str
    fact: str

    @property
    def supply(self) -> str:
        """What to supply, as a sentence."""
        return FACTS[self.fact].supply


class BlindSpots:
    """The blind spots seen so far, each with the number of cases in it."""

    def __init__(self) -> None:
        self._cases: dict[BlindSpot, int] = {}
        self.overflow = 0
        """Cases in spots for which there was no room."""

    def see(self, verdicts: Verdicts) -> list[BlindSpot]:
        """Take the verdicts of a batch in; gives the spots that were not known."""
        self._close(verdicts.cases)
        fresh: list[BlindSpot] = []
        for spot, cases in _spots(verdicts):
            if spot not in self._cases:
                if len(self._cases) >= SPOTS_MAX:
                    self.overflow += cases
                    continue
                fresh.append(spot)
            self._cases[spot] = self._cases.get(spot, 0) + cases
        return fresh

    def _close(self, cases: pl.DataFrame) -> None:
        """Forget the spots whose fact a device of this batch delivers."""
        if not self._cases:
            return
        there = set(cases["device_id"].unique().to_list())
        asked = {spot.fact for spot in self._cases if spot.device_id in there and spot.fact in cases.columns}
        told = {
            (device, fact)
            for fact in asked
            for device in cases.filter(pl.col(fact).is_not_null())["device_id"].unique().to_list()
        }
        for spot in [spot for spot in self._cases if (spot.device_id, spot.fact) in told]:
            del self._cases[spot]

    def __iter__(self) -> Iterator[tuple[BlindSpot, int]]:
        return iter(sorted(self._cases.items()))

    def __len__(self) -> int:
        return len(self._cases)


def _spots(verdicts: Verdicts) -> Iterator[tuple[BlindSpot, int]]:
    for rule, reason in verdicts.undetermined():
        if reason == Unknown.NOT_REPORTED.value:
            yield from _spots_of_few(verdicts, rule) if verdicts.few else _spots_of_many(verdicts, rule)


def _spots_of_few(verdicts: Verdicts, rule: Rule) -> Iterator[tuple[BlindSpot, int]]:
    """Row by row: there are dozens of rules, and a query for each would be most of what a small run costs."""
    devices = verdicts.cases["device_id"]
    counted = Counter(
        BlindSpot(rule.id, devices[row], fact)
        for row, fact, reason in verdicts.open_facts(rule)
        if fact is not None and reason == Unknown.NOT_REPORTED.value
    )
    yield from sorted(counted.items())


def _spots_of_many(verdicts: Verdicts, rule: Rule) -> Iterator[tuple[BlindSpot, int]]:
    open_cases = verdicts.cases.filter(verdicts.outcomes[rule.column] == Outcome.UNDETERMINED.value)
    seen = open_cases.select("device_id", *first_open(rule)).filter(
        (pl.col("reason") == Unknown.NOT_REPORTED.value) & pl.col("fact").is_not_null()
    )
    counted = seen.group_by("device_id", "fact").len().sort("device_id", "fact")
    for device_id, fact, cases in counted.iter_rows():
        yield BlindSpot(rule.id, device_id, fact), cases
