"""Profiles: by columns the same state as by history, whatever was said; and one shape for all who live alike."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from chance_world import instants, subject_records
from schemas.subject import SubjectRecord
from settled_world import CONTROLLERS, PEOPLE, PURPOSES, subject_record, text_at, tick
from streams.core.history import NOTHING_KNOWN
from streams.core.instant import micros
from streams.core.life import Lives
from streams.core.profile import Profiles
from streams.core.subject_history import UNNAMED, Histories


def histories_of(*records: SubjectRecord) -> Histories:
    histories = Histories()
    for record in records:
        histories.add(record)
    return histories


def profiled(histories: Histories, asked: list[tuple[str | None, str, str | None, int]]) -> list[int]:
    """The state of each who is asked about, by profiles; who is not named has none."""
    profiles = Profiles(histories)
    refs, controllers, purposes, at = (list(each) for each in zip(*asked, strict=True))
    found = profiles.at(
        pl.Series(refs, dtype=pl.String),
        pl.Series([profiles.controller(each) for each in controllers], dtype=pl.Int64),
        pl.Series(at, dtype=pl.Int64),
    )
    return [profiles.state(profile, purpose) for profile, purpose in zip(found, purposes, strict=True)]


@given(
    st.lists(subject_records, max_size=12),
    st.lists(st.sampled_from(PEOPLE), max_size=2),
    st.lists(instants, min_size=1, max_size=3),
    st.sampled_from([(), ("s_nobody-spoke-of-me-at-all",), (None, "s_nobody-spoke-of-me-at-all")]),
)
def test_a_profile_says_what_the_history_says(
    records: list[SubjectRecord], unreadable: list[str], moments: list[int], others: tuple[str | None, ...]
) -> None:
    histories = histories_of(*records)
    for ref in unreadable:
        histories.mark_unreadable(ref)
    edges = [micros(each.valid_from) + beside for each in records for beside in (-1, 0, 1)]
    asked = [
        (ref, controller, purpose, at)
        for ref in (*(ref for ref in PEOPLE if others or histories.history(ref)), *others)
        for controller in CONTROLLERS
        for purpose in (*PURPOSES, "another", None)
        for at in (*moments, *edges)
    ]
    said = [NOTHING_KNOWN if state == UNNAMED else state for state in histories.states_at(asked)]
    assert not asked or profiled(histories, asked) == said


def test_of_two_enrolments_of_one_instant_the_record_that_sorts_last_counts() -> None:
    bands = ("under_14", "adult")
    said = [
        subject_record(
            "enrolment", record_id=f"{name}-{which}", subject_ref=person, age_band=band, valid_from=text_at(1)
        )
        for person, order in zip(PEOPLE, (bands, bands[::-1]), strict=False)
        for which, (name, band) in enumerate(zip("ab", order, strict=True))
    ]
    histories = histories_of(*said)
    controller = said[0].controller_id
    asked: list[tuple[str | None, str, str | None, int]] = [(ref, controller, None, tick(2)) for ref in PEOPLE[:2]]
    found = [histories.states[state].age_band for state in profiled(histories, asked)]
    assert found == ["adult", "under_14"]
    assert profiled(histories, asked) == histories.states_at(asked)


def test_whoever_lives_alike_is_one_shape_whenever_that_was() -> None:
    said = [
        subject_record(kind, record_id=f"{kind}-{person}", subject_ref=person, valid_from=text_at(at + number))
        for number, person in enumerate(PEOPLE)
        for kind, at in (("consent_given", -20), ("enrolment", -10))
    ]
    known = [history for _, history in histories_of(*said).items()]
    lives = Lives(known, lambda _: 0)
    assert len(list(lives.examples())) == 1
    assert lives.apart == []
    assert lives.stretches.height == 3 * len(PEOPLE)
