"""Rules: how long all packs take to load and compile, and what judging by all of them costs beside the first ones.

    python tests/benchmarks/rules.py [--events N] [--rounds N]

The events are those of the quiet day, in batches as a worker judges them, assembled, judged and entered for duties. The
first issue's rules are the conditions of the Chinese packs and of `core`. Both are judged in turn, round by round, and
the best round of each counts. Prints what it does to stderr and, last, one JSON line.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from streams.core.case import Views, assemble
from streams.core.entry import entries
from streams.core.facts import CaseKind
from streams.core.judge import judge
from streams.core.rulebook import Rulebook, load, of_rules
from streams.core.subject_history import Histories
from streams.packs import distributed
from streams.simulator.quiet_day import QuietDay

FIRST_PACKS = {"cn2023", "cn2025", "cnpipl", "cnvideo", "core"}
BATCH = 20_000
Batches = Sequence[tuple[CaseKind, pl.DataFrame]]


def best_load_seconds(rounds: int) -> float:
    """The shortest time in which all packs were loaded and compiled."""
    taken = []
    texts = distributed()
    for _ in range(rounds):
        began = time.perf_counter()
        load(texts)
        taken.append(time.perf_counter() - began)
    return min(taken)


def judged_per_second(book: Rulebook, views: Views, batches: Batches) -> float:
    """Events a second through assembly, judgement and the entries of duties."""
    began = time.perf_counter()
    for kind, frame in batches:
        cases = assemble(frame, kind, views, book.facts_of(kind))
        verdicts = judge(cases, kind, book)
        sum(1 for _ in entries(cases, kind, book, verdicts.places))
    return sum(frame.height for _, frame in batches) / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=400_000)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    every = load(distributed())
    first = of_rules([rule for rule in every.rules if rule.pack in FIRST_PACKS])
    day = QuietDay(1, datetime(2026, 9, 15, tzinfo=UTC))
    views = Views(histories=Histories(every.asked()))
    for record in day.registry():
        views.registry.add(record)
    for subject_record in day.subjects():
        views.histories.add(subject_record)
    batches = [(kind, piece) for kind, frame in day.frames(asked.events) for piece in frame.iter_slices(BATCH)]
    gc.freeze()  # as a worker does with its views once they are warm
    rates: dict[str, list[float]] = {"all": [], "first": []}
    for number in range(asked.rounds):
        for name, book in (("first", first), ("all", every)):
            rates[name].append(judged_per_second(book, views, batches))
            print(f"round {number + 1}, {name}: {rates[name][-1]:,.0f} events a second", file=sys.stderr)
    best = {name: max(found) for name, found in rates.items()}
    said = {
        "load_seconds": round(best_load_seconds(asked.rounds), 2),
        "rules": len(every.every()),
        "first_rules": len(first.rules),
        "all_per_second": round(best["all"]),
        "first_per_second": round(best["first"]),
        "ratio": round(best["all"] / best["first"], 2),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
