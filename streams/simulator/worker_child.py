"""A worker as a child process: started with settings, asked over HTTP, stopped gently, its log kept for when it fails.

Rules:
1. The child is the product as it ships, `consentinel worker`, with settings by environment; nothing is wired inside.
2. It lives in a session of its own, so that Ctrl-C reaches the demo first, and it does not outlive the demo.
3. What the demo knows of it comes from `/readyz` and `/metrics` alone, as an operator's knowledge does.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from prometheus_client.parser import text_string_to_metric_families

from streams.errors import ConsentinelError
from streams.settings import PREFIX
from streams.simulator.broker import dying_with_parent

HOST = "127.0.0.1"
ANSWER_SECONDS = 2.0
STOP_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 0.1
TAIL_BYTES = 4_000

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class WorkerFailed(ConsentinelError):
    """The worker ended, or never became ready; its log says why."""


class WorkerChild:
    """A worker for the length of a `with` block; `options` are settings by field name, `port` is that of its pages."""

    command: ClassVar[str] = "worker"
    port_setting: ClassVar[str] = "web_port"

    def __init__(self, options: Mapping[str, str], *, port: int, log: Path) -> None:
        self._options = {f"{PREFIX}{name.upper()}": value for name, value in options.items()}
        self._options[f"{PREFIX}{self.port_setting.upper()}"] = str(port)
        self._port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where its pages are."""
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own commands, by a word of a class
                [sys.executable, "-m", "streams.cli", self.command],
                env=os.environ | self._options,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 -- one system call, and only from the main thread
            )
        return self

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
        """Wait until the worker judges; False when `stopped` first. Raises WorkerFailed when it ends or never does."""
        deadline = time.monotonic() + patience_seconds
        missing = "no answer"
        while time.monotonic() < deadline:
            if stopped():
                return False
            self.check_alive()
            if (answer := self._get("/readyz")) is not None:
                status, body = answer
                if status == http.HTTPStatus.OK:
                    return True
                missing = ", ".join(json.loads(body).get("missing", ["unknown"]))
            time.sleep(LOOK_AGAIN_SECONDS)
        raise WorkerFailed(f"the worker was not ready after {patience_seconds:g} s: {missing}")

    def check_alive(self) -> None:
        """Raise WorkerFailed when the process has ended."""
        assert self._process is not None, "a worker is asked while it runs"
        code = self._process.poll()
        if code is not None:
            raise WorkerFailed(f"the worker ended with code {code}")

    def series(self) -> Series | None:
        """Every series of `/metrics` with its value; None when the page does not answer."""
        answer = self._get("/metrics")
        if answer is None or answer[0] != http.HTTPStatus.OK:
            return None
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer[1].decode())
            for sample in family.samples
        }

    def last_words(self) -> str:
        """The end of the worker's log."""
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


def total(series: Series, name: str, **labels: str) -> int:
    """The sum of the series of one name that carry all these labels."""
    wanted = set(labels.items())
    return round(sum(value for (found, carried), value in series.items() if found == name and wanted <= carried))


def by_label(series: Series, name: str, label: str, **labels: str) -> dict[str, int]:
    """The sums of the series of one name by the value of one label, zeros left out, sorted."""
    wanted = set(labels.items())
    sums: dict[str, int] = {}
    for (found, carried), value in series.items():
        if found == name and wanted <= carried and value:
            key = dict(carried).get(label, "")
            sums[key] = sums.get(key, 0) + round(value)
    return dict(sorted(sums.items()))
