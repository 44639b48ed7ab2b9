"""Programs of the system that tests run: found on the path, skipped with a reason where absent, required in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def find_program(*names: str, package: str) -> str:
    """The path of the first of these programs that is there; else the test is skipped, or fails in CI."""
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    reason = f"no {' or '.join(names)}: it comes with the package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI runs every program, but there is {reason}", pytrace=False)
    pytest.skip(reason)
