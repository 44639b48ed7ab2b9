"""Of a batch is entered what duties need, and no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rule_texts import a_pack, a_rule
from schemas.contract import Message
from small_world import a_match
from streams.core.case import Views, assemble
from streams.core.entry import PART, entries, needed
from streams.core.facts import CaseKind
from streams.core.frame import frame_of
from streams.core.rule import Role
from streams.core.rulebook import load

HALF_DAY = timedelta(hours=12)
SCHEMA = {
    PART: pl.UInt32(),
    "event_id": pl.String(),
    "occurred_at": pl.Datetime("us", "UTC"),
    "controller_id": pl.String(),
    "subject_ref": pl.String(),
}
SEEN: dict[str, Any] = {
    "opens": [{"record": "enrolment"}],
    "key": ["controller", "subject"],
    "due": {"after": 3, "unit": "years"},
    "extended_by": [
        {"case": "match", "condition": "purpose_named", "due": {"after": 3, "unit": "years"}, "restarts": True}
    ],
}  # fmt: skip


QUARTERLY: dict[str, Any] = {
    "opens": [{"case": "match"}],
    "key": ["controller"],
    "once": "quarter",
    "due": {"after": 30, "unit": "days", "from_end_of": "quarter"},
    "fulfilled_by": [{"record": "filing"}],
}
SOLE: dict[str, Any] = {
    "days": 1, "key": "site", "count": "cases", "at_least": 2, "unless": "NOT purpose_named",
}  # fmt: skip
SUBJECTS: dict[str, Any] = {"days": 1, "key": "controller", "count": "subjects", "at_least": 2}


def ids(rule: str, *batch: Message) -> list[tuple[str, str]]:
    """Role and event of what a rule has entered of matches."""
    cases = assemble(frame_of(list(batch)), CaseKind.MATCH, Views())
    return [(each.case.what, each.case.id) for each in entries(cases, CaseKind.MATCH, load([("t.yaml", a_pack(rule))]))]


ROLES = [
    role
    for deadline in (QUARTERLY, QUARTERLY | {"once": "ever"}, QUARTERLY | {"once": "day"}, SEEN)
    for role in load(
        [("t.yaml", a_pack(a_rule(kind="deadline", judges=None, condition=None, deadline=deadline)))]
    ).roles.values()
]
CASES = st.lists(
    st.fixed_dictionaries(
        {
            PART: st.integers(0, 1),
            "event_id": st.sampled_from(["e-1", "e-2", "ä", "\U0001f6c2"]),
            "occurred_at": st.integers(0, 5).map(lambda number: datetime(2026, 3, 30, tzinfo=UTC) + number * HALF_DAY),
            "controller_id": st.sampled_from(["zoo", "mall"]),
            "subject_ref": st.sampled_from(["s_1", "s_2", None]),
        }
    )
)


@given(CASES, st.sampled_from(ROLES))
def test_few_cases_are_chosen_from_as_many_are(cases: list[dict[str, Any]], role: Role) -> None:
    rows = pl.DataFrame(cases, schema=SCHEMA).with_row_index("at")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.core.entry.FEW_CASES", -1)
        many = needed(rows, role)
    assert needed(rows, role).equals(many)


def test_of_matches_that_open_one_duty_the_first_of_each_period_is_entered() -> None:
    said = (("e-1", "2026-03-31T23:00:00Z"), ("e-2", "2026-02-10T10:00:00Z"), ("e-3", "2026-04-01T00:00:00Z"),
            ("e-4", "2026-05-01T00:00:00Z"))  # fmt: skip
    batch = [a_match(at=at, event_id=event) for event, at in said]
    rule = a_rule(kind="deadline", judges=None, condition=None, deadline=QUARTERLY)
    assert ids(rule, *batch) == [("opens-0", "e-2"), ("opens-0", "e-3")]
    every = ["e-1", "e-2", "e-3", "e-4"]
    for once, kept in (("ever", ["e-2"]), ("day", every), ("each", every)):
        rule = a_rule(kind="deadline", judges=None, condition=None, deadline=QUARTERLY | {"once": once})
        assert [event for _, event in ids(rule, *batch)] == kept


def test_of_matches_that_silence_a_window_the_first_of_a_day_is_entered_and_of_those_that_count_all() -> None:
    rule = a_rule(kind="window", condition="TRUE", window=SOLE)
    batch = [
        a_match(at=f"2026-03-10T0{number}:00:00Z", event_id=f"e-{number}", purpose_id=None)
        for number in (3, 1, 2)
    ]
    found = ids(rule, *batch)
    assert sorted(found) == [("counts", "e-1"), ("counts", "e-2"), ("counts", "e-3"), ("unless", "e-1")]


def test_of_matches_that_count_as_persons_one_of_each_person_and_day_is_entered_and_of_nobody_none() -> None:
    rule = a_rule(kind="window", condition="TRUE", window=SUBJECTS)
    people = ("s_member_0000000000001", "s_member_0000000000002", "s_member_0000000000001")
    batch = [
        a_match(at=f"2026-03-10T0{number}:00:00Z", event_id=f"e-{number}", subject_ref=who)
        for number, who in enumerate(people)
    ]
    assert ids(rule, *batch) == [("counts", "e-0"), ("counts", "e-1")]
    of_persons = a_rule(kind="window", condition="TRUE", window=SUBJECTS | {"key": "subject", "count": "sites"})
    assert ids(of_persons, a_match(subject_ref=None)) == []


def test_what_is_in_doubt_extends_nothing_and_opens_in_doubt() -> None:
    doubtful = [{"case": "match", "condition": "consent_in_force", "due": {"after": 3, "unit": "years"}}]
    extending = a_rule(kind="deadline", judges=None, condition=None, deadline=SEEN | {"extended_by": doubtful})
    assert ids(extending, a_match()) == []
    opening = QUARTERLY | {"opens": [{"case": "match", "condition": "consent_in_force"}]}
    assert ids(a_rule(kind="deadline", judges=None, condition=None, deadline=opening), a_match()) != []


def test_of_matches_that_restart_a_deadline_the_latest_of_each_person_is_entered() -> None:
    book = load([("t.yaml", a_pack(a_rule(kind="deadline", judges=None, condition=None, deadline=SEEN)))])
    said = (("e-1", "04:00:00", "s_member_0000000000001"), ("e-3", "05:00:00", "s_member_0000000000001"),
            ("e-2", "05:00:00", "s_member_0000000000001"), ("e-4", "03:00:00", "s_member_0000000000002"))  # fmt: skip
    batch = [a_match(at=f"2026-03-10T{at}Z", event_id=event, subject_ref=who) for event, at, who in said]
    found = list(entries(assemble(frame_of(batch), CaseKind.MATCH, Views()), CaseKind.MATCH, book))
    assert [(each.row, each.case.id) for each in found] == [(1, "e-3"), (3, "e-4")]
