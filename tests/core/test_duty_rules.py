"""A deadline or a window that means nothing is refused; the law of a day is what was in force then."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from streams.core.instant import NEVER
from streams.core.rule import DeadlineRule, WindowRule
from streams.core.rulebook import Rulebook, as_of, load
from streams.errors import RulebookErrors

DEADLINE: dict[str, Any] = {
    "opens": [{"record": "erasure_request"}],
    "key": ["controller", "subject"],
    "due": {"after": 30, "unit": "days"},
    "fulfilled_by": [{"record": "deletion"}],
}
WINDOW: dict[str, Any] = {"days": 1, "key": "site", "at_least": 3}


def a_deadline(**changes: Any) -> str:
    return a_rule(kind="deadline", judges=None, condition=None, deadline=DEADLINE | changes)


def problems(rule: str) -> str:
    with pytest.raises(RulebookErrors) as caught:
        load([("test.yaml", a_pack(rule))])
    assert all(str(each).startswith("test.yaml:") for each in caught.value.problems)
    return "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"opens": [{"record": "device"}]}, "rests on subject records"),
        ({"opens": [{"record": "erasure_request", "case": "match"}]}, "expected one of 'record', 'case'"),
        ({"fulfilled_by": [{"condition": "TRUE"}]}, "expected 'record' or 'case'"),
        ({"fulfilled_by": [{"record": "deletion", "at": "captured_untl"}]}, "did you mean 'captured_until'"),
        ({"due": {"after": "retention_days", "unit": "days"}}, "expected a number of 'erasure_request'"),
        ({"due": {"after": 1, "unit": "days", "counted_from": "valid_form"}}, "did you mean 'valid_from'"),
        ({"due": {"after": 30, "unit": "working_days"}}, "expected 'calendar' beside working days"),
        ({"due": {"after": 30, "unit": "working_days", "calendar": "QQ"}}, "no working days are known of 'QQ'"),
        ({"opens": [{"case": "match"}], "due": {"after": 93, "unit": "days"}}, "to end within 92 days"),
        ({"key": ["controller"]}, "rests on registry records"),
    ],
    ids=str,
)
def test_a_deadline_that_means_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in problems(a_deadline(**changes))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (a_rule(window=WINDOW), "expected no 'window'"),
        (a_rule(kind="window"), "expected a 'window'"),
        (a_rule(kind="window", window=WINDOW | {"count": "stored_persons"}), "expected no 'judges'"),
        (
            a_rule(kind="window", judges=None, condition=None, window=WINDOW | {"count": "stored_persons"}),
            "expected the key 'controller'",
        ),
        (
            a_rule(kind="deadline", judges=None, condition=None, deadline=DEADLINE, exceptions={"other": "TRUE"}),
            "expected no exceptions of a deadline",
        ),
        (a_rule("other.rule"), "expected an id that starts with 'test.'"),
    ],
    ids=["condition", "no-window", "stored", "stored-key", "exceptions", "id"],
)
def test_a_rule_keeps_to_the_keys_of_its_kind(rule: str, said: str) -> None:
    assert said in problems(rule)


def test_two_revisions_that_hold_at_one_instant_are_refused() -> None:
    with pytest.raises(RulebookErrors, match="to begin where revision 1 ends"):
        load([("test.yaml", a_pack(a_rule(), a_rule(revision=2, in_force={"from": "2026-01-01"})))])


def revised() -> Rulebook:
    first = a_rule(in_force={"from": "2020-01-01", "until": "2026-01-01"})
    second = a_rule(revision=2, condition="purpose_named", in_force={"from": "2026-01-01"})
    window = a_rule("test.window", kind="window", window=WINDOW | {"unless": "purpose_named"})
    case_opens = a_deadline(opens=[{"case": "match"}], fulfilled_by=[{"case": "human_review"}], key=["controller"])
    return load([("test.yaml", a_pack(first, second, window, case_opens.replace("test.rule", "test.duty")))])


@pytest.mark.parametrize(("year", "revision"), [(2019, None), (2025, 1), (2026, 2)])
def test_the_law_of_a_day_is_what_was_in_force_then_and_judges_events_of_any_time(
    year: int, revision: int | None
) -> None:
    book = as_of(revised(), date(year, 3, 1))
    assert [rule.revision for rule in book.rules] == ([] if revision is None else [revision])
    for rule in book.every():
        assert (rule.from_instant, rule.until_instant) == (0, NEVER)
    for asked in book.roles:
        assert asked.from_instant == 0
    kinds = {type(duty) for duty in book.duties}
    assert kinds == (set() if revision is None else {DeadlineRule, WindowRule})
    assert book.digest != revised().digest
