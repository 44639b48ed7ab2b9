"""Role book: which roles the remembered cases were said to play for duties, and what is said when that has changed.

Rules:
1. What a case was entered as is kept beside its part, a small row a role that it plays; most cases play none.
2. A case that is judged again and plays another role, the same one in doubt or at another site, or none, is stated
   anew. So is one that a newer version replaces.
3. Where a case stood for others of its part that make no difference beside it, the roles of the part are worked out
   anew and stated; to state a case twice changes nothing.
4. Each statement knows more than the one before: its time is that of the logs, and a microsecond later at least.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from streams.core.case_book import Stated
from streams.core.constant import constant
from streams.core.entry import PART, PLACED, SEEN, Entry, happenings, needed, playing, reduces
from streams.core.hold import left_behind
from streams.core.judge import Verdicts, judge
from streams.core.memory import Part
from streams.core.rule import Role
from streams.core.rulebook import Rulebook

SCHEMA = {"at": pl.Int64, "role": pl.UInt16, "known": pl.Boolean, "site": pl.String}
Places = Sequence[tuple[Part, int]] | Part
"""Of which part and row each row of a frame is, or of which part they all are, in its order."""
Judged = Callable[[pl.DataFrame, Rulebook], Iterator[Verdicts]]


class PlayedRole(NamedTuple):
    """A role that a case was entered for: its number, whether that is certain, and the site, which records may move."""

    role: int
    known: bool
    site: str | None


Played = dict[tuple[Part, int], set[PlayedRole]]


class RoleBook:
    """The roles of the cases of one memory; `known_until` only grows."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._entering = rulebook.entering()
        self._by_rule = rulebook.roles
        self._roles = list(rulebook.roles.values())
        self._numbers = {(role.duty.column, role.name): number for number, role in enumerate(self._roles)}
        self._known_until = 0

    def hear(self, heard: int) -> None:
        """Learn up to when (microseconds) the logs of records were read."""
        self._known_until = max(self._known_until + 1, heard)

    # -- what is entered first ----------------------------------------------------------------------------------------

    def enter(self, verdicts: Verdicts, places: Places) -> tuple[list[Entry], pl.Series | None]:
        """The entries of cases that were judged for the first time, and which of them a feed left in doubt."""
        if not self._asks(verdicts):
            return [], None
        judged = judge(verdicts.cases, verdicts.kind, self._entering, verdicts.places)
        return self._enter(judged, places), left_behind(judged)

    def _enter(self, judged: Verdicts, places: Places, only: Collection[int] | None = None) -> list[Entry]:
        """The entries of cases that the rules of roles have judged, in all roles or in those of some numbers."""
        frame, parts = _placed(judged.cases, places)
        found: list[Entry] = []
        said: defaultdict[Part, list[tuple[object, ...]]] = defaultdict(list)
        for role, known, rows in playing(frame, judged, self._by_rule):
            number = self._number(role)
            if only is not None and number not in only:
                continue
            kept = needed(rows, role)
            found += self._entries(kept, role, known=known)
            for part, at, site in zip(*(kept[name].to_list() for name in (PART, "at", "site_in_force")), strict=True):
                said[parts[part]].append((at, number, known, site))
        self._remember(said)
        return found

    def _asks(self, verdicts: Verdicts) -> bool:
        return any(rule.kind is verdicts.kind for rule in self._by_rule)

    def _number(self, role: Role) -> int:
        return self._numbers[role.duty.column, role.name]

    def _entries(self, rows: pl.DataFrame, role: Role, *, known: bool, plays: bool = True) -> list[Entry]:
        """What is said of rows in a role, from now on."""
        columns = (rows[name].to_list() for name in ("row", "event_version", "offset"))
        cases = happenings(rows, role.name, known=known)
        return [
            Entry(row, role, case, Stated(version, self._known_until, plays), offset)
            for row, version, offset, case in zip(*columns, cases, strict=True)
        ]

    @staticmethod
    def _remember(said: Mapping[Part, Sequence[tuple[object, ...]]]) -> None:
        """Keep beside each part the roles in which rows of it were entered, as `SCHEMA` says them."""
        for part, rows in said.items():
            own = pl.DataFrame(rows, schema=SCHEMA, orient="row")
            # What stands in for others may stand there already.
            part.roles = own if part.roles is None else pl.concat([part.roles, own]).unique(maintain_order=True)

    # -- what is said anew --------------------------------------------------------------------------------------------

    def enter_again(
        self, verdicts: Verdicts, places: Sequence[tuple[Part, int]], judged: Judged
    ) -> tuple[list[Entry], pl.Series | None]:
        """What has changed with the roles of cases that were judged again; `judged` judges others of their parts."""
        if not self._asks(verdicts):
            return [], None
        again = judge(verdicts.cases, verdicts.kind, self._entering, verdicts.places)
        frame, parts = _placed(again.cases, places)
        cases = [(parts[part], row) for part, row in frame.select(PART, "at").iter_rows()]
        before = self._played(cases)
        now: Played = {}
        found: list[Entry] = []
        for role, known, rows in playing(frame, again, self._by_rule):
            number, fresh = self._number(role), []
            for part, row, site in rows.select(PART, "at", "site_in_force").iter_rows():
                case, played = (parts[part], row), PlayedRole(number, known, site)
                now.setdefault(case, set()).add(played)
                fresh.append(played not in before.get(case, ()))
            found += self._entries(rows.filter(pl.Series(fresh, dtype=pl.Boolean)), role, known=known)
        found += self._take_out(before, now)
        self._replace(cases, now)
        found += self._stand_in(before, now, judged)
        return found, left_behind(again)

    def leave(self, cases: Sequence[tuple[Part, int]], judged: Judged) -> list[Entry]:
        """What is said of cases that count no more, for a newer version of their events does or nobody knows which."""
        before = self._played(cases)
        found = self._take_out(before, {})
        self._replace(list(before), {})
        return found + self._stand_in(before, {}, judged)

    @staticmethod
    def _played(cases: Iterable[tuple[Part, int]]) -> Played:
        """What cases were entered as, of those that were."""
        found: Played = {}
        for part, rows in _by_part(cases).items():
            if part.roles is not None:
                for at, *played in part.roles.filter(pl.col("at").is_in(sorted(rows))).iter_rows():
                    found.setdefault((part, at), set()).add(PlayedRole(*played))
        return found

    def _take_out(self, before: Played, now: Played) -> list[Entry]:
        """The statements that cases play roles no more that they were entered for."""
        out: defaultdict[tuple[Part, int], list[int]] = defaultdict(list)
        for (part, row), roles in before.items():
            for number in _numbers(roles) - _numbers(now.get((part, row), ())):
                out[part, number].append(row)
        found: list[Entry] = []
        for (part, number), rows in out.items():
            found += self._entries(_seen(part, sorted(rows)), self._roles[number], known=True, plays=False)
        return found

    @staticmethod
    def _replace(cases: Sequence[tuple[Part, int]], now: Played) -> None:
        """Remember cases by their present roles alone."""
        for part, rows in _by_part(cases).items():
            fresh = [(row, *role) for row in rows for role in now.get((part, row), ())]
            kept = [] if part.roles is None else [part.roles.filter(~pl.col("at").is_in(sorted(rows)))]
            whole = pl.concat([*kept, pl.DataFrame(fresh, schema=SCHEMA, orient="row")])
            part.roles = None if whole.is_empty() else whole

    def _stand_in(self, before: Played, now: Played, judged: Judged) -> list[Entry]:
        """The entries of those for whom a case stood that has lost a role: of its part, in that role."""
        lost: defaultdict[Part, set[int]] = defaultdict(set)
        for (part, row), roles in before.items():
            left = now.get((part, row), set())
            gone = {each.role for each in roles if each not in left and each._replace(known=True) not in left}
            lost[part] |= {number for number in gone if reduces(self._roles[number])}
        found: list[Entry] = []
        for part, numbers in lost.items():
            rows = [row for row in range(part.frame.height) if row not in part.gone and row not in part.held]
            for verdicts in judged(part.frame[rows], self._entering) if numbers and rows else ():
                found += self._enter(verdicts, [(part, row) for row in rows], numbers)
        return found


