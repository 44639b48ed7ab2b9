"""A table of statements: what records say of persons as columns, of which those of few persons are taken out at a time.

Rules:
1. A table is a set: the order in which statements are put in, and how often, changes nothing. Of one record of a person
   only the highest version is kept, with each of its contents.
2. Persons are sorted and compared by their whole token: by its number where it has one, else by its text.
3. What was put in is sorted when somebody asks, or where much has come: a rebuild puts in, and asks at its end.
4. A text is copied out of the batch it came in, which would else be kept as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import NamedTuple

import polars as pl

from streams.core.instant import NEVER
from streams.core.packed_token import packed, unpacked

SETTLE_ROWS = 300_000
"""So many new rows are sorted in at the latest, and no fewer than there are already: what came twice is kept once."""
STATEMENT_COLUMNS: Mapping[str, pl.DataType] = {
    "subject_ref": pl.String(),
    "record_id": pl.String(),
    "version": pl.UInt32(),
    "claim": pl.UInt32(),
    "since": pl.Int64(),
    "until": pl.Int64(),
}
"""Statements about persons as columns: a claim by its number, instants in microseconds."""
Row = tuple[str, int, int, int, int]
"""Of one statement what stands behind the person in `STATEMENT_COLUMNS`."""
OWN = {name: kind for name, kind in STATEMENT_COLUMNS.items() if name != "subject_ref"}
SAID = ("version", "claim", "term")
"""What most rows share with others, so that each keeps its place in a list; `term` is how long it holds, if it ends."""


class StatementTable:
    """Statements about persons; few bytes each, and a moment to find those of some persons."""

    __slots__ = ("_numbered", "_spelled")

    def __init__(self) -> None:
        self._numbered = _Rows(pl.UInt128())
        self._spelled = _Rows(pl.String())

    def __bool__(self) -> bool:
        return bool(self._numbered or self._spelled)

    def put(self, rows: pl.DataFrame) -> None:
        """Take statements in, as `STATEMENT_COLUMNS`."""
        keyed = rows.select(packed(rows["subject_ref"]).alias("key"), *OWN)
        spelled = keyed["key"].is_null()
        if spelled.any():
            self._spelled.put(rows.rename({"subject_ref": "key"}).select("key", *OWN).filter(spelled))
            keyed = keyed.filter(~spelled)
        self._numbered.put(keyed)

    def settle(self) -> None:
        """Sort in what was put in."""
        self._numbered.settle()
        self._spelled.settle()

    @property
    def persons(self) -> int:
        """Of how many persons there is a statement."""
        self.settle()
        return len(self._numbered.keys) + len(self._spelled.keys)

    @property
    def refs(self) -> pl.Series:
        """Every person of whom there is a statement; their place here is their number in `rows`."""
        self.settle()
        return pl.concat([unpacked(self._numbered.keys), self._spelled.keys])

    def named(self, persons: pl.Series) -> list[str]:
        """The tokens of some persons, by their numbers."""
        self.settle()
        count = len(self._numbered.keys)
        numbered = unpacked(self._numbered.keys.gather(persons.filter(persons < count))).to_list()
        return numbered + self._spelled.keys.gather(persons.filter(persons >= count) - count).to_list()

    def numbers(self, refs: Collection[str]) -> pl.Series:
        """The numbers of those of some persons of whom there is a statement."""
        self.settle()
        asked = pl.Series(list(refs), dtype=pl.String)
        count = len(self._numbered.keys)
        places = [self._numbered.find(packed(asked)), self._spelled.find(asked)]
        found = [places[0].filter(places[0] >= 0), places[1].filter(places[1] >= 0) + count]
        return pl.concat(found).cast(pl.UInt32)

    def rows(self) -> pl.DataFrame:
        """Every statement: the number of its `person` in `refs`, and what stands behind it in `STATEMENT_COLUMNS`."""
        self.settle()
        return pl.concat([self._numbered.whole(0), self._spelled.whole(len(self._numbered.keys))])

    def of(self, refs: Collection[str]) -> Iterator[tuple[str, list[Row]]]:
        """The statements about those of some persons, each named once, of whom there are any."""
        self.settle()
        asked = pl.Series(list(refs), dtype=pl.String)
        if self._numbered:
            yield from self._numbered.of(asked, packed(asked))
        if self._spelled:
            yield from self._spelled.of(asked, asked)


class Kept(NamedTuple):
    """Statements sorted by person: each person's key once, where the rows of each begin, and the rows in short."""

    keys: pl.Series
    first: pl.Series
    said: pl.DataFrame
    rows: pl.DataFrame


