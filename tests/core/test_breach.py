"""What was said of a deadline or a count is corrected by what comes late, and in the end is what the whole log says."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from duty_world import (
    ANSWERED,
    AT,
    CROWDED,
    FILED,
    HOUR,
    NO_CASE,
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
from rule_texts import a_pack, a_rule
from schemas.contract import time_text
from schemas.subject import SUBJECT
from schemas.tally import TALLY
from schemas.verdict import OBLIGATION, Violation
from shuffled_log import plain
from streams.core.arrival import Arrival, Arrivals
from streams.core.docket import Docket
from streams.core.holder import Standing
from streams.core.instant import micros
from streams.core.obligation import Obligation, Status
from streams.core.registry import Registry
from streams.core.rulebook import load
from streams.core.subject_history import Histories
from streams.core.violation import violation_of
from streams.live.docket_log import enter as enter_tally
from streams.live.docket_log import memories, remember
from streams.live.topic_names import TopicNames

COUNT = {"days": 1, "key": "controller", "count": "stored_persons", "at_least": 2}
STORED = a_rule("test.stored", **NO_CASE | {"kind": "window", "window": COUNT})
BOOK = load([("t.yaml", a_pack(REVIEWED, ANSWERED, FILED, CROWDED, QUIET, STORED))])
NAMES = TopicNames("")


class Keeper:
    """A docket and its logs: what it said, and what it remembers of that."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.said: list[Violation] = []
        self.logged: list[Any] = []
        self.until = AT
        self.docket = self._born()

    @staticmethod
    def _born() -> Docket:
        return Docket(BOOK, Registry(), Histories(BOOK.asked()), arrivals=Arrivals())

    def take(self, step: Any) -> None:
        """Let something come in."""
        self.steps.append(step)
        step(self.docket)

    def settle(self, until: int) -> None:
        """Look, a holder at a time, and write down what is said."""
        self.until = max(self.until, until)
        busy = True
        while busy:
            found = self.docket.settle(self.until, 1)
            self.said += [violation_of(each) for each in found if told(each)]
            self.logged += list(memories(found, 0, NAMES))
            busy = self.docket.busy

    def crash(self) -> None:
        """Go on with another docket that knows the logs alone."""
        self.docket = self._born()
        for step in self.steps:
            step(self.docket)
        for each in self.logged:
            if each.topic == "tallies":
                enter_tally(self.docket, 0, TALLY.read(each.value))
            else:
                remember(self.docket, OBLIGATION.read(each.value))

    def standing(self) -> dict[str, bytes]:
        """The breaches that stand, as a consumer folds what was said."""
        folded = {each.violation_id: each for each in self.said}
        return {each.violation_id: plain(each) for each in folded.values() if each.status == "open"}


def told(standing: Standing) -> bool:
    return standing.status is Status.BREACHED or standing.undone is not None


def stored(docket: Docket, kind: str, person: int, hour: float, version: int) -> None:
    fields: dict[str, Any] = {"artefacts": ["reference"]} if kind == "deletion" else {"age_band": "adult"}
    whole = {"kind": kind, "record_id": f"{kind}-{person}", "record_version": version, "controller_id": "zoo"}
    about = {"subject_ref": f"s_person_00000000000{person:02}", "valid_from": time_text(hours(hour))}
    docket.histories.add(SUBJECT.fit(whole | about | fields))


def premises(docket: Docket, version: int, country: str) -> None:
    say(docket, "site", hours(-1), record_id="s-1", record_version=version, id="gates", title="The gates",
        site_kind="zoo", jurisdictions=[country], timezone="Etc/UTC", publicly_accessible=True)  # fmt: skip


def settled_steps() -> Iterator[Any]:
    """What every world holds: feeds that are complete, a controller, and a device that has to be filed."""
    covers = ("request_answer", "filing", "deletion", "enrolment")
    yield lambda docket: heartbeat(docket, hours(900), *covers)
    yield lambda docket: say(docket, "controller", hours(-1), record_id="c-1", id="zoo", title="A zoo",
                             controller_type="private")  # fmt: skip
    yield lambda docket: say(docket, "device", record_id="d-1", id="gate-1", site_id="gates", zone="gate")
    yield lambda docket: premises(docket, 1, "CN")


def chance_steps(chance: Random, count: int) -> Iterator[Any]:
    """What may come late: requests and answers that are moved, places whose law changes, persons who come and go."""
    for number in range(count):
        hour, version, person = chance.randint(0, 60), chance.randint(1, 3), chance.randint(0, 2)
        word, country = chance.choice(["completed", "extended"]), chance.choice(["CN", "EU"])
        case = a_case("counts", number, hour, known=chance.random() < 0.7)
        yield chance.choice([
            lambda docket, h=hour, v=version: say(docket, "erasure_request", hours(h), record_id="request-1",
                                                  record_version=v),
            lambda docket, h=hour, w=word, p=person, v=version: say(
                docket, "request_answer", hours(h), record_id=f"answer-{p}", record_version=v,
                request_record_id="request-1", outcome=w),
            lambda docket, v=version + 1, c=country: premises(docket, v, c),
            lambda docket, h=hour, p=person, v=version: stored(docket, "enrolment", p, h, v),
            lambda docket, h=hour, p=person, v=version: stored(docket, "deletion", p, h, v),
            lambda docket, c=case: enter(docket, "test.crowded", c),
            lambda docket, n=number, h=hour: enter(docket, "test.reviewed", a_case("opens-0", n, h)),
            lambda docket, n=number, h=hour, e=person: enter(
                docket, "test.reviewed", a_case("fulfils-0", 50 + n, h, event=f"event-{e}")),
        ])  # fmt: skip


