"""Consents run out once, each at its end, unless they were withdrawn before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.subject import ConsentGiven, ConsentWithdrawn, SubjectRecord
from streams.core.consent_end import MINUTE, ConsentEnds
from streams.core.instant import micros
from streams.core.subject_history import Histories

PERSON = "s_AAAAAAAAAAAAAAAAAAAAAA"
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def given_consent(number: int, begin: int, end: int | None) -> ConsentGiven:
    return ConsentGiven(
        record_id=f"g{number}", controller_id="c1", subject_ref=PERSON, valid_from=at(begin),
        valid_until=None if end is None else at(end), purposes=("p1",), actions=("collect",), consent_form="explicit",
    )  # fmt: skip


def withdrawal(minute: int) -> ConsentWithdrawn:
    return ConsentWithdrawn(record_id=f"w{minute}", controller_id="c1", subject_ref=PERSON, valid_from=at(minute))


def taken_in(records: list[SubjectRecord]) -> ConsentEnds:
    ends, histories = ConsentEnds(), Histories()
    for record in records:
        before = histories.consent_ends(PERSON)
        histories.add(record)
        ends.change(before, histories.consent_ends(PERSON))
    return ends


def test_a_consent_runs_out_once_and_one_without_end_never() -> None:
    ends = taken_in([given_consent(1, 0, 10), given_consent(2, 0, None)])
    assert ends.passed(micros(at(9))) == 0
    assert ends.passed(micros(at(10))) == 1
    assert ends.passed(micros(at(10_000))) == 0


@given(st.permutations([0, 1, 2, 3]), st.integers(1, 30))
def test_what_was_withdrawn_before_its_end_does_not_run_out_in_whatever_order_records_come(
    order: list[int], minute: int
) -> None:
    records: list[SubjectRecord] = [
        given_consent(1, 0, 10), given_consent(2, 0, 20), given_consent(3, 15, 25), withdrawal(minute),
    ]  # fmt: skip
    ends = taken_in([records[index] for index in order])
    spans = [(0, 10), (0, 20), (15, 25)]
    left = sum(not begin <= minute < end for begin, end in spans)
    assert ends.passed(micros(at(60))) == left


def test_an_end_within_a_minute_is_told_at_the_full_minute() -> None:
    ends = ConsentEnds()
    ends.change([], [MINUTE * 7 - 1])
    assert ends.passed(MINUTE * 7 - 1) == 0
    assert ends.passed(MINUTE * 7) == 1
