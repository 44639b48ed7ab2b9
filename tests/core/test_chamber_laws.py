"""The laws of time: one log, told in any order, in any batches, any number of times, leaves one set of verdicts."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance_world import events, feeds, registry_records, subject_records
from pace import examples
from settled_world import START, STEP, a_feed, a_settled_world
from shuffled_log import Court, Logged, final
from streams.core.instant import SECOND, micros
from streams.packs import rulebook

LAW = rulebook()


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
    found = draw(st.lists(events, min_size=1, max_size=5))
    versions = [each.model_copy(update={"event_version": draw(st.integers(1, 3))}) for each in found]
    for each in list(versions):
        if draw(st.booleans()):
            other = draw(events)
            corrected = {"event_id": each.event_id, "controller_id": each.controller_id, "previous_key": each.key}
            versions.append(other.model_copy(update=corrected | {"event_version": draw(st.integers(1, 3))}))
    return [logged(each, draw(delays)) for each in (*records, *versions)]


@given(log=logs(), seed=st.integers(0, 2**32), cuts=st.integers(1, 6), hold=st.sampled_from([0, 5 * SECOND]))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_order_the_batches_and_the_repeats_one_set_of_verdicts_is_left(
    log: list[Logged], seed: int, cuts: int, hold: int
) -> None:
    chance = random.Random(seed)
    told = [*log, *chance.sample(log, len(log) // 2)]
    chance.shuffle(told)
    court = Court(LAW)
    while told:
        count = chance.randint(1, max(1, len(told) // cuts))
        court.tell(told[:count], hold=hold)
        if chance.random() < 0.5:
            court.look()
        told = told[count:]
    assert court.end() == final(LAW, log)
