"""Two workers are killed, ended and frozen while an estate writes: no breach is lost, invented or given two ids.

`DRILL_SEEDS` in the environment (numbers by comma) repeats a drill or runs more of them; the report names the seed and
counts the repeats.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kill_drill import Drill, blows_of

SEEDS = tuple(int(seed) for seed in os.environ.get("DRILL_SEEDS", "1").split(","))

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_breach_is_lost_or_doubled_however_workers_die(
    seed: int, broker: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Drill(broker, seed, tmp_path) as drill:
        outcome = drill.run()
    books = outcome.books
    for line in outcome.lines():
        print(line)
    record_property("seed", seed)
    record_property("repeats", books.repeats)
    assert outcome.events > 1_000
    assert books.expected > outcome.events, "nearly every event breaks a rule, so a lost event is a lost violation"
    assert books.taken_back > 10, "late records and corrected identities undo what was said of them"
    assert books.lost == frozenset()
    assert books.unexpected == frozenset()
    assert books.under_two_ids == 0
    assert books.differing == frozenset(), "repeats are byte-identical, and all are what the core says"
    assert outcome.committed == outcome.ends
    assert [code for _, code in outcome.exits] == [0] * len(outcome.exits)


def test_every_drill_kills_six_times_ends_gently_too_strikes_a_warming_worker_and_freezes_one() -> None:
    for seed in range(50):
        hows = [blow.how for blow in blows_of(seed)]
        warming = [how for how in hows if how.endswith("warming")]
        assert len(warming) == hows.count("freeze") == 1
        assert hows.count("kill") + hows.count("term") + 2 * len(warming) == 6
        assert min(hows.count("kill"), hows.count("term")) == 2
        assert {blow.victim for blow in blows_of(seed)} == {0, 1}
