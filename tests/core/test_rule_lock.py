"""A locked revision of a rule says for ever what it said; a change needs a new revision, and keeps the old one."""

from __future__ import annotations

from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from streams.core.rule import AnyRule
from streams.core.rule_lock import broken, from_text, lock_of, to_text, unlocked
from streams.core.rulebook import load
from streams.errors import RulebookError

DUTY: dict[str, Any] = {
    "kind": "deadline",
    "judges": None,
    "condition": None,
    "deadline": {
        "opens": [{"record": "erasure_request"}],
        "key": ["controller", "subject"],
        "due": {"after": 30, "unit": "working_days", "calendar": "CN"},
    },
}


def rules_of(*rules: str) -> tuple[AnyRule, ...]:
    return load([("test.yaml", a_pack(*rules))]).written()


def told(before: tuple[AnyRule, ...], after: tuple[AnyRule, ...]) -> list[str]:
    lock = lock_of(before)
    return [error.args[0] if error.args else str(error) for error in broken(lock, after)]


@pytest.mark.parametrize(
    "change",
    [
        {"condition": "purpose_named"},
        {"exceptions": {"other": "authority_evidenced"}},
        {"in_force": {"from": "2021-01-01"}},
        {"jurisdictions": ["CN"]},
        {"controller_types": ["private"]},
        {"judges": "probe"},
        {"level": "low"},
        {"mode": "shadow"},
        {"excusable": False},
    ],
    ids=str,
)
def test_a_changed_condition_exception_date_scope_or_weight_needs_a_new_revision(change: dict[str, Any]) -> None:
    assert told(rules_of(a_rule()), rules_of(a_rule(**change)))


@pytest.mark.parametrize("due", [{"after": 31}, {"unit": "days"}, {"calendar": "IE"}], ids=str)
def test_a_changed_deadline_needs_a_new_revision(due: dict[str, Any]) -> None:
    deadline = DUTY["deadline"] | {"due": DUTY["deadline"]["due"] | due}
    assert told(rules_of(a_rule(**DUTY)), rules_of(a_rule(**DUTY | {"deadline": deadline})))


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another title"},
        {"description": "In other words."},
        {"limits": "What it cannot see."},
        {"condition": "  NOT   purpose_named -- as before"},
    ],
    ids=str,
)
def test_other_words_about_the_same_rule_need_none(change: dict[str, Any]) -> None:
    assert told(rules_of(a_rule()), rules_of(a_rule(**change))) == []


def test_a_later_revision_ends_the_one_before_and_both_stay() -> None:
    old = a_rule()
    ended = a_rule(in_force={"from": "2020-01-01", "until": "2026-01-01"})
    new = a_rule(revision=2, condition="purpose_named", in_force={"from": "2026-01-01"})
    assert told(rules_of(old), rules_of(ended, new)) == []
    assert told(rules_of(old), rules_of(new)) == ["test.rule revision 1 is locked and gone: a rule keeps its history"]
    moved = a_rule(in_force={"from": "2020-01-01", "until": "2025-06-01"})
    assert told(rules_of(ended, new), rules_of(moved, new))


def test_what_is_not_locked_is_named_until_it_is() -> None:
    rules = rules_of(a_rule(), a_rule("test.other"))
    assert len(list(unlocked({}, rules))) == 2
    assert list(unlocked(lock_of(rules), rules)) == []


@pytest.mark.parametrize("mode", ["active", "shadow"])
def test_a_rule_that_is_off_stays_in_its_lock_and_is_no_other_rule_when_it_is_on_again(mode: str) -> None:
    lock = lock_of(rules_of(a_rule(mode=mode)))
    off = rules_of(a_rule(mode="off"))
    assert lock_of(off, lock) == lock
    assert [*broken(lock, off), *unlocked(lock, off)] == []
    assert list(broken(lock_of(off, lock), rules_of(a_rule(mode=mode)))) == []
    (gone,) = broken(lock, rules_of(a_rule("test.other")))
    assert "locked and gone" in str(gone)
    (changed,) = broken(lock, rules_of(a_rule(mode="off", level="low")))
    assert "give it revision 2" in str(changed)


def test_a_lock_is_read_as_it_was_written() -> None:
    lock = lock_of(rules_of(a_rule(), a_rule(**DUTY | {"rule_id": "test.duty"})))
    assert from_text(to_text(lock), "rules.lock") == lock


@pytest.mark.parametrize("text", ["", "[]", '{"a": {}}', '{"a@1": {"digest": "x"}}', '{"a@x": {"until": 1}}'])
def test_what_is_no_lock_is_refused_with_its_file(text: str) -> None:
    with pytest.raises(RulebookError, match=r"rules\.lock"):
        from_text(text, "rules.lock")
