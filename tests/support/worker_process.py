"""A worker in a process of its own for the tests: what it says as parsed lines, orders to it, signals, its end."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from forked import ForkedScript

Line = dict[str, Any]
PATIENCE_SECONDS = 120.0
"""A guard against waiting for ever; no test measures it."""


class WorkerProcess:
    """Starts `script` with one JSON argument; ends it with its `with` block."""

    def __init__(self, script: Path, spec: dict[str, Any], log: Path) -> None:
        self._lines: list[Line] = []
        self._news = threading.Condition()
        self.process = ForkedScript(script, [json.dumps(spec)], log=log)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for raw in self.process.stdout:
            line = json.loads(raw)
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def said(self, what: str, **like: Any) -> list[Line]:
        """Return the lines of one kind whose fields equal those given."""
        with self._news:
            lines = list(self._lines)
        return [line for line in lines if line["what"] == what and all(line[name] == like[name] for name in like)]

    def until(self, done: Callable[[], Any]) -> Any:
        """Wait until `done()` is true after some line, and return its value; fail when the worker ends before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            value = done()
            if value:
                return value
            with self._news:
                self._news.wait(0.2)
            assert time.monotonic() < deadline, f"waited in vain; last lines: {self._lines[-5:]}"
            code = self.process.poll()
            if code is not None:
                self._listener.join(PATIENCE_SECONDS)
            assert code is None or done(), f"the worker ended with {code}: {self._lines[-3:]}"

    def order(self, *order: Any) -> None:
        """Send one order."""
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end, and for its last words, and return the exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._listener.join(PATIENCE_SECONDS)
        return code

    def kill(self) -> None:
        """End it at once; safe to call twice."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
