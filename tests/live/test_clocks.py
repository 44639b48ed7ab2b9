"""An event from the future is a rejection with a reason of its own; what is the future, the broker's clock says."""

from __future__ import annotations

import pytest

from schemas.contract import Reason
from schemas.topics import TopicName
from schemas.verdict import REJECTION
from small_world import MEMBER, NOON, a_match, an_encounter, the_law
from streams.core.instant import SECOND, micros, moment_of
from streams.core.partition import partition_of
from streams.live.batch import Batch, open_batch
from streams.live.plan import Plan
from streams.live.run import Run
from streams.live.topic_names import TopicNames
from taken_record import Taken

PARTITIONS = 4
HOME = partition_of(MEMBER, PARTITIONS)
RECORDED = micros(a_match(at=NOON).occurred_at)


def plan(future_seconds: float = 60.0) -> Plan:
    return Plan(
        rulebook=the_law(),
        names=TopicNames("t."),
        partitions=PARTITIONS,
        hold_seconds=0.0,
        commit_seconds=1.0,
        future_seconds=future_seconds,
        memory_seconds=3_600.0,
        memory_bytes=2**20,
        held_bytes=2**20,
    )


def opened(*ahead: int, future_seconds: float = 60.0) -> Batch:
    """A batch of events that lie so many microseconds ahead of their append time."""
    events = [
        a_match(event_id=f"event-{number}").model_copy(update={"occurred_at": moment_of(RECORDED + each)})
        for number, each in enumerate(ahead)
    ]
    records = [Taken(offset, RECORDED // 1_000, event.to_json()) for offset, event in enumerate(events)]
    run = Run("t.matches", HOME, records, 0, len(records), 0, 1)
    return open_batch(run, TopicName.MATCHES, plan(future_seconds))


def test_an_event_beyond_the_tolerance_is_rejected_and_its_neighbours_are_judged() -> None:
    batch = opened(-SECOND, 60 * SECOND, 60 * SECOND + 1, 3_600 * SECOND)
    assert batch.frame["event_id"].to_list() == ["event-0", "event-1"]
    assert batch.refused == {Reason.IN_FUTURE: 2}
    said = [REJECTION.read(each.value) for each in batch.outgoing]
    assert [(each.reason, each.offset) for each in said] == [(Reason.IN_FUTURE, 2), (Reason.IN_FUTURE, 3)]
    assert "60 s" in said[0].expected
    assert "2026" not in said[0].expected, "no value of the event is told"


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, 1), (0.5, 2), (86_400.0, 3)])
def test_the_tolerance_is_a_setting(seconds: float, kept: int) -> None:
    assert opened(0, SECOND // 2, SECOND, future_seconds=seconds).frame.height == kept


def test_an_encounter_has_the_same_clock() -> None:
    early = an_encounter(at=NOON).model_copy(update={"occurred_at": moment_of(RECORDED + 61 * SECOND)})
    records = [Taken(0, RECORDED // 1_000, early.to_json())]
    run = Run("t.encounters", partition_of(early.key, PARTITIONS), records, 0, 1, 0, 1)
    batch = open_batch(run, TopicName.ENCOUNTERS, plan())
    assert batch.refused == {Reason.IN_FUTURE: 1}
    assert batch.frame.is_empty()
