"""A simulated log as one value, and as NDJSON files: a finite run in simulated time, at full speed.

Rules:
1. Pure up to the files: the same seed, start, seconds and rate give the same bytes.
2. A line is a message as it would stand on its topic; `expected.ndjson` is for the auditor alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from schemas.match import MatchEvent
from schemas.registry import RegistryRecord
from schemas.subject import SubjectRecord
from streams.errors import InputError, Place
from streams.simulator.expectation import Expectation
from streams.simulator.simulation import STEP, Simulation, Step
from streams.simulator.story import Event
from streams.simulator.world import MEMBERS

SUFFIX = ".ndjson"


class Line(Protocol):
    """Whatever knows itself as one line of JSON."""

    def to_json(self) -> bytes:
        """The line, without its end."""


@dataclass(frozen=True, slots=True)
class SimulatedLog:
    """Everything that a run writes, in the order of each topic."""

    registry: tuple[RegistryRecord, ...]
    subjects: tuple[SubjectRecord, ...]
    events: tuple[Event, ...]
    expectations: tuple[Expectation, ...]
    baseline: frozenset[str]
    """The ids of events that belong to no story."""

    def files(self) -> Iterator[tuple[str, Iterable[Line]]]:
        """The stem of each file and its lines."""
        yield "events", (event for event in self.events if isinstance(event, MatchEvent))
        yield "encounters", (event for event in self.events if not isinstance(event, MatchEvent))
        yield "subjects", self.subjects
        yield "registry", self.registry
        yield "expected", self.expectations


def simulated_log(seed: int, start: datetime, *, seconds: float, rate: float, members: int = MEMBERS) -> SimulatedLog:
    """A run of at least one step, with everything that began in it reported."""
    simulation = Simulation(seed, start, rate, members=members)
    opening = simulation.opening()
    steps = list(finite_steps(simulation, start, seconds))
    return SimulatedLog(
        registry=(*opening.registry, *opening.heartbeats, *(each for step in steps for each in step.heartbeats)),
        subjects=(*opening.subjects, *(each for step in steps for each in (*step.subjects, *step.misplaced))),
        events=tuple(event for step in steps for event in step.events),
        expectations=tuple(each for step in steps for each in step.expectations),
        baseline=frozenset(event.event_id for step in steps for event in step.baseline),
    )


def finite_steps(simulation: Simulation, begin: datetime, seconds: float) -> Iterator[Step]:
    """The steps of `seconds` of simulated time, and those that report what happened in them."""
    wanted = max(1, round(seconds / STEP.total_seconds()))
    for _, step in zip(range(wanted), simulation.steps(begin), strict=False):
        yield step
    yield from simulation.drain()


def write(log: SimulatedLog, target: Path) -> tuple[Path, ...]:
    """Write the files of a log and return their paths.

    A target that ends in `.ndjson` is the file of the match events, and the others stand beside it under its stem;
    any other target is a folder. Raises InputError where that cannot be written.
    """
    try:
        paths = []
        for stem, lines in log.files():
            path = _path(target, stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines(line.to_json() + b"\n" for line in lines)
            paths.append(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=Place(str(target))) from error
    return tuple(paths)


def _path(target: Path, stem: str) -> Path:
    if target.suffix != SUFFIX:
        return target / f"{stem}{SUFFIX}"
    return target if stem == "events" else target.with_name(f"{target.stem}.{stem}{SUFFIX}")
