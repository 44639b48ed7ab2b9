"""Commands of ours forked from a process that has imported most of what they import, which is a third of a start.

Rules:
1. What runs is the program: the same `main`, with its arguments, settings, session, log and signals.
2. What a test says of the program as it ships (the demo, the stack, the commands) starts it as it ships.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import cast

from streams.simulator.broker import dying_with_parent
from streams.simulator.worker_child import WorkerChild

FORKS = multiprocessing.get_context("forkserver")


@cache
def _forks_are_ready() -> None:
    """Start the process that is forked; Python 3.11 hands it no path to what it is to import, and it says nothing."""
    FORKS.set_forkserver_preload(["imported"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


class ForkedProcess:
    """A forked command, with what tests use of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        _forks_are_ready()
        self._arguments = list(arguments)
        self._process = FORKS.Process(target=_run, args=(self._arguments, dict(environment), str(log)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, or the signal as a negative number; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises TimeoutExpired."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    assert "faust" in sys.modules, "a fork begins with what every worker imports"
    os.setsid()
    if (die := dying_with_parent()) is not None:
        die()
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(out, number)
    os.environ.update(environment)
    sys.argv = ["consentinel", *arguments]
    from streams.__main__ import main

    main()


class ForkedWorker(WorkerChild):
    """A worker that is forked."""

    def _begin(self) -> subprocess.Popen[bytes]:
        return cast("subprocess.Popen[bytes]", ForkedProcess([self.command], self.environment, self._log))
