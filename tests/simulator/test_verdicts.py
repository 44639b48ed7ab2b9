"""The whole simulated log, judged by the real rule packs, gives exactly what the stories say: no more, no less."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from schemas.verdict import Violation
from small_world import the_law
from streams.core.case import Views, assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.judge import Outcome, judge
from streams.core.rulebook import Rulebook
from streams.core.violation import violations
from streams.simulator.auditor import Auditor
from streams.simulator.expectation import Expectation
from streams.simulator.log import SimulatedLog, simulated_log
from streams.simulator.story import Event

START = datetime(2026, 5, 6, 1, 30, tzinfo=UTC)
SEEDS = (0, 1, 7, 20260506)


@pytest.fixture(scope="module")
def rules() -> Rulebook:
    return the_law()


def views_of(log: SimulatedLog) -> Views:
    views = Views()
    for record in log.registry:
        views.registry.add(record)
    for subject_record in log.subjects:
        views.histories.add(subject_record)
    return views


def judged(log: SimulatedLog, rules: Rulebook) -> tuple[list[Violation], set[tuple[str, str]]]:
    """The violations of a log, and the (event, rule) pairs that stayed undetermined."""
    views = views_of(log)
    found: list[Violation] = []
    open_questions: set[tuple[str, str]] = set()
    for kind, frame in frames(log.events):
        verdicts = judge(assemble(frame, kind, views, rules.facts_of(kind)), kind, rules)
        assert not verdicts.failed
        found += [violation for _, _, violation in violations(verdicts, views)]
        ids = frame["event_id"].to_list()
        open_questions |= {(ids[row], rule.id) for row, rule, _ in verdicts.found(Outcome.UNDETERMINED)}
    return found, open_questions


def frames(events: Sequence[Event]) -> Iterable[tuple[CaseKind, pl.DataFrame]]:
    for kind in CaseKind:
        chosen = [event for event in events if event.kind == kind.value]  # type: ignore[union-attr]
        columns = MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
        if chosen:
            yield kind, frame_of(chosen, columns)


def auditor_of(expectations: Iterable[Expectation], found: Iterable[Violation]) -> Auditor:
    auditor = Auditor()
    auditor.expect(expectations)
    for violation in found:
        auditor.see(violation)
    return auditor


@pytest.mark.parametrize("seed", SEEDS)
def test_the_judge_says_of_a_simulated_log_exactly_what_its_stories_say(seed: int, rules: Rulebook) -> None:
    log = simulated_log(seed, START + timedelta(days=seed % 9), seconds=8, rate=150)
    found, open_questions = judged(log, rules)
    audit = auditor_of(log.expectations, found).audit(open_questions)
    assert (audit.missing, audit.unexpected, audit.twice) == ((), (), ())


def test_nothing_about_baseline_traffic_is_left_undetermined(rules: Rulebook) -> None:
    log = simulated_log(3, START, seconds=8, rate=300)
    stories = {event.event_id for event in log.events} - log.baseline
    _, open_questions = judged(log, rules)
    assert {event_id for event_id, _ in open_questions} <= stories


def test_every_rule_that_holds_at_the_estates_places_is_spoken_of_by_some_story(rules: Rulebook) -> None:
    log = simulated_log(0, START, seconds=1, rate=0)
    spoken = {each.rule_id for each in log.expectations if each.status == "open"}
    assert spoken == {rule.id for rule in rules.rules if rule.jurisdictions in ((), ("CN",))}
