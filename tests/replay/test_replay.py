"""A replay says what the judge says of the same files, however the log is cut, repeated, killed or stored."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import cramjam
import polars as pl
import pytest

from rule_texts import a_pack, a_rule
from schemas.encounter import ENCOUNTER
from settled_world import PEOPLE, subject_record, text_at, tick
from small_logs import PACK, SOME, answer, event, ndjson, parquet, question, the_records, told
from small_world import the_law
from streams.core import context
from streams.core.instant import moment_of
from streams.core.rulebook import as_of, load
from streams.errors import ConfigurationError, InputError
from streams.replay import ndjson_source, parquet_source
from streams.replay.answer import read_answer
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.offline import Offline
from streams.replay.parquet_source import ParquetSource
from streams.replay.question import Known, known_at
from streams.replay.run import Replay

# -- the same as the judge --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of the simulated estate."""
    from streams.simulator.command import run_simulate

    folder = tmp_path_factory.mktemp("estate") / "files"
    run_simulate(str(folder), seconds=2.0, seed=7, rate=40.0, say=lambda _: None)
    return folder


@pytest.mark.parametrize("rows", [1_000_000, 300])
def test_a_replay_says_of_an_estate_what_the_judge_says(
    estate: Path, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", rows * 400)
    law = the_law()
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    found = answer(NdjsonSource(estate), tmp_path / "out", law, since=since, until=until)
    judge = Offline(law)
    judge.read_records([estate / "subjects.ndjson"], [estate / "registry.ndjson"])
    cases = list(judge.judge_files([estate / "events.ndjson", estate / "encounters.ndjson"]))
    pending = list(judge.settle(int(until.timestamp() * 1e6) - 1))
    verdicts = found.verdicts.collect()
    of_cases = verdicts.filter(pl.col("event_id").is_not_null())
    fields = ("event_id", "rule_id", "outcome", "reason", "deciding_records")
    assert sorted(map(str, of_cases.select(fields).iter_rows())) == sorted(
        str(tuple(each.get({"outcome": "verdict"}.get(name, name)) for name in fields)) for each in cases
    )
    standing = verdicts.filter(pl.col("event_id").is_null()).select("violation_id", "outcome", "reason")
    assert set(standing.iter_rows()) == {(each["standing_id"], each["verdict"], each.get("reason")) for each in pending}
    assert sum(found.manifest.counts.judged.values()) == judge.judged
    tallied = found.table("tallies").group_by("rule_id", "outcome").agg(pl.col("n").sum())
    assert {(rule, word): n for rule, word, n in tallied.iter_rows()} == {
        key: n for key, n in judge.outcomes.items() if n and key[1] != "not_applicable"
    }
    assert found.table("coverage")["judged"].sum() == judge.judged


BEGINS = ("consent_given", {"valid_from": text_at(0, 500_000)})
ENDED = ("consent_given", {"valid_from": text_at(-2), "valid_until": text_at(0, -500_000)})
WITHDREW = ("consent_withdrawn", {"valid_from": text_at(0, -500_000)})
ENROLLED = ("enrolment", {"valid_from": text_at(0, 500_000), "age_band": "adult"})


@pytest.mark.parametrize(
    ("kind", "said", "near"), [(*BEGINS, True), (*ENDED, True), (*WITHDREW, True), (*ENROLLED, None)]
)
def test_a_breach_at_the_edge_of_a_consent_is_marked_as_far_as_clocks_may_differ(
    tmp_path: Path, kind: str, said: dict[str, str], near: bool | None
) -> None:
    record = subject_record(kind, record_id="edge", subject_ref=PEOPLE[1], **said)
    took = {each: str(parquet(tmp_path / f"in{each}", [(SOME[1], each)], record)) for each in (0, -1)}
    for skew, recorded, marked in ((1.0, 0, near), (0.5, 0, near), (0.4, 0, None), (0.4, -1, near)):
        found = answer(ParquetSource(took[recorded]), tmp_path / f"{skew}{recorded}", skew_seconds=skew)
        told = found.verdicts.filter(pl.col("outcome") == "violation").select("rule_id", "boundary").collect()
        assert dict(told.iter_rows()) == {"test.always": None, "test.consent": marked}


def test_pieces_packing_and_storage_change_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ndjson(tmp_path / "plain", SOME)
    expected = answer(NdjsonSource(plain), tmp_path / "a").manifest.verdict_digest
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "matches.ndjson.gz").write_bytes(gzip.compress((plain / "matches.ndjson").read_bytes()))
    for name in ("registry", "subjects"):
        (packed / f"{name}.ndjson.zst").write_bytes(
            bytes(cramjam.zstd.compress((plain / f"{name}.ndjson").read_bytes()))
        )
    assert answer(NdjsonSource(packed), tmp_path / "b").manifest.verdict_digest == expected
    tables = parquet(tmp_path / "tables", [(each, 1) for each in SOME])
    assert answer(ParquetSource(str(tables)), tmp_path / "c").manifest.verdict_digest == expected
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", 1)
    monkeypatch.setattr(parquet_source, "PIECE_ROWS", 1)
    assert answer(NdjsonSource(plain), tmp_path / "d").manifest.verdict_digest == expected
    assert answer(NdjsonSource(packed), tmp_path / "f").manifest.verdict_digest == expected
    assert answer(ParquetSource(str(tables)), tmp_path / "e").manifest.verdict_digest == expected


