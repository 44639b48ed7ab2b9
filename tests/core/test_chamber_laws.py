"""The laws of time: one log, told in any order, in any batches, any number of times, leaves one set of verdicts."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from chance_log import heard_out, logged, told_anyhow
from pace import SHARE, examples
from rule_texts import a_pack, a_rule
from schemas.match import MatchEvent
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, subject_record, text_at
from shuffled_log import Court, Logged, final
from small_world import the_law
from streams.core.instant import SECOND
from streams.core.rulebook import load
from streams.simulator.log import simulated_log

LAW = the_law()
SOME_DAY = datetime(2026, 5, 6, 1, 30, tzinfo=UTC)
SHUFFLES = int(os.environ.get("SHUFFLES", "1000"))
"""Over one or two partitions in turn: half a minute of a processor, so the log holds no more than the law is about."""
SHUFFLED = SHUFFLES if SHARE >= 0.5 else examples(100)
"""Fewer where every line is traced, or the same tests run once more on another Python."""


@told_anyhow(15)
def test_whatever_the_order_the_batches_the_repeats_and_the_crashes_one_set_of_verdicts_is_left(
    log: list[Logged], seed: int, cuts: int, hold: int, partitions: int
) -> None:
    chance = random.Random(seed)
    told = [*log, *chance.sample(log, len(log) // 2)]
    assert heard_out(Court(LAW, partitions), told, chance, cuts=cuts, hold=hold) == final(LAW, log)


def recorded_log() -> list[Logged]:
    """A log with consents and a withdrawal that came late, an event told twice and an identity that was revised."""
    consent = {"record_id": "late", "subject_ref": PEOPLE[1]}
    asked = ("controller", "site", "device", "purpose")
    records = [
        *(each for each in a_settled_world() if getattr(each, "kind", "") in asked),
        a_feed(complete_until=text_at(2)),
        a_feed(valid_from=text_at(1)),
        subject_record("consent_given", valid_from=text_at(-9)),
        subject_record("consent_given", valid_from=text_at(0), **consent),
        subject_record("consent_withdrawn", valid_from=text_at(2)),
    ]
    matches = [
        a_match(event_id=f"event-{number}", occurred_at=text_at(number % 5), subject_ref=PEOPLE[number % 3])
        for number in (0, 1, 2, 4)
    ]
    revised = matches[2].model_copy(
        update={"event_version": 2, "subject_ref": PEOPLE[0], "previous_key": matches[2].key}
    )
    return [logged(each, late * 30 * SECOND) for late, each in enumerate([*records, *matches, revised, matches[1]])]


SMALL_LAW = load(
    [
        (
            "law.yaml",
            a_pack(
                a_rule("test.r1.a", condition="NOT consent_in_force"),
                a_rule("test.r2.b", condition="consent_withdrawn"),
                a_rule("test.r3.c", condition="NOT purpose_registered OR NOT separate_consent_in_force"),
            ),
        )
    ]
)


@pytest.mark.counted
@pytest.mark.timeout(max(180, 2 * SHUFFLES))
def test_a_thousand_shuffles_of_one_log_leave_one_set_of_verdicts() -> None:
    log = recorded_log()
    wanted = final(SMALL_LAW, log)
    assert wanted, "something is wrong in this world, or nothing would be shown"
    causes = set()
    for seed in range(SHUFFLED):
        chance = random.Random(seed)
        court = Court(SMALL_LAW, partitions=1 + seed % 2)
        hold = chance.choice([0, 5 * SECOND])
        assert heard_out(court, log, chance, cuts=2, hold=hold) == wanted, f"seed {seed}"
        causes |= {(each.status, each.cause) for each in court.folded.said}
    met = {("contested", "record"), ("open", "record"), ("retracted", "event"), ("contested", "reconciled")}
    assert met <= causes, "the shuffles meet them all"


def revision(event: Any, other: Any) -> Any:
    """An event whose tracker says later that it was another person."""
    change = {"event_version": 2, "subject_ref": other.subject_ref, "device_id": other.device_id}
    return event.model_copy(update=change | {"previous_key": event.key})


@pytest.mark.untraced
@pytest.mark.parametrize("partitions", [1, 2, 3, 4])
def test_a_simulated_history_told_anyhow_leaves_one_set_of_verdicts(partitions: int) -> None:
    chance = random.Random(partitions)
    world = simulated_log(partitions, SOME_DAY, seconds=4, rate=20, members=50)
    matches = [each for each in world.events if isinstance(each, MatchEvent)]
    revised = [revision(each, chance.choice(matches)) for each in chance.sample(matches, len(matches) // 5)]
    messages = (*world.registry, *world.subjects, *matches, *revised)
    log = [logged(each, chance.choice([0, 45, 300]) * SECOND) for each in messages]
    told = [*log, *chance.sample(log, len(log) // 10)]
    found = heard_out(Court(LAW, partitions), told, chance, cuts=4, hold=5 * SECOND)
    assert found == final(LAW, log)
    assert found, "somebody breaks the law in a simulated world"
