"""Tables without a manifest are replayed where they are of the archive's layout, and else told by their names."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from small_logs import SOME, answer, parquet
from streams.errors import InputError
from streams.replay.parquet_source import ParquetSource

RECORDED = [(each, 1) for each in SOME]

NEEDED = [
    *(("matches", name) for name in ("event_id", "occurred_at", "controller_id", "device_id", "comparison_decision")),
    *((log, name) for log in ("matches", "registry") for name in ("partition", "offset", "recorded_at")),
    ("subjects", "value"),
]


def second_table(folder: Path, log: str) -> Path:
    return sorted((folder / log).rglob("*.parquet"))[1]


@pytest.mark.parametrize("harm", ["gone", "null"])
@pytest.mark.parametrize(("log", "column"), NEEDED)
def test_a_table_that_lacks_what_every_message_says_is_told_by_its_name_and_the_column(
    tmp_path: Path, log: str, column: str, harm: str
) -> None:
    folder = parquet(tmp_path / "in", RECORDED)
    file = second_table(folder, log)
    table = pl.read_parquet(file, hive_partitioning=False)
    empty = table.with_columns(pl.lit(None, table.schema[column]).alias(column))
    (table.drop(column) if harm == "gone" else empty).write_parquet(file)
    with pytest.raises(InputError, match=rf"{re.escape(str(file))}: expected .* `{column}`"):
        answer(ParquetSource(str(folder)), tmp_path / "out")


@pytest.mark.parametrize("log", ["matches", "subjects"])
@pytest.mark.parametrize("harm", ["no table", "half a table", "another type"])
def test_a_file_that_is_no_table_of_the_layout_is_told_by_its_name(tmp_path: Path, log: str, harm: str) -> None:
    folder = parquet(tmp_path / "in", RECORDED)
    file = second_table(folder, log)
    match harm:
        case "another type":
            pl.read_parquet(file, hive_partitioning=False).with_columns(offset=pl.lit("first")).write_parquet(file)
        case "half a table":
            file.write_bytes(file.read_bytes()[:-60])
        case _:
            file.write_bytes(b"event_id,occurred_at")
    with pytest.raises(InputError, match=rf"{re.escape(str(file))}: expected a table"):
        answer(ParquetSource(str(folder)), tmp_path / "out")
