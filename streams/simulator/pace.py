"""The pace at which steps are written: that of the wall clock, which decides when and never what.

Rules:
1. A step is written when it is due. A world that is late catches up at twice its pace and no faster: a record needs
   time to be read before an event rests on it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from streams.simulator.simulation import STEP, Step

SHORTEST_SECONDS = STEP.total_seconds() / 2


class Pace:
    """Waits before each step."""

    def __init__(self) -> None:
        self._written = -SHORTEST_SECONDS

    def wait(self, step: Step) -> None:
        """Return when the step is due."""
        early = (step.at - datetime.now(UTC)).total_seconds()
        since = time.monotonic() - self._written
        time.sleep(max(early, SHORTEST_SECONDS - since, 0.0))
        self._written = time.monotonic()
