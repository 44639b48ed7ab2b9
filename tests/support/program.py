"""Programs of the system that a test needs: without one the test is skipped with the reason; in CI it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test that asks, with the reason; where CI is true, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI runs this test, but {reason}", pytrace=False)
    pytest.skip(reason)


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    return found or unavailable(f"{' or '.join(names)} is not installed")


def said_by(*command: str | Path, **options: Any) -> tuple[int, str]:
    """The exit code of a command, and everything it wrote."""
    done = subprocess.run(
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        **options,
    )  # fmt: skip
    return done.returncode, done.stdout
