"""What a case was entered for is corrected like a verdict: in the end duties and counts rest on all that is known."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chance_log import heard_out, told_anyhow
from duty_world import NO_CASE
from rule_texts import a_pack, a_rule
from settled_world import PEOPLE, START, a_feed, a_match, a_settled_world, subject_record, text_at
from shuffled_log import Court, Logged, finally_owed
from streams.core.instant import SECOND
from streams.core.rulebook import load

END = START + 30 * 86_400 * SECOND
"""A month later: every deadline below has passed."""


def a_deadline(rule_id: str, **deadline: Any) -> str:
    return a_rule(rule_id, **NO_CASE | {"deadline": {"due": {"after": 24, "unit": "hours"}} | deadline})


REVIEW = {"fulfilled_by": [{"case": "human_review"}]}
UNCONSENTED = {"case": "match", "condition": "NOT consent_in_force"}
BOOK = load(
    [
        (
            "t.yaml",
            a_pack(
                a_deadline("test.each", opens=[UNCONSENTED], key=["controller", "event"], **REVIEW),
                a_deadline("test.daily", opens=[UNCONSENTED], key=["controller", "subject"], once="day", **REVIEW),
                a_deadline(
                    "test.seen",
                    opens=[{"record": "enrolment"}],
                    key=["controller", "subject"],
                    fulfilled_by=[{"record": "deletion"}],
                    extended_by=[
                        {
                            "case": "match",
                            "condition": "device_registered",
                            "due": {"after": 24, "unit": "hours"},
                            "restarts": True,
                        }
                    ],
                ),
                a_rule(
                    "test.crowded",
                    kind="window",
                    condition="NOT consent_in_force",
                    window={"days": 1, "key": "site", "at_least": 2},
                ),
                a_rule(
                    "test.persons",
                    kind="window",
                    condition="NOT purpose_registered",
                    window={"days": 1, "key": "site", "count": "subjects", "at_least": 2},
                ),
                a_rule(
                    "test.quiet",
                    kind="window",
                    condition="purpose_named",
                    window={"days": 1, "key": "site", "at_least": 2, "unless": "consent_in_force"},
                ),
            ),
        )
    ]
)


@told_anyhow(30)
def test_whatever_the_order_the_batches_the_repeats_and_the_crashes_the_same_is_owed(
    log: list[Logged], seed: int, cuts: int, hold: int, partitions: int
) -> None:
    chance = random.Random(seed)
    court = Court(BOOK, partitions)
    heard_out(court, [*log, *chance.sample(log, len(log) // 2)], chance, cuts=cuts, hold=hold)
    assert court.owed(chance, END) == finally_owed(BOOK, log, END)


# -- one by one --------------------------------------------------------------------------------------------------------

NO_CONSENT = [each for each in a_settled_world() if getattr(each, "kind", "") != "consent_given"]
ONE = a_match(event_id="one", occurred_at=text_at(0))
TWO = a_match(event_id="two", occurred_at=text_at(2))
CONSENT = subject_record("consent_given", valid_from=text_at(-9))
FOR_ONE = subject_record("consent_given", valid_from=text_at(-9), valid_until=text_at(1))
SHE = ONE.model_copy(update={"event_version": 2, "subject_ref": PEOPLE[1], "previous_key": ONE.key})
"""The first event, whose identity was revised."""
HER_CONSENT = subject_record("consent_given", valid_from=text_at(-9), subject_ref=PEOPLE[1])


def at(seconds: int, message: Any) -> Logged:
    return Logged(message, START + seconds * SECOND)


def a_court(*told: Any, feed: Any = None) -> Court:
    """A zoo where nobody has agreed, and what it was told then, one after the other."""
    court = Court(BOOK)
    court.tell([at(0, each) for each in (*NO_CONSENT, feed or a_feed())])
    court.look()
    court.tell([at(1, each) for each in told])
    return court


def breached(court: Court) -> list[str]:
    """The rules that stand breached in the end, those on devices and names aside."""
    court.end()
    found = [rule for rule, _, status in court.owed(random.Random(7), END) if status == "breached"]
    return [rule for rule in found if rule in ("test.each", "test.daily", "test.crowded")]


def test_of_two_matches_without_consent_each_counts_for_itself_and_one_for_the_day() -> None:
    assert breached(a_court(ONE, TWO)) == ["test.crowded", "test.daily", "test.each", "test.each"]


def test_a_consent_that_comes_late_takes_both_out_of_everything() -> None:
    court = a_court(ONE, TWO)
    court.tell([at(2, CONSENT)])
    assert breached(court) == []


def test_where_the_first_of_a_day_is_taken_out_the_next_one_stands_in_for_it() -> None:
    court = a_court(ONE, TWO)
    court.tell([at(2, FOR_ONE)])
    assert breached(court) == ["test.daily", "test.each"]

    court = a_court(ONE, TWO, HER_CONSENT)
    court.tell([at(2, SHE)])
    assert breached(court) == ["test.daily", "test.each"], "also where nothing came about the next one itself"


def test_a_withdrawal_that_comes_late_enters_what_was_clear() -> None:
    court = a_court(CONSENT, ONE, TWO)
    assert breached(court) == []
    court.tell([at(3_700, subject_record("consent_withdrawn", valid_from=text_at(1)))])
    assert breached(court) == ["test.daily", "test.each"]


def test_a_revised_identity_moves_what_was_entered_and_leaves_nothing_behind() -> None:
    court = a_court(ONE, HER_CONSENT)
    court.tell([at(2, SHE)])
    assert breached(court) == []


def test_what_a_feed_left_in_doubt_is_certain_once_the_feed_has_come_further() -> None:
    court = a_court(ONE, TWO, feed=a_feed(complete_until=text_at(-1)))
    assert breached(court) == []
    court.tell([at(60, a_feed(record_version=2))])
    assert breached(court) == ["test.crowded", "test.daily", "test.each", "test.each"]


@pytest.mark.parametrize("seed", range(4))
def test_whoever_takes_over_takes_out_what_a_worker_that_died_had_entered(seed: int) -> None:
    court = a_court(ONE, TWO)
    court.tell([at(2, CONSENT)])  # and the worker dies before it looks
    court.crash(random.Random(seed))
    assert breached(court) == []
