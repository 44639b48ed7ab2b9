"""A case book holds of each case what was said with the most knowledge, in whatever order it is told."""

from __future__ import annotations

from itertools import permutations

import pytest

from duty_world import AT, CROWDED, HOUR, NO_CASE, a_case
from rule_texts import a_pack, a_rule
from streams.core import arrival, subject_history
from streams.core.arrival import Arrival, Arrivals
from streams.core.case_book import CORRECTABLE, CaseBook, Origin, Stated, Stretch
from streams.core.holder import Holder
from streams.core.obligation import Happening
from streams.core.rulebook import load
from streams.core.subject_history import Histories

RESTARTS = {"case": "match", "condition": "purpose_named", "due": {"after": 3, "unit": "years"}, "restarts": True}
SEEN = {
    "opens": [{"record": "enrolment"}],
    "key": ["controller", "subject"],
    "due": {"after": 3, "unit": "years"},
    "extended_by": [RESTARTS],
}
BOOK = load([("t.yaml", a_pack(CROWDED, a_rule("test.seen", **NO_CASE | {"deadline": SEEN})))])
COUNTED, KEPT = sorted(BOOK.duties, key=lambda each: each.id)
ZOO, PERSON = Holder("controller", "zoo"), Holder("subject", "somebody")


def stated(hour: float, *, plays: bool = True, version: int = 1, offset: int = 0) -> Stated:
    return Stated(version, AT + round(hour * HOUR), plays, Origin("matches", 0, offset))


def seen(number: int, hour: float) -> Happening:
    return a_case("extends-0", number, hour, subject="somebody")


def test_of_statements_in_any_order_the_one_that_knew_most_counts_and_a_version_before_what_was_known() -> None:
    words = [stated(0), stated(1, plays=False), stated(2), stated(0.5, plays=False, version=2)]
    for order in permutations(words):
        book = CaseBook(BOOK.duties)
        for each in (*order, order[-1]):
            book.enter(COUNTED, a_case("counts", 1), each)
        assert book.of_duty(ZOO, COUNTED) == [], "the second version plays no role"


def test_what_is_not_said_again_of_a_stretch_counts_no_more_even_where_it_is_said_late() -> None:
    book = CaseBook(BOOK.duties)
    for number in range(3):
        book.enter(COUNTED, a_case("counts", number), stated(0, offset=number))
    book.enter(COUNTED, a_case("counts", 1), stated(1, offset=1))
    assert book.state_anew(Stretch("matches", 0, 0, 2, AT + HOUR)) == {ZOO}
    assert book.state_anew(Stretch("encounters", 0, 0, 9, AT + HOUR)) == set()
    assert book.enter(COUNTED, a_case("counts", 0), stated(0.5)) is None, "a worker that was frozen"
    assert book.enter(COUNTED, a_case("counts", 9), stated(0.5, offset=1)) is None
    assert [each.id for each in book.of_duty(ZOO, COUNTED)] == ["event-1", "event-2"]
    assert list(book) == [ZOO]


def test_the_case_before_the_last_that_restarts_a_deadline_stands_in_while_that_may_be_taken_out() -> None:
    book = CaseBook(BOOK.duties)
    first, last = seen(1, 0), seen(2, 1)
    book.enter(KEPT, first, stated(0))
    book.enter(KEPT, last, stated(1))
    assert book.of_duty(PERSON, KEPT) == [first, last]
    book.enter(KEPT, last, stated(1.5, plays=False))
    assert book.of_duty(PERSON, KEPT) == [first]


def test_what_can_be_corrected_no_more_is_one_case_that_stays_for_ever_and_others_go() -> None:
    book = CaseBook(BOOK.duties)
    for number in range(3):
        book.enter(KEPT, seen(number, number), stated(number))
    book.enter(COUNTED, a_case("counts", 1), stated(3 + 2 * CORRECTABLE / HOUR))
    assert [each.id for each in book.of_duty(PERSON, KEPT)] == ["event-2"]
    for holder in (PERSON, ZOO, Holder("controller", "nobody")):
        book.drop(holder, AT + 1_000 * HOUR)
    assert list(book) == [PERSON]


def test_of_a_case_that_nobody_says_more_about_what_is_certain_counts() -> None:
    book = CaseBook(BOOK.duties)
    book.enter(COUNTED, a_case("counts", 1, known=False))
    assert book.enter(COUNTED, a_case("counts", 1)) == ZOO
    assert book.enter(COUNTED, a_case("counts", 1, known=False)) is None


def test_the_oldest_arrivals_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "ARRIVALS_MAX", 2)
    arrivals = Arrivals()
    for number in range(4):
        arrivals.note(Arrival(f"record-{number}", "device", "zoo", 0, number))
    left = arrivals.of(f"record-{number}" for number in range(4))
    assert [each.record_id for each in left] == ["record-2", "record-3"]


def test_where_persons_are_many_they_are_not_all_made_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject_history, "FEW", -1)
    histories = Histories()
    histories.keep_few()
    assert len(histories) == 0
