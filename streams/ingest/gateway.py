"""The gateway: native lines in, match events and problems out, and a tally in which every line is found again.

Rules:
1. No broker, no file and no clock here: lines are an iterable of bytes, persons are looked up by a given function.
2. A match of a person whom nobody linked is a match event without a subject; the judge says `identity_unlinked`.
3. A device that the mapping does not name keeps its events, under an unmapped id; the problem is told once a device,
   at its first line, and counted each time.
4. A problem holds a line number, a path of known names and what was expected; it never holds what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.match import MatchEvent
from streams.ingest import frigate, rekognition
from streams.ingest.mapping import DeviceMapping
from streams.ingest.native import Flaw, parse
from streams.ingest.probe import Probe, Skip
from streams.ingest.recogniser import Recogniser
from streams.ingest.sink import Sink

Resolve = Callable[[str, str], str | None]
"""From controller and native id to the `subject_ref`, if somebody linked them: `Vault.resolve`."""
Reader = Callable[[Mapping[str, Any], DeviceMapping], Iterator[Probe | Flaw | Skip]]

READERS: Mapping[Recogniser, Reader] = {
    Recogniser.REKOGNITION: rekognition.read,
    Recogniser.FRIGATE: frigate.read,
}


class ProblemKind(StrEnum):
    """What is wrong: the line as such, something in it, or the mapping that should know the device."""

    UNREADABLE = "unreadable"
    UNEXPECTED = "unexpected"
    UNMAPPED_DEVICE = "unmapped_device"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that somebody should mend; `line` counts from 1."""

    kind: ProblemKind
    line: int
    where: str
    expected: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.where}: expected {self.expected}"


@dataclass(slots=True)
class Tally:
    """What became of the lines; `lines` is the number of lines read, whatever they held."""

    lines: int = 0
    probes: int = 0
    events: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Lines and records that report no comparison, by reason."""
    problems: Counter[ProblemKind] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether there was no problem at all."""
        return not self.problems


class Gateway:
    """The way from one recogniser's lines to the match events of one controller."""

    def __init__(self, recogniser: Recogniser, mapping: DeviceMapping, resolve: Resolve) -> None:
        self._recogniser = recogniser
        self._mapping = mapping
        self._resolve = resolve
        self._told: set[str] = set()
        self.tally = Tally()

    def read(self, lines: Iterable[bytes]) -> Iterator[MatchEvent | Problem]:
        """The events of the lines in their order, and the problems where they stand; counted in `tally`."""
        for line in lines:
            self.tally.lines += 1
            if not line.strip():
                self.tally.skipped["blank"] += 1
                continue
            record = parse(line)
            if isinstance(record, Flaw):
                yield self._problem(ProblemKind.UNREADABLE, record)
                continue
            for found in READERS[self._recogniser](record, self._mapping):
                yield from self._outcome(found)

    def _outcome(self, found: Probe | Flaw | Skip) -> Iterator[MatchEvent | Problem]:
        if isinstance(found, Skip):
            self.tally.skipped[found.reason] += 1
        elif isinstance(found, Flaw):
            yield self._problem(ProblemKind.UNEXPECTED, found)
        else:
            yield from self._unmapped(found.device_name)
            self.tally.probes += 1
            for event in events_of(found, self._recogniser, self._mapping, self._resolve):
                self.tally.events += 1
                yield event

    def _unmapped(self, name: str) -> Iterator[Problem]:
        if self._mapping.is_mapped(name):
            return
        device_id = self._mapping.device_id(name)
        flaw = Flaw(device_id, "the mapping to name this device; its events go out under this id")
        problem = self._problem(ProblemKind.UNMAPPED_DEVICE, flaw)
        if device_id not in self._told:
            self._told.add(device_id)
            yield problem

    def _problem(self, kind: ProblemKind, flaw: Flaw) -> Problem:
        self.tally.problems[kind] += 1
        return Problem(kind, self.tally.lines, flaw.where, flaw.expected)


def events_of(probe: Probe, recogniser: Recogniser, mapping: DeviceMapping, resolve: Resolve) -> Iterator[MatchEvent]:
    """One event a candidate, ranked from 0; one event in all where there is no candidate."""
    common: dict[str, Any] = {
        "probe_id": probe.probe_id,
        "occurred_at": probe.occurred_at,
        "controller_id": mapping.controller_id,
        "device_id": mapping.device_id(probe.device_name),
        "comparison_decision": probe.decision,
        "comparison_threshold": float(mapping.exact_threshold / recogniser.scale),
        "system_id": mapping.system_id,
        "model_version": mapping.model_version,
        **mapping.circumstances(probe.device_name),
    }
    if not probe.candidates:
        yield MatchEvent(event_id=f"{probe.attempt_id}:0", comparison_score=probe.score, **common)
    for rank, candidate in enumerate(probe.candidates):
        yield MatchEvent(
            event_id=f"{probe.attempt_id}:{rank}",
            rank=rank,
            subject_ref=resolve(mapping.controller_id, candidate.native_id),
            comparison_score=candidate.score,
            **common,
        )


def ingest(gateway: Gateway, lines: Iterable[bytes], sink: Sink, report: Callable[[Problem], None]) -> Tally:
    """Send the events of all lines to a sink and the problems to `report`; the tally, once everything is delivered."""
    for found in gateway.read(lines):
        if isinstance(found, Problem):
            report(found)
        else:
            sink.write(found)
    sink.flush()
    return gateway.tally
