"""The command `replay` refuses what it is asked besides before it judges anything, and says how far it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Ended, Run
from settled_world import text_at
from small_logs import PACK, SOME, ndjson


@pytest.fixture
def words(tmp_path: Path) -> list[str | Path]:
    """A replay of a few events into the folder `out`."""
    law = tmp_path / "law.yaml"
    law.write_text(PACK)
    source = ndjson(tmp_path / "in", SOME)
    asked: list[str | Path] = ["--from", text_at(-100), "--to", text_at(100), "--source", source, "--rules", law]
    return ["replay", *asked, "--out", tmp_path / "out"]


def refused(ended: Ended, why: str, out: Path) -> None:
    assert (ended.code, why in " ".join(ended.err.split())) == (3, True), ended.err
    assert not out.exists(), "nothing was judged"


# -- what is asked besides --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no/report.html", "cannot be written: expected a folder to write it to"),
        ("in", "cannot be written: expected a file, found a folder"),
        ("law.yaml/report.html", "cannot be written: expected a folder to write it to"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_judged(
    name: str, why: str, run: Run, words: list[str | Path], tmp_path: Path
) -> None:
    refused(run(*words, "--report", tmp_path / name), why, tmp_path / "out")


def test_a_report_may_stand_in_the_folder_of_the_answer(run: Run, words: list[str | Path], tmp_path: Path) -> None:
    report = tmp_path / "out" / "report.html"
    assert run(*words, "--report", report).code == 1
    assert report.is_file()


def test_a_cell_size_that_tells_is_refused_before_anything_is_judged(
    run: Run, words: list[str | Path], tmp_path: Path
) -> None:
    ended = run(*words, "--report", tmp_path / "report.html", "--cell-size", "2")
    refused(ended, "--cell-size: expected 3 or more", tmp_path / "out")


def test_a_report_without_the_library_of_charts_is_refused_before_anything_is_judged(
    run: Run, words: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    refused(run(*words, "--report", tmp_path / "report.html"), "consentinel[report]", tmp_path / "out")


def test_an_older_answer_that_is_none_is_refused_before_anything_is_judged(
    run: Run, words: list[str | Path], tmp_path: Path
) -> None:
    ended = run(*words, "--compare", tmp_path / "nowhere")
    refused(ended, "expected the answer of a replay", tmp_path / "out")


def test_a_log_of_violations_that_cannot_be_read_is_refused_before_anything_is_judged(
    run: Run, words: list[str | Path], embedded: str, tmp_path: Path
) -> None:
    no_topic = run(*words, "--compare", "live", broker=embedded, prefix="nobodys-")
    refused(no_topic, "nobodys-violations: expected the topic, found none", tmp_path / "out")
