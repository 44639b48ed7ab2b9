"""The difference between two rulebooks on the same events: what is caught no longer, and what is caught anew.

Rules:
1. Both judge the same decoded batches with their own views of the same records; a rule is compared by its id, whatever
   its revisions, and a rule that one of them lacks says nothing there.
2. What was a violation and is none any more comes first: the dangerous direction. An excuse or an unknown in its place
   is less caught, too.
3. Deadlines and windows are compared too, at the latest instant that the files tell of: one of the same rule, holder
   and beginning is the same. Their examples are what opened them, or the id of the window.
4. Counts are whole; examples are the first few events, so that the memory does not grow with the log.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from streams.core.judge import Outcome, Verdicts
from streams.core.rulebook import Rulebook
from streams.replay.offline import BadLine, Offline, bad_lines, frames, pieces_of

EXAMPLES = 3


class Change(StrEnum):
    """What became of a case under the new rulebook; in the order in which it is told."""

    NO_LONGER_VIOLATING = "no_longer_violating"
    NEWLY_VIOLATING = "newly_violating"
    NEWLY_UNDETERMINED = "newly_undetermined"


class Where(NamedTuple):
    """What counts are kept by."""

    change: Change
    rule_id: str
    became: str
    site_id: str | None
    purpose_id: str | None


@dataclass(slots=True)
class RuleDiff:
    """Counts of changes, and a few events for each rule and change."""

    judged: int = 0
    counts: Counter[Where] = field(default_factory=Counter)
    examples: defaultdict[tuple[Change, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    bad_lines: list[BadLine] = field(default_factory=list)

    def total(self, change: Change) -> int:
        """How many cases changed so."""
        return sum(count for where, count in self.counts.items() if where.change is change)

    @property
    def catches_less(self) -> bool:
        """Whether something was a violation and is none any more."""
        return self.total(Change.NO_LONGER_VIOLATING) > 0

    def by(self, change: Change) -> Iterator[tuple[Where, int]]:
        """The counts of one kind of change, the largest first."""
        found = [(where, count) for where, count in self.counts.items() if where.change is change]
        yield from sorted(found, key=lambda each: (-each[1], [str(part) for part in each[0]]))


def diff(
    old: Rulebook, new: Rulebook, events: Sequence[Path], subjects: Sequence[Path], registry: Sequence[Path]
) -> RuleDiff:
    """What `new` says otherwise than `old` of the events of the files; raises InputError where one cannot be read."""
    found = RuleDiff()
    before, after = Offline(old), Offline(new)
    for side in (before, after):
        side.read_records(subjects, registry)
    for file in events:
        for piece in pieces_of(file):
            for kind, frame in frames(piece.matches, piece.others):
                found.judged += frame.height
                _compare(found, before.judge(kind, frame), after.judge(kind, frame))
            found.bad_lines += bad_lines(str(file), piece)
    _compare_standing(found, _standing(before), _standing(after))
    found.bad_lines = [*before.bad_lines, *found.bad_lines]
    return found


def _standing(side: Offline) -> Standings:
    """What a side says of deadlines and windows at the end, by what makes it the same under another rulebook."""
    said = list(side.settle())
    return {(line["rule_id"], *(line.get(name) for name in SAME)): line for line in said}


SAME = (
    *("controller_id", "key", "window_from", "opened_by", "opened_at"),
    *("subject_id", "site_id", "purpose_id", "device_id", "authority_id"),
)
"""What of a deadline or a window does not hang on the wording of its rule."""


Standings = Mapping[tuple[object, ...], dict[str, Any]]


def _compare_standing(found: RuleDiff, before: Standings, after: Standings) -> None:
    outcomes = {outcome.word: outcome for outcome in Outcome}
    for place in sorted(before.keys() | after.keys(), key=repr):
        line = before.get(place) or after[place]
        was, became = (outcomes[side[place]["verdict"]] if place in side else Outcome.CLEAR for side in (before, after))
        change = _change(was, became) if was is not became else None
        if change is not None:
            part, _, value = line.get("key", "").partition("/")
            site = value if part == "site" else line.get("site_id")
            example = line.get("opened_by") or line["standing_id"]
            _note(found, change, line["rule_id"], became, (site, line.get("purpose_id"), example))


def _compare(found: RuleDiff, before: Verdicts, after: Verdicts) -> None:
    said, says = _by_id(before), _by_id(after)
    places = before.cases.select("site_in_force", "purpose_id", "event_id")
    for rule_id in sorted(said.keys() | says.keys()):
        height = before.cases.height
        nothing = pl.repeat(Outcome.NOT_APPLICABLE.value, height, dtype=pl.UInt8, eager=True)
        pair = pl.DataFrame({"old": said.get(rule_id, nothing), "new": says.get(rule_id, nothing)}).with_row_index()
        for index, was, became in pair.filter(pl.col("old") != pl.col("new")).iter_rows():
            change = _change(Outcome(was), Outcome(became))
            if change is not None:
                _note(found, change, rule_id, Outcome(became), places.row(index))


def _by_id(verdicts: Verdicts) -> dict[str, pl.Series]:
    """What each rule says by its id: of the revisions of a rule at most one applies to a case."""
    columns: defaultdict[str, list[str]] = defaultdict(list)
    for rule in verdicts.rules:
        columns[rule.id].append(rule.column)
    return {
        rule_id: verdicts.outcomes.select(pl.max_horizontal(names)).to_series() for rule_id, names in columns.items()
    }


def _change(was: Outcome, became: Outcome) -> Change | None:
    if was is Outcome.VIOLATION:
        return Change.NO_LONGER_VIOLATING
    if became is Outcome.VIOLATION:
        return Change.NEWLY_VIOLATING
    return Change.NEWLY_UNDETERMINED if became is Outcome.UNDETERMINED else None


def _note(found: RuleDiff, change: Change, rule_id: str, became: Outcome, where: tuple[object, ...]) -> None:
    site, purpose, example = where
    found.counts[Where(change, rule_id, became.word, _text(site), _text(purpose))] += 1
    examples = found.examples[change, rule_id]
    if len(examples) < EXAMPLES:
        examples.append(str(example))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