def kept(ordered: pl.DataFrame) -> Kept:
    """Shorten statements that are sorted by their `key`."""
    key = ordered["key"]
    begins = (key != key.shift()).fill_null(value=True).arg_true()
    keys = owned(key.gather(begins).to_frame()).to_series()
    first = pl.concat([begins, pl.Series([ordered.height], dtype=pl.UInt32)]).rechunk()
    term = pl.when(pl.col("until") != NEVER).then(pl.col("until") - pl.col("since"))
    rows = ordered.select("record_id", "since", "version", "claim", term.alias("term"))
    said = rows.select(SAID).unique()
    numbers = pl.int_range(said.height, eager=True).cast(_smallest(said.height)).alias("said")
    coded = rows.join(said.hstack([numbers]), on=SAID, how="left", maintain_order="left", nulls_equal=True)
    return Kept(keys, first, said, owned(coded.select("record_id", "since", "said")))


@cache
def nothing(kind: pl.DataType) -> Kept:
    """No statements; shared, for nothing of it is ever changed, and a small world is made of them by the thousand."""
    return kept(pl.DataFrame(schema={"key": kind, **OWN}))


class _Rows:
    """The statements about persons whose tokens are kept in one way, sorted by their `keys`."""

    __slots__ = ("_kept", "_new")

    def __init__(self, kind: pl.DataType) -> None:
        self._new: list[pl.DataFrame] = []
        self._kept = nothing(kind)

    @property
    def keys(self) -> pl.Series:
        return self._kept.keys

    def __bool__(self) -> bool:
        return bool(self._new) or bool(self._kept.rows.height)

    def put(self, rows: pl.DataFrame) -> None:
        if rows.height:
            self._new.append(owned(rows))
        if sum(each.height for each in self._new) > max(SETTLE_ROWS, self._kept.rows.height):
            self.settle()

    def settle(self) -> None:
        if not self._new:
            return
        new, self._new = self._new, []
        known = [self.keys.gather(self._persons()).alias("key").to_frame().hstack(self._plain(self._kept.rows))]
        rows = pl.concat([*(known if self._kept.rows.height else ()), *new])
        del known, new
        records = rows.select(pl.col("key").hash() + 3 * pl.col("record_id").hash()).to_series()
        if records.n_unique() < rows.height:
            newest = pl.col("version").max().over("key", "record_id")
            rows = rows.filter(pl.col("version") == newest).unique()
        ordered = rows.sort("key")
        del rows
        # What was kept is in there; let go of now, it is not there twice while the new is shortened.
        self._kept = nothing(self.keys.dtype)
        self._kept = kept(ordered)

    def find(self, keys: pl.Series) -> pl.Series:
        """The place of each person; -1 for one of whom there is no statement."""
        if not len(self.keys):
            return pl.repeat(-1, len(keys), dtype=pl.Int64, eager=True)
        place = self.keys.search_sorted(keys, side="left").clip(upper_bound=len(self.keys) - 1).cast(pl.Int64)
        return place.set(~(self.keys.gather(place) == keys).fill_null(value=False), -1)

    def of(self, asked: pl.Series, keys: pl.Series) -> Iterator[tuple[str, list[Row]]]:
        place = self.find(keys)
        known = (place >= 0).arg_true()
        place = place.gather(known)
        firsts, ends = self._kept.first.gather(place), self._kept.first.gather(place + 1)
        counts = (ends - firsts).to_list()
        chosen = pl.select(pl.int_ranges(firsts, ends, dtype=pl.UInt32).explode(empty_as_null=False)).to_series()
        rows = self._plain(self._kept.rows[chosen]).iter_rows()
        for ref, count in zip(asked.gather(known).to_list(), counts, strict=True):
            yield ref, [next(rows) for _ in range(count)]

    def whole(self, first: int) -> pl.DataFrame:
        """Every statement, behind the number of its person, of which the first is `first`."""
        persons = (self._persons() + first).cast(pl.UInt32).alias("person")
        return persons.to_frame().hstack(self._plain(self._kept.rows))

    def _plain(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows as they are kept, with what stands behind the person in `STATEMENT_COLUMNS`."""
        until = (pl.col("since") + pl.col("term")).fill_null(NEVER).alias("until")
        return rows.hstack(self._kept.said[rows["said"]]).select("record_id", "version", "claim", "since", until)

    def _persons(self) -> pl.Series:
        """The number of the person of each row."""
        counts = self._kept.first.diff(null_behavior="drop")
        numbers = pl.int_range(len(self.keys), dtype=pl.UInt32, eager=True)
        return pl.select(numbers.repeat_by(counts).explode(empty_as_null=False)).to_series()


def owned(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with texts of their own: one that is cut out of a batch of records keeps all of the batch."""
    return rows.with_columns(pl.col(pl.String) + "").rechunk()


def _smallest(count: int) -> pl.DataType:
    """The smallest type that numbers so many things."""
    return next((kind for bits, kind in ((8, pl.UInt8()), (16, pl.UInt16())) if count <= 2**bits), pl.UInt32())
