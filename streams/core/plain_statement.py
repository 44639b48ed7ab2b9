"""Plain statements: subject records that say what another says, of another person, under another id, at other times.

Rules:
1. What is a record's own (its id, its person, its two instants) is cut out of the text, each by its grammar. Texts that
   are left the same claim the same, and the contract accepts them alike: it reads one of them for all.
2. A text is plain only where each of these keys stands once, no value is escaped and nothing is nested, so that what is
   cut out is surely what a parser would find under that key.
3. Nothing is refused here: what is not plain, or like one that was refused, goes to the contract by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from schemas.contract import EARLIEST, LATEST, ContractError
from schemas.subject import SUBJECT, ConsentWithdrawn, SubjectRecord
from streams.core.claim import Claim
from streams.core.instant import NEVER
from streams.core.plain_record import TIME, moment, quoted, short_ascii
from streams.core.subject_history import Histories
from streams.core.timeline import Statement

PLAIN_BYTES_MAX = 4_096
SHAPES_MAX = 5_000
"""So many texts that differ beyond what is their own are worth a look at each; more would hide that few are alike."""
PROPERTIES = SubjectRecord.model_json_schema()["properties"]
GRAMMAR = {
    "record_id": quoted(PROPERTIES["record_id"]["pattern"]),
    "subject_ref": quoted(PROPERTIES["subject_ref"]["pattern"]),
    "valid_from": TIME,
    "valid_until": TIME,
}
"""What is a record's own, and how it is written."""
OWN = rf'"({"|".join(GRAMMAR)})": ?"[^"]*"'


class Stated(NamedTuple):
    """What a plain record states of whom."""

    subject_ref: str
    statement: Statement[Claim]


class _Shape(NamedTuple):
    """What all records of one shape claim."""

    claim: Claim
    version: int


def read_subjects(
    values: Sequence[bytes | None], histories: Histories
) -> Iterator[Stated | SubjectRecord | ContractError]:
    """What each of some subject records says, in their order, with claims that `histories` keep; nothing is taken in.

    A withdrawal is always given as the record that it is.
    """
    plain = _plain(values)
    shapes = _shapes(values, plain, histories)
    columns = plain.select("row", "shape", "record_id", "subject_ref", "valid_from", "valid_until").iter_rows()
    found = next(columns, None)
    for row, value in enumerate(values):
        if found is not None and found[0] == row:
            _, number, record_id, ref, since, until = found
            found = next(columns, None)
            shape = shapes[number]
            if shape is not None:
                yield Stated(ref, Statement(record_id, shape.version, since, shape.claim, until))
                continue
        yield _alone(value)


def _alone(value: bytes | None) -> SubjectRecord | ContractError:
    try:
        return SUBJECT.read(value or b"")
    except ContractError as error:
        return error


def _shapes(values: Sequence[bytes | None], plain: pl.DataFrame, histories: Histories) -> list[_Shape | None]:
    """By the number of each shape what it claims; None where every record of it has to be read by itself."""
    firsts = plain.group_by("shape").agg(pl.col("row").first()).sort("shape")["row"].to_list()
    if len(firsts) > SHAPES_MAX:
        return [None] * len(firsts)
    read = [_alone(values[row]) for row in firsts]
    return [
        None
        if isinstance(each, ConsentWithdrawn | ContractError)
        else _Shape(histories.claim(each), each.record_version)
        for each in read
    ]


def _plain(values: Sequence[bytes | None]) -> pl.DataFrame:
    """The plain records: `row`, the number of their `shape`, and what is their own, instants in microseconds."""
    text = pl.col("text")
    lines = short_ascii(values, PLAIN_BYTES_MAX).to_frame("text").with_row_index("row")
    cut = lines.with_columns(
        *(text.str.extract(rf'"{name}": ?"({grammar[1:-1]})"').alias(name) for name, grammar in GRAMMAR.items()),
        once=pl.all_horizontal(
            *(text.str.count_matches(f'"{name}":', literal=True) == 1 for name in GRAMMAR if name != "valid_until"),
            text.str.count_matches("{", literal=True) == 1,
            ~text.str.contains("\\", literal=True),
        ),
        ends=text.str.count_matches('"valid_until":', literal=True),
        cut=text.str.replace_all(OWN, '"$1":'),
    ).with_columns(_instant(name) for name in ("valid_from", "valid_until"))
    sure = (
        pl.col("once")
        & pl.all_horizontal(pl.col(name).is_not_null() for name in GRAMMAR if name != "valid_until")
        & (pl.col("ends") == pl.col("valid_until").is_not_null().cast(pl.UInt32))
        & (pl.col("valid_until").fill_null(NEVER) > pl.col("valid_from"))
    )
    held = cut.filter(sure.fill_null(value=False)).with_columns(pl.col("valid_until").fill_null(NEVER))
    return held.with_columns(shape=pl.col("cut").rank("dense").cast(pl.Int64) - 1)


def _instant(name: str) -> pl.Expr:
    read = moment(name)
    return pl.when(read.is_between(EARLIEST, LATEST, closed="left")).then(read.dt.epoch("us")).alias(name)