def test_encounters_and_what_is_no_contract_are_counted_by_kind_and_reason(tmp_path: Path) -> None:
    door = ENCOUNTER.fit({
        "kind": "access_outcome", "event_id": "door", "occurred_at": text_at(0), "controller_id": "zoo",
        "device_id": "gate-1", "face_scan_refused": True, "outcome": "denied",
    })  # fmt: skip
    counts = answer(NdjsonSource(ndjson(tmp_path / "in", [*SOME, door, b"{", b""])), tmp_path / "out").manifest.counts
    assert counts.judged == {"match": 3, "access_outcome": 1}
    assert counts.rejected == {"empty": 1, "not_json": 1}
    assert counts.read == 6


# -- repeats ----------------------------------------------------------------------------------------------------------

VERSIONS = [
    event("x", occurred_at=text_at(2)),
    event("x", occurred_at=text_at(2), event_version=2, timing=None),
    event("y"),
    event("y"),
    event("z", comparison_score=0.5),
    event("z", comparison_score=0.6),
    *SOME,
]


@pytest.mark.parametrize("rows", [100, 3, 2, 1])
@pytest.mark.parametrize("backwards", [False, True])
def test_repeats_change_nothing_and_corrections_replace_in_whatever_piece_they_lie(
    tmp_path: Path, rows: int, backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", rows * 400)
    lines = VERSIONS[::-1] if backwards else VERSIONS
    found = answer(NdjsonSource(ndjson(tmp_path / "in", lines)), tmp_path / "out")
    counts = found.manifest.counts
    assert (counts.duplicates, counts.superseded, counts.conflicting) == (1, 1, 1)
    assert counts.judged == {"match": 6}
    assert counts.read == len(lines)
    rows_told = told(found)
    assert [each for each in rows_told if each[0] == "x"] == [
        ("x", 2, "test.always", "violation", None),
        ("x", 2, "test.open", "undetermined", "not_reported"),
    ]
    assert {(each[3], each[4]) for each in rows_told if each[0] == "z"} == {("undetermined", "conflict")}
    assert len([each for each in rows_told if each[0] == "y"]) == 1
    assert found.table("coverage")["judged"].sum() == 6


# -- what was known ---------------------------------------------------------------------------------------------------


def test_what_was_recorded_later_was_not_known(tmp_path: Path) -> None:
    late = subject_record("consent_given", record_id="late", subject_ref=PEOPLE[1], valid_from=text_at(-1))
    source = parquet(tmp_path / "in", [(each, 1) for each in SOME] + [(event("d"), 30)], late)
    now = answer(ParquetSource(str(source)), tmp_path / "now")
    known, moment = known_at(text_at(10).replace("Z", "+00:00"))
    then = answer(ParquetSource(str(source)), tmp_path / "then", known=known, known_at=moment)
    assert ("b", 1, "test.consent", "violation", None) in told(then)
    assert ("b", 1, "test.consent", "violation", None) not in told(now)
    assert "d" in {each[0] for each in told(now)} - {each[0] for each in told(then)}
    assert then.manifest.counts.not_yet_known == 2
    frontier = Known(frontier={"matches": {0: 3}, "registry": {0: 999}, "subjects": {0: len(the_records(late)[1]) - 1}})
    by_offset = answer(ParquetSource(str(source)), tmp_path / "offsets", known=frontier)
    assert by_offset.manifest.verdict_digest == then.manifest.verdict_digest


def test_a_source_that_tells_no_times_cannot_say_what_was_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--known-at"):
        Replay(question(known=Known(instant=0)), NdjsonSource(ndjson(tmp_path / "in", SOME)), tmp_path / "out")


def test_an_event_beyond_its_append_time_is_rejected_as_live(tmp_path: Path) -> None:
    future = event("future", occurred_at=text_at(12))
    found = answer(ParquetSource(str(parquet(tmp_path / "in", [(future, 1), (event("a"), 1)]))), tmp_path / "out")
    assert found.manifest.counts.rejected == {"in_future": 1}
    assert found.manifest.counts.judged == {"match": 1}


def test_only_the_range_is_judged(tmp_path: Path) -> None:
    source = NdjsonSource(ndjson(tmp_path / "in", SOME))
    found = answer(source, tmp_path / "out", until=moment_of(tick(1)))
    assert {each[0] for each in told(found)} == {"a", "b"}


def test_the_law_of_a_day_judges_the_whole_range(tmp_path: Path) -> None:
    old = a_rule("test.old", in_force={"from": "2020-01-01", "until": "2025-01-01"}, condition="purpose_named")
    law = load(
        [("test.yaml", a_pack(old, a_rule("test.new", in_force={"from": "2025-01-01"}, condition="purpose_named")))]
    )
    source = ndjson(tmp_path / "in", SOME)
    then = answer(NdjsonSource(source), tmp_path / "then", as_of(law, date(2022, 1, 1)))
    now = answer(NdjsonSource(source), tmp_path / "now", law)
    assert {each[2] for each in told(then)} == {"test.old"}
    assert {each[2] for each in told(now)} == {"test.new"}


def test_contexts_may_be_forgotten_in_the_middle_of_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "ROWS_MAX", 1)
    events = [event("a", device_id="nobody-1"), event("b", device_id="nobody-2"), event("c")]
    tallies = answer(NdjsonSource(ndjson(tmp_path / "in", events)), tmp_path / "out").table("tallies")
    by_site = tallies.group_by("rule_id", pl.col("site_id").is_null().alias("nowhere")).agg(pl.col("n").sum())
    assert set(by_site.select("nowhere", "n").rows()) == {(True, 2), (False, 1)}


