"""The worker, the replay and the interpreter say one thing of every case by every rule: clear and unknown cases too.

Rules:
1. The worker is its whole path from the bytes of runs to what a chamber says, in any batches and partitions, with and
   without a hold; the replay is the whole path from files to an answer; the interpreter takes one event at a time.
2. Records stand on their logs before the events do. What comes late is told of violations alone, by the laws of time.
3. The replay names what is not clear, and counts the rest: together these are all of its verdicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance_world import World, worlds
from pace import examples
from schemas.registry import RegistryRecord
from schemas.topics import TopicName
from settled_world import views_of
from small_world import the_law
from streams.core.case import Views, assemble
from streams.core.chamber import Chamber, Opinion
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.instant import NEVER, micros
from streams.core.judge import Outcome, judge_row
from streams.core.partition import partition_of
from streams.core.reason import reason_of
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook
from streams.core.violation import deciding_records, violation_ids
from streams.live.batch import open_batch
from streams.live.plan import Plan
from streams.live.run import Run
from streams.live.share import judge
from streams.live.topic_names import TopicNames
from streams.replay.answer import VERDICTS, Answer, read_answer, write_verdicts
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.question import Question
from streams.replay.run import Replay
from streams.replay.verdict_digest import verdict_digest
from streams.simulator.log import simulated_log
from taken_record import Taken

LAW = Rulebook(the_law().rules, the_law().digest, the_law().packs)
"""Without deadlines and windows, which are no cases and have laws of their own."""
SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
NOT_CLEAR = (Outcome.VIOLATION, Outcome.EXCUSED, Outcome.UNDETERMINED)


class Verdict(NamedTuple):
    """What one rule says of one case; `reason` where it is undetermined, the records where it is decided."""

    event_id: str
    rule_id: str
    revision: int
    outcome: Outcome
    reason: str | None
    records: tuple[str, ...] | None


class Said(NamedTuple):
    """Everything that was said, and the cases of which it was said."""

    verdicts: frozenset[Verdict]
    cases: Mapping[str, dict[str, Any]]


def said_of(cases: Iterable[tuple[dict[str, Any], Iterable[tuple[Rule, Outcome, str | None]]]], views: Views) -> Said:
    """What was said of some cases, of the highest version of each event."""
    newest: dict[str, tuple[dict[str, Any], list[Verdict]]] = {}
    for row, told in cases:
        known = newest.get(row["event_id"])
        if known is None or known[0]["event_version"] < row["event_version"]:
            said = [
                Verdict(row["event_id"], rule.id, rule.revision, outcome, reason, _records(rule, outcome, row, views))
                for rule, outcome, reason in told
            ]
            newest[row["event_id"]] = row, said
    verdicts = frozenset(each for _, found in newest.values() for each in found)
    return Said(verdicts, {event_id: row for event_id, (row, _) in newest.items()})


def _records(rule: Rule, outcome: Outcome, row: dict[str, Any], views: Views) -> tuple[str, ...] | None:
    return deciding_records(rule, row, views) if outcome in (Outcome.VIOLATION, Outcome.EXCUSED) else None


# -- the three --------------------------------------------------------------------------------------------------------


def interpreted(records: Sequence[Any], events: Sequence[Any]) -> Said:
    """What the interpreter says of one event after the other."""
    views = views_of(records)

    def cases() -> Iterator[Any]:
        for event in events:
            kind = CaseKind(event.kind)
            columns = MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
            row = assemble(frame_of([event], columns), kind, views, LAW.facts_of(kind)).row(0, named=True)
            found = [(rule, judge_row(rule, row)) for rule in LAW.of_kind(kind)]
            yield row, [(rule, each, reason_of(rule, row) if each is Outcome.UNDETERMINED else None)
                        for rule, each in found]  # fmt: skip

    return said_of(cases(), views)


def live(records: Sequence[Any], events: Sequence[Any], chance: Random, *, partitions: int, hold: float) -> Said:
    """What a worker says at first of runs cut by chance; what it held is let go at the end."""
    views = views_of(records)
    names = TopicNames("t.")
    plan = Plan(
        rulebook=LAW, names=names, partitions=partitions, hold_seconds=hold, commit_seconds=1.0, future_seconds=60.0,
        memory_seconds=1e6, memory_bytes=2**30, held_bytes=2**30,
    )  # fmt: skip
    opinions: list[Opinion] = []
    # The logs of records are read up to the first event: much is held, and let go with the last.
    instants = [micros(each.occurred_at) for each in events] or [0]
    heard, latest = min(instants), max(instants)
    for topic, partition, log in _logs(events, partitions, latest):
        chamber = Chamber(LAW, views.beside(views.histories), span=NEVER, bytes_max=2**30)
        for some in _cut(log, chance):
            run = Run(names[topic], partition, some, some[0].offset, some[-1].offset + 1, 0, 1)
            due = latest + round(hold * 1e6) if hold else -NEVER
            opinions.append(judge(chamber, open_batch(run, topic, plan), due, heard, "judged"))
        opinions.append(chamber.look(NEVER))
        assert not chamber.held_cases
    judged = [verdicts for opinion in opinions for verdicts in opinion.verdicts]

    def cases() -> Iterator[Any]:
        for verdicts in judged:
            rows = verdicts.cases.to_dicts()
            told: list[list[Any]] = [[] for _ in rows]
            for row, rule, outcome in verdicts.found(*Outcome):
                reason = verdicts.reason(rule, rows[row]) if outcome is Outcome.UNDETERMINED else None
                told[row].append((rule, outcome, reason))
            yield from zip(rows, told, strict=True)

    return said_of(cases(), views)


def _cut(log: Sequence[Taken], chance: Random) -> Iterator[Sequence[Taken]]:
    begin = 0
    while begin < len(log):
        yield log[begin : (end := begin + chance.randint(1, 5))]
        begin = end


def _logs(events: Sequence[Any], partitions: int, at: int) -> Iterator[tuple[TopicName, int, list[Taken]]]:
    logs: dict[tuple[TopicName, int], list[Taken]] = {}
    for event in events:
        topic = TopicName.MATCHES if event.kind == "match" else TopicName.ENCOUNTERS
        log = logs.setdefault((topic, partition_of(event.key, partitions)), [])
        log.append(Taken(len(log), at // 1_000 + 1, event.to_json()))
    for (topic, partition), log in logs.items():
        yield topic, partition, log


def replayed(records: Sequence[Any], events: Sequence[Any], folder: Path) -> Answer:
    """The answer of a replay of the same."""
    source = folder / "in"
    source.mkdir(parents=True)
    parts = {
        "matches": [each for each in events if each.kind == "match"],
        "encounters": [each for each in events if each.kind != "match"],
        "registry": [each for each in records if isinstance(each, RegistryRecord)],
        "subjects": [each for each in records if not isinstance(each, RegistryRecord)],
    }
    for name, messages in parts.items():
        (source / f"{name}.ndjson").write_bytes(b"".join(each.to_json() + b"\n" for each in messages))
    Replay(Question(SINCE, UNTIL, LAW, {}), NdjsonSource(source), folder / "out").run()
    return read_answer(folder / "out")


# -- what they have in common -----------------------------------------------------------------------------------------


def digest_of(said: Said, folder: Path) -> str:
    """The digest of everything that is not clear, as an answer has it."""
    rows = [
        {
            **{name: said.cases[each.event_id].get(name) for name in ("event_id", "event_version", "subject_ref")},
            "controller_id": said.cases[each.event_id]["controller_id"],
            "rule_id": each.rule_id,
            "revision": each.revision,
            "outcome": each.outcome.word,
            "deciding_records": None if each.records is None else list(each.records),
        }
        for each in said.verdicts
        if each.outcome in NOT_CLEAR
    ]
    frame = pl.DataFrame([dict.fromkeys(VERDICTS) | row for row in rows], schema=VERDICTS)
    file = folder / "verdicts.parquet"
    write_verdicts(frame.with_columns(violation_ids(frame).alias("violation_id")) if rows else frame, file)
    return verdict_digest([file])[1]


def tallied(said: Said) -> Counter[tuple[Any, ...]]:
    """How often each rule that applies said what, by day and place."""
    found: Counter[tuple[Any, ...]] = Counter()
    for each in said.verdicts:
        row = said.cases[each.event_id]
        place = row["occurred_at"].date(), row["controller_id"], row["site_in_force"], row["purpose_id"]
        if each.outcome is not Outcome.NOT_APPLICABLE:
            found[*place, each.rule_id, each.revision, each.outcome.word] += 1
    return found


def agree(records: Sequence[Any], events: Sequence[Any], folder: Path, chance: Random, **pace: Any) -> Said:
    """Let the three judge the same, and compare every verdict; gives what was said."""
    oracle = interpreted(records, events)
    worker = live(records, events, chance, **pace)
    assert not worker.verdicts ^ oracle.verdicts
    answer = replayed(records, events, folder)
    named = answer.verdicts.select("event_id", "rule_id", "revision", "outcome", "reason", "deciding_records").collect()
    found = {
        Verdict(event_id, rule_id, revision, Outcome[word.upper()], reason, None if rests is None else tuple(rests))
        for event_id, rule_id, revision, word, reason, rests in named.iter_rows()
    }
    assert not found ^ {each for each in oracle.verdicts if each.outcome in NOT_CLEAR}
    assert named.height == len(found)
    places = ("day", "controller_id", "site_id", "purpose_id", "rule_id", "revision", "outcome", "n")
    counts = Counter({tuple(row): n for *row, n in answer.table("tallies").select(places).iter_rows()})
    wanted = tallied(oracle)
    assert not {place: (counts[place], wanted[place]) for place in counts | wanted if counts[place] != wanted[place]}
    assert sum(answer.manifest.counts.judged.values()) == len(oracle.cases)
    assert answer.manifest.verdict_digest == digest_of(worker, folder) == digest_of(oracle, folder)
    return oracle


@settings(max_examples=examples(12), deadline=None, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
@given(worlds(), st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([0.0, 5.0]))
def test_of_any_world_the_three_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, world: World, seed: int, partitions: int, hold: float
) -> None:
    events = list({each.event_id: each for each in world.messages}.values())
    folder = tmp_path_factory.mktemp("world")
    agree(world.records, events, folder, Random(seed), partitions=partitions, hold=hold)


@pytest.mark.parametrize("seed", [0, 7])
def test_of_a_simulated_history_the_three_say_the_same_and_each_outcome_is_met(seed: int, tmp_path: Path) -> None:
    start = datetime(2026, 5, 6, 1, 30, tzinfo=UTC) + timedelta(days=seed)
    log = simulated_log(seed, start, seconds=1, rate=20, members=100)
    said = agree([*log.registry, *log.subjects], log.events, tmp_path, Random(seed), partitions=3, hold=3.0)
    assert {each.outcome for each in said.verdicts} == set(Outcome)
