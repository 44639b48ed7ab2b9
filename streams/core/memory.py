"""The memory: the cases of one partition that can still be corrected, in columns, found by event, person or record.

Rules:
1. Cases lie in parts, one a batch or several small ones together; a part is a frame and what is known of its rows.
   Nothing of a case is a Python object but the hash of its event.
2. Of the versions of one event the highest counts, in whatever order they come; one version with two contents is a
   conflict, until a higher one settles it. The same again changes nothing.
3. The oldest parts are forgotten: those whose events were all recorded longer ago than the span, and those beyond the
   bound in bytes. What is held is never forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from streams.core.case import COMBINATION
from streams.core.constant import constant
from streams.core.context import Combination
from streams.core.judge import FEW_CASES
from streams.core.told import EventKey

SMALL_ROWS = 16_384
"""A part with fewer rows is put together with its neighbours, when there are many."""
SMALL_PARTS = 32
SEEN_BYTES = 72
"""What the hash of one event takes."""
KEY = ("controller_id", "event_id")
BESIDE = ("row", "offset", "recorded_at")
"""Columns of a frame that say where an event stood, and nothing of the event."""


class Placed(NamedTuple):
    """Rows of one part."""

    part: Part
    rows: list[int]


@dataclass(slots=True, eq=False)
class Part:
    """Some cases: `frame` has the columns of the contract, `row`, `offset` and `recorded_at` (microseconds)."""

    frame: pl.DataFrame
    due: int
    """Up to when (microseconds) what is held waits for records in flight."""
    size_bytes: int = 0
    recorded_from: int = 0
    recorded_until: int = 0
    occurred_from: int = 0
    occurred_until: int = 0
    held: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    """Rows that a newer version has replaced."""
    unsettled: pl.Series | None = None
    """Rows that a feed which is behind has left undetermined; None where none."""
    roles: pl.DataFrame | None = None
    """The roles (`role`) in which rows (`at`) were entered for duties, and how (`known`, `site`); None where none."""
    _events: pl.Series | None = None
    _people: pl.DataFrame | None = None
    _combinations: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        self.size_bytes = round(self.frame.estimated_size()) + SEEN_BYTES * self.frame.height
        if self.frame.height:
            instants = (pl.col("recorded_at"), pl.col("occurred_at").dt.epoch("us").alias("occurred"))
            ends = self.frame.select(*instants).select(pl.all().min(), pl.all().max().name.suffix(" until")).row(0)
            self.recorded_from, self.occurred_from, self.recorded_until, self.occurred_until = ends

    @property
    def events(self) -> pl.Series:
        """The hash of each row's event."""
        if self._events is None:
            self._events = hashes(self.frame)
        return self._events

    def rows_of_people(self, refs: pl.Series) -> list[int]:
        """The rows about some persons, by a sorted column of hashes made when it is first asked for; few are read."""
        if self.frame.height <= FEW_CASES:
            named = set(refs.to_list())
            return [row for row, ref in enumerate(self.frame["subject_ref"].to_list()) if ref in named]
        if self._people is None:
            people = self.frame.select(pl.col("subject_ref").hash().alias("hash"), pl.col("subject_ref").is_not_null())
            self._people = people.with_row_index("at").filter("subject_ref").drop("subject_ref").sort("hash")
        wanted = refs.hash()
        first = self._people["hash"].search_sorted(wanted, "left").to_list()
        last = self._people["hash"].search_sorted(wanted, "right").to_list()
        spans = [range(begin, end) for begin, end in zip(first, last, strict=True) if begin < end]
        rows = self._people["at"][[place for span in spans for place in span]].to_list() if spans else []
        named = set(refs.to_list())
        found = self.frame["subject_ref"][rows].to_list() if rows else []
        return [row for row, ref in zip(rows, found, strict=True) if ref in named]

    @property
    def combinations(self) -> pl.DataFrame:
        """The distinct combinations of the rows: the keys of the index by registry record."""
        if self._combinations is None:
            self._combinations = self.frame.select(_combination(self.frame)).unique()
        return self._combinations

    def rows_of_combinations(self, wanted: pl.DataFrame) -> list[int]:
        """The rows with some of the combinations."""
        keys = self.frame.select(_combination(self.frame)).with_row_index("at")
        return keys.join(wanted, on=COMBINATION, how="semi", nulls_equal=True)["at"].to_list()

    def since(self, rows: Sequence[int], instant: int) -> list[int]:
        """Those of some rows whose event happened at an instant or later, and which count."""
        late = (self.frame["occurred_at"][list(rows)].dt.epoch("us") >= instant).to_list() if rows else []
        return [row for row, kept in zip(rows, late, strict=True) if kept and row not in self.gone]

    def keys(self) -> list[EventKey]:
        """The events of the rows."""
        return [EventKey(*row) for row in self.frame.select(KEY).iter_rows()]

    def settle(self, rows: pl.Series, unsettled: pl.Series) -> None:
        """Note of some rows whether a feed leaves them undetermined."""
        if self.unsettled is None:
            if not unsettled.any():
                return
            self.unsettled = constant(False, self.frame.height, pl.Boolean)
        self.unsettled = self.unsettled.scatter(rows, unsettled)
        if not self.unsettled.any():
            self.unsettled = None


