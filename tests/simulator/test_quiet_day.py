"""The quiet day: every record is in order, at all places and under all laws, and nobody has anything to say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from schemas.registry import SiteRecord
from small_world import the_law
from streams.core.blind_spot import BlindSpots
from streams.core.case import Views, assemble
from streams.core.docket import Docket
from streams.core.entry import entries
from streams.core.facts import CaseKind
from streams.core.instant import micros
from streams.core.judge import Outcome, judge
from streams.core.obligation import Status
from streams.core.subject_history import Histories
from streams.simulator.quiet_day import QUIET_PLACES, QuietDay

DAY = datetime(2026, 9, 15, tzinfo=UTC)
"""A day on which every pack in force is in force; what begins in December 2027 is told apart."""
EVENTS = 200_000


def test_on_a_quiet_day_no_rule_speaks_nothing_is_undetermined_and_nobody_is_blind() -> None:
    book = the_law()
    day = QuietDay(seed=1, day=DAY)
    views = Views(histories=Histories(book.asked()))
    docket = Docket(book, views.registry, views.histories)
    for record in day.registry():
        views.registry.add(record)
    for subject_record in day.subjects():
        views.histories.add(subject_record)
    said: Counter[tuple[str, str]] = Counter()
    spots, judged = BlindSpots(), 0
    for kind, frame in day.frames(EVENTS):
        cases = assemble(frame, kind, views, book.facts_of(kind))
        verdicts = judge(cases, kind, book)
        spots.see(verdicts)
        for entry in entries(cases, kind, book):
            docket.enter(entry.role.duty.column, entry.case)
        for rule, counts in verdicts.counts().items():
            said.update({(rule.id, outcome.word): count for outcome, count in counts.items() if count})
        judged += frame.height
    standings = docket.settle(micros(day.ended))
    assert judged >= EVENTS
    spoken = {each for each in said if each[1] not in (Outcome.CLEAR.word, Outcome.NOT_APPLICABLE.word)}
    assert spoken == set()
    assert {each.rule.id for each in standings if each.status is Status.BREACHED} == set()
    assert {each.rule.id for each in docket.undetermined()} == set()
    assert list(spots) == []
    # It was no day on which nothing was asked: every law had cases of its own.
    laws = {rule.pack for rule in book.rules if said[rule.id, Outcome.CLEAR.word]}
    assert laws == set(book.packs) - {"us.sf"}  # there is nothing that a city department may do


def test_the_quiet_day_has_every_law_and_every_kind_of_case() -> None:
    day = QuietDay(seed=1, day=DAY)
    held = {code for each in day.registry() if isinstance(each, SiteRecord) for code in each.jurisdictions}
    asked = {code for rule in the_law().every() for code in rule.jurisdictions}
    assert asked - held == {"US-CA-SF"}
    assert {kind for kind, _ in day.frames(len(QUIET_PLACES) * 20)} == set(CaseKind)
