"""The bar of a long command on standard error: what it does, how far it is, how fast, and how long it will take.

Rules:
1. Nothing is drawn where standard error is a file.
2. A command that has phases names the one it is in, from its first instant. The time left is told where it is known how
   much there is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from streams.phase import Begin, Done


class _Rate(ProgressColumn):
    """How many of its unit a task does in a second."""

    def render(self, task: Task) -> Text:
        """The rate since the beginning; nothing before the first is done."""
        return Text("" if task.speed is None else f"{task.speed:,.0f} {task.fields['unit']}/s".replace(",", " "))


@contextmanager
def phases() -> Iterator[Begin]:
    """A bar on the screen for one phase after the other; nothing where standard error is a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:

        def begin(what: str, unit: str, total: int | None) -> Done:
            for over in bar.task_ids:
                bar.remove_task(over)
            task = bar.add_task(what, total=total, unit=unit)
            bar.refresh()
            return lambda done: bar.advance(task, done)

        yield begin


@contextmanager
def progress(what: str, unit: str, total: int | None) -> Iterator[Done]:
    """The bar of a command that does one thing."""
    with phases() as begin:
        yield begin(what, unit, total)
