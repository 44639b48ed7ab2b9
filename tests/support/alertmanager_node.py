"""A real Alertmanager for tests: the program of the system's package, on a free port, with the configuration we ship.

Rules:
1. Without the program a test skips with that reason; in CI it fails instead.
2. The configuration is the committed one. Only what a test must have is put in: an address, short waits.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from program import program
from streams.simulator.broker import dying_with_parent, free_port

CONFIGURATION = Path(__file__).parents[2] / "dashboards" / "stack" / "alertmanager.yml"
PROGRAMS = ("prometheus-alertmanager", "alertmanager")
START_SECONDS = 90.0
STOP_SECONDS = 5.0


def with_receivers(text: str, address: str) -> dict[str, Any]:
    """The configuration with every receiver at a path of its own, but for the one that is nobody; and without waits."""
    config: dict[str, Any] = yaml.safe_load(text)
    for receiver in config["receivers"]:
        if receiver["name"] != "nobody":
            receiver["webhook_configs"] = [{"url": f"{address}/{receiver['name']}", "send_resolved": True}]
    for route in (config["route"], *config["route"]["routes"]):
        route |= {name: "1s" for name in ("group_wait", "group_interval") if name in route or route is config["route"]}
    return config


class AlertmanagerNode:
    """One Alertmanager for the length of a `with` block, calling `receiver`; its data lies in `folder`."""

    def __init__(self, folder: Path, receiver: str) -> None:
        self._folder = folder
        self._receiver = receiver
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def alerts(self, **labels: str) -> list[Any]:
        """The alerts it holds that carry these labels, inhibited ones too."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            held = json.load(answer)
        return [each for each in held if labels.items() <= each["labels"].items()]

    def __enter__(self) -> Self:
        config = self._folder / "alertmanager.yml"
        config.write_text(yaml.safe_dump(with_receivers(CONFIGURATION.read_text("utf-8"), self._receiver)))
        command = [
            program(*PROGRAMS),
            f"--config.file={config}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 -- one system call, and only from the main thread
            )
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.last_words()
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=2).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"Alertmanager does not answer: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return (self._folder / "alertmanager.log").read_text(errors="replace")[-1_000:]
