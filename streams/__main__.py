"""The program: the command line, begun with a garbage collector and an allocator that suit what it holds.

Rules:
1. Imports and rulebooks are hundreds of thousands of objects that stay. With Python's own threshold of 700 the
   collector looks through them again and again, which is a tenth of the processor time of every start.
2. A replay gives the columns of a piece back and asks for as many again a second later. Polars' allocator would give
   their pages to the kernel meanwhile, and to get them back, zeroed, is a seventh of the processor time of a replay. It
   reads its settings when it is loaded, so they are set before anything imports Polars.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""Those of the worker, whose views are objects that stay as well."""
ALLOCATOR = {"_RJEM_MALLOC_CONF": "dirty_decay_ms:10000,muzzy_decay_ms:-1"}
"""The variable of jemalloc under the prefix that Polars builds it with: free pages are kept for ten seconds."""


def main() -> NoReturn:
    """Run the command line."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    if sys.argv[1:2] == ["replay"]:
        for name, value in ALLOCATOR.items():
            os.environ.setdefault(name, value)
    from streams.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
