"""What is known of persons does not hang on whether their records came as columns, waited, or were taken one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from chance_world import subject_records
from pace import examples
from schemas.contract import ContractError
from schemas.subject import SUBJECT
from settled_world import PEOPLE, subject_record
from streams.core import plain_statement
from streams.core.arrival import Arrivals
from streams.core.case import Views
from streams.core.claim import Claims
from streams.core.partition import partition_of
from streams.core.subject_history import Histories
from streams.live import persons
from streams.live.persons import Persons
from streams.metrics.recorder import Recorder
from streams.packs import rulebook

PARTITIONS = 2
LATE = 1_000
"""From this millisecond on an arrival counts."""


class Written(NamedTuple):
    """A record of the log."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Chamber:
    """Who is told of changes."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def person_changed(self, subject_ref: str, *_: object) -> None:
        self.told.append(subject_ref)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder(CollectorRegistry(), rulebook(), version="0.1.0", started_at=datetime.now(UTC))


def persons_of(recorder: Recorder) -> Persons:
    found = Persons(Views(arrivals=Arrivals(LATE * 1_000)), Claims(), partitions=PARTITIONS, recorder=recorder)
    found.begin(set(range(PARTITIONS)))
    return found


def settled(found: Persons) -> Persons:
    for partition in range(PARTITIONS):
        while found.settle(partition):
            pass
    return found


def written(value: bytes, key: str | None, timestamp: int = 1) -> Written:
    return Written(0, timestamp, 1, None if key is None else key.encode(), value)


records = st.tuples(subject_records, st.sampled_from([1, 1, LATE])).map(
    lambda each: written(each[0].to_json(), each[0].subject_ref, each[1])
)
broken = st.tuples(st.sampled_from([*PEOPLE, None]), st.sampled_from([1, LATE])).map(
    lambda each: written(b"{", each[0], each[1])
)
batches = st.lists(st.lists(records | broken, min_size=1, max_size=5), max_size=5)


def plainly(log: list[list[Written]]) -> Iterator[tuple[str, object]]:
    """Of each person what a plain reading of the log finds."""
    histories = Histories()
    for record in (record for batch in log for record in batch):
        try:
            histories.add(SUBJECT.read(record.value or b""))
        except ContractError:
            if record.key is not None:
                histories.mark_unreadable(record.key.decode())
    for ref, history in histories.items():
        yield ref, (history.unreadable, history.conflicting, sorted(map(repr, history)))


def held(found: Persons) -> Iterator[tuple[str, object]]:
    for partition in range(PARTITIONS):
        views = found.of(partition)
        assert views is not None
        for ref, history in views.histories.items():
            assert partition_of(ref, PARTITIONS) == partition
            yield ref, (history.unreadable, history.conflicting, sorted(map(repr, history)))


@pytest.mark.parametrize("few", [0, 64])
@settings(max_examples=examples(30), deadline=None)
@given(log=batches, after=batches)
def test_a_first_reading_and_what_comes_after_it_are_a_plain_reading_of_the_log(
    recorder: Recorder, few: int, log: list[list[Written]], after: list[list[Written]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_statement, "FEW", few)
        patch.setattr(persons, "WAITING_MAX", 2)
        found = persons_of(recorder)
        for batch in log:
            found.take(set(range(PARTITIONS)), batch, live=False)
        settled(found)
        assert dict(held(found)) == dict(plainly(log))
        for batch in after:
            found.take(set(range(PARTITIONS)), batch, live=True)
        assert dict(held(found)) == dict(plainly([*log, *after]))


def test_what_came_late_is_noted_and_what_came_long_ago_is_not(recorder: Recorder) -> None:
    shared = Views(arrivals=Arrivals(LATE * 1_000))
    found = Persons(shared, Claims(), partitions=PARTITIONS, recorder=recorder)
    found.begin(set(range(PARTITIONS)))
    early, late = (subject_record("enrolment", record_id=name) for name in ("early", "late"))
    again = [written(early.to_json(), PEOPLE[0]), written(late.to_json(), PEOPLE[0], LATE + 1)]
    found.take(set(range(PARTITIONS)), [*again, written(early.to_json(), PEOPLE[0], LATE + 2)], live=False)
    settled(found)
    assert [(each.record_id, each.recorded_at) for each in shared.arrivals.of(["early", "late"])] == [
        ("late", (LATE + 1) * 1_000)
    ]


def test_a_chamber_is_told_of_what_changes_after_the_first_reading_and_of_no_repeat(recorder: Recorder) -> None:
    found, chamber = settled(persons_of(recorder)), Chamber()
    for partition in range(PARTITIONS):
        found.attach(partition, chamber)  # type: ignore[arg-type]  # all that is asked of a chamber here
    record = written(subject_record("enrolment").to_json(), PEOPLE[0], LATE)
    found.take(set(range(PARTITIONS)), [record, record, written(b"{", PEOPLE[1])], live=True)
    assert chamber.told == [PEOPLE[0], PEOPLE[1]]


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_few_persons_are_objects_from_the_first_reading_on_however_many_partitions_there_are(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(persons, "KEPT_MAX", most)
    found = persons_of(recorder)
    log = [written(subject_record("enrolment", subject_ref=ref).to_json(), None) for ref in PEOPLE]
    found.take(set(range(PARTITIONS)), log, live=False)
    settled(found)
    homes = [sum(partition_of(ref, PARTITIONS) == partition for ref in PEOPLE) for partition in range(PARTITIONS)]
    room, expected = most, []
    for count in homes:
        expected.append(count if count <= room else 0)
        room -= expected[-1]
    views = [found.of(partition) for partition in range(PARTITIONS)]
    assert [each and len(each.histories.objects) for each in views] == expected
    assert {ref for ref, _ in held(found)} == set(PEOPLE)


def test_only_the_persons_of_partitions_that_are_kept_are_known(recorder: Recorder) -> None:
    found = persons_of(recorder)
    log = [written(subject_record("enrolment", subject_ref=ref).to_json(), None) for ref in PEOPLE]
    home = partition_of(PEOPLE[0], PARTITIONS)
    found.take({home}, log, live=False)
    settled(found)
    assert {ref for ref, _ in held(found)} == {ref for ref in PEOPLE if partition_of(ref, PARTITIONS) == home}
    found.forget(home)
    assert found.of(home) is None
    assert not found.settle(home)
    found.take({home}, log, live=True)
