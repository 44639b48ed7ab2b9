"""Nobody acquits himself after the alarm: what a violation becomes that is none now, by what came when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from schemas.verdict import Violation
from settled_world import a_feed, a_match, a_settled_world, registry_record, subject_record, text_at, tick
from shuffled_log import Court, Logged, frame
from streams.core import arrival
from streams.core.arrival import Arrival, Arrivals
from streams.core.case import SKEW
from streams.core.instant import NEVER
from streams.core.rulebook import load

EARLY = -9
NO_CONSENT = load([("law.yaml", a_pack(a_rule("test.r1.consent", condition="NOT consent_in_force")))])
AT_A_TOILET = "device_zone = 'toilet' AND (purpose_registered OR consent_in_force)"
ZONES = load([("law.yaml", a_pack(a_rule("test.r1.zone", condition=AT_A_TOILET)))])


def at(number: int, message: Any) -> Logged:
    return Logged(message, tick(number))


def consent(number: int = -1, **fields: Any) -> Any:
    """A consent from a point of the grid on; the feed promises to bring it within two of them."""
    return subject_record("consent_given", valid_from=text_at(number), **fields)


def without_consent() -> list[Logged]:
    return [at(EARLY, each) for each in (*a_settled_world(), a_feed()) if getattr(each, "kind", "") != "consent_given"]


def a_toilet() -> list[Logged]:
    """A world whose camera stands in a toilet, as its record says first."""
    device = registry_record("device", "gate-1", zone="toilet")
    others = [each for each in without_consent() if getattr(each.message, "id", "") != "gate-1"]
    return [*others, at(EARLY, device)]


MOVED = at(30, registry_record("device", "gate-1", record_version=2, zone="gate"))
"""The same camera: it was at the gate all the time, as is said far too late."""


def statuses(court: Court) -> list[str]:
    return [each.status for each in court.folded.said]


def after(world: Sequence[Logged], *steps: Sequence[Logged], law: Any = NO_CONSENT) -> Court:
    """What was said when one step after another had come."""
    court = Court(law)
    court.tell(world)
    for step in steps:
        court.tell(step)
        court.look()
    return court


def test_a_late_version_of_a_record_that_decided_before_acquits_nobody_beside_a_punctual_record() -> None:
    match, punctual = [at(0, a_match())], at(1, consent())
    for steps in ([[MOVED]], [[MOVED, punctual]], [[punctual, MOVED]], [[punctual], [MOVED]], [[MOVED], [punctual]]):
        assert statuses(after(a_toilet(), match, *steps, law=ZONES))[-1] == "contested", steps


def test_what_is_contested_stays_so_whatever_else_comes_in_time() -> None:
    unrelated, punctual = at(31, consent(30)), at(4, consent())
    for each in (unrelated, punctual):
        assert statuses(after(a_toilet(), [at(0, a_match())], [MOVED], [each], law=ZONES))[-1] == "contested"


@pytest.mark.parametrize("apart", [True, False], ids=["one after the other", "at once"])
def test_a_newer_version_of_the_event_does_not_acquit_where_a_late_record_does_not(apart: bool) -> None:
    late, again = at(30, consent()), at(31, a_match(event_version=2))
    steps = [[late], [again]] if apart else [[late, again]]
    assert statuses(after(without_consent(), [at(0, a_match())], *steps))[-1] == "contested"
    assert statuses(after(without_consent(), [at(0, a_match())], [again], [late]))[-1] == "contested"


def test_a_record_that_came_late_but_before_the_match_contests_nothing() -> None:
    late_purpose = at(-1, registry_record("purpose", "entry", record_version=2))
    law = load([("law.yaml", a_pack(a_rule("test.r1.a", condition="purpose_registered AND NOT consent_in_force")))])
    court = after(without_consent(), [late_purpose], [at(0, a_match())], [at(1, consent())], law=law)
    assert statuses(court) == ["open", "retracted"]


def told_after_takeover(court: Court, said: Sequence[Violation]) -> list[str]:
    """What a worker that knows the logs alone says of the match."""
    chamber = court.chambers[0]
    for each in said:
        chamber.learn(each)
    chamber.log_until = tick(400)
    opinion = chamber.enter(frame([at(0, a_match())]), due=-NEVER, heard=-NEVER, cause="reconciled")
    return [each.message.status for each in opinion.said]


@pytest.mark.parametrize(("known_since", "fate"), [(-1, "retracted"), (0, "retracted"), (1, "contested")])
def test_a_record_whose_arrival_is_not_known_acquits_nobody_unless_it_came_before_the_match(
    known_since: int, fate: str
) -> None:
    said = after(without_consent(), [at(0, a_match())]).folded.said
    court = after(without_consent())
    court.views.arrivals.since = tick(known_since)
    court.views.histories.add(consent())  # as a reading of the log takes in what came long ago
    assert told_after_takeover(court, said) == [fate]


def test_arrivals_that_are_forgotten_in_a_flood_are_not_taken_for_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "ARRIVALS_MAX", 2)
    known = Arrivals(since=5)
    for number in (10, 30, 20, 40):
        known.note(Arrival(f"r{number}", "enrolment", "acme", 0, number))
    assert [each.record_id for each in known.of(["r10", "r30", "r20", "r40"])] == ["r20", "r40"]
    assert known.since == 31, "of what came up to then one at least is forgotten"


@pytest.mark.parametrize(("beside", "mark"), [(0, True), (SKEW, True), (SKEW + 1, None)])
def test_what_is_taken_back_by_a_consent_that_began_at_the_match_says_that_either_clock_may_be_wrong(
    beside: int, mark: bool | None
) -> None:
    consent_before = subject_record("consent_given", valid_from=text_at(0, -beside))
    court = after(without_consent(), [at(0, a_match())], [at(1, consent_before)])
    assert [(each.status, each.boundary) for each in court.folded.said] == [("open", None), ("retracted", mark)]
