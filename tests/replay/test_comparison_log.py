"""The log of violations and an answer are at one where a reconciliation would find nothing to correct."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from settled_world import PEOPLE, tick
from small_answer import RULES, a_verdict, an_answer, of
from streams.core.instant import moment_of
from streams.replay.comparison import Comparison, Difference, Left
from streams.replay.comparison_log import compare_log
from streams.replay.comparison_page import as_object, page
from streams.replay.reconciliation import reconcile
from streams.replay.violation_log import ViolationLog

STATUSES = (None, "open", "contested", "retracted", "excused")
OUTCOMES = ("clear", "undetermined", "excused", "violation")
LATER = moment_of(tick(0)) + timedelta(hours=1)
CASES: Mapping[str, dict[str, Any]] = {
    "event": {},
    "deadline": {"event_id": None, "device_id": None, "event_kind": "deadline", "violation_id": "ab" * 32},
    "elsewhere": {"device_id": "gate-2"},
    "later": {"occurred_at": LATER},
}


def compared(folder: Path, was: str | None, outcome: str, **case: Any) -> tuple[Comparison, int]:
    """What a log that says `was` and an answer are told to differ in, and how many corrections there would be."""
    verdict = a_verdict("a", outcome=outcome, reason="conflict" if outcome == "undetermined" else None, **case)
    answer = an_answer(folder, [] if outcome == "clear" else [verdict])
    log = ViolationLog("violations", 1, lambda _: True)
    if was is not None:
        said = of(a_verdict("a", **case) | ({"obligation_id": "ab" * 32} if "violation_id" in case else {}), was)
        log.last[said.violation_id] = said
    return compare_log(log.last, answer), len(reconcile(answer, log, 1).corrections)


@pytest.mark.parametrize("case", CASES)
def test_they_differ_where_a_reconciliation_would_correct_the_log_and_nowhere_else(case: str, tmp_path: Path) -> None:
    for number, (was, outcome) in enumerate(product(STATUSES, OUTCOMES)):
        found, corrections = compared(tmp_path / str(number), was, outcome, **CASES[case])
        assert found.differs == (corrections > 0), (was, outcome)
        assert found.rows.height + found.left.height <= 1


@pytest.mark.parametrize(("outcome", "why"), [("clear", Left.CONTESTED), ("undetermined", Left.CONTESTED)])
def test_what_is_contested_stays_so_until_a_person_decides_and_is_told_in_a_row_of_its_own(
    outcome: str, why: Left, tmp_path: Path
) -> None:
    found, _ = compared(tmp_path, "contested", outcome)
    assert found.left["left"].to_list() == [why.value]
    became = "nothing" if outcome == "clear" else outcome
    assert page(found).splitlines()[-3:] == [
        "Contested, left to a person: 1",
        f"  {RULES[0]}, for example a",
        f"           1  contested -> {became}; controller zoo, site gates, purpose entry",
    ]
    assert as_object(found)["contested"] == {
        "total": 1,
        "counts": [
            {"rule_id": RULES[0], "controller_id": "zoo", "site_id": "gates", "purpose_id": "entry",
             "was": "contested", "became": became, "n": 1, "examples": ["a"]}
        ],
    }  # fmt: skip
    assert not any(person in page(found) for person in PEOPLE)


def test_a_contested_violation_that_the_answer_excuses_is_caught_no_longer_and_one_that_it_finds_is_news(
    tmp_path: Path,
) -> None:
    found = {
        word: compared(tmp_path / word, "contested", word)[0].rows["difference"].to_list() for word in OUTCOMES[2:]
    }
    assert found == {"excused": [Difference.NO_LONGER_VIOLATING], "violation": [Difference.NEWLY_VIOLATING]}


@pytest.mark.parametrize("case", ["deadline", "elsewhere", "later"])
def test_what_an_answer_cannot_have_seen_is_told_apart(case: str, tmp_path: Path) -> None:
    found, _ = compared(tmp_path, "open", "clear", **CASES[case])
    assert found.left["left"].to_list() == [Left.NOT_SEEN.value]
