"""The bar of a long command on standard error: how far it is, how fast, and how long it will take.

Rules:
1. Nothing is drawn where standard error is a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """How many of a unit a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """The rate since the beginning; nothing before the first is done."""
        return Text("" if task.speed is None else f"{task.speed:,.0f} {self._unit}/s".replace(",", " "))


@contextmanager
def progress(what: str, unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the screen with the rate and the time left; nothing where standard error is a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