def _placed(frame: pl.DataFrame, places: Places) -> tuple[pl.DataFrame, list[Part]]:
    """The frame with the number of the part of each row, and `at` as its row in that part; and the parts."""
    if isinstance(places, Part):
        return frame.hstack([constant(0, frame.height, pl.UInt32).alias(PART)]), [places]
    numbers = {part: number for number, part in enumerate(dict.fromkeys(part for part, _ in places))}
    by_place = pl.DataFrame(
        [(numbers[part], row) for part, row in places], schema={PART: pl.UInt32, "at": pl.Int64}, orient="row"
    )
    return frame.with_columns(by_place[frame["at"]]), list(numbers)


def _numbers(roles: Iterable[PlayedRole]) -> set[int]:
    return {each.role for each in roles}


def _seen(part: Part, rows: Sequence[int]) -> pl.DataFrame:
    """What a duty sees of rows of a part, but for their site: where they are is not asked again."""
    frame = part.frame[rows]
    seen = frame.select(name for name in (*PLACED, *SEEN) if name in frame.columns)
    return seen.with_columns(pl.lit(None, pl.String).alias(name) for name in SEEN if name not in seen.columns)


def _by_part(cases: Iterable[tuple[Part, int]]) -> dict[Part, list[int]]:
    found: defaultdict[Part, list[int]] = defaultdict(list)
    for part, row in cases:
        found[part].append(row)
    return found
