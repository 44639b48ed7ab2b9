"""Of a batch is entered what duties need, and no more."""

from __future__ import annotations

from typing import Any

from rule_texts import a_pack, a_rule
from small_world import a_match
from streams.core.case import Views, assemble
from streams.core.entry import entries
from streams.core.facts import CaseKind
from streams.core.frame import frame_of
from streams.core.rulebook import load

SEEN: dict[str, Any] = {
    "opens": [{"record": "enrolment"}],
    "key": ["controller", "subject"],
    "due": {"after": 3, "unit": "years"},
    "extended_by": [
        {"case": "match", "condition": "purpose_named", "due": {"after": 3, "unit": "years"}, "restarts": True}
    ],
}  # fmt: skip


def test_of_matches_that_restart_a_deadline_the_latest_of_each_person_is_entered() -> None:
    book = load([("t.yaml", a_pack(a_rule(kind="deadline", judges=None, condition=None, deadline=SEEN)))])
    said = (("e-1", "04:00:00", "s_member_0000000000001"), ("e-3", "05:00:00", "s_member_0000000000001"),
            ("e-2", "05:00:00", "s_member_0000000000001"), ("e-4", "03:00:00", "s_member_0000000000002"))  # fmt: skip
    batch = [a_match(at=f"2026-03-10T{at}Z", event_id=event, subject_ref=who) for event, at, who in said]
    found = list(entries(assemble(frame_of(batch), CaseKind.MATCH, Views()), CaseKind.MATCH, book))
    assert [(each.row, each.case.id) for each in found] == [(1, "e-3"), (3, "e-4")]