def _combination(frame: pl.DataFrame) -> list[pl.Expr]:
    return [pl.col(name) if name in frame.columns else pl.lit(None, pl.String).alias(name) for name in COMBINATION]


def hashes(frame: pl.DataFrame) -> pl.Series:
    """The hash of each row's event; equal events have equal ones."""
    return frame["event_id"].hash()


@dataclass(slots=True)
class Admission:
    """What of a batch is new."""

    part: Part
    duplicates: int = 0
    deferred: int = 0
    """Corrected events of which no version is remembered, of a time that is forgotten."""
    replaced: set[EventKey] = field(default_factory=set)
    """Events of which a lower version was remembered."""
    gone: list[tuple[Part, int]] = field(default_factory=list)
    """The remembered cases, as part and row, that count no more."""
    in_conflict: list[tuple[EventKey, int, int]] = field(default_factory=list)
    """Events of which one version has two contents: key, version, and the row of the batch that came last."""


class Memory:
    """The remembered cases of one partition; spans are microseconds."""

    __slots__ = (
        *("_bytes_max", "_elsewhere", "_in_conflict", "_seen", "_span"),
        *("forgot", "newest", "parts", "size_bytes"),
    )

    def __init__(self, *, span: int, bytes_max: int) -> None:
        self._span, self._bytes_max = span, bytes_max
        self._seen: set[int] = set()
        self._elsewhere: dict[EventKey, int] = {}
        self._in_conflict: dict[EventKey, int] = {}
        self.parts: list[Part] = []
        self.size_bytes = 0
        self.newest = 0
        self.forgot = False
        """Whether there were cases that are remembered no more."""

    # -- what comes in ------------------------------------------------------------------------------------------------

    def admit(self, frame: pl.DataFrame, first_offset: int, due: int) -> Admission:
        """Take events in, without those that came before and those that a newer version has replaced."""
        frame = frame.with_columns(offset=pl.col("row").cast(pl.Int64) + first_offset)
        found = hashes(frame).to_list()
        distinct = set(found)
        admission = Admission(Part(frame.head(0), due))
        if len(distinct) < len(found) or not self._seen.isdisjoint(distinct):
            frame = self._compare(frame, found, admission)
        self._seen |= distinct
        admission.deferred = self._deferred(frame, admission.replaced)
        admission.part = part = Part(frame, due)
        if frame.height:
            self.parts.append(part)
            self.size_bytes += part.size_bytes
            self.newest = max(self.newest, part.recorded_until)
        return admission

    def _deferred(self, frame: pl.DataFrame, replaced: Collection[EventKey]) -> int:
        if not self.forgot or frame["event_version"].max() in (None, 1):
            return 0
        old = (pl.col("event_version") > 1) & (pl.col("occurred_at").dt.epoch("us") < self.since)
        return sum(EventKey(*row) not in replaced for row in frame.filter(old).select(KEY).iter_rows())

    def _compare(self, frame: pl.DataFrame, found: list[int], admission: Admission) -> pl.DataFrame:
        """The frame without rows that are not new; what they replace is gone."""
        twice = {each for each, count in Counter(found).items() if count > 1}
        doubted = [at for at, each in enumerate(found) if each in self._seen or each in twice]
        known = self._known([found[at] for at in doubted])
        dropped: set[int] = set()
        mine: dict[EventKey, int] = {}
        for at, row in zip(doubted, frame[doubted].iter_rows(named=True), strict=True):
            key, version = EventKey(row["controller_id"], row["event_id"]), row["event_version"]
            before = mine.get(key)
            held = frame.row(before, named=True) if before is not None else None
            place = None if before is not None else known.get(key)
            if place is not None:
                held = place[0].frame.row(place[1], named=True)
            standing = max(
                held["event_version"] if held else 0, self._elsewhere.get(key, 0), self._in_conflict.get(key, 0)
            )
            if version > standing:
                if self._let_go(before, place, dropped, admission) or self._in_conflict.pop(key, None) is not None:
                    admission.replaced.add(key)
                mine[key] = at
                continue
            dropped.add(at)
            if held is None or version < standing or _content(held) == _content(row):
                admission.duplicates += 1
            elif self._in_conflict.get(key) != version:
                self._in_conflict[key] = version
                admission.in_conflict.append((key, version, row["row"]))
                self._let_go(before, place, dropped, admission)
        return frame.filter(~pl.int_range(pl.len()).is_in(sorted(dropped))) if dropped else frame

    @staticmethod
    def _let_go(
        before: int | None, place: tuple[Part, int] | None, dropped: set[int], admission: Admission
    ) -> bool:
        """Let the version that stood so far go, in this batch or in a part; true where it was in a part."""
        if before is not None:
            dropped.add(before)
        if place is not None:
            _go(place)
            admission.gone.append(place)
        return place is not None

    def _known(self, wanted: Collection[int]) -> dict[EventKey, tuple[Part, int]]:
        """Where the highest version of each event with one of some hashes lies."""
        found: dict[EventKey, tuple[Part, int]] = {}
        hits = pl.Series(sorted(set(wanted)), dtype=pl.UInt64)
        for part in self.parts:
            for row in part.events.is_in(hits.implode()).arg_true().to_list():
                key = EventKey(*part.frame.select(KEY).row(row))
                version = part.frame["event_version"][row]
                held = found.get(key)
                if held is None or version >= held[0].frame["event_version"][held[1]]:
                    found[key] = (part, row)
        return found

    def supersede(self, key: EventKey, version: int) -> tuple[bool, tuple[Part, int] | None]:
        """Note that a newer version of an event lies on another partition; whether that is news, and what is gone."""
        if self._elsewhere.get(key, 0) >= version:
            return False, None
        event = pl.DataFrame({"event_id": [key.event_id]})
        known = self._known(hashes(event).to_list()).get(key)
        self._seen |= set(hashes(event).to_list())
        if known is not None and known[0].frame["event_version"][known[1]] >= version:
            return False, None
        self._elsewhere[key] = version
        if known is not None:
            _go(known)
        return True, known

    def miss(self) -> None:
        """Note that the log has older cases than the memory was given."""
        self.forgot = True

    # -- what is asked ------------------------------------------------------------------------------------------------

    @property
    def cases(self) -> int:
        """How many cases are remembered."""
        return sum(part.frame.height for part in self.parts)

    @property
    def since(self) -> int:
        """The instant (microseconds) from which every event that was recorded is remembered."""
        return min((part.recorded_from for part in self.parts), default=self.newest)

    def forgets(self, instant: int) -> bool:
        """Whether cases of an instant (microseconds) may have been there that are remembered no more."""
        return self.forgot and instant < self.since

    def about(self, refs: Collection[str]) -> Iterator[Placed]:
        """The cases about some persons."""
        wanted = pl.Series(sorted(refs), dtype=pl.String)
        for part in self.parts:
            if rows := part.rows_of_people(wanted):
                yield Placed(part, rows)

    def with_combination(self, touched: Callable[[Combination], bool]) -> Iterator[Placed]:
        """The cases whose combination is touched."""
        said: dict[Combination, bool] = {}
        for part in self.parts:
            rows = [Combination(*row) for row in part.combinations.select(COMBINATION).iter_rows()]
            for each in rows:
                if each not in said:
                    said[each] = touched(each)
            mask = pl.Series([said[each] for each in rows], dtype=pl.Boolean)
            if mask.any():
                yield Placed(part, part.rows_of_combinations(part.combinations.filter(mask)))

    def between(self, controller_id: str, first: int, last: int, *, unsettled: bool) -> Iterator[Placed]:
        """The cases of a controller that happened in `[first, last)`, or those of them that a feed left in doubt."""
        for part in self.parts:
            if part.occurred_until < first or part.occurred_from >= last or (unsettled and part.unsettled is None):
                continue
            instants = part.frame["occurred_at"].dt.epoch("us")
            mask = (part.frame["controller_id"] == controller_id) & (instants >= first) & (instants < last)
            if unsettled and part.unsettled is not None:
                mask = mask & part.unsettled
            if rows := mask.arg_true().to_list():
                yield Placed(part, rows)

    # -- what goes ----------------------------------------------------------------------------------------------------

    def forget(self) -> Iterable[EventKey]:
        """Let the oldest parts go; gives the events that are remembered no more."""
        lost: list[EventKey] = []
        while self.parts and not self.parts[0].held and self._too_old(self.parts[0]):
            part = self.parts.pop(0)
            self.miss()
            self.size_bytes -= part.size_bytes
            self._seen.difference_update(part.events.to_list())
            lost.extend(part.keys())
        for key in lost if self._elsewhere or self._in_conflict else ():
            self._elsewhere.pop(key, None)
            self._in_conflict.pop(key, None)
        return lost

    def _too_old(self, part: Part) -> bool:
        return self.size_bytes > self._bytes_max or part.recorded_until < self.newest - self._span

    def gather(self) -> None:
        """Put small neighbours together where there are many; rows keep their order and change their places."""
        small = [part for part in self.parts if part.frame.height < SMALL_ROWS and not part.held]
        if len(small) <= SMALL_PARTS:
            return
        kept: list[Part] = []
        run: list[Part] = []
        for part in [*self.parts, None]:
            if part is not None and part.frame.height < SMALL_ROWS and not part.held:
                run.append(part)
                continue
            kept += [_joined(run)] if len(run) > 1 else run
            run = []
            kept += [part] if part is not None else []
        self.parts = kept
        self.size_bytes = sum(part.size_bytes for part in kept)