# -- killed -----------------------------------------------------------------------------------------------------------

CHILD = """
import sys, time
from pathlib import Path
import streams.replay.ndjson_source as lines
import streams.replay.run as run
from streams.core.rulebook import as_of, load
from streams.replay.question import Question
from datetime import UTC, datetime

lines.PIECE_BYTES = 15_000
law = load([("test.yaml", Path(sys.argv[2]).read_text())])
question = Question(datetime(2020, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), law, {})
slow = len(sys.argv) > 4
run.Replay(question, lines.NdjsonSource(Path(sys.argv[1])), Path(sys.argv[3])).run(
    lambda phase, *_: lambda _: time.sleep(0.4 * slow * (phase == "judging"))
)
"""


def test_a_killed_replay_goes_on_and_its_answer_is_that_of_an_unkilled_one_byte_for_byte(
    estate: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("subjects", "registry"):
        (source / f"{name}.ndjson").symlink_to(estate / f"{name}.ndjson")
    lines = (estate / "events.ndjson").read_bytes().splitlines(keepends=True)[:150]
    (source / "events.ndjson").write_bytes(b"".join([*lines, *lines[::50]]))  # repeats across pieces
    (tmp_path / "law.yaml").write_text(PACK)
    command = [sys.executable, "-c", CHILD, str(source), str(tmp_path / "law.yaml")]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    killed = subprocess.Popen([*command, str(tmp_path / "killed"), "slow"])
    pieces = tmp_path / "killed" / "work" / "pieces"
    while killed.poll() is None and (not pieces.exists() or len(list(pieces.iterdir())) < 2):
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    with pytest.raises(InputError, match="came to its end"):
        read_answer(tmp_path / "killed")
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_interrupted_replay_is_asked_nothing_else(tmp_path: Path) -> None:
    source = NdjsonSource(ndjson(tmp_path / "in", SOME))
    Replay(question(command="one"), source, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="something else"):
        Replay(question(command="another"), source, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="something else"):  # the command names a file, not what it holds
        Replay(question(command="one", known=Known(frontier={"matches": {0: 1}})), source, tmp_path / "out")
    answer(source, tmp_path / "done")
    with pytest.raises(ConfigurationError, match="new folder"):
        Replay(question(), source, tmp_path / "done")


def test_a_replay_that_was_killed_before_it_noted_what_is_asked_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "out" / "work").mkdir(parents=True)
    assert told(answer(NdjsonSource(ndjson(tmp_path / "in", SOME)), tmp_path / "out"))


def test_persons_stand_in_the_verdicts_alone(tmp_path: Path) -> None:
    found = answer(NdjsonSource(ndjson(tmp_path / "in", SOME)), tmp_path / "out")
    others = [file for file in found.folder.rglob("*") if file.is_file() and file.parent.name != "verdicts"]
    assert others
    assert not any(person.encode() in file.read_bytes() for file in others for person in PEOPLE)
    assert json.loads((found.folder / "answer.json").read_text())["format"] == 2
