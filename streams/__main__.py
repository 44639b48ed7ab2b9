"""The program: the command line, begun with a garbage collector that does not look through each import.

Rules:
1. Imports and rulebooks are hundreds of thousands of objects that stay. With Python's own threshold of 700 the
   collector looks through them again and again, which is a tenth of the processor time of every start.
"""

from __future__ import annotations

import gc
from typing import NoReturn

GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""Those of the worker, whose views are objects that stay as well."""


def main() -> NoReturn:
    """Run the command line."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    from streams.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
