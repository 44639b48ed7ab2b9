"""A person's history: consent from its own instant to its end, withdrawal from its own instant, and never before."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chance_world import instants, subject_records
from schemas.subject import ConsentGiven, ConsentWithdrawn, Enrolment, Restriction, SubjectRecord
from settled_world import CONTROLLERS, PEOPLE, PURPOSES, subject_record, text_at, tick
from streams.core import subject_history
from streams.core.claim import GIVEN, WITHDRAWN
from streams.core.facts import Unknown
from streams.core.history import SEGMENTS_MAX
from streams.core.instant import micros
from streams.core.subject_history import Histories
from streams.core.subject_state import State

ME = PEOPLE[0]


def histories_of(*records: SubjectRecord) -> Histories:
    histories = Histories()
    for record in records:
        histories.add(record)
    return histories


def state(histories: Histories, instant: int, purpose: str | None = "entry", controller: str = "zoo") -> State:
    return histories.states[histories.states_at([(ME, controller, purpose, instant)])[0]]


def given_at(number: int, **fields: Any) -> SubjectRecord:
    return subject_record("consent_given", record_id=f"given-{number}", valid_from=text_at(number), **fields)


def withdrawn_at(number: int, **fields: Any) -> SubjectRecord:
    return subject_record("consent_withdrawn", record_id=f"withdrawn-{number}", valid_from=text_at(number), **fields)


def in_force(histories: Histories, *instants: int, **where: Any) -> list[bool]:
    return [bool(state(histories, instant, **where).forms) for instant in instants]


def test_consent_counts_from_its_own_instant_up_to_its_end() -> None:
    histories = histories_of(given_at(1, valid_until=text_at(3)))
    assert in_force(histories, tick(1, -1), tick(1), tick(3, -1), tick(3)) == [False, True, True, False]
    assert not state(histories, tick(3)).withdrawn, "an end is no withdrawal"


def test_a_withdrawal_counts_from_its_own_instant_and_not_before() -> None:
    histories = histories_of(given_at(1), withdrawn_at(3))
    assert in_force(histories, tick(3, -1), tick(3), tick(3, 1)) == [True, False, False]
    assert [state(histories, instant).withdrawn for instant in (tick(3, -1), tick(3), tick(8))] == [False, True, True]


def test_at_one_instant_the_withdrawal_wins() -> None:
    histories = histories_of(withdrawn_at(3), given_at(3))
    assert in_force(histories, tick(3)) == [False]
    assert state(histories, tick(3)).withdrawn


def test_consent_given_again_after_a_withdrawal_counts_and_ends_like_any_other() -> None:
    histories = histories_of(given_at(1), withdrawn_at(3), given_at(4, valid_until=text_at(5)))
    assert in_force(histories, tick(2), tick(3), tick(4), tick(5)) == [True, False, True, False]
    assert not state(histories, tick(4)).withdrawn
    assert not state(histories, tick(5)).withdrawn, "the second consent ended by itself"


def test_a_withdrawal_ends_every_consent_that_it_covers_and_no_other() -> None:
    both = given_at(1, purposes=["entry", "ads"])
    named = histories_of(both, withdrawn_at(3, purposes=["ads"]))
    assert in_force(named, tick(3), purpose="entry") == [True]
    assert in_force(named, tick(3), purpose="ads") == [False]
    everything = histories_of(both, withdrawn_at(3))
    assert in_force(everything, tick(3), purpose="entry") == in_force(everything, tick(3), purpose="ads") == [False]


def test_what_was_said_to_another_controller_or_purpose_does_not_count() -> None:
    histories = histories_of(given_at(1))
    assert in_force(histories, tick(1), purpose="ads") == [False]
    assert in_force(histories, tick(1), controller="mall") == [False]
    histories.add(withdrawn_at(2, controller_id="mall"))
    assert in_force(histories, tick(2)) == [True]


@pytest.mark.parametrize(
    ("form", "separate"),
    [("implied", ()), ("bundled", ()), ("explicit", ()), ("separate", ("collect",)), ("written", ("collect",))],
)
def test_only_separate_and_written_consent_is_separate(form: str, separate: tuple[str, ...]) -> None:
    held = state(histories_of(given_at(1, consent_form=form, actions=["collect"])), tick(1))
    assert (held.forms, held.actions, held.separate_actions) == ((form,), ("collect",), separate)


def test_several_consents_count_together_and_each_with_its_own_form() -> None:
    histories = histories_of(
        given_at(1, consent_form="implied", actions=["share"]),
        given_at(2, consent_form="written", actions=["identify", "collect"], giver="guardian"),
    )
    held = state(histories, tick(2))
    assert held.forms == ("implied", "written")
    assert held.givers == ("guardian", "self")
    assert held.actions == ("collect", "identify", "share")
    assert held.separate_actions == ("collect", "identify")


def test_age_is_what_the_latest_enrolment_says_and_unknown_where_it_does_not() -> None:
    histories = histories_of(
        subject_record("enrolment", record_id="e1", valid_from=text_at(1), age_band="under_14"),
        subject_record("enrolment", record_id="e2", valid_from=text_at(3), age_band="adult"),
        subject_record("enrolment", record_id="e3", valid_from=text_at(5), age_band="unknown"),
    )
    ages = [state(histories, instant).age_band for instant in (tick(1, -1), tick(1), tick(3), tick(5))]
    assert ages == [None, "under_14", "adult", None]


def test_a_restriction_holds_between_its_ends() -> None:
    histories = histories_of(subject_record("restriction", valid_from=text_at(1), valid_until=text_at(3)))
    held = [state(histories, instant).restricted for instant in (tick(1, -1), tick(1), tick(3, -1), tick(3))]
    assert held == [False, True, True, False]


def test_of_a_record_the_highest_version_counts() -> None:
    first = given_at(1)
    corrected = given_at(1, record_version=2, actions=["collect"])
    for records in ([first, corrected], [corrected, first]):
        assert state(histories_of(*records), tick(1)).actions == ("collect",)


def test_two_contents_of_one_version_make_the_person_unknown() -> None:
    histories = histories_of(given_at(1), given_at(1, actions=["collect"]))
    assert state(histories, tick(1)) == State(why=Unknown.CONFLICT)
    histories.add(given_at(1, record_version=2))
    assert in_force(histories, tick(1)) == [True]


def test_an_unreadable_record_makes_the_person_unknown_until_a_readable_one_comes() -> None:
    histories = histories_of(given_at(1))
    assert in_force(histories, tick(1)) == [True]
    histories.mark_unreadable(ME)
    assert state(histories, tick(1)) == State(why=Unknown.RECORD_UNREADABLE)
    histories.add(given_at(1))
    assert in_force(histories, tick(1)) == [True]
    histories.mark_unreadable(PEOPLE[1])
    assert (
        histories.states[histories.states_at([(PEOPLE[1], "zoo", None, tick(1))])[0]].why is Unknown.RECORD_UNREADABLE
    )


def test_who_was_never_heard_of_has_the_state_of_nobody() -> None:
    histories = histories_of(given_at(1))
    assert histories.states_at([(PEOPLE[1], "zoo", "entry", tick(1))])[0] == 0
    assert histories.states[0] == State()
    assert State().rests_on_absence


def test_where_no_purpose_is_named_consent_is_known_only_if_all_purposes_agree() -> None:
    histories = histories_of(given_at(1), subject_record("enrolment", valid_from=text_at(1)))
    unnamed = state(histories, tick(1), purpose=None)
    assert unnamed == State(why_consent=Unknown.NOT_REPORTED, age_band="adult", image_source="capture")
    assert not unnamed.rests_on_absence
    assert state(histories, tick(0), purpose=None) == State(), "there is no consent to any purpose"
    histories.add(withdrawn_at(2))
    assert state(histories, tick(2), purpose=None) == state(histories, tick(2), purpose="entry")


def test_made_up_purposes_do_not_fill_the_memory() -> None:
    histories = histories_of(given_at(1), given_at(2))
    history = histories.history(ME)
    assert history is not None
    for number in range(3 * SEGMENTS_MAX):
        assert in_force(histories, tick(1), purpose=f"made-up-{number}") == [False]
        assert len(history._segments or ()) <= SEGMENTS_MAX
    assert in_force(histories, tick(1)) == [True]


def test_made_up_purposes_of_a_person_with_one_record_do_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject_history, "ONES_MAX", 8)
    histories = histories_of(given_at(1))
    for number in range(30):
        assert in_force(histories, tick(1), purpose=f"made-up-{number}") == [False]
        assert len(histories._ones) <= 8
    assert in_force(histories, tick(1)) == [True]


def naive(records: list[SubjectRecord], purpose: str | None, controller: str, instant: int) -> State:
    """The state by a plain reading of all records of the person; no purpose is dealt with above."""
    mine = [each for each in records if each.subject_ref == ME]
    top = {each.record_id: max(r.record_version for r in mine if r.record_id == each.record_id) for each in mine}
    current: list[SubjectRecord] = []
    for each in mine:
        if each.record_version == top[each.record_id] and each not in current:
            current.append(each)
    if len(current) > len(top):
        return State(why=Unknown.CONFLICT)
    begun = [each for each in current if each.controller_id == controller and micros(each.valid_from) <= instant]
    open_ = [each for each in begun if each.valid_until is None or instant < micros(each.valid_until)]
    taken_back = [
        each.valid_from
        for each in begun
        if isinstance(each, ConsentWithdrawn) and (not each.purposes or purpose in each.purposes)
    ]
    consents = [
        each
        for each in open_
        if isinstance(each, ConsentGiven) and purpose in each.purposes and all(w < each.valid_from for w in taken_back)
    ]
    anew = [
        each
        for each in begun
        if isinstance(each, ConsentGiven) and purpose in each.purposes and all(w < each.valid_from for w in taken_back)
    ]
    enrolments = sorted(
        (each.valid_from, each.record_id, each.age_band, each.source_of_image or "")
        for each in begun
        if isinstance(each, Enrolment)
    )
    age, image = enrolments[-1][2:] if enrolments else ("unknown", "")
    said = [each for each in consents if each.consent_form in ("explicit", "separate", "written")]
    strong = [each for each in consents if each.consent_form in ("separate", "written")]
    return State(
        forms=tuple(sorted({each.consent_form for each in consents})),
        givers=tuple(sorted({each.giver for each in consents})),
        actions=tuple(sorted({action for each in consents for action in each.actions})),
        separate_actions=tuple(sorted({action for each in strong for action in each.actions})),
        explicit_actions=tuple(sorted({action for each in said for action in each.actions})),
        withdrawn=bool(taken_back) and not anew,
        age_band=None if age == "unknown" else age,
        image_source=image or None,
        restricted=any(isinstance(each, Restriction) for each in open_),
    )


@given(
    st.lists(subject_records, max_size=10),
    st.randoms(use_true_random=False),
    st.lists(instants, min_size=1, max_size=4),
    st.sampled_from([*PURPOSES, "never-heard-of"]),
)
def test_a_state_equals_a_plain_reading_of_all_records_in_any_order(
    records: list[SubjectRecord], chance: Random, moments: list[int], purpose: str
) -> None:
    shuffled = [*records, *records[::2]]
    chance.shuffle(shuffled)
    histories = Histories()
    for number, record in enumerate(shuffled):
        histories.add(record)
        if number % 3 == 0:  # what was asked before must not stick
            histories.states_at([(ME, "zoo", purpose, moments[0])])[0]
    for controller in CONTROLLERS:
        for moment in moments:
            assert state(histories, moment, purpose, controller) == naive(records, purpose, controller, moment)
    assert len(histories.states) == len(set(histories.states)), "a state is interned once"


@given(st.lists(subject_records, max_size=8), instants)
def test_the_records_behind_a_state_are_those_in_force(records: list[SubjectRecord], moment: int) -> None:
    histories = histories_of(*records)
    history = histories.history(ME)
    held = state(histories, moment)
    if history is None or held.why is not None:
        return
    by_id = {each.record_id: each.content for each in history}
    behind = [by_id[each] for each in history.consent_records("zoo", "entry", moment)]
    assert all(each.kind == (GIVEN if held.forms else WITHDRAWN) for each in behind)
    assert bool(behind) == bool(held.forms or held.withdrawn)
    assert {each.form for each in behind if each.kind == GIVEN} == set(held.forms)
    ages = [by_id[each] for each in history.enrolment_records("zoo", moment)]
    assert [each.age_band for each in ages] in ([[held.age_band]] if held.age_band else [[], [None]])
    assert bool(history.restriction_records("zoo", moment)) == held.restricted
