"""A file fits in a head and a function on a screen, and every module says what it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 50

SOURCES = sorted(
    file for room in ("schemas", "streams", "dashboards", "docker", "tests") for file in (ROOT / room).rglob("*.py")
)


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_there_are_sources_to_look_at() -> None:
    assert {"schemas/__init__.py", "streams/__init__.py", "dashboards/__init__.py"} <= {_name(file) for file in SOURCES}


@pytest.mark.parametrize("file", SOURCES, ids=_name)
def test_a_file_is_short_enough_and_says_what_it_is(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module begins with a sentence on what it is"
    long = [
        f"{node.name} (line {node.lineno})"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_tests_and_docker_are_no_packages() -> None:
    # `docker` and `tests` would shadow, or be shadowed by, installed packages of those names.
    assert [_name(file) for room in ("tests", "docker") for file in (ROOT / room).rglob("__init__.py")] == []
