"""The command `replay` refuses what it is asked besides before it judges anything, and says how far it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from command_line import Ended, Run
from rule_texts import a_pack, a_rule
from small_logs import PACK, RANGE, SOME, archive, event, ndjson, question, the_records
from streams.core.rulebook import load
from streams.replay import ndjson_source
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.parquet_source import ParquetSource
from streams.replay.run import Replay

A_WINDOW = a_rule("test.many", condition="purpose_named", kind="window",
                  window={"days": 1, "key": "controller", "at_least": 2})  # fmt: skip


@pytest.fixture
def words(tmp_path: Path) -> list[str | Path]:
    """A replay of a few events into the folder `out`."""
    law = tmp_path / "law.yaml"
    law.write_text(PACK)
    source = ndjson(tmp_path / "in", SOME)
    asked: list[str | Path] = [*RANGE, "--source", source, "--rules", law]
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


# -- how far it is ----------------------------------------------------------------------------------------------------


class Watcher:
    """What a replay says of how far it is."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, str, int | None]] = []
        self.done: Counter[str] = Counter()

    def begin(self, what: str, unit: str, total: int | None) -> Callable[[int], None]:
        self.phases.append((what, unit, total))

        def advance(done: int) -> None:
            assert self.phases[-1][0] == what, "what is over counts no more"
            self.done[what] += done

        return advance


def test_a_replay_says_in_which_phase_it_is_and_counts_what_it_does_in_each(tmp_path: Path) -> None:
    law = load([("t.yaml", a_pack(a_rule("test.consent", condition="NOT consent_in_force"), A_WINDOW))])
    source = ParquetSource(str(archive(tmp_path / "in", [(each, 1) for each in SOME])))
    watcher = Watcher()
    Replay(question(law), source, tmp_path / "out").run(watcher.begin)
    records = sum(map(len, the_records()))
    assert watcher.phases == [
        ("reading records", "records", None),
        ("judging", "events", 3),
        ("settling duties", "cases", 3),
        ("writing the answer", "files", None),
    ]
    assert watcher.done == {"reading records": records, "judging": 3, "settling duties": 3}


def test_repeats_across_pieces_are_phases_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", 400)
    source = NdjsonSource(ndjson(tmp_path / "in", [event("a"), event("b"), event("a")]))
    watcher = Watcher()
    Replay(question(), source, tmp_path / "out").run(watcher.begin)
    totals = {phase: total for phase, _, total in watcher.phases if "repeats" in phase}
    assert totals == {"looking for repeats": 2, "judging without repeats": 1}
    assert {phase: watcher.done[phase] for phase in totals} == totals


def test_the_screen_names_the_phase_and_a_file_gets_nothing_of_it(words: list[str | Path]) -> None:
    command = [sys.executable, "-m", "streams.cli", *map(str, words)]
    screen, end = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end) as started:
        os.close(end)
        shown = b"".join(iter(partial(_read, screen), b"")).decode()
        assert started.wait() == 1, shown
    os.close(screen)
    told = [shown.index(phase) for phase in ("reading records", "judging", "settling duties", "writing the answer")]
    assert told == sorted(told)
    again = subprocess.run([*command[:-1], command[-1] + "-2"], capture_output=True, text=True, check=False)
    assert (again.returncode, "judging" in again.stderr) == (1, False)


def _read(screen: int) -> bytes:
    """The next bytes on a screen; none when the program on the other side has ended."""
    try:
        return os.read(screen, 65_536)
    except OSError:
        return b""
