"""The command `simulate`: the simulated estate into files, or onto the broker of the settings at the pace of the clock.

Rules:
1. Files start at a fixed instant, so that the same seed gives the same bytes on every machine and every day.
2. On a broker the world starts now and lasts as long as it says; expectations go nowhere, they are the auditor's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from streams.settings import load_settings
from streams.simulator.log import finite_steps, simulated_log, write
from streams.simulator.pace import Pace
from streams.simulator.publisher import Publisher
from streams.simulator.simulation import Simulation

START = datetime(2026, 5, 6, 1, 30, tzinfo=UTC)
"""Half past nine in Beijing, on a Wednesday."""
RATE = 200.0
KAFKA = "kafka"


def run_simulate(out: str, *, seconds: float, seed: int, rate: float | None, say: Callable[[str], None]) -> int:
    """Write a simulated run and return 0; raises a ConsentinelError where it cannot be written."""
    if out == KAFKA:
        return _onto_broker(seconds=seconds, seed=seed, rate=RATE if rate is None else rate, say=say)
    log = simulated_log(seed, START, seconds=seconds, rate=RATE if rate is None else rate)
    for path in write(log, Path(out)):
        say(str(path))
    say(f"{len(log.events)} events, {len(log.expectations)} verdicts expected")
    return 0


def _onto_broker(*, seconds: float, seed: int, rate: float, say: Callable[[str], None]) -> int:
    settings = load_settings()
    simulation = Simulation(seed, datetime.now(UTC), rate)
    pace, expected = Pace(), 0
    with Publisher(settings.brokers, settings.prefix) as publisher:
        publisher.publish_opening(simulation.opening())
        for step in finite_steps(simulation, datetime.now(UTC), seconds):
            pace.wait(step)
            publisher.publish(step)
            expected += len(step.expectations)
        sent = ", ".join(f"{count} {topic}" for topic, count in publisher.sent.items())
    say(f"sent: {sent}; {expected} verdicts expected")
    return 0
