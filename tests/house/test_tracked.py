"""What is tracked belongs to everybody: no path of one machine, no address of a registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.])/(?:root|work|tmp|home|Users)/[\w.]|[A-Z]:\\Users\\")
REGISTRY = re.compile(r"(?:py(?:pi\.org|thonhosted\.)|repo1?\.maven\.|registry\.npm|index[-_]url\s*=)")
# The words of the Makefile and of the tests about the option that leaves addresses out.
ALLOWED_REGISTRY_WORDS = {"--no-emit-index-url"}


def tracked() -> list[Path]:
    """Every file under version control, or none where there is no git."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def belongs_elsewhere(text: str) -> list[str]:
    """Name the lines that show a machine or a registry."""
    return [
        f"line {number}: {found.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for found in (MACHINE.search(line), REGISTRY.search(line))
        if found and not any(word in line for word in ALLOWED_REGISTRY_WORDS)
    ]


def test_no_tracked_file_shows_a_machine_or_a_registry() -> None:
    files = tracked()
    if not files:
        pytest.skip("not a git checkout")
    shown = {
        str(file.relative_to(ROOT)): lines
        for file in files
        if (lines := belongs_elsewhere(file.read_text(encoding="utf-8", errors="replace")))
    }
    assert shown == {}


@pytest.mark.parametrize("word", ["root", "work", "tmp", "home"])
def test_the_check_sees_a_path_of_a_machine(word: str) -> None:
    assert belongs_elsewhere(f"see /{word}/somebody") != []


def test_the_check_lets_ordinary_paths_pass() -> None:
    assert belongs_elsewhere("GET /metrics, streams/live/worker.py, docs/tmp/x, /etc/kafka") == []
