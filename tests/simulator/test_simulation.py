"""A run is a pure function of its seed, keeps every promise of its feeds, and speaks only the contracts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from schemas.encounter import ENCOUNTER
from schemas.match import MATCH
from schemas.registry import REGISTRY, FeedRecord
from schemas.subject import SUBJECT
from streams.errors import ConfigurationError, InputError
from streams.simulator.expectation import read_expectation
from streams.simulator.log import simulated_log, write
from streams.simulator.simulation import REPORTED_AFTER, Simulation, Step
from streams.simulator.source import friday_evening_before
from streams.simulator.stories import STORIES

START = datetime(2026, 5, 6, 1, 30, tzinfo=UTC)
FEW = 20


def files_of(seed: int, folder: Path, *, start: datetime = START) -> dict[str, bytes]:
    paths = write(simulated_log(seed, start, seconds=5, rate=100, members=FEW), folder)
    return {path.name: path.read_bytes() for path in paths}


def steps_of(seed: int = 0, *, count: int = 40, rate: float = 100) -> list[Step]:
    return list(islice(Simulation(seed, START, rate, members=FEW).steps(START), count))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    assert files_of(5, tmp_path / "a") == files_of(5, tmp_path / "b")


def test_another_seed_or_start_gives_other_bytes_and_other_ids(tmp_path: Path) -> None:
    first, other = files_of(5, tmp_path / "a"), files_of(6, tmp_path / "b")
    later = files_of(5, tmp_path / "c", start=START + timedelta(seconds=1))
    ids = [
        {MATCH.read(line).event_id for line in files["events.ndjson"].splitlines()} for files in (first, other, later)
    ]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]


def test_every_line_is_a_message_of_its_contract_and_writes_back_to_itself(tmp_path: Path) -> None:
    files = files_of(2, tmp_path)
    contracts = {"events": MATCH, "encounters": ENCOUNTER, "subjects": SUBJECT, "registry": REGISTRY}
    for stem, contract in contracts.items():
        lines = files[f"{stem}.ndjson"].splitlines()
        assert lines
        assert [contract.read(line).to_json() for line in lines] == lines  # type: ignore[attr-defined]
    lines = files["expected.ndjson"].splitlines()
    assert [read_expectation(line).to_json() for line in lines] == lines


def test_a_line_that_is_no_expectation_is_refused() -> None:
    with pytest.raises(ValueError, match="expected event_id"):
        read_expectation(b'{"event": 1}')


def test_a_file_name_names_the_match_events_and_the_others_stand_beside_it(tmp_path: Path) -> None:
    paths = write(simulated_log(0, START, seconds=1, rate=10, members=FEW), tmp_path / "day.ndjson")
    assert [path.name for path in paths] == [
        "day.ndjson",
        "day.encounters.ndjson",
        "day.subjects.ndjson",
        "day.registry.ndjson",
        "day.expected.ndjson",
    ]


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError):
        write(simulated_log(0, START, seconds=1, rate=0, members=FEW), tmp_path / "taken" / "below")


def test_the_shortest_run_tells_every_story() -> None:
    names = {story.name for story in STORIES}
    assert len(names) == len(STORIES)
    log = simulated_log(0, START, seconds=0.1, rate=0, members=FEW)
    silent = {"withdrawn_after"}  # its point is that nothing comes of it
    assert {each.story for each in log.expectations} == names - silent
    assert {"open", "excused", "undetermined"} == {each.status for each in log.expectations}


def test_event_ids_and_record_ids_are_said_once() -> None:
    log = simulated_log(1, START, seconds=10, rate=200, members=FEW)
    event_ids = [event.event_id for event in log.events]
    assert len(set(event_ids)) == len(event_ids)
    for records in (log.registry, log.subjects):
        record_ids = [record.record_id for record in records]
        assert len(set(record_ids)) == len(record_ids)


def test_the_rate_is_kept_to_the_event() -> None:
    log = simulated_log(1, START, seconds=11.2, rate=33.3, members=FEW)
    reporting = 11.2 - REPORTED_AFTER.total_seconds()
    assert abs(len(log.baseline) - 33.3 * reporting) <= 33.3 * 0.25 + 1


def test_no_record_is_written_later_than_its_feed_promised() -> None:
    simulation = Simulation(0, START, 100, members=FEW)
    opening = simulation.opening()
    promised = max(each.complete_until for each in opening.heartbeats)
    assert all(record.valid_from < START for record in (*opening.registry, *opening.subjects))
    for step in islice(simulation.steps(START), 80):
        assert all(record.valid_from >= promised for record in (*step.subjects, *step.misplaced))
        promised = max([promised, *(each.complete_until for each in step.heartbeats)])


def test_every_event_is_covered_by_every_living_feed_when_it_is_reported() -> None:
    simulation = Simulation(0, START, 100, members=FEW)
    said = {each.id: each for each in simulation.opening().heartbeats}
    dead = {feed_id for feed_id, each in said.items() if each.complete_until < START}
    assert len(dead) == 1
    for step in islice(simulation.steps(START), 80):
        said |= {each.id: each for each in step.heartbeats}
        horizon = min(each.complete_until for feed_id, each in said.items() if feed_id not in dead)
        assert all(event.occurred_at < horizon for event in step.events)


def test_an_event_is_reported_after_it_happened_and_soon() -> None:
    for step in steps_of():
        for event in step.events:
            assert timedelta() < step.at - event.occurred_at < REPORTED_AFTER + timedelta(seconds=1)


def test_what_began_is_reported_before_the_run_ends() -> None:
    simulation = Simulation(0, START, 0, members=FEW)
    begun = list(islice(simulation.steps(START), 9))
    drained = list(simulation.drain())
    told = [event for step in (*begun, *drained) for event in step.told]
    one_round = simulated_log(0, START, seconds=0.1, rate=0, members=FEW).events
    assert len(told) == 2 * len(one_round)


def test_a_run_that_begins_long_after_its_world_keeps_the_same_promises() -> None:
    simulation = Simulation(0, START, 100, members=FEW)
    begin = START + timedelta(seconds=9)
    first = next(simulation.steps(begin))
    assert first.at == begin
    assert all(record.valid_from == begin or record.valid_from > begin for record in first.subjects)
    assert {each.complete_until for each in first.heartbeats} == {begin - timedelta(milliseconds=250)}


@pytest.mark.parametrize(
    ("moment", "evening"),
    [
        (datetime(2026, 5, 11, 9, tzinfo=UTC), datetime(2026, 5, 8, 10, tzinfo=UTC)),  # a Monday
        (datetime(2026, 5, 8, 15, 59, tzinfo=UTC), datetime(2026, 5, 1, 10, tzinfo=UTC)),  # Friday, not six hours later
        (datetime(2026, 5, 8, 16, tzinfo=UTC), datetime(2026, 5, 8, 10, tzinfo=UTC)),  # Friday, six hours later
    ],
)
def test_the_feed_died_on_the_last_friday_that_is_past_its_lag(moment: datetime, evening: datetime) -> None:
    assert friday_evening_before(moment) == evening


def test_the_dead_feed_says_one_last_thing_and_is_never_heard_again() -> None:
    simulation = Simulation(0, START, 0, members=FEW)
    opening = simulation.opening()
    beats: list[FeedRecord] = [*opening.heartbeats]
    beats += [each for step in islice(simulation.steps(START), 20) for each in step.heartbeats]
    dead = [each for each in beats if each.id == "fe-co-quiet-house-consents"]
    assert [each.complete_until for each in dead] == [friday_evening_before(START)]


@pytest.mark.parametrize(
    ("start", "rate"),
    [(datetime(2025, 5, 31, tzinfo=UTC), 1.0), (datetime(2026, 5, 6), 1.0), (START, -1.0), (START, 1e9)],  # noqa: DTZ001
)
def test_a_start_before_the_measures_and_an_impossible_rate_are_refused(start: datetime, rate: float) -> None:
    with pytest.raises(ConfigurationError):
        Simulation(0, start, rate)