def _joined(parts: Sequence[Part]) -> Part:
    """One part of several, without the rows that are gone."""
    frames = [part.frame.with_row_index("at").filter(~pl.col("at").is_in(sorted(part.gone))) for part in parts]
    joined = Part(pl.concat(frames).drop("at").rechunk(), max(part.due for part in parts))
    masks = [
        constant(False, frame.height, pl.Boolean)
        if part.unsettled is None
        else part.unsettled[frame["at"]]
        for part, frame in zip(parts, frames, strict=True)
    ]
    joined.roles = _joined_roles(parts, frames)
    mask = pl.concat(masks)
    joined.unsettled = mask if mask.any() else None
    return joined


def _joined_roles(parts: Sequence[Part], frames: Sequence[pl.DataFrame]) -> pl.DataFrame | None:
    """The roles of several parts, whose rows (`at` of each frame) follow one another now."""
    found: list[pl.DataFrame] = []
    first = 0
    for part, frame in zip(parts, frames, strict=True):
        if part.roles is not None:
            moved = frame.select(pl.col("at").cast(pl.Int64)).with_row_index("place", offset=first)
            moved = part.roles.join(moved, on="at", how="inner", maintain_order="left")
            found.append(moved.select(pl.col("place").cast(pl.Int64).alias("at"), "role", "known", "site"))
        first += frame.height
    return pl.concat(found) if found else None


def _go(case: tuple[Part, int]) -> None:
    """A case counts no more."""
    part, row = case
    part.gone.add(row)
    part.held.discard(row)


def _content(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in BESIDE}
