"""What the tests of commands of the replay share."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_logs import PACK


@pytest.fixture
def law(tmp_path: Path) -> Path:
    """The law of these tests as a file."""
    file = tmp_path / "law.yaml"
    file.write_text(PACK)
    return file
