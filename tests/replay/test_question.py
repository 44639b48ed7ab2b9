"""A question is one: a replay that was interrupted goes on with no other, and a day means what it means elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from command_line import Run
from rule_texts import a_pack, a_rule
from small_logs import SOME, ndjson, parquet, question
from streams.errors import ConfigurationError
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.parquet_source import ParquetSource
from streams.replay.run import Replay


@pytest.mark.parametrize("form", ["lines", "tables"])
@pytest.mark.parametrize("log", ["matches", "subjects"])
def test_an_interrupted_replay_is_not_gone_on_with_where_its_files_have_changed(
    tmp_path: Path, form: str, log: str
) -> None:
    folder = tmp_path / "in"

    def source() -> NdjsonSource | ParquetSource:
        return NdjsonSource(folder) if form == "lines" else ParquetSource(str(folder))

    ndjson(folder, SOME) if form == "lines" else parquet(folder, [(each, 1) for each in SOME])
    Replay(question(), source(), tmp_path / "out")
    Replay(question(), source(), tmp_path / "out")
    files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
    changed = next(each for each in files if str(each.relative_to(folder)).startswith(log))
    changed.write_bytes(changed.read_bytes())  # the same bytes: only digests could tell, and they cost a reading
    with pytest.raises(ConfigurationError, match="something else"):
        Replay(question(), source(), tmp_path / "out")


@pytest.mark.parametrize("tolerance", ["future_seconds", "skew_seconds"])
def test_an_interrupted_replay_is_not_gone_on_with_by_other_tolerances(tmp_path: Path, tolerance: str) -> None:
    other: dict[str, Any] = {tolerance: 2.5}
    source = NdjsonSource(ndjson(tmp_path / "in", SOME))
    Replay(question(), source, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="something else"):
        Replay(question(**other), source, tmp_path / "out")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Pacific/Auckland"])
def test_the_law_of_a_day_has_what_begins_on_that_day_where_it_holds_in_a_replay_as_in_a_judgement(
    run: Run, tmp_path: Path, zone: str
) -> None:
    begins = a_rule("test.begins", in_force={"from": "2024-07-01"}, condition="purpose_named")
    law = tmp_path / "law.yaml"
    law.write_text(a_pack(begins, timezone=zone))
    source = ndjson(tmp_path / "in", SOME)
    files = ("--events", source / "matches.ndjson", "--subjects", source / "subjects.ndjson")
    asked = ("--rules", law, "--rules-as-of")
    for day, code in (("2024-06-30", 0), ("2024-07-01", 1)):
        words = ("--from", "2026-03-01", "--to", "2026-04-01", "--source", source, *asked, day)
        replayed = run("replay", *words, "--out", tmp_path / day)
        judged = run("judge", *files, "--registry", source / "registry.ndjson", *asked, day)
        assert (replayed.code, judged.code) == (code, code), replayed.err + judged.err
