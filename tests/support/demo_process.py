"""A demo as a user runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from streams.simulator.demo import READY


def demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("CONSENTINEL_")},
    )


def summary_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, log = process.communicate()
    assert process.returncode == 0, f"{said}\n{log}"
    found = json.loads(said)  # one object and nothing else
    assert isinstance(found, dict)
    return found


def begun(process: subprocess.Popen[str]) -> str:
    """Wait until the demo's worker is ready; what was said on stderr until then."""
    assert process.stderr is not None
    said = ""
    while READY not in said:
        line = process.stderr.readline()
        assert line, f"the demo ended before it began: {said}"
        said += line
    return said
