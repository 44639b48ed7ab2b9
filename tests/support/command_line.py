"""The command line run in this process, as its users type it: what it prints, where, and with which exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from streams.cli import main


class Ended(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process, in an environment that says nothing to us."""
    for name in [name for name in os.environ if name.startswith("CONSENTINEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words: Any, given: bytes = b"", **settings: str) -> Ended:
        for name, value in settings.items():
            monkeypatch.setenv(f"CONSENTINEL_{name.upper()}", value)
        monkeypatch.setattr(sys, "argv", ["consentinel", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        out, err = capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        assert "Traceback" not in err
        return Ended(code, out, err)

    return command