@settings(max_examples=examples(50), deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 14))
def test_whatever_comes_late_and_whoever_dies_the_breaches_that_stand_are_those_of_the_whole_log(
    chance: Random, count: int
) -> None:
    steps = [*settled_steps(), *chance_steps(chance, count)]
    calm, storm = Keeper(), Keeper()
    for step in steps:
        calm.take(step)
    chance.shuffle(steps)
    for number, step in enumerate(steps):
        storm.take(step)
        if chance.random() < 0.4:
            storm.settle(AT + 10 * number * HOUR)
        if chance.random() < 0.2:
            storm.crash()
    for keeper in (calm, storm):
        keeper.settle(AT + 500 * HOUR)
    assert storm.standing() == calm.standing()
    assert all(each.status == "open" for each in calm.said), "who knows everything at once has nothing to take back"


def an_undone_breach(late_seconds: float) -> tuple[Standing, Standing]:
    """A breach of an unanswered request, and what is said when an answer in time comes so long after its instant."""
    arrivals = Arrivals()
    docket = Docket(BOOK, Registry(), Histories(BOOK.asked()), arrivals=arrivals)
    heartbeat(docket, hours(100), "request_answer")
    request(docket)
    (breached,) = docket.settle(micros(hours(48)))
    answer(docket, hours(2))
    at = micros(hours(2))
    arrivals.note(Arrival("answer-1", "request_answer", "zoo", at, at + round(late_seconds * 1e6)))
    (undone,) = docket.settle(micros(hours(49)))
    return breached, undone


def test_an_answer_that_came_in_time_retracts_the_breach_and_one_that_came_late_contests_it_and_says_how_late() -> None:
    for late, word in ((60, "retracted"), (60.1, "contested")):
        breached, undone = an_undone_breach(late)
        first, last = violation_of(breached), violation_of(undone)
        assert (first.status, first.cause, last.status, last.cause) == ("open", "judged", word, "record")
        assert last.changed_by == ("answer-1",)
        assert last.reached_log_at is not None
        assert last.in_force_since is not None
        assert (last.reached_log_at - last.in_force_since).total_seconds() == late
        assert plain(last.model_copy(update={"status": "open"})) == plain(first)


def test_a_breach_stands_when_its_feed_falls_behind_and_is_contested_when_its_answer_is_in_doubt() -> None:
    keeper = Keeper()
    keeper.take(lambda docket: heartbeat(docket, hours(100), "request_answer"))
    keeper.take(request)
    keeper.settle(micros(hours(48)))
    keeper.take(lambda docket: say(docket, "feed", record_id="beat-2", id="feed-2", covers=["request_answer"],
                                   complete_until=time_text(hours(1)), max_lag_seconds=60))  # fmt: skip
    keeper.settle(micros(hours(49)))
    assert [each.status for each in keeper.said] == ["open"]
    for word in ("completed", "refused"):
        keeper.take(lambda docket, w=word: answer(docket, hours(2), w))
    keeper.settle(micros(hours(50)))
    assert [each.status for each in keeper.said] == ["open", "contested"]
    assert [each.why for each in keeper.docket.undetermined()] != []
    keeper.crash()
    keeper.settle(micros(hours(51)))
    assert len(keeper.said) == 2


def test_a_deletion_that_comes_late_takes_back_the_count_it_lowers_and_an_enrolment_restates_it() -> None:
    keeper = Keeper()
    keeper.take(lambda docket: heartbeat(docket, hours(900), "enrolment", "deletion"))
    for person in range(2):
        keeper.take(lambda docket, p=person: stored(docket, "enrolment", p, 1, 1))
    keeper.settle(micros(hours(30)))
    keeper.take(lambda docket: stored(docket, "deletion", 0, 2, 1))
    keeper.settle(micros(hours(31)))
    keeper.crash()
    keeper.take(lambda docket: stored(docket, "enrolment", 2, 3, 1))
    keeper.settle(micros(hours(32)))
    assert [(each.status, each.cause) for each in keeper.said] == [
        ("open", "judged"), ("contested", "record"), ("open", "record"),
    ]  # fmt: skip
    assert len({each.violation_id for each in keeper.said}) == 1


def test_a_late_record_that_opens_a_duty_opens_it_late() -> None:
    keeper = Keeper()
    keeper.take(lambda docket: heartbeat(docket, hours(900), "request_answer"))
    keeper.settle(micros(hours(80)))
    assert keeper.said == []
    keeper.take(request)
    keeper.settle(micros(hours(81)))
    (found,) = keeper.said
    assert (found.status, found.occurred_at) == ("open", hours(24))
    obligation = next(each for each in keeper.docket.standings() if isinstance(each, Obligation))
    assert obligation.opened_at == AT
