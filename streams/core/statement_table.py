"""A table of statements: what records say of persons as columns, of which those of few persons are taken out at a time.

Rules:
1. A table is a set: the order in which statements are put in, and how often, changes nothing. Of one record of a person
   only the highest version is kept, with each of its contents.
2. Persons are found by a hash and compared by their whole token, so two tokens with one hash are still two persons.
3. What was put in is sorted when somebody asks, or where much has come: a rebuild puts in, and asks at its end.
4. A text is copied out of the batch it came in, which would else be kept as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import polars as pl

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
OWN = tuple(name for name in STATEMENT_COLUMNS if name != "subject_ref")


class StatementTable:
    """Statements about persons; few bytes each, and a moment to find those of some persons."""

    __slots__ = ("_first", "_hashes", "_new", "_refs", "_rows")

    def __init__(self) -> None:
        self._new: list[pl.DataFrame] = []
        self._take(pl.DataFrame(schema={**STATEMENT_COLUMNS, "hash": pl.UInt64()}))

    def __bool__(self) -> bool:
        return bool(self._new) or bool(self._rows.height)

    def put(self, rows: pl.DataFrame) -> None:
        """Take statements in, as `STATEMENT_COLUMNS`."""
        if rows.height:
            self._new.append(owned(rows.select(*STATEMENT_COLUMNS)))
        if sum(each.height for each in self._new) > max(SETTLE_ROWS, self._rows.height):
            self.settle()

    def settle(self) -> None:
        """Sort in what was put in."""
        if not self._new:
            return
        rows = pl.concat([self._whole(), *self._new])
        self._new = []
        hashed = rows.with_columns(pl.col("subject_ref").hash().alias("hash"))
        records = hashed.select(pl.col("hash") + 3 * pl.col("record_id").hash()).to_series()
        if records.n_unique() < rows.height:
            newest = pl.col("version").max().over("subject_ref", "record_id")
            hashed = hashed.filter(pl.col("version") == newest).unique()
        ordered = hashed.sort("hash")
        same = pl.col("hash") == pl.col("hash").shift()
        if ordered.select((same & (pl.col("subject_ref") != pl.col("subject_ref").shift())).any()).item():
            ordered = hashed.sort("hash", "subject_ref")
        self._take(ordered)

    @property
    def refs(self) -> pl.Series:
        """Every person of whom there is a statement."""
        self.settle()
        return self._refs

    def rows(self) -> pl.DataFrame:
        """Every statement: the number of its `person` in `refs`, and what stands behind it in `STATEMENT_COLUMNS`."""
        self.settle()
        return self._persons().to_frame("person").hstack(self._rows)

    def of(self, refs: Collection[str]) -> Iterator[tuple[str, list[Row]]]:
        """The statements about those of some persons, each named once, of whom there are any."""
        self.settle()
        asked = pl.Series(list(refs), dtype=pl.String)
        place = self._find(asked)
        known = (place >= 0).arg_true()
        place = place.gather(known)
        firsts, ends = self._first.gather(place), self._first.gather(place + 1)
        counts = (ends - firsts).to_list()
        rows = self._rows[pl.select(pl.int_ranges(firsts, ends).explode(empty_as_null=False)).to_series()].iter_rows()
        for ref, count in zip(asked.gather(known).to_list(), counts, strict=True):
            yield ref, [next(rows) for _ in range(count)]

    def _find(self, refs: pl.Series) -> pl.Series:
        """The place of each person; -1 for one of whom there is no statement."""
        hashes, count = refs.hash(), len(self._refs)
        place = self._hashes.search_sorted(hashes, side="left").cast(pl.Int64)
        found = pl.repeat(-1, len(refs), dtype=pl.Int64, eager=True)
        rows = ((place < count) & refs.is_not_null()).arg_true()
        while len(rows):
            here = place.gather(rows)
            same = self._refs.gather(here) == refs.gather(rows)
            found = found.scatter(rows.filter(same), here.filter(same))
            rows, here = rows.filter(~same), here.filter(~same) + 1
            left = here < count
            rows, here = rows.filter(left), here.filter(left)
            left = self._hashes.gather(here) == hashes.gather(rows)
            rows, here = rows.filter(left), here.filter(left)
            place = place.scatter(rows, here)
        return found

    def _take(self, ordered: pl.DataFrame) -> None:
        """Hold statements that are sorted by person, each person named once."""
        begins = ordered.select(
            ((pl.col("hash") != pl.col("hash").shift()) | (pl.col("subject_ref") != pl.col("subject_ref").shift()))
            .fill_null(value=True)
            .arg_true()
            .cast(pl.Int64)
        ).to_series()
        persons = owned(ordered.select("subject_ref", "hash")[begins])
        self._refs, self._hashes = persons["subject_ref"], persons["hash"]
        self._first = pl.concat([begins, pl.Series([ordered.height], dtype=pl.Int64)])
        self._rows = owned(ordered.select(OWN))

    def _persons(self) -> pl.Series:
        counts = self._first.diff().drop_nulls()
        numbers = pl.int_range(len(self._refs), dtype=pl.UInt32, eager=True)
        return pl.select(numbers.repeat_by(counts).explode(empty_as_null=False)).to_series()

    def _whole(self) -> pl.DataFrame:
        return self._refs.gather(self._persons()).to_frame().hstack(self._rows).select(*STATEMENT_COLUMNS)


def owned(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with texts of their own: one that is cut out of a batch of records keeps all of the batch."""
    return rows.with_columns(pl.col(pl.String) + "").rechunk()
