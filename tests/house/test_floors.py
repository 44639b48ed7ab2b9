"""The floors of the house: who may import whom, and that every room has a floor."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_nobody_imports_from_a_floor_above() -> None:
    command = [str(LINT_IMPORTS), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_room_is_a_package_and_so_seen_by_the_check_above() -> None:
    missing = [
        str(directory.relative_to(ROOT))
        for package in ("schemas", "streams", "dashboards")
        for directory in sorted({file.parent for file in (ROOT / package).rglob("*.py")})
        if not (directory / "__init__.py").exists()
    ]
    assert missing == []


def test_every_room_stands_on_a_floor() -> None:
    floors = next(contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
    named = set(re.findall(r"[\w.]+", " ".join(floors)))
    streams = ROOT / "streams"
    rooms = {f"streams.{file.stem}" for file in streams.glob("*.py") if file.stem != "__init__"}
    rooms |= {f"streams.{file.parent.name}" for file in streams.glob("*/__init__.py")}
    assert rooms - named == set()
