"""The rulebook: every rule compiled and dated, every problem told at once, one digest over what decides."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from small_world import the_law
from streams.core import rulebook as module
from streams.core.facts import CaseKind
from streams.core.instant import NEVER, micros
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook, canonical, load
from streams.errors import Blame, RulebookErrors
from streams.packs import distributed


def book(*rules: str, **pack: Any) -> Rulebook:
    return load([("test.yaml", a_pack(*rules, **pack))])


def the_rule(*rules: str, **pack: Any) -> Rule:
    (rule,) = book(*rules, **pack).rules
    return rule


def problems(*texts: str) -> list[str]:
    """What is wrong with files, each problem as its text with its place."""
    with pytest.raises(RulebookErrors) as raised:
        load([(f"{name}.yaml", text) for name, text in zip("abc", texts, strict=False)])
    assert raised.value.blame is Blame.RULE_AUTHOR
    return [str(problem) for problem in raised.value.problems]


def only_problem(text: str) -> str:
    (problem,) = problems(text)
    return problem


def line_of(text: str, part: str) -> int:
    """The line (from 1) on which a part of a text stands."""
    (line,) = (number for number, line in enumerate(text.splitlines(), 1) if part in line)
    return line


# -- what a rule becomes ----------------------------------------------------------------------------------------------


def test_a_rule_is_compiled_with_its_dates_its_law_and_its_facts() -> None:
    rule = the_rule(
        a_rule(condition="device_zone = 'gate' AND NOT purpose_named", exceptions={"lawful": "authority_evidenced"}),
        jurisdictions=["CN"],
        timezone="Asia/Shanghai",
        in_force={"from": "2025-06-01", "until": "2026-06-01"},
    )
    assert rule.from_instant == micros(datetime(2025, 5, 31, 16, tzinfo=UTC))
    assert rule.until_instant == micros(datetime(2026, 5, 31, 16, tzinfo=UTC))
    assert rule.facts == ("device_zone", "purpose_named", "authority_evidenced")
    assert rule.jurisdictions == ("CN",)
    assert [excuse.name for excuse in rule.excuses] == ["lawful"]
    assert (rule.column, rule.kind, rule.standing) == ("test.rule@1", CaseKind.MATCH, "in_force")


def test_a_rule_may_have_dates_and_places_of_its_own() -> None:
    own = a_rule(in_force={"from": "2024-01-01"}, jurisdictions=[], controller_types=["school"])
    rule = the_rule(own, jurisdictions=["CN"], in_force={"from": "2020-01-01", "until": "2021-01-01"})
    assert rule.from_instant == micros(datetime(2024, 1, 1, tzinfo=UTC))
    assert (rule.until_instant, rule.jurisdictions, rule.controller_types) == (NEVER, (), ("school",))


@pytest.mark.parametrize(
    ("pack", "rule", "standing"),
    [
        ({}, {}, "in_force"),
        ({"status": "draft"}, {}, "what_if"),
        ({}, {"mode": "shadow"}, "what_if"),
    ],
)
def test_a_draft_and_a_shadow_say_what_would_be(pack: dict[str, Any], rule: dict[str, Any], standing: str) -> None:
    assert the_rule(a_rule(**rule), **pack).standing == standing


@pytest.mark.parametrize("off", ["off", "'off'"])
def test_a_rule_that_is_off_is_checked_and_left_out(off: str) -> None:
    switched = a_rule("test.off").rstrip() + f"\n  mode: {off}\n"
    held = book(switched, a_rule("test.on"))
    assert [rule.id for rule in held.every()] == ["test.on"]
    assert [rule.id for rule in held.written()] == ["test.off", "test.on"]
    assert held.digest == book(a_rule("test.on")).digest
    assert "no_such_fact" in only_problem(a_pack(switched.replace("NOT purpose_named", "no_such_fact")))


@pytest.mark.parametrize(
    ("judges", "kind"),
    [
        ("match", CaseKind.MATCH),
        ("probe", CaseKind.MATCH),
        ("subject", CaseKind.MATCH),
        ("access_outcome", CaseKind.ACCESS_OUTCOME),
        ("human_review", CaseKind.HUMAN_REVIEW),
        ("disclosure", CaseKind.DISCLOSURE),
    ],
)
def test_a_rule_judges_one_kind_of_case_and_may_ask_its_facts_only(judges: str, kind: CaseKind) -> None:
    law = book(a_rule(judges=judges))
    assert [rule.kind for rule in law.of_kind(kind)] == [kind]
    selecting = {"jurisdictions", "controller_type"} | ({"stranger"} if judges == "subject" else set())
    assert law.facts_of(kind) == {"purpose_named"} | selecting
    asks = {CaseKind.MATCH: "operation = 'detection'", CaseKind.ACCESS_OUTCOME: "face_scan_refused",
            CaseKind.HUMAN_REVIEW: "reviewers < 2", CaseKind.DISCLOSURE: "disclosed_for_value"}  # fmt: skip
    for other, condition in asks.items():
        pack = a_pack(a_rule(judges=judges, condition=condition))
        if other is kind:
            load([("a.yaml", pack)])
        else:
            assert "a.yaml:" in only_problem(pack)


def test_rules_stand_in_the_order_of_their_ids_and_revisions() -> None:
    law = book(
        a_rule("test.b"),
        a_rule("test.a", revision=2, in_force={"from": "2025-01-01"}),
        a_rule("test.a", in_force={"from": "2024-01-01", "until": "2025-01-01"}),
    )
    assert [rule.column for rule in law.rules] == ["test.a@1", "test.a@2", "test.b@1"]


def test_two_rules_are_never_equal_although_they_say_the_same() -> None:
    assert the_rule() == the_rule() or len({the_rule(), the_rule()}) == 2


# -- the digest -------------------------------------------------------------------------------------------------------


def test_comments_and_white_space_and_the_names_of_files_do_not_count() -> None:
    text = a_pack(a_rule(condition="NOT purpose_named AND device_zone = 'gate'"))
    commented = "# a comment\n" + text.replace("rules:", "\n\nrules:  # here they are")
    block = "condition: |\n    NOT   purpose_named\n    -- why\n      AND device_zone   =  'gate'"
    spaced = text.replace("condition: NOT purpose_named AND device_zone = 'gate'", block)
    assert spaced != text
    digests = {load([(name, each)]).digest for name, each in (("a", text), ("b", commented), ("c", spaced))}
    assert len(digests) == 1
    assert re.fullmatch("[0-9a-f]{64}", digests.pop())


def test_the_order_of_packs_and_of_rules_does_not_count() -> None:
    packs = [
        (name, a_pack(a_rule(f"{name}.b"), a_rule(f"{name}.a"), pack=name)) for name in ("first", "second", "third")
    ]
    loaded = [load(each) for each in permutations(packs)]
    assert len({law.digest for law in loaded}) == 1
    assert {law.packs for law in loaded} == {("first", "second", "third")}
    turned = [(name, a_pack(a_rule(f"{name}.a"), a_rule(f"{name}.b"), pack=name)) for name, _ in packs]
    assert load(turned).digest == loaded[0].digest


CHANGED: dict[str, str] = {
    "id": a_pack(a_rule("test.other")),
    "revision": a_pack(a_rule(revision=2)),
    "condition": a_pack(a_rule(condition="NOT purpose_registered")),
    "exceptions": a_pack(a_rule(exceptions={"lawful": "authority_evidenced"})),
    "name of an exception": a_pack(a_rule(exceptions={"legal": "authority_evidenced"})),
    "level": a_pack(a_rule(level="low")),
    "shadow": a_pack(a_rule(mode="shadow")),
    "judges": a_pack(a_rule(judges="probe")),
    "jurisdictions": a_pack(a_rule(jurisdictions=["CN"])),
    "controller types": a_pack(a_rule(controller_types=["private"])),
    "from": a_pack(in_force={"from": "2020-01-02"}),
    "until": a_pack(in_force={"from": "2020-01-01", "until": "2030-01-01"}),
    "time zone": a_pack(timezone="Asia/Shanghai"),
    "another rule": a_pack(a_rule(), a_rule("test.two")),
}


def test_whatever_can_change_a_verdict_changes_the_digest() -> None:
    digests = {name: load([("a", text)]).digest for name, text in CHANGED.items()} | {"none": book().digest}
    assert len(set(digests.values())) == len(CHANGED) + 1


def test_what_a_rule_says_to_people_does_not_change_the_digest() -> None:
    other = a_rule(title="Another title", description="Other words.", citation="A law, Article 1", limits="Many.")
    assert book(other).digest == book().digest


def test_the_semantics_of_the_engine_are_part_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = book().digest
    monkeypatch.setattr(module, "SEMANTICS", "of another engine")
    assert book().digest != before


def test_the_canonical_form_holds_no_prose() -> None:
    assert canonical(the_rule())["condition"] == "NOT purpose_named"
    assert "title" not in canonical(the_rule())


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_an_id_that_stands_twice_is_a_problem_whatever_its_mode() -> None:
    for first, second in (("active", "active"), ("off", "active"), ("active", "off")):
        text = a_pack(a_rule(mode=first), a_rule(mode=second))
        line = [number for number, line in enumerate(text.splitlines(), 1) if "id: test.rule" in line][1]
        assert only_problem(text) == f"a.yaml:{line}: rule test.rule revision 1 stands twice"


@pytest.mark.parametrize(("until", "begins"), [("2025-01-01", "2025-01-01"), ("2025-01-01", "2025-06-01")])
def test_a_revision_begins_where_the_one_before_has_ended(until: str, begins: str) -> None:
    old = a_rule(in_force={"from": "2024-01-01", "until": until})
    assert len(book(old, a_rule(revision=2, in_force={"from": begins})).rules) == 2


@pytest.mark.parametrize("until", [None, "2025-01-02"])
def test_two_revisions_that_hold_at_one_instant_are_a_problem(until: str | None) -> None:
    dates = {"from": "2024-01-01"} | ({} if until is None else {"until": until})
    text = a_pack(a_rule(in_force=dates), a_rule(revision=2, in_force={"from": "2025-01-01"}))
    assert only_problem(text).endswith("expected test.rule revision 2 to begin where revision 1 ends")


def test_a_pack_that_stands_in_two_files_is_a_problem() -> None:
    assert any(
        "b.yaml:1: pack 'test' is in a.yaml too" in each for each in problems(a_pack(), a_pack(a_rule("test.other")))
    )


def test_an_id_of_another_pack_is_a_problem() -> None:
    text = a_pack(a_rule("other.rule"))
    assert only_problem(text) == f"a.yaml:{line_of(text, 'id: other.rule')}: expected an id that starts with 'test.'"


@pytest.mark.parametrize(
    ("wrong", "right", "known"),
    [("levle", "level", "rules.0.levle"), ("titel", "title", "rules.0.titel"), ("judgez", "judges", "rules.0.judgez")],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known(wrong: str, right: str, known: str) -> None:
    text = a_pack(a_rule(**{wrong: "high"}))  # type: ignore[arg-type]
    assert only_problem(text) == f"a.yaml:{line_of(text, wrong)}: unknown key {known!r}; did you mean {right!r}?"


def test_an_unknown_key_deep_in_a_rule_is_compared_with_the_keys_there() -> None:
    text = a_pack(a_rule(in_force={"from": "2020-01-01", "untill": "2021-01-01"}))
    assert only_problem(text).endswith("unknown key 'rules.0.in_force.untill'; did you mean 'until'?")
    exception = [{"name": "a", "citation": "A law", "condition": "TRUE", "conditon": "TRUE"}]
    text = a_pack(a_rule(exceptions=None) .rstrip() + f"\n  exceptions: {exception}\n")
    assert only_problem(text).endswith("unknown key 'rules.0.exceptions.0.conditon'; did you mean 'condition'?")


def test_an_unknown_key_that_is_like_none_is_told_all_that_are_known() -> None:
    assert only_problem(a_pack(in_force={"from": "2020-01-01", "xyz": 1})).endswith("known here: from, until")


def test_an_unknown_fact_is_told_by_its_line_inside_the_condition() -> None:
    text = a_pack(a_rule(condition="@")).replace("'@'", "|\n    purpose_named\n    AND device_zonn = 'gate'")
    problem = only_problem(text)
    assert problem.startswith(f"a.yaml:{line_of(text, 'device_zonn')}:")
    assert "device_zone" in problem


def test_an_unknown_fact_in_an_exception_is_told_by_its_line() -> None:
    text = a_pack(a_rule(exceptions={"lawful": "authority_evidensed"}))
    problem = only_problem(text)
    assert problem.startswith(f"a.yaml:{line_of(text, 'authority_evidensed')}:")
    assert "authority_evidenced" in problem


@pytest.mark.parametrize("condition", ["device_zone = 5", "device_zone", "reviewers", "purpose_named +", "SELECT 1"])
def test_a_condition_of_another_type_or_language_is_a_problem(condition: str) -> None:
    text = a_pack(a_rule(condition=condition))
    assert only_problem(text).startswith(f"a.yaml:{line_of(text, 'condition:')}:")


@pytest.mark.parametrize(
    ("dates", "part"),
    [
        ({"from": "2025-13-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2025-06-01", "until": "2025-06-01"}, "'until' after 'from'"),
        ({"from": "2025-06-02", "until": "2025-06-01"}, "'until' after 'from'"),
        ({"until": "2025-06-01"}, "in_force.from"),
    ],
)
def test_dates_that_are_none_or_out_of_order_are_a_problem(dates: dict[str, str], part: str) -> None:
    problem = only_problem(a_pack(in_force=dates))
    assert re.match(r"a\.yaml:\d+: ", problem)
    assert part in problem


def test_a_date_that_does_not_exist_is_told_by_its_line() -> None:
    text = a_pack(in_force={"from": "@"}).replace("'@'", "2025-13-01")
    assert only_problem(text) == f"a.yaml:{line_of(text, '2025-13-01')}: expected a value of the type timestamp"


@pytest.mark.parametrize("zone", ["Asia/Beijing", "", "../../etc/passwd", "+08:00"])
def test_a_time_zone_that_nobody_knows_is_a_problem(zone: str) -> None:
    assert "IANA time zone" in only_problem(a_pack(timezone=zone))


def test_all_problems_of_all_files_are_told_at_once() -> None:
    found = problems(
        a_pack(a_rule("other.rule", condition="no_such_fact"), a_rule("test.two", condition="device_zone = 5")),
        "- a list",
        a_pack(a_rule("third.rule", level="loud", per="planet"), pack="third"),
    )
    assert [problem.partition(":")[0] for problem in found] == ["a.yaml"] * 3 + ["b.yaml"] + ["c.yaml"] * 2
    assert "level" in found[4]
    assert "per" in found[5]


def test_a_missing_key_is_named() -> None:
    assert "rules.0.citation: Field required" in only_problem(a_pack(a_rule(citation=None)))


# -- the distribution -------------------------------------------------------------------------------------------------


def test_each_pack_of_the_distribution_is_in_the_rulebook() -> None:
    assert set(the_law().packs) >= {"cn2023", "cn2025", "cnpipl", "core", "eu.aiact", "eu.gdpr", "us.il"}
    assert len(the_law().packs) == len(distributed())
