"""The docket says of deadlines and windows the same in the end, in whatever order and however often things come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duty_world import (
    ANSWERED,
    AT,
    CROWDED,
    FILED,
    HOUR,
    QUIET,
    REVIEWED,
    a_case,
    answer,
    enter,
    heartbeat,
    hours,
    request,
    say,
)
from pace import examples
from rule_texts import a_pack
from schemas.contract import time_text
from streams.core.docket import KEEP, Docket
from streams.core.facts import Unknown
from streams.core.holder import Standing
from streams.core.instant import micros
from streams.core.obligation import Obligation, Status
from streams.core.registry import Registry
from streams.core.rulebook import Rulebook, load
from streams.core.subject_history import Histories
from streams.core.violation import violation_of

BOOK = load([("t.yaml", a_pack(REVIEWED, ANSWERED, FILED, CROWDED, QUIET))])


def only(*ids: str) -> Rulebook:
    return load([("t.yaml", a_pack(*(rule for rule in (REVIEWED, ANSWERED, FILED, CROWDED, QUIET)
                                     if any(f"id: {each}\n" in rule for each in ids))))])  # fmt: skip


def a_docket(book: Rulebook = BOOK) -> Docket:
    return Docket(book, Registry(), Histories(book.asked()))


def status(found: Sequence[Standing]) -> list[tuple[str, str, bool]]:
    return [(each.rule.id, each.status.value, each.undone is not None) for each in found]


def by_id(docket: Docket) -> list[Standing]:
    return sorted(docket.standings(), key=lambda each: each.id)


def test_a_request_is_open_then_breached_once_the_feed_has_passed_its_end_and_is_said_once() -> None:
    docket = a_docket()
    request(docket)
    assert status(docket.settle(micros(hours(1)))) == [("test.answered", "open", False)]
    assert docket.settle(micros(hours(24))) == []
    assert docket.settle(micros(hours(25))) == []
    assert [each.why for each in docket.undetermined()] == [Unknown.FEED_MISSING]
    heartbeat(docket, hours(24), "request_answer")
    assert docket.settle(micros(hours(26))) == []
    heartbeat(docket, hours(24.1), "request_answer")
    assert status(docket.settle(micros(hours(26)))) == [("test.answered", "breached", False)]
    assert list(docket.undetermined()) == []
    assert docket.settle(micros(hours(27))) == []


def test_an_answer_at_the_last_instant_is_in_time_and_a_microsecond_later_is_not() -> None:
    for late, said in ((0, "fulfilled"), (1, "breached")):
        docket = a_docket()
        heartbeat(docket, hours(100), "request_answer")
        request(docket)
        answer(docket, hours(24) + timedelta(microseconds=late))
        assert status(docket.settle(micros(hours(48)))) == [("test.answered", said, False)]


def test_an_answer_that_the_feed_had_promised_was_not_there_contests_the_breach() -> None:
    docket = a_docket()
    heartbeat(docket, hours(100), "request_answer")
    request(docket)
    (breached,) = docket.settle(micros(hours(48)))
    answer(docket, hours(2))
    (undone,) = docket.settle(micros(hours(49)))
    assert (undone.status, undone.undone is not None, undone.id) == (Status.FULFILLED, True, breached.id)
    assert violation_of(undone).status == "contested"
    assert violation_of(breached).status == "open"


def test_what_was_said_before_a_restart_is_not_said_again() -> None:
    first, second = a_docket(), a_docket()
    for docket in (first, second):
        heartbeat(docket, hours(100), "request_answer")
        request(docket)
    (said,) = first.settle(micros(hours(48)))
    second.told(said)
    assert second.settle(micros(hours(48))) == []


def test_an_extension_in_time_moves_the_end_and_one_that_came_after_it_does_not() -> None:
    for hour, due in ((24, 48), (24.5, 24)):
        docket = a_docket()
        request(docket)
        answer(docket, hours(hour), "extended")
        docket.settle(AT + 30 * HOUR)
        (opened,) = (each for each in docket.standings() if isinstance(each, Obligation))
        assert opened.due == micros(hours(due))


@settings(max_examples=examples(60), deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 60), max_size=5), st.lists(st.booleans(), max_size=5))
def test_the_order_and_the_repeats_of_what_comes_in_change_nothing_in_the_end(
    chance: Random, when: list[int], doubts: list[bool]
) -> None:
    def world(docket: Docket) -> list[Any]:
        steps: list[Any] = [lambda: request(docket), lambda: heartbeat(docket, hours(200), "request_answer", "filing")]
        for number, (hour, doubt) in enumerate(zip(when, doubts, strict=False)):
            word = "extended" if doubt else "completed"
            steps.append(lambda h=hour, w=word, n=number: answer(docket, hours(h), w, n))
            cases = [a_case("counts", number, hour, known=not doubt), a_case("unless", number, hour, known=doubt)]
            steps.append(lambda c=cases[0]: enter(docket, "test.crowded", c))
            steps.append(lambda c=cases: enter(docket, "test.quiet", *c))
            adverse = a_case("opens-0", number, hour)
            steps.append(lambda c=adverse: enter(docket, "test.reviewed", c))
            if doubt:
                review = a_case("fulfils-0", 50 + number, hour + 1, event=f"event-{number}")
                steps.append(lambda r=review: enter(docket, "test.reviewed", r))
        return steps

    calm, storm = a_docket(), a_docket()
    for step in world(calm):
        step()
    steps = world(storm)
    steps += steps[:2]
    chance.shuffle(steps)
    for number, step in enumerate(steps):
        step()
        if chance.random() < 0.3:
            storm.settle(AT + number * HOUR)
    for docket in (calm, storm):
        docket.settle(micros(hours(100)))
    assert by_id(calm) == by_id(storm)


def test_a_bound_that_is_reached_is_said_at_once_and_doubt_waits_for_the_end_of_the_day() -> None:
    docket = a_docket(only("test.crowded"))
    for number in (1, 1, 2, 3):
        enter(docket, "test.crowded", a_case("counts", number, number / 10, known=number != 2))
    assert docket.settle(AT + HOUR) == []
    assert list(docket.undetermined()) == []
    docket.settle(AT + 13 * HOUR)
    assert [each.why for each in docket.undetermined()] == [Unknown.NOT_REPORTED]
    enter(docket, "test.crowded", a_case("counts", 2, 0.2))
    (found,) = docket.settle(AT + 13 * HOUR)
    assert found.status is Status.BREACHED
    assert violation_of(found).site_id == "gates"


def test_where_it_happened_being_unknown_the_window_is_undetermined_and_says_so() -> None:
    docket = a_docket(only("test.crowded"))
    enter(docket, "test.crowded", *(a_case("counts", number, 0, site=None) for number in range(3)))
    docket.settle(AT + 13 * HOUR)
    assert [each.why for each in docket.undetermined()] == [Unknown.NOT_REGISTERED]


@pytest.mark.parametrize(
    ("silencing", "said"), [((), ["breached"]), ((True,), []), ((False,), [])], ids=["none", "surely", "perhaps"]
)
def test_a_window_that_may_be_silenced_speaks_at_its_end(silencing: Sequence[bool], said: list[str]) -> None:
    docket = a_docket(only("test.quiet"))
    enter(docket, "test.quiet", a_case("counts", 1), a_case("counts", 2))
    enter(docket, "test.quiet", *(a_case("unless", 9, known=known) for known in silencing))
    assert docket.settle(AT + HOUR) == []
    assert [each.status.value for each in docket.settle(AT + 13 * HOUR)] == said
    assert bool(list(docket.undetermined())) is (silencing == (False,))


def test_a_case_of_another_book_is_none_and_one_from_before_what_is_kept_is_counted_as_late() -> None:
    docket = a_docket()
    enter(docket, "test.unheard", a_case("counts", 1))
    assert not docket.busy
    docket.settle(AT + KEEP + 2 * HOUR)
    enter(docket, "test.crowded", a_case("counts", 1))
    assert docket.late == 1
    assert not docket.busy


def test_cases_are_forgotten_after_what_is_kept_and_nothing_more_is_said_of_them() -> None:
    docket = a_docket(only("test.crowded"))
    enter(docket, "test.crowded", *(a_case("counts", number) for number in range(3)))
    assert len(docket.settle(AT + HOUR)) == 1
    enter(docket, "test.crowded", a_case("counts", 9, 24 * 201))
    docket.settle(AT + 24 * 202 * HOUR)
    assert list(docket.standings()) == []


def test_a_device_is_looked_at_again_when_its_site_or_its_controller_becomes_known() -> None:
    docket = a_docket(only("test.filed"))
    heartbeat(docket, hours(100), "filing")
    say(docket, "device", record_id="d-1", id="gate-1", site_id="gates", zone="gate")
    assert docket.settle(micros(hours(30))) == []
    assert [each.why for each in docket.undetermined()] == [Unknown.NOT_REGISTERED]
    law: dict[str, Any] = {"title": "The gates", "site_kind": "zoo", "jurisdictions": ["CN"], "timezone": "Etc/UTC"}
    say(docket, "site", hours(-1), record_id="s-1", id="gates", **law)
    say(docket, "controller", hours(-1), record_id="c-1", id="zoo", title="A zoo", controller_type="private")
    docket.settle(micros(hours(30)))
    assert [each.why for each in docket.undetermined()] == [Unknown.NOT_REPORTED]
    say(docket, "site", hours(-1), record_id="s-1", record_version=2, id="gates", publicly_accessible=True, **law)
    assert status(docket.settle(micros(hours(30)))) == [("test.filed", "breached", False)]


def test_a_filing_of_before_fulfils_where_the_rule_takes_an_earlier_one() -> None:
    docket = a_docket(only("test.filed"))
    heartbeat(docket, hours(100), "filing")
    say(docket, "device", record_id="d-1", id="gate-1", site_id="gates", zone="gate")
    say(docket, "site", hours(-1), record_id="s-1", id="gates", title="The gates", site_kind="zoo",
        jurisdictions=["CN"], timezone="Asia/Shanghai", publicly_accessible=True)  # fmt: skip
    say(docket, "controller", hours(-1), record_id="c-1", id="zoo", title="A zoo", controller_type="private")
    say(docket, "filing", hours(-1), record_id="f-1", id="filing-1", filing_type="police_video", filed_with="An office",
        filed_at=time_text(hours(-1)), about="device/gate-1")  # fmt: skip
    assert status(docket.settle(micros(hours(1)))) == [("test.filed", "fulfilled", False)]
