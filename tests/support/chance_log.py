"""Logs by chance: records and events of a small world that come late, corrected, in two contents and more than once.

Rules:
1. When the broker took a message is a part of the log; in which order it is told is not.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance_world import events, feeds, registry_records, subject_records
from pace import examples
from settled_world import START, STEP, a_feed, a_settled_world
from shuffled_log import Court, Logged
from streams.core.instant import SECOND, micros


def logged(message: Any, late: int = 0) -> Logged:
    """A message that the broker took so many microseconds after its own instant."""
    at = message.occurred_at if hasattr(message, "occurred_at") else message.valid_from
    return Logged(message, max(micros(at), START - 10 * STEP) + late)


delays = st.sampled_from([0, SECOND, 45 * SECOND, 300 * SECOND])


@st.composite
def logs(draw: st.DrawFn) -> list[Logged]:
    """Records and events of a small world: late, corrected, in two contents, more than once."""
    records = draw(st.sampled_from([[], a_settled_world()])) + draw(st.lists(registry_records, max_size=5))
    records += draw(st.lists(subject_records, max_size=5))
    records += draw(st.lists(feeds, max_size=2) | st.just([a_feed()]))
    found = draw(st.lists(events, min_size=1, max_size=5, unique_by=lambda each: each.event_id))
    versions = [each.model_copy(update={"event_version": draw(st.integers(1, 3))}) for each in found]
    for each in list(versions):
        if draw(st.booleans()):
            other = draw(events)
            corrected = {"event_id": each.event_id, "controller_id": each.controller_id, "previous_key": each.key}
            # Where the key has moved no partition sees both, so only a higher version can tell which one counts.
            number = each.event_version + draw(st.integers(1, 2)) if other.key != each.key else draw(st.integers(1, 3))
            versions.append(other.model_copy(update=corrected | {"event_version": number}))
    return [logged(each, draw(delays)) for each in (*records, *versions)]


def told_anyhow(most: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hold a law to so many logs, told in any order, batches, holds and partitions."""

    def held(law: Callable[..., None]) -> Callable[..., None]:
        given_logs = given(
            log=logs(),
            seed=st.integers(0, 2**32),
            cuts=st.integers(1, 6),
            hold=st.sampled_from([0, 5 * SECOND]),
            partitions=st.integers(1, 4),
        )
        slow = settings(max_examples=examples(most), deadline=None, suppress_health_check=list(HealthCheck))
        return slow(given_logs(law))

    return held


def heard_out(court: Court, log: list[Logged], chance: random.Random, *, cuts: int, hold: int) -> dict[str, bytes]:
    """What a court leaves of a log told in any order, in about so many pieces, judged by one worker after another."""
    told = log.copy()
    chance.shuffle(told)
    while told:
        count = chance.randint(1, max(1, 2 * len(log) // cuts))
        court.tell(told[:count], hold=hold)
        told = told[count:]
        if chance.random() < 0.5:
            court.look()
        if chance.random() < 0.5 / cuts:
            court.crash(chance, hold=hold)
    return court.end()
