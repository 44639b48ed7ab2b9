"""A program as a child process with pages on the loopback: started, asked over HTTP, stopped gently, its log kept.

Rules:
1. It lives in a session of its own, so that Ctrl-C reaches the demo first, and it does not outlive the demo.
2. What the demo knows of it comes from its pages, as an operator's knowledge does; its log is for when it fails.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from streams.errors import ConsentinelError
from streams.simulator.broker import dying_with_parent

HOST = "127.0.0.1"
ANSWER_SECONDS = 2.0
STOP_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 0.1
TAIL_BYTES = 4_000


class ChildFailed(ConsentinelError):
    """A program that a demo needs ended, or never became ready; `last_words` is the end of its log, which says why."""

    def __init__(self, message: str, last_words: str) -> None:
        super().__init__(message)
        self.last_words = last_words


class Child:
    """A program for the length of a `with` block; `name` is what a person calls it, `port` that of its pages.

    `ready` is the page that answers with 200 when it is ready; `environment` is what it has beyond our own.
    """

    failure: ClassVar[type[ChildFailed]] = ChildFailed

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        ready: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self.environment = dict(environment or {})
        self._port = port
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where its pages are."""
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._process = self._begin()
        return self

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 -- ourselves, or a program of the system found on the path
                self._command,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 -- one system call, and only from the main thread
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_ready(self, patience_seconds: float, *, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it is ready; False when `stopped` first. Raises `failure` when it ends or never is."""
        deadline = time.monotonic() + patience_seconds
        missing = "no answer"
        while time.monotonic() < deadline:
            if stopped():
                return False
            self.check_alive()
            if (answer := self._get(self._ready)) is not None:
                status, body = answer
                if status == http.HTTPStatus.OK:
                    return True
                missing = self.missing(body)
            time.sleep(LOOK_AGAIN_SECONDS)
        text = f"{self.name} was not ready after {patience_seconds:g} s: {missing}"
        raise self.failure(text, self.last_words())

    def missing(self, _body: bytes) -> str:
        """What the page says is missing, where a kind of program says it."""
        return "its page says so"

    def check_alive(self) -> None:
        """Raise `failure` when the process has ended."""
        assert self._process is not None, "a child is asked while it runs"
        code = self._process.poll()
        if code is not None:
            raise self.failure(f"{self.name} ended with code {code}", self.last_words())

    def last_words(self) -> str:
        """The end of its log."""
        try:
            return self._log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        except OSError:
            return ""

    def _get(self, path: str) -> tuple[int, bytes] | None:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path, headers={"Accept": "text/plain"})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
