"""A real Prometheus for tests: Debian's program on a free port of the loopback, its data in a folder of the caller.

Rules:
1. Where the program is missing, `missing` says so, and the caller skips with that reason.
2. It ends with its `with` block, or with the process that started it.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from streams.simulator.broker import dying_with_parent, free_port

PROGRAM = "prometheus"
READY_SECONDS = 90.0
STOP_SECONDS = 10.0
HOST = "127.0.0.1"


def missing() -> str | None:
    """Why there is no Prometheus here, or None."""
    return None if shutil.which(PROGRAM) else f"{PROGRAM} is not installed"


class PrometheusNode:
    """A Prometheus that scrapes `targets` (`host:port` by job) every second and stores exemplars."""

    def __init__(self, folder: Path, targets: dict[str, str]) -> None:
        self._folder = folder
        self._targets = targets
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        config = ["global: {scrape_interval: 1s, scrape_timeout: 1s}", "scrape_configs:"]
        for job, target in self._targets.items():
            config += [f"  - job_name: {job}", f"    static_configs: [{{targets: ['{target}']}}]"]
        file = self._folder / "prometheus.yml"
        file.write_text("\n".join(config) + "\n", encoding="utf-8")
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={HOST}:{self._port}",
                    "--enable-feature=exemplar-storage",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 -- one system call
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            assert self._process.poll() is None, "Prometheus ended: see prometheus.log"
            assert time.monotonic() < deadline, "Prometheus did not become ready"
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).ok
        except requests.RequestException:
            return False
