"""What a worker must say of a simulated run, by the pure core alone: every record is known before the first judgement.

Rules:
1. No broker, no worker, no decoder: messages become columns by `frame_of`, as a replay's would.
2. The answer is exact: the id of every violation and the bytes of its message.
3. When the registry was recorded is a part of the run: an exception that was written down after the fact excuses
   nothing, and a backlog is written after all its facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain

import polars as pl

from schemas.encounter import Encounter
from schemas.match import MatchEvent
from small_world import the_law
from streams.core.case import Views, assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.instant import micros
from streams.core.judge import judge
from streams.core.rulebook import Rulebook
from streams.core.violation import violations
from streams.simulator.simulation import Opening, Step
from streams.simulator.story import Event


def expected_messages(opening: Opening, steps: Sequence[Step], opened_at: datetime) -> Mapping[str, bytes]:
    """The message of every violation by its id, as the packs of the distribution see a run recorded from an instant."""
    views = _views(opening, steps, micros(opened_at))
    book = the_law()
    written = sorted((event for step in steps for event in step.events), key=lambda each: each.event_version)
    events = list({event.event_id: event for event in written}.values())
    return dict(chain.from_iterable(_judged(kind, frame, views, book) for kind, frame in _frames(events)))


def _views(opening: Opening, steps: Sequence[Step], recorded_at: int) -> Views:
    views = Views()
    for registry in (opening.registry, opening.heartbeats, *(step.heartbeats for step in steps)):
        for record in registry:
            views.registry.add(record, recorded_at)
    for subjects in (opening.subjects, *((*step.subjects, *step.misplaced) for step in steps)):
        for each in subjects:
            views.histories.add(each)
    return views


def _frames(events: Sequence[Event]) -> Iterator[tuple[CaseKind, pl.DataFrame]]:
    matches = [event for event in events if isinstance(event, MatchEvent)]
    if matches:
        yield CaseKind.MATCH, frame_of(matches, MATCH_COLUMNS)
    for kind in (CaseKind.ACCESS_OUTCOME, CaseKind.HUMAN_REVIEW, CaseKind.DISCLOSURE):
        found = [event for event in events if not isinstance(event, MatchEvent) and _kind(event) == kind.value]
        if found:
            yield kind, frame_of(found, ENCOUNTER_COLUMNS)


def _kind(event: Encounter) -> str:
    return str(event.model_dump()["kind"])


def _judged(kind: CaseKind, frame: pl.DataFrame, views: Views, book: Rulebook) -> Iterator[tuple[str, bytes]]:
    verdicts = judge(assemble(frame, kind, views, book.facts_of(kind)), kind, book)
    for _, _, violation in violations(verdicts, views):
        yield violation.violation_id, violation.to_json()
