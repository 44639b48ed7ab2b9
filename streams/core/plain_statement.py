"""Plain statements: subject records that say what another says, of another person, under another id, at other times.

Rules:
1. What is a record's own (its id, its person, its two instants) is cut out of the text, each by its grammar. Texts that
   are left the same claim the same, and the contract accepts them alike: it reads one of them for all.
2. A text is plain only where each of these keys stands once, no value is escaped and nothing is nested, so that what is
   cut out is surely what a parser would find under that key. What is left of the text says so, once for all alike.
3. Nothing is refused here: what is not plain, or like one that was refused, goes to the contract by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from schemas.contract import EARLIEST, LATEST, ContractError
from schemas.subject import SUBJECT, SubjectRecord
from streams.core.claim import WITHDRAWN, Claim, Claims
from streams.core.instant import NEVER, micros
from streams.core.plain_record import TIME, TIME_FORMAT, quoted, short_ascii
from streams.core.statement_table import STATEMENT_COLUMNS
from streams.core.timeline import Statement

PLAIN_BYTES_MAX = 4_096
SHAPES_MAX = 5_000
"""So many texts that differ beyond what is their own are worth a look at each; more would hide that few are alike."""
FEW = 64
"""So few records are read by the contract before columns have begun."""
ORDERS_MAX = 8
"""So many orders of the keys are worth a pass each; a source writes its records in one or two."""
PROPERTIES = SubjectRecord.model_json_schema()["properties"]
GRAMMAR = {
    "record_id": quoted(PROPERTIES["record_id"]["pattern"]),
    "subject_ref": quoted(PROPERTIES["subject_ref"]["pattern"]),
    "valid_from": TIME,
    "valid_until": TIME,
}
"""What is a record's own, and how it is written."""
VALUE_BYTES_MAX = 140
"""No text that the grammar allows is longer, with its quotes and a space before them."""
LAST = "valid_until"
"""The one of them that may be missing."""
FULL_TIME = "%Y-%m-%dT%H:%M:%S.%6fZ"
"""A time to the microsecond, as all but the hand-made records write it: Polars reads it in a sixth of the time."""


class Stated(NamedTuple):
    """What a plain record states of whom."""

    subject_ref: str
    statement: Statement[Claim]


class Refused(NamedTuple):
    """A record that is no subject record."""

    row: int
    error: ContractError


def statements(values: Sequence[bytes | None], claims: Claims) -> tuple[pl.DataFrame, list[Refused]]:
    """What some subject records say: a row of `STATEMENT_COLUMNS` each with its `row`, in order; and the refused."""
    plain = _plain_statements(values if len(values) >= FEW else [], claims)
    refused: list[Refused] = []
    if plain.height == len(values):
        return plain, refused
    taken = set(plain["row"].to_list())
    others = []
    for row in range(len(values)):
        if row in taken:
            continue
        read = _alone(values[row])
        if isinstance(read, ContractError):
            refused.append(Refused(row, read))
        else:
            others.append((row, *_columns(read, claims)))
    if others:
        found = pl.DataFrame(others, schema={"row": pl.UInt32(), **STATEMENT_COLUMNS}, orient="row")
        plain = pl.concat([plain, found]).sort("row")
    return plain, refused


def read_subjects(values: Sequence[bytes | None], claims: Claims) -> Iterator[Stated | SubjectRecord | ContractError]:
    """What each of some subject records says, in their order; a withdrawal is always given as the record that it is."""
    columns = _plain_statements(values, claims).select("row", *STATEMENT_COLUMNS).iter_rows()
    made = claims.made
    found = next(columns, None)
    for row, value in enumerate(values):
        if found is not None and found[0] == row:
            _, ref, record_id, version, number, since, until = found
            found = next(columns, None)
            claim = made[number]
            if claim.kind != WITHDRAWN:
                yield Stated(ref, Statement(record_id, version, since, claim, until))
                continue
        yield _alone(value)


def _alone(value: bytes | None) -> SubjectRecord | ContractError:
    try:
        return SUBJECT.read(value or b"")
    except ContractError as error:
        return error


def _columns(record: SubjectRecord, claims: Claims) -> tuple[str, str, int, int, int, int]:
    until = NEVER if record.valid_until is None else micros(record.valid_until)
    number = claims.number(record)
    return record.subject_ref, record.record_id, record.record_version, number, micros(record.valid_from), until


def _plain_statements(values: Sequence[bytes | None], claims: Claims) -> pl.DataFrame:
    """The statements of the plain records: `row` and `STATEMENT_COLUMNS`."""
    cut = _cut(values)
    shapes = cut.group_by("shape").agg(pl.col("row").min().alias("first"))
    if shapes.height > SHAPES_MAX:
        shapes = shapes.clear()
    read = [_shape(text, values[first], claims) for text, first in shapes.iter_rows()]
    known = shapes.select("shape").hstack(
        pl.DataFrame(read, schema={"version": pl.UInt32(), "claim": pl.UInt32()}, orient="row")
    )
    found = cut.join(known.drop_nulls(), on="shape", maintain_order="left")
    return found.select("row", *STATEMENT_COLUMNS)


