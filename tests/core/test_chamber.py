"""What a chamber says of one event as records and versions of it come: held, corrected, contested, and let go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from rule_texts import a_pack, a_rule
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, registry_record, subject_record, text_at, tick
from shuffled_log import Court, Logged, final, frame
from streams.core.chamber import Chamber
from streams.core.instant import NEVER, SECOND
from streams.core.memory import Part
from streams.core.rulebook import Rulebook, load

NO_CONSENT = load([("law.yaml", a_pack(a_rule("test.r1.consent", condition="NOT consent_in_force")))])
ZONES = load([("law.yaml", a_pack(a_rule("test.r1.zone", condition="device_zone = 'toilet'")))])
LATE, EARLY = text_at(-9), -9


def without_consent(*feeds: Any) -> list[Logged]:
    """A settled world in which nobody has agreed; its records were taken long before."""
    records = [each for each in a_settled_world() if getattr(each, "kind", "") != "consent_given"]
    return [Logged(each, tick(EARLY)) for each in (*records, *(feeds or (a_feed(),)))]


def a_court(law: Rulebook, world: Sequence[Logged], **bounds: int) -> Court:
    court = Court(law, **bounds)
    court.tell(world)
    return court


def said(court: Court) -> list[tuple[str, str]]:
    """Status and cause of everything that was said, in order."""
    return [(each.status, each.cause) for each in court.folded.said]


def at(number: int, message: Any) -> Logged:
    """A message that the broker took at a point of the grid."""
    return Logged(message, tick(number))


def consent(**fields: Any) -> Any:
    return subject_record("consent_given", **{"valid_from": text_at(-1)} | fields)


def test_a_consent_that_comes_in_time_takes_the_violation_back_and_says_by_what_and_how_late() -> None:
    court = a_court(NO_CONSENT, without_consent())
    court.tell([at(0, a_match())])
    court.tell([at(1, consent())])
    court.look()
    assert said(court) == [("open", "judged"), ("retracted", "record")]
    last = court.folded.said[-1]
    assert (last.changed_by, last.in_force_since is not None, last.reached_log_at is not None) == (
        ("consent_given",), True, True,
    )  # fmt: skip


def test_a_chamber_is_calm_until_a_record_comes_and_again_when_it_was_looked_at() -> None:
    court = a_court(NO_CONSENT, without_consent())
    court.tell([at(0, a_match())])
    court.look()
    assert all(chamber.calm for chamber in court.chambers)
    court.tell([at(1, consent())])
    assert not all(chamber.calm for chamber in court.chambers)
    court.look()
    assert all(chamber.calm for chamber in court.chambers)
    court.tell([at(2, a_feed(valid_from=text_at(1), complete_until=text_at(2_000)))])
    assert not any(chamber.calm for chamber in court.chambers)


def test_few_rows_about_persons_are_found_as_in_many() -> None:
    people = ["s_1", None, "s_2", "s_1", "s_3", None]
    placed = {"occurred_at": datetime(2026, 3, 10, tzinfo=UTC), "recorded_at": 0}
    part = Part(pl.DataFrame([{"subject_ref": ref} | placed for ref in people]), 0)
    for wanted, rows in ((["s_1"], [0, 3]), (["s_2", "s_3"], [2, 4]), (["s_9"], [])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streams.core.memory.FEW_CASES", -1)
            many = part.rows_of_people(pl.Series(wanted, dtype=pl.String))
        few = part.rows_of_people(pl.Series(wanted, dtype=pl.String))
        assert sorted(few) == sorted(many) == rows


def test_a_consent_that_comes_later_than_promised_contests_and_acquits_nobody() -> None:
    court = a_court(NO_CONSENT, without_consent())
    court.tell([at(0, a_match())])
    court.tell([at(30, consent())])  # five minutes after its own instant, and the feed promises one
    court.look()
    assert said(court) == [("open", "judged"), ("contested", "record")]
    court.tell([at(31, consent(record_version=2))])
    court.look()
    assert said(court)[-1] == ("contested", "record"), "what is contested stays so"


def test_a_withdrawal_that_comes_late_acts_at_once() -> None:
    court = a_court(NO_CONSENT, [*without_consent(), at(EARLY, consent(valid_from=LATE))])
    court.tell([at(0, a_match())])
    assert said(court) == []
    court.tell([at(300, subject_record("consent_withdrawn", valid_from=text_at(0)))])
    court.look()
    assert said(court) == [("open", "record")]


def test_what_a_record_in_flight_may_undo_is_held_and_said_once_it_can_be() -> None:
    court = a_court(NO_CONSENT, without_consent(a_feed(complete_until=text_at(0))))
    court.tell([at(0, a_match())], hold=3 * SECOND)
    chamber = court.chambers[0]
    assert said(court) == []
    assert (chamber.held_cases, chamber.held_bytes > 0, chamber.earliest_held()) == (1, True, (0, tick(0)))
    court.tell([at(0, consent())])
    court.look()
    assert (said(court), chamber.held_cases, chamber.earliest_held()) == ([], 0, None), (
        "it is clear now, and was never told"
    )


def test_what_is_held_is_said_when_its_time_is_over() -> None:
    court = a_court(NO_CONSENT, without_consent(a_feed(complete_until=text_at(0), max_lag_seconds=1)))
    court.tell([at(0, a_match())], hold=3 * SECOND)
    court.heard = tick(1)
    court.look()
    assert court.chambers[0].held_cases == 0


def test_a_corrected_event_takes_the_place_of_the_version_before() -> None:
    court = a_court(NO_CONSENT, [*without_consent(), at(EARLY, consent(valid_from=LATE))])
    stranger = a_match(subject_ref=PEOPLE[1])
    court.tell([at(0, stranger)])
    court.tell([at(1, a_match(event_version=2, previous_key=stranger.key))])
    court.look()
    assert said(court) == [("open", "judged"), ("retracted", "event")]
    court.tell([at(2, stranger)])
    court.look()
    assert len(said(court)) == 2, "an older version that comes again changes nothing"


def test_one_version_with_two_contents_contests_what_was_told_and_says_no_more() -> None:
    court = a_court(NO_CONSENT, without_consent())
    court.tell([at(0, a_match())])
    court.tell([at(1, a_match(device_id="gate-2"))])
    court.tell([at(2, a_match(device_id="gate-2"))])
    assert said(court) == [("open", "judged"), ("contested", "event")]
    court.tell([at(3, a_match(event_version=2))])
    assert said(court)[-1][0] == "open", "a newer version ends the conflict"


def test_a_version_that_lies_elsewhere_takes_back_what_was_told_here_once() -> None:
    court = a_court(NO_CONSENT, without_consent())
    court.tell([at(0, a_match())])
    key = next(iter(court.chambers[0].told._by_event))
    for version in (1, 2, 2):
        court.benches[0].take(court.chambers[0].supersede(key, version))
    assert said(court) == [("open", "judged"), ("retracted", "event")]


def test_a_repeat_changes_nothing_and_is_counted() -> None:
    court = a_court(NO_CONSENT, without_consent())
    court.tell([at(0, a_match()), at(0, a_match())])
    court.tell([at(1, a_match())])
    assert said(court) == [("open", "judged")]


def test_a_takeover_tells_only_what_is_not_on_the_log_and_counts_the_rest_as_repeats() -> None:
    before = a_court(NO_CONSENT, without_consent())
    before.tell([at(0, a_match())])
    after = a_court(NO_CONSENT, without_consent())
    chamber = after.chambers[0]
    chamber.learn(before.folded.said[0])
    chamber.log_until = tick(10)
    opinion = chamber.enter(frame([at(0, a_match())]), due=-NEVER, heard=-NEVER, cause="reconciled")
    assert (opinion.said, opinion.repeats) == ([], 1)
    other = load([("law.yaml", a_pack(a_rule("test.r9.other", condition="NOT consent_in_force")))])
    deaf = Chamber(other, after.views, span=SECOND, bytes_max=1)
    deaf.learn(before.folded.said[0])
    assert not deaf.told, "of a rule that is not loaded nothing can be compared"


def test_a_takeover_takes_what_a_frozen_worker_wrote_once_more_for_no_word_at_all() -> None:
    before = a_court(NO_CONSENT, without_consent())
    before.tell([at(0, a_match())])
    before.tell([at(1, consent())])
    before.look()
    first, last = before.folded.said
    assert (first.status, last.status) == ("open", "retracted")
    after = a_court(NO_CONSENT, [*without_consent(), at(1, consent())])
    for each in (first, last, first):
        after.chambers[0].learn(each)
    after.chambers[0].log_until = tick(10)
    opinion = after.chambers[0].enter(frame([at(0, a_match())]), due=-NEVER, heard=-NEVER, cause="reconciled")
    assert opinion.said == [], "it stands as it was retracted"


def test_a_record_about_a_thing_corrects_the_events_at_it_and_no_others() -> None:
    court = a_court(ZONES, without_consent())
    court.tell([at(0, a_match()), at(0, a_match(event_id="event-2", device_id="gate-2"))])
    assert said(court) == []
    court.tell([at(1, registry_record("device", "gate-1", record_version=2, zone="toilet"))])
    court.look()
    assert [(each.event_id, each.status, each.cause) for each in court.folded.said] == [("event-1", "open", "record")]


def test_a_feed_that_comes_further_settles_what_it_had_left_open() -> None:
    court = a_court(NO_CONSENT, without_consent(a_feed(complete_until=text_at(0), max_lag_seconds=600)))
    court.tell([at(0, a_match(occurred_at=text_at(1)))])
    assert said(court) == []
    court.tell([at(5, a_feed(record_id="heartbeat-2", valid_from=text_at(5), complete_until=text_at(5)))])
    court.look()
    assert said(court) == [("open", "record")]


def test_beyond_the_memory_nothing_is_corrected_and_that_is_counted() -> None:
    court = a_court(NO_CONSENT, without_consent(), span=10 * SECOND)
    court.tell([at(0, a_match())])
    court.tell([at(5, a_match(event_id="event-2", occurred_at=text_at(5)))])
    chamber = court.chambers[0]
    assert chamber.memory.cases == 1, "what is older than the span is let go"
    assert chamber.person_changed(PEOPLE[0], tick(1)), "cases of that time may be forgotten"
    assert chamber.thing_changed("device", "gate-1", tick(1))
    assert not chamber.person_changed(PEOPLE[0], tick(5))
    court.tell([at(4, consent())])
    court.look()
    assert [each.event_id for each in court.folded.said if each.status == "retracted"] == ["event-2"]


def test_a_corrected_event_whose_first_version_is_forgotten_is_counted_and_one_that_is_remembered_is_not() -> None:
    court = a_court(NO_CONSENT, without_consent(), span=10 * SECOND)
    chamber = court.chambers[0]

    def deferred(*events: Any) -> int:
        return chamber.enter(frame([at(6, each) for each in events]), due=-NEVER, heard=-NEVER).deferred

    court.tell([at(0, a_match())])
    assert deferred(a_match(event_version=2)) == 0, "nothing is forgotten yet"
    court.tell([at(5, a_match(event_id="event-2", occurred_at=text_at(5)))])
    recent = a_match(event_id="event-2", event_version=2, occurred_at=text_at(0))
    assert deferred(recent, a_match(event_id="event-3", event_version=2, occurred_at=text_at(5))) == 0
    assert deferred(a_match(event_version=3), a_match(event_id="event-4", event_version=2)) == 2


def test_the_memory_is_bounded_in_bytes_too() -> None:
    court = a_court(NO_CONSENT, without_consent(), bytes_max=1)
    for number in range(3):
        court.tell([at(number, a_match(event_id=f"event-{number}", occurred_at=text_at(number)))])
    assert court.chambers[0].memory.cases <= 1
    assert court.chambers[0].size_bytes >= 0


def test_many_small_batches_are_gathered_and_can_be_corrected_all_the_same() -> None:
    court = a_court(NO_CONSENT, without_consent())
    for number in range(40):
        court.tell([at(0, a_match(event_id=f"event-{number}"))])
    chamber = court.chambers[0]
    assert len(chamber.memory.parts) < 40
    court.tell([at(1, consent())])
    court.look()
    assert sum(each.status == "retracted" for each in court.folded.said) == 40


def test_an_event_that_moves_to_a_device_of_another_partition_stands_as_its_newest_version_says() -> None:
    here, there = "gate-3", "gate-4"
    zones = [at(EARLY, registry_record("device", each, zone="toilet")) for each in (here, there)]
    stranger = a_match(subject_ref=None, comparison_decision="non_match", device_id=there)
    moved = stranger.model_copy(update={"device_id": here, "event_version": 2, "previous_key": there})
    wanted = final(ZONES, [*without_consent(), *zones, at(0, moved)])
    for events in ((stranger, moved), (moved, stranger)):
        court = a_court(ZONES, [*without_consent(), *zones], partitions=2)
        for each in events:
            court.tell([at(0, each)])
        assert court.end() == wanted != {}
