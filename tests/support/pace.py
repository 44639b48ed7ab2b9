"""How many examples a property is tried on: as many as it says, or a share or a multiple where a run asks for it.

Rules:
1. `EXAMPLES` multiplies. The run that measures coverage traces every line, which makes a property many times slower and
   teaches nothing new after its first examples; `make test` tries half, other ones each time; 10 is for a long night.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("EXAMPLES", "1"))


def examples(full: int) -> int:
    """How many of `full` examples this run tries, at least a few."""
    return max(min(full, 5), round(full * SHARE))
