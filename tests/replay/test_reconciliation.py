"""Reconciliation makes the log of violations say what a replay found, once, and acquits nobody by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import Run
from pace import examples
from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, tick
from small_answer import RULES, a_verdict, an_answer, of, with_a_hole
from small_estate import SmallEstate
from streams.core.instant import moment_of
from streams.core.partition import partition_of
from streams.errors import InputError
from streams.replay.answer import read_answer
from streams.replay.reconciliation import Correction, Reconciliation, Status, check_whole, reconcile
from streams.replay.violation_log import ViolationLog

if TYPE_CHECKING:
    from streams.live.run import LogRecord

PARTITIONS = 3
NOW = datetime(2027, 1, 1, tzinfo=UTC)
STATUSES = (None, "open", "contested", "retracted", "excused")
OUTCOMES = ("clear", "undetermined", "excused", "violation")
WANTED: Mapping[str, Mapping[str | None, str]] = {
    "violation": dict.fromkeys((None, "contested", "retracted", "excused"), "open"),
    "excused": dict.fromkeys((None, "open", "contested", "retracted"), "excused"),
    "undetermined": dict.fromkeys(("open", "excused"), "contested"),
    "clear": {"open": "contested", "excused": "retracted"},
}
"""By outcome and status on the log, the status that is written."""


def a_log(*violations: Violation) -> ViolationLog:
    log = ViolationLog("violations", PARTITIONS, lambda _: True)
    log.last = {each.violation_id: each for each in violations}
    log.partitions = dict.fromkeys(log.last, 2)
    return log


def folded(log: ViolationLog, found: Any) -> ViolationLog:
    after = a_log(*log.last.values(), *(each.violation for each in found.corrections))
    after.partitions |= {each.violation.violation_id: each.partition for each in found.corrections}
    return after


def test_the_log_is_folded_by_the_highest_version_of_the_event_on_whatever_partition_it_stands() -> None:
    verdict = a_verdict("a")
    newer = of(verdict, "open").model_copy(update={"event_version": 2})
    said = [(0, newer), (1, of(verdict, "open")), (1, of(verdict, "retracted"))]
    for order in (said, said[1:] + said[:1]):
        log = ViolationLog("violations", PARTITIONS, lambda _: True)
        for partition, each in order:
            log.take("violations", partition, [cast("LogRecord", SimpleNamespace(value=each.to_json()))])
        assert log.last[newer.violation_id] == newer
        assert log.partitions[newer.violation_id] == 0


@pytest.mark.parametrize(("was", "outcome"), list(product(STATUSES, OUTCOMES)))
def test_every_status_and_outcome_has_its_correction(was: str | None, outcome: str, tmp_path: Path) -> None:
    verdict = a_verdict("a", outcome=outcome, reason="conflict" if outcome == "undetermined" else None)
    answer = an_answer(tmp_path, [] if outcome == "clear" else [verdict])
    log = a_log(*([] if was is None else [of(verdict, was)]))
    found = reconcile(answer, log, PARTITIONS)
    assert [each.violation.status for each in found.corrections] == [
        status for status in [WANTED[outcome].get(was)] if status is not None
    ]
    assert {each.violation.cause for each in found.corrections} <= {"reconciled"}
    assert reconcile(answer, folded(log, found), PARTITIONS).corrections == ()


def test_only_who_vouches_for_it_retracts(tmp_path: Path) -> None:
    answer, verdict = an_answer(tmp_path), a_verdict("a")
    for was in ("open", "contested"):
        found = reconcile(answer, a_log(of(verdict, was)), PARTITIONS, retract=True)
        assert [each.violation.status for each in found.corrections] == ["retracted"]
    unknown = an_answer(tmp_path / "unknown", [a_verdict("a", outcome="undetermined")])
    found = reconcile(unknown, a_log(of(verdict, "open")), PARTITIONS, retract=True)
    assert [each.violation.status for each in found.corrections] == ["contested"]


CASES = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from(STATUSES), st.sampled_from(OUTCOMES)), max_size=6
)


@given(cases=CASES, retract=st.booleans())
@settings(max_examples=examples(12))
def test_a_second_reconciliation_finds_nothing(
    tmp_path_factory: pytest.TempPathFactory, cases: dict[str, tuple[str | None, str]], retract: bool
) -> None:
    verdicts = [a_verdict(event, outcome=said) for event, (_, said) in cases.items() if said != "clear"]
    answer = an_answer(tmp_path_factory.mktemp("answer"), verdicts)
    log = a_log(*(of(a_verdict(event), was) for event, (was, _) in cases.items() if was is not None))
    found = reconcile(answer, log, PARTITIONS, retract=retract)
    assert reconcile(answer, folded(log, found), PARTITIONS, retract=retract).corrections == ()


def test_a_new_breach_goes_where_its_case_lives_and_a_known_one_where_it_stands(tmp_path: Path) -> None:
    stranger = a_verdict("b", subject_ref=None)
    duty = a_verdict(
        "x", RULES[2], event_id=None, device_id=None, subject_ref=None, event_kind="deadline", violation_id="ab" * 32
    )
    answer = an_answer(tmp_path, [a_verdict("a"), stranger, duty, a_verdict("c")])
    found = reconcile(answer, a_log(of(a_verdict("c"), "retracted")), PARTITIONS)
    places = {each.violation.event_id: each.partition for each in found.corrections}
    homes = {"a": PEOPLE[0], "b": "gate-1", None: "zoo"}
    assert places == {event: partition_of(key, PARTITIONS) for event, key in homes.items()} | {"c": 2}
    (late,) = [each.violation for each in found.corrections if each.violation.event_kind == "deadline"]
    assert late.obligation_id == late.violation_id == "ab" * 32


def test_a_deadline_that_the_replay_does_not_find_is_left_as_it_is(tmp_path: Path) -> None:
    duty = of(
        a_verdict("x", RULES[2], event_id=None, event_kind="deadline", violation_id="ab" * 32)
        | {"obligation_id": "ab" * 32},
        "open",
    )
    assert reconcile(an_answer(tmp_path), a_log(duty), PARTITIONS).corrections == ()


@pytest.mark.parametrize(
    ("was", "status", "change"),
    [
        ("open", "contested", "no_longer_violating"),
        ("open", "excused", "no_longer_violating"),
        (None, "open", "newly_violating"),
        ("contested", "open", "newly_violating"),
        ("contested", "retracted", "otherwise"),
        (None, "excused", "otherwise"),
    ],
)
def test_a_correction_is_counted_by_what_becomes_of_the_alarm(
    was: Status | None, status: Status, change: str
) -> None:
    found = Reconciliation((Correction(0, of(a_verdict("a"), status), was),), compared=1, not_judged=0)
    assert found.changes() == {(RULES[0], change): 1}


def test_what_the_answer_did_not_judge_is_left_as_it_is(tmp_path: Path) -> None:
    elsewhere = of(a_verdict("a", device_id="gate-2"), "open")
    later = of(a_verdict("b", occurred_at=moment_of(tick(0)) + timedelta(hours=1)), "open")
    window = of(a_verdict("c", event_id=None, event_kind="window", controller_id="mall"), "open")
    found = reconcile(an_answer(tmp_path), a_log(elsewhere, later, window), PARTITIONS)
    assert (found.corrections, found.not_judged) == ((), 3)


def test_an_answer_that_lacks_something_corrects_nothing(tmp_path: Path) -> None:
    an_answer(tmp_path / "torn")
    with_a_hole(tmp_path / "torn")
    with pytest.raises(InputError, match="without holes"):
        check_whole(read_answer(tmp_path / "torn"), NOW)
    pinned = an_answer(tmp_path / "pinned", known_at={"instant": "2026-03-10T00:00:00Z"})
    with pytest.raises(InputError, match="known now"):
        check_whole(pinned, NOW)
    as_of = an_answer(tmp_path / "as-of", rules_as_of="2026-03-10")
    with pytest.raises(InputError, match="rules of each instant"):
        check_whole(as_of, NOW)
    loose = an_answer(tmp_path / "loose", source={"kind": "ndjson", "location": "events.ndjson"})
    with pytest.raises(InputError, match="what is missing"):
        check_whole(loose, NOW)
    whole = an_answer(tmp_path / "whole")
    check_whole(whole, whole.manifest.until)
    with pytest.raises(InputError, match="range that is over"):
        check_whole(whole, whole.manifest.until - timedelta(microseconds=1))


# -- on a broker ------------------------------------------------------------------------------------------------------


@pytest.fixture
def estate(apache_kafka: str, tmp_path: Path) -> Iterator[SmallEstate]:
    with SmallEstate(apache_kafka, tmp_path / "estate", partitions=PARTITIONS) as there:
        yield there


def put(estate: SmallEstate, violation: Violation, partition: int) -> None:
    estate.put(TopicName.VIOLATIONS, violation.to_json(), key=violation.violation_id.encode(), partition=partition)


def test_the_log_says_what_the_answer_says_once_it_was_told_to(run: Run, estate: SmallEstate, tmp_path: Path) -> None:
    there = {name: estate.options[name] for name in ("broker", "prefix")}
    gone, kept = of(a_verdict("gone"), "open"), of(a_verdict("kept"), "open")
    elsewhere = of(a_verdict("elsewhere", occurred_at=moment_of(tick(99))), "open")
    for violation in (gone, kept, elsewhere, of(a_verdict("back"), "open"), of(a_verdict("back"), "retracted")):
        put(estate, violation, 1)
    estate.put(TopicName.VIOLATIONS, b"no violation", partition=0)
    folder = tmp_path / "answer"
    an_answer(folder, [a_verdict(event) for event in ("kept", "new", "back")])

    shown = run("compare", "live", folder, **there)
    assert shown.code == 1
    assert "No longer violating: 1" in shown.out
    assert "Newly violating: 2" in shown.out
    assert "1 messages on" in shown.err

    file = tmp_path / "consentinel.prom"
    dry = run("reconcile", "--answer", folder, "--metrics", file, **there)
    counted = file.read_text(encoding="utf-8")
    assert f'consentinel_replay_difference{{change="no_longer_violating",rule_id="{RULES[0]}"}} 1.0' in counted
    assert f'consentinel_replay_difference{{change="newly_violating",rule_id="{RULES[0]}"}} 2.0' in counted
    assert "\nconsentinel_replay_compared 4.0\n" in counted
    assert 'consentinel_replay_timestamp_seconds{command="reconcile"}' in counted
    assert (dry.code, "3 corrections found; --apply writes them" in dry.err) == (1, True)
    assert len(estate.read(TopicName.VIOLATIONS)) == 6

    assert run("reconcile", "--answer", folder, "--apply", **there).code == 1
    written = [record for record in estate.read(TopicName.VIOLATIONS) if b"reconciled" in record.value]
    said = {VIOLATION.read(record.value).event_id: record for record in written}
    assert {event: VIOLATION.read(record.value).status for event, record in said.items()} == {
        "gone": "contested",
        "new": "open",
        "back": "open",
    }
    assert (said["gone"].partition, said["back"].partition) == (1, 1)
    assert said["new"].partition == partition_of(PEOPLE[0], PARTITIONS)
    assert all(record.key == VIOLATION.read(record.value).violation_id.encode() for record in written)

    again = run("reconcile", "--answer", folder, "--apply", **there)
    assert (again.code, again.err.splitlines()[-1]) == (0, "0 corrections written")
    assert len(estate.read(TopicName.VIOLATIONS)) == 9


def test_what_is_archived_replayed_and_reconciled_is_what_the_log_says(
    run: Run, estate: SmallEstate, tmp_path: Path
) -> None:
    there = {name: estate.options[name] for name in ("broker", "prefix")}
    estate.send(*a_settled_world(), a_feed(), a_match(), a_match(event_id="event-2", device_id="gate-9"))
    put(estate, of(a_verdict("phantom", "core.device.unregistered"), "open"), 1)
    assert run("archive", "--out", tmp_path / "archive", **there).code == 0
    answer, report = tmp_path / "answer", tmp_path / "report.html"
    asked = ["--from", "2026-03-10", "--to", "2026-03-11", "--source", tmp_path / "archive"]
    replayed = run("replay", *asked, "--out", answer, "--compare", "live", "--report", report, **there)
    assert (replayed.code, "No longer violating: 1" in replayed.out) == (1, True), replayed.err
    assert "core.device.unregistered" in report.read_text(encoding="utf-8")
    assert not any(person in report.read_text(encoding="utf-8") for person in PEOPLE)
    assert run("reconcile", "--answer", answer, "--apply", "--retract", **there).code == 1
    again = run("compare", "live", answer, **there)
    assert (again.code, ", 0 differ" in again.err) == (0, True), again.out
    said = {VIOLATION.read(record.value).event_id: VIOLATION.read(record.value).status
            for record in estate.read(TopicName.VIOLATIONS)}  # fmt: skip
    assert (said["phantom"], said["event-2"]) == ("retracted", "open")
