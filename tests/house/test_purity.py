"""The core and the contracts are pure: no file, no clock, no chance, no log; time and chance are arguments."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN_MODULES = {
    "asyncio", "io", "locale", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "socket",
    "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
FORBIDDEN_CALLS = {"input", "open", "print"}
# Reading a clock or throwing dice, whatever the receiver is called.
FORBIDDEN_METHODS = {
    "now", "today", "utcnow", "uuid1", "uuid4", "perf_counter", "monotonic", "time_ns", "urandom", "getenv",
    "read_text", "write_text", "read_bytes", "write_bytes", "sink_parquet", "read_csv", "read_parquet", "scan_parquet",
}  # fmt: skip
ALLOWED = {
    "schemas": {"schemas", "pydantic", "pydantic_core", "annotated_types"},
    "streams/core": {"schemas", "streams", "pydantic", "pydantic_core", "polars", "sqlglot", "yaml", "holidays"},
}
SOURCES = sorted((room, file) for room in ALLOWED for file in (ROOT / room).rglob("*.py"))


def impurities(source: str, allowed: set[str]) -> list[str]:
    """Name everything in a module's text that reaches into the world."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [f"import {name.name}" for name in names if not _pure(name.name, allowed)]
            case ast.ImportFrom(module=str(module)) if not _pure(module, allowed):
                found.append(f"from {module} import")
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                found.append(f"line {node.lineno}: {name}()")
            case ast.Call(func=ast.Attribute(attr=name)) if name in FORBIDDEN_METHODS:
                found.append(f"line {node.lineno}: .{name}()")
    return found


def _pure(module: str, allowed: set[str]) -> bool:
    top = module.partition(".")[0]
    return top not in FORBIDDEN_MODULES and (top in allowed or top in sys.stdlib_module_names)


@pytest.mark.parametrize(("room", "file"), SOURCES, ids=[str(file.relative_to(ROOT)) for _, file in SOURCES])
def test_a_pure_module_reaches_for_nothing(room: str, file: Path) -> None:
    assert impurities(file.read_text(encoding="utf-8"), ALLOWED[room]) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import path",
        "import logging.handlers",
        "import faust",
        "from datetime import datetime\ndatetime.now()",
        "from uuid import uuid4\nimport uuid\nuuid.uuid4()",
        "open('x')",
        "print('x')",
    ],
)
def test_the_check_sees_what_reaches_into_the_world(source: str) -> None:
    assert impurities(source, ALLOWED["schemas"]) != []


def test_the_check_lets_pure_code_pass() -> None:
    assert impurities("from datetime import time\nimport json\njson.loads('1')", ALLOWED["schemas"]) == []
