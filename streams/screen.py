"""What commands say: results to stdout, everything about them to stderr, and the exit codes.

Rules:
1. 0: clean; 1: findings (violations, or an auditor who disagrees); 2: a rule pack is wrong; 3: configuration or input.
   A worker that fails while it judges, or a process while it tells, ends with 70.
2. A table is never cut off: a narrow screen folds its last column, and a pipe or a file takes it as wide as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

CLEAN, FINDINGS, RULE_ERROR, INPUT_ERROR = 0, 1, 2, 3
FAILED = 70
BAD_LINES_SHOWN = 20
"""A file of the wrong kind has as many bad lines as lines; the first ones say what it is."""
PIPE_WIDTH = 1_000


def say(line: str) -> None:
    """One line to stderr."""
    print(line, file=sys.stderr, flush=True)


def show(table: Table) -> None:
    """A table to stdout, whole."""
    for column in table.columns[:-1]:
        column.no_wrap = True
    table.columns[-1].overflow = "fold"
    text = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with text.capture() as captured:
        text.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def say_bad_lines(bad_lines: Sequence[object]) -> None:
    """The first lines that are no contract, and how many more there are."""
    for bad in bad_lines[:BAD_LINES_SHOWN]:
        say(str(bad))
    if len(bad_lines) > BAD_LINES_SHOWN:
        say(f"and {len(bad_lines) - BAD_LINES_SHOWN} more lines that are no contract")
