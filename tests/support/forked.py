"""Commands and scripts that are forked from a process which has imported most of what they import: a third of a start.

Rules:
1. What runs is the program: the same `main`, with its arguments, settings, session, log and signals.
2. What a test says of the program as it ships (the demo, the stack, the commands) starts it as it ships.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias, cast

import pytest

from streams.simulator.broker import dying_with_parent
from streams.simulator.worker_child import WorkerChild

FORKS = multiprocessing.get_context("forkserver")
Pipes: TypeAlias = tuple[Connection, Connection]
"""The ends of a script: of what it is told, and of what it says."""


@cache
def _forks_are_ready() -> None:
    """Start the process that is forked; Python 3.11 hands it no path to what it is to import, and it says nothing."""
    FORKS.set_forkserver_preload(["imported"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()


class ForkedProcess:
    """A forked command of ours, with what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        script: Path | None = None,
        pipes: Pipes | None = None,
    ) -> None:
        _forks_are_ready()
        self._arguments = list(arguments)
        given = (self._arguments, dict(environment or {}), log, script, pipes)
        self._process = FORKS.Process(target=_run, args=given, daemon=True)
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


class ForkedScript(ForkedProcess):
    """A forked script of the tests, which hears what is written to `stdin` and says what is read from `stdout`."""

    def __init__(self, script: Path, arguments: Sequence[str], *, log: Path) -> None:
        told, telling = FORKS.Pipe(duplex=False)
        hearing, said = FORKS.Pipe(duplex=False)
        with told, telling, hearing, said:
            self.stdin = os.fdopen(os.dup(telling.fileno()), "wb")
            self.stdout = os.fdopen(os.dup(hearing.fileno()), "rb")
            super().__init__(arguments, log=log, script=script, pipes=(told, said))


def _run(
    arguments: list[str], environment: dict[str, str], log: Path, script: Path | None, pipes: Pipes | None
) -> None:
    assert "faust" in sys.modules, "a fork begins with what every worker imports"
    os.setsid()
    if (die := dying_with_parent()) is not None:
        die()
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(out, 2)
    os.dup2(out if pipes is None else pipes[1].fileno(), 1)
    if pipes is not None:
        os.dup2(pipes[0].fileno(), 0)
        sys.stdin = os.fdopen(0, closefd=False)
        for each in pipes:
            each.close()
    os.environ.update(environment)
    sys.argv = [str(script or "consentinel"), *arguments]
    if script is not None:
        runpy.run_path(str(script), run_name="__main__")
        return
    from streams.__main__ import main

    main()


class ForkedWorker(WorkerChild):
    """A worker that is forked."""

    def _begin(self) -> subprocess.Popen[bytes]:
        forked = ForkedProcess([self.command], log=self._log, environment=self.environment)
        return cast("subprocess.Popen[bytes]", forked)
