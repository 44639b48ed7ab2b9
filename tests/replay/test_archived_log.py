"""A report tells corrections by the log of violations that is at hand, and says so where there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command_line import Run
from schemas.topics import TopicName
from schemas.verdict import Violation
from small_answer import a_verdict, an_answer, of
from small_estate import SmallEstate
from small_logs import RANGE, SOME, archive, ndjson, the_records
from streams.replay.answer import read_answer
from streams.replay.archived_log import archived_log
from streams.replay.command import KAFKA

RECORDED = [(each, 1) for each in SOME]
GONE, RETRACTED = (
    [of(a_verdict(f"{status}-{number}"), "open") for number in range(6)] for status in ("gone", "retracted")
)
LOG: list[Violation | bytes] = [
    *GONE,
    *RETRACTED,
    *(each.model_copy(update={"status": "retracted", "cause": "record"}) for each in RETRACTED),
    *(of(a_verdict(f"contested-{number}"), "contested") for number in range(7)),
    of(a_verdict("long-ago", rule="test.before"), "open"),
]


def words(file: Path) -> str:
    """The words of the section on corrections."""
    page = re.sub(r"<[^>]*>", " ", file.read_text(encoding="utf-8"))
    told = re.sub(r"\s+", " ", page)
    return told[told.index("5. Corrections") : told.index("6. What drafts")]


def reported(run: Run, source: Path, law: Path, folder: Path | None = None, **options: str) -> str:
    """What the report of a replay of `source` says of corrections."""
    out, file = (folder or source.parent) / "out", (folder or source.parent) / "report.html"
    asked = (*RANGE, "--source", source, "--rules", law)
    ended = run("replay", *asked, "--out", out, "--report", file, **options)
    assert ended.code == 1, ended.err
    return words(file)


def test_a_report_tells_what_the_archived_log_says_otherwise_and_what_it_contests_and_retracts_by_controller(
    run: Run, law: Path, tmp_path: Path
) -> None:
    said = reported(run, archive(tmp_path / "archive", RECORDED, violations=LOG), law)
    assert run("report", tmp_path / "out", tmp_path / "report.html").code == 0
    assert words(tmp_path / "report.html") == said, "and so it does later"
    assert "Compared with the log of violations in the archive." in said
    assert "No longer violating: 6 " in said
    assert "left to a person" not in said, "what is contested is told once"
    assert "Contested on the log of violations Controller Violations zoo 7" in said
    assert "Retracted on the log of violations Controller Violations zoo 6" in said


def test_a_report_of_a_replay_from_kafka_tells_what_the_log_there_says_otherwise(
    run: Run, apache_kafka: str, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path / "estate", partitions=1) as there:
        there.send(*the_records()[0], *the_records()[1], *SOME)
        for each in GONE:
            there.put(TopicName.VIOLATIONS, each.to_json(), key=each.violation_id.encode(), partition=0)
        options = {name: there.options[name] for name in ("broker", "prefix")}
        said = reported(run, Path(KAFKA), law, tmp_path, **options)
    assert "Compared with the log of violations as it stands." in said
    assert "No longer violating: 6 " in said


def test_an_archived_log_without_a_violation_is_one_that_was_compared(run: Run, law: Path, tmp_path: Path) -> None:
    said = reported(run, archive(tmp_path / "archive", RECORDED, violations=[]), law)
    assert "Compared with the log of violations in the archive." in said
    assert "Contested on the log of violations Controller Violations None." in said


@pytest.mark.parametrize("kind", ["an archive", "files"])
def test_where_there_is_no_log_of_violations_the_report_says_so_and_how_to_get_it(
    kind: str, run: Run, law: Path, tmp_path: Path
) -> None:
    source = archive(tmp_path / "in", RECORDED) if kind == "an archive" else ndjson(tmp_path / "in", SOME)
    said = reported(run, source, law)
    assert "No log of violations was compared" in said
    assert "consentinel report --compare live" in said


def test_a_log_with_a_hole_or_of_another_archive_is_not_compared(run: Run, law: Path, tmp_path: Path) -> None:
    source = archive(tmp_path / "archive", RECORDED, violations=LOG)
    reported(run, source, law)
    answer = read_answer(tmp_path / "out")
    assert archived_log(answer) is not None
    part = next((source / "violations").rglob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])
    assert archived_log(answer) is None
    part.write_bytes(whole)
    manifest = source / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"prefix": "other-"}))
    assert archived_log(answer) is None
    assert archived_log(an_answer(tmp_path / "moved")) is None


def test_a_violation_of_a_newer_minor_version_is_read_from_its_bytes(run: Run, law: Path, tmp_path: Path) -> None:
    newer = json.loads(GONE[0].to_json()) | {"schema_version": "1.9", "of_later": 1}
    reported(run, archive(tmp_path / "archive", RECORDED, violations=[json.dumps(newer).encode()]), law)
    log = archived_log(read_answer(tmp_path / "out"))
    assert log is not None
    assert [each.status for each in log.last.values()] == ["open"]
