"""Processes of ours as children: the product as it ships, asked for its readiness and its metrics.

Rules:
1. The child is `consentinel COMMAND` with settings by environment; nothing is wired inside.
2. What the demo knows of it comes from `/readyz` and `/metrics` alone, as an operator's knowledge does.
"""

from __future__ import annotations

import http
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from prometheus_client.parser import text_string_to_metric_families

from streams.settings import PREFIX
from streams.simulator.child import Child, ChildFailed

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class WorkerFailed(ChildFailed):
    """The worker ended, or never became ready; its log says why."""


class CommandChild(Child):
    """`consentinel COMMAND` for the length of a `with` block; `options` are settings by field name."""

    command: ClassVar[str]
    port_setting: ClassVar[str] = "web_port"
    """The setting that says where its pages are."""

    def __init__(self, options: Mapping[str, str], *, port: int, log: Path) -> None:
        given = {**options, self.port_setting: str(port)}
        environment = {f"{PREFIX}{field.upper()}": value for field, value in given.items()}
        words = [sys.executable, "-m", "streams", self.command]
        super().__init__(self.command, words, port=port, log=log, ready="/readyz", environment=environment)

    def missing(self, body: bytes) -> str:
        """What keeps it from its work, as `/readyz` says."""
        try:
            return ", ".join(json.loads(body).get("missing", ["unknown"]))
        except ValueError:  # a page of somebody else, or none yet
            return super().missing(body)


class WorkerChild(CommandChild):
    """A worker for the length of a `with` block; `options` are settings by field name, `port` is that of its pages."""

    command = "worker"
    failure = WorkerFailed

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
