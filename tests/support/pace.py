"""How many examples a property is tried on: all of them, or a share where a run asks another question.

Rules:
1. `EXAMPLES` is a share between 0 and 1. The run that measures coverage traces every line, which makes a property many
   times slower and teaches nothing new after its first examples; the run that tests has them all.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("EXAMPLES", "1"))


def examples(full: int) -> int:
    """The share of `full` examples that this run tries, at least a few."""
    return max(min(full, 5), round(full * SHARE))
