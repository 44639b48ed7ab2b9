"""The coverage gate: silent when every measured package has enough of its branches covered, else exit code 1.

Rules:
1. Each package of the coverage settings is judged alone, so that one cannot hide behind another.
2. Branches, not lines: a rule half tested is a rule not tested.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[2]
PACKAGES = {"schemas": ROOT / "schemas", "streams.core": ROOT / "streams" / "core"}


def main(least: float) -> int:
    """Compare the branches covered by the last run with `least` percent."""
    measured = Coverage(data_file=str(ROOT / ".coverage"), config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    total, missed = Counter[str](), Counter[str]()
    untested: list[str] = []
    for package, directory in PACKAGES.items():
        for file in sorted(directory.rglob("*.py")):
            exits = {line: totals for line, totals in measured.branch_stats(str(file)).items() if totals[0] > 1}
            total[package] += sum(count for count, _ in exits.values())
            missed[package] += sum(count - taken for count, taken in exits.values())
            lines = sorted(line for line, (count, taken) in exits.items() if taken < count)
            if lines:
                untested.append(f"{file.relative_to(ROOT)}: {', '.join(map(str, lines))}")
    short = False
    for package in PACKAGES:
        percent = 100.0 * (1 - missed[package] / total[package]) if total[package] else 0.0
        if percent < least:
            short = True
            print(f"{package}: {percent:.1f} % of {total[package]} branches are covered, {least:g} % are wanted")
    if short:
        print("branches not taken from:", *untested, sep="\n  ")
    return int(short)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
