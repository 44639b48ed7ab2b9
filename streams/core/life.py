"""Lives: when each person's claims towards each controller begin and end, in columns, and which lives have one shape.

Rules:
1. Two lives have one shape where the same claims begin and end in the same order, whenever that was and whatever the
   records are called: then the same follows from them on their first stretch, their second, and so on.
2. What a record is called decides only between two enrolments of one instant. Persons of whom that is known, and those
   of whom something is unreadable or in conflict, stand `apart`: they are looked at one by one.
3. Of the statements of millions no object is made and none is called a method of but to collect them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

import polars as pl

from streams.core.claim import ENROLLED
from streams.core.history import History
from streams.core.instant import NEVER

LIFE = ("person", "controller")


class Lives:
    """The lives of some persons, a stretch a row."""

    def __init__(self, histories: Sequence[History], number: Callable[[str], int]) -> None:
        """`number` gives the number of a controller; a person is known by the place in `histories`."""
        plain = [not (each.unreadable or each.conflicting) for each in histories]
        said = _statements(histories, plain, number).sort(*LIFE, "since", "claim")
        torn = set(_torn(said))
        self.apart = sorted(torn | {place for place, each in enumerate(plain) if not each})
        """The persons to look at one by one."""
        if torn:
            said = said.filter(~pl.col("person").is_in(torn))
        whole = _edges(said)
        shaped = whole.group_by(LIFE, maintain_order=True).agg(
            pl.col("code").cast(pl.String).str.join(" "), stretches=pl.col("new").sum()
        )
        kinds = shaped.with_row_index("life").group_by("code").agg(pl.col("life").min()).sort("life")
        kinds = kinds.with_row_index("shape")
        shaped = shaped.join(kinds.select("code", "shape"), on="code", how="left", maintain_order="left")
        self._first = shaped.select(LIFE)[kinds["life"]]
        sizes = shaped["stretches"]
        begun = sizes.cum_sum().cast(pl.Int64) - sizes
        life = pl.int_range(shaped.height, dtype=pl.UInt32, eager=True).repeat_by(sizes).explode(empty_as_null=False)
        self.stretches = whole.filter("new").select(*LIFE, start="instant")
        """Whose, towards whom, and since when: the first stretch of each life begins before all time."""
        self.shape = shaped["shape"].gather(life)
        """Of each stretch the shape of its life."""
        self.number = pl.int_range(self.stretches.height, dtype=pl.Int64, eager=True) - begun.gather(life)
        """Of each stretch its number in its life."""

    def examples(self) -> Iterator[tuple[int, int]]:
        """Of each shape the person and the controller of one life."""
        return self._first.iter_rows()


def _statements(histories: Sequence[History], plain: Sequence[bool], number: Callable[[str], int]) -> pl.DataFrame:
    """The statements about the persons that are `plain`: whose, the claim, towards whom, from when and until when."""
    sizes = [len(each) if held else 0 for each, held in zip(histories, plain, strict=True)]
    statements = list(chain.from_iterable(each for each, held in zip(histories, plain, strict=True) if held))
    contents = list(map(attrgetter("content"), statements))
    # A claim is one object for all who make it, so its identity names it.
    ids = pl.Series(array("Q", map(id, contents)), dtype=pl.UInt64)
    distinct = ids.unique().sort()
    claims = dict(zip(map(id, contents), contents, strict=True))
    known = [claims[each] for each in distinct]
    claim = distinct.search_sorted(ids).cast(pl.Int64)
    place = pl.int_range(len(sizes), dtype=pl.Int64, eager=True)
    return pl.DataFrame(
        {
            "person": place.repeat_by(pl.Series(sizes, dtype=pl.UInt32)).explode(empty_as_null=False),
            "controller": pl.Series([number(each.controller_id) for each in known], dtype=pl.Int64).gather(claim),
            "claim": claim,
            "enrolled": pl.Series([each.kind == ENROLLED for each in known], dtype=pl.Boolean).gather(claim),
            "since": pl.Series(array("q", map(attrgetter("valid_from"), statements)), dtype=pl.Int64),
            "until": pl.Series(array("q", map(attrgetter("valid_until"), statements)), dtype=pl.Int64),
        }
    )


def _torn(ordered: pl.DataFrame) -> list[int]:
    """The persons of whom two enrolments of one instant say different things."""
    if not ordered.select(same(*LIFE, "since").any()).item():
        return []
    told = ordered.filter("enrolled").select(*LIFE, "since", "claim").unique()
    return told.filter(told.select(*LIFE, "since").is_duplicated())["person"].unique().to_list()


def same(*names: str | pl.Series) -> pl.Expr:
    """Whether a row is like the one before it in some columns."""
    columns = [pl.col(name) if isinstance(name, str) else pl.lit(name) for name in names]
    return pl.all_horizontal((each == each.shift(1)) for each in columns).fill_null(value=False)


def _edges(ordered: pl.DataFrame) -> pl.DataFrame:
    """What begins or ends in each life, in order; `new` where it does so at an instant of its own.

    `code` says which claim it is and which statement of the life: two statements may claim the same.
    """
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    which = ordered.select(row - pl.when(~same(*LIFE)).then(row).forward_fill() + 1).to_series()
    many = int(which.max() or 0) + 1  # type: ignore[arg-type]  # a column of integers
    # Of the last two bits one says that it ends, and one that its instant is new; 0 is what stands before all time.
    coded = ordered.select(*LIFE, "since", "until", code=(pl.col("claim") * many + which) * 4)
    before = coded.filter(which == 1).select(*LIFE, instant=pl.lit(-NEVER, pl.Int64), code=pl.lit(0, pl.Int64))
    parts = [before, coded.select(*LIFE, instant="since", code="code")]
    parts.append(coded.filter(pl.col("until") < NEVER).select(*LIFE, instant="until", code=pl.col("code") + 2))
    whole = pl.concat(parts).sort(*LIFE, "instant", "code")
    return whole.with_columns(new=~same(*LIFE, "instant")).with_columns(pl.col("code") + pl.col("new").cast(pl.Int64))
