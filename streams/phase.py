"""The phases of a long work, as it tells of them: what it does, how much of it there is, and how much is done.

Rules:
1. Whoever works says what begins; whoever shows it decides how. A phase is over when the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable

Done = Callable[[int], None]
"""Is told how many more are done."""
Begin = Callable[[str, str, int | None], Done]
"""Is told what begins, in which unit it is counted, and how many there are, if that is known."""


def unseen(_what: str, _unit: str, _total: int | None) -> Done:
    """Begin a phase that nobody looks at."""
    return lambda _: None
