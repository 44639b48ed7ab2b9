"""A replay that is killed wherever it changes a name leaves no answer beside what tells of persons, and goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from small_logs import SOME, answer, ndjson, question
from streams.replay import ndjson_source
from streams.replay.answer import read_answer
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.run import Replay

CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir"})


class KilledError(BaseException):
    """What ends a replay in the middle; nothing catches it."""


class Killer:
    """Counts the changes of names, and ends the replay at one of them."""

    def __init__(self) -> None:
        self.listens, self.changes, self.fatal = False, 0, 0
        sys.addaudithook(self._hear)  # for the life of the process

    def _hear(self, what: str, _: tuple[Any, ...]) -> None:
        if self.listens and what in CHANGES:
            self.changes += 1
            if self.changes == self.fatal:
                raise KilledError

    def run(self, source: NdjsonSource, folder: Path, fatal: int = 0) -> int:
        """Replay into a folder up to the fatal change of a name, or to the end; gives how many there were."""
        self.listens, self.changes, self.fatal = True, 0, fatal
        try:
            Replay(question(), source, folder).run()
        except KilledError:
            pass
        finally:
            self.listens = False
        return self.changes


@pytest.fixture(scope="module")
def killer() -> Killer:
    return Killer()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_replay_killed_at_any_change_of_a_name_leaves_no_piece_beside_its_answer_and_goes_on(
    tmp_path: Path, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", 1_500)  # two pieces
    source = NdjsonSource(ndjson(tmp_path / "in", [*SOME, SOME[0]]))
    changes = killer.run(source, tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    answered = 0
    for fatal in (*range(1, changes - 3, 3), *range(changes - 3, changes + 1)):
        out = tmp_path / f"killed-{fatal}"
        assert killer.run(source, out, fatal) == fatal
        if (out / "answer.json").exists():
            read_answer(out)
            assert contents(out).keys() - {"work/question.json"} == whole.keys()
            answered += 1
        else:
            Replay(question(), source, out).run()
            assert contents(out) == whole
    assert answered, "one was killed when its answer was there"


def test_a_name_is_given_to_what_is_on_the_disk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    on_disk: set[int] = set()
    named: list[str] = []
    fsync, rename = os.fsync, os.replace

    def told(descriptor: int) -> None:
        fsync(descriptor)
        on_disk.add(os.fstat(descriptor).st_ino)

    def naming(kept: Path, path: Path) -> None:
        if path.parent.name == "pieces" or path == out / "answer.json":
            beside = [each for each in out.rglob("*") if each.name != "work"] if path.name == "answer.json" else []
            resting_on = {each.stat().st_ino for each in (kept, *kept.rglob("*"), *beside)}
            assert resting_on <= on_disk
            named.append(path.name)
        rename(kept, path)

    monkeypatch.setattr(os, "fsync", told)
    monkeypatch.setattr(os, "replace", naming)
    answer(NdjsonSource(ndjson(tmp_path / "in", SOME)), out)
    assert len(named) == 2
    assert named[-1] == "answer.json"