def _shape(text: str, value: bytes | None, claims: Claims) -> tuple[int | None, int | None]:
    """Version and claim of all records of a shape; nothing where every record of it has to be read by itself."""
    once = all(text.count(f'"{name}":') == 1 for name in GRAMMAR if name != LAST) and text.count(f'"{LAST}":') <= 1
    read = _alone(value) if once and text.count("{") == 1 and "\\" not in text else None
    return (read.record_version, claims.number(read)) if isinstance(read, SubjectRecord) else (None, None)


# -- what is a record's own -------------------------------------------------------------------------------------------


def _cut(values: Sequence[bytes | None]) -> pl.DataFrame:
    """The records in which everything own was found: `row`, `shape` (the text without it), and what is their own."""
    text = pl.col("text")
    lines = short_ascii(values, PLAIN_BYTES_MAX).to_frame("text").with_row_index("row")
    left = lines.with_columns(text.str.find(f'"{name}":', literal=True).alias(_place(name)) for name in GRAMMAR)
    left = left.filter(pl.all_horizontal(pl.col(_place(name)).is_not_null() for name in GRAMMAR if name != LAST))
    found: list[pl.DataFrame] = []
    while left.height and len(found) < ORDERS_MAX:
        order = _order(left)
        alike = left.select(_ordered(order)).to_series()
        found.append(_without(left if alike.all() else left.filter(alike), order))
        left = left.clear() if alike.all() else left.filter(~alike)
    empty = pl.DataFrame(schema={"row": pl.UInt32(), "shape": pl.String(), **_own_columns()})
    return pl.concat([empty, *found]).sort("row") if len(found) != 1 else found[0]


def _own_columns() -> dict[str, pl.DataType]:
    return {name: STATEMENT_COLUMNS[name] for name in ("subject_ref", "record_id", "since", "until")}


def _place(name: str) -> str:
    return f"place of {name}"


def _order(lines: pl.DataFrame) -> list[str]:
    """The names in the order in which the first text has them."""
    places = [(place, name) for name in GRAMMAR if (place := lines.item(0, _place(name))) is not None]
    return [name for _, name in sorted(places)]


def _ordered(order: Sequence[str]) -> pl.Expr:
    """Whether a text has its keys in an order, and no other."""
    steps = [pl.col(_place(one)) < pl.col(_place(other)) for one, other in pairwise(order)]
    missing = [pl.col(_place(name)).is_null() for name in GRAMMAR if name not in order]
    return pl.all_horizontal(*(step.fill_null(value=False) for step in steps), *missing)


def _without(lines: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """The texts of one order that write everything own by its grammar, without it."""
    data = pl.col("text").cast(pl.Binary)
    behind = {name: pl.col(_place(name)) + len(name) + 3 for name in order}
    rests = lines.with_columns(
        data.bin.slice(behind[name], VALUE_BYTES_MAX).cast(pl.String).alias(f"rest {name}") for name in order
    )
    own = rests.with_columns(
        *(_value(name).alias(name) for name in order),
        *(pl.col(f"rest {name}").str.starts_with(" ").alias(f"spaced {name}") for name in order),
    )
    own = own.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in order))
    parts: list[pl.Expr] = []
    end = pl.lit(0, pl.UInt32)
    for name in order:
        begin = behind[name] + pl.col(f"spaced {name}").cast(pl.UInt32) + 1
        parts.append(data.bin.slice(end, begin - end).cast(pl.String))
        end = begin + pl.col(name).str.len_bytes()
    parts.append(data.bin.slice(end).cast(pl.String))
    until = _instant(own[LAST]) if LAST in order else pl.repeat(NEVER, own.height, dtype=pl.Int64, eager=True)
    cut = own.select(
        "row",
        pl.concat_str(parts).alias("shape"),
        "subject_ref",
        "record_id",
        _instant(own["valid_from"]).alias("since"),
        until.alias("until"),
    )
    return cut.filter((pl.col("since") < pl.col("until")).fill_null(value=False))


def _value(name: str) -> pl.Expr:
    """The value of a key at the beginning of what follows it; to find all of a pattern takes half as long as a part."""
    found = pl.col(f"rest {name}").str.extract(f'^ ?"(?:{GRAMMAR[name][1:-1]})"', 0)
    return found.str.strip_chars(' "')


def _instant(times: pl.Series) -> pl.Series:
    """The instants of times, in microseconds; null where one is on no calendar, or outside what the contract allows."""
    read = _moment(times, FULL_TIME)
    if read.null_count():
        read = read.zip_with(read.is_not_null(), _moment(times.set(read.is_not_null(), None), TIME_FORMAT))
    return read.dt.epoch("us").set(~read.is_between(EARLIEST, LATEST, closed="left"), None)


def _moment(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False, cache=False)
