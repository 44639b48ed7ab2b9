"""What the stories lead to in time is what deadlines and windows say of a run, and they say nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from small_world import the_law
from streams.core.instant import micros
from streams.replay.offline import Offline
from streams.simulator.log import simulated_log, write
from streams.simulator.simulation import Simulation

BEFORE_MIDNIGHT = datetime(2026, 3, 10, 15, 57, tzinfo=UTC)
"""In Shanghai, so that a local day ends within the run."""


def test_deadlines_and_windows_say_of_a_run_what_its_stories_lead_to_and_nothing_else(tmp_path: Path) -> None:
    log = simulated_log(1, BEFORE_MIDNIGHT, seconds=220, rate=10, members=20)
    write(log, tmp_path)
    offline = Offline(the_law())
    offline.read_records([tmp_path / "subjects.ndjson"], [tmp_path / "registry.ndjson"])
    for _ in offline.judge_files([tmp_path / "events.ndjson", tmp_path / "encounters.ndjson"]):
        pass
    said = list(offline.settle(micros(BEFORE_MIDNIGHT + timedelta(hours=1))))
    breached = {(each["controller_id"], each["rule_id"]) for each in said if each["verdict"] == "violation"}
    in_a_day = {("co-annex", "core.record.missing")}
    assert breached == Simulation(1, BEFORE_MIDNIGHT, 10).foreseen() - in_a_day
