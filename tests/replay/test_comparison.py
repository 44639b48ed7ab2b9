"""What two answers say of one breach is compared by its id: the dangerous direction first, and never a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import Run
from pace import examples
from settled_world import PEOPLE, text_at, tick
from small_answer import RULES, a_verdict, an_answer, whole_manifest
from streams.core.instant import moment_of
from streams.replay.comparison import NOTHING, Difference, compare, said_by_answer
from streams.replay.comparison_page import as_object, page

WORDS = (NOTHING, "undetermined", "excused", "violation")


def said(outcomes: dict[str, str], folder: Path) -> Any:
    verdicts = [a_verdict(event, outcome=outcome) for event, outcome in outcomes.items() if outcome != NOTHING]
    return said_by_answer(an_answer(folder, verdicts))


def expected(was: str, became: str) -> Difference | None:
    if was == became:
        return None
    if "violation" in (was, became):
        return Difference.NO_LONGER_VIOLATING if was == "violation" else Difference.NEWLY_VIOLATING
    return Difference.NEWLY_UNDETERMINED if became == "undetermined" else Difference.OTHERWISE


def test_every_pair_of_words_has_its_difference(tmp_path: Path) -> None:
    pairs = {f"{was}-{became}": (was, became) for was in WORDS for became in WORDS}
    old = said({event: was for event, (was, _) in pairs.items()}, tmp_path / "old")
    new = said({event: became for event, (_, became) in pairs.items()}, tmp_path / "new")
    found = compare(old, new)
    told = dict(found.rows.select("event_id", "difference").iter_rows())
    assert told == {event: each.value for event, pair in pairs.items() if (each := expected(*pair))}
    assert found.compared == len(pairs) - 1, "of what both call clear nobody has a word"


def test_the_log_of_violations_that_says_nothing_does_not_contradict_an_unknown(tmp_path: Path) -> None:
    old = said({"told": "violation"}, tmp_path / "old")
    new = said({"told": "undetermined", "silent": "undetermined"}, tmp_path / "new")
    found = compare(old, new, old_tells_unknown=False)
    assert found.rows.select("event_id", "difference").rows() == [("told", Difference.NO_LONGER_VIOLATING.value)]


@pytest.mark.parametrize(
    "change", [{"deciding_records": ["other"]}, {"deciding_records": []}, {"reason": "conflict"}, {"excused_by": ["x"]}]
)
def test_the_same_verdict_on_other_grounds_is_told(change: dict[str, Any], tmp_path: Path) -> None:
    old = said_by_answer(an_answer(tmp_path / "old", [a_verdict("a"), a_verdict("b")]))
    new = said_by_answer(an_answer(tmp_path / "new", [a_verdict("a", **change), a_verdict("b")]))
    assert compare(old, new).rows.select("event_id", "difference").rows() == [("a", Difference.OTHER_GROUNDS.value)]


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS))))
@settings(max_examples=examples(12))
def test_turned_round_what_was_gained_is_lost(
    tmp_path_factory: pytest.TempPathFactory, outcomes: dict[str, tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("answers")
    old = said({event: was for event, (was, _) in outcomes.items()}, folder / "old")
    new = said({event: became for event, (_, became) in outcomes.items()}, folder / "new")
    there, back = compare(old, new), compare(new, old)
    gained, lost = Difference.NEWLY_VIOLATING.value, Difference.NO_LONGER_VIOLATING.value
    assert there.rows.filter(difference=gained).height == back.rows.filter(difference=lost).height
    assert set(there.rows["violation_id"]) == set(back.rows["violation_id"])
    assert there.differs == any(was != became for was, became in outcomes.values())
    assert not compare(old, old).differs


def test_the_page_begins_with_what_is_caught_no_longer_and_names_no_person(tmp_path: Path) -> None:
    old = said({"lost": "violation", "same": "violation"}, tmp_path / "old")
    new = said({"found": "violation", "same": "violation"}, tmp_path / "new")
    text = page(compare(old, new))
    assert text.splitlines()[:3] == [
        "No longer violating: 1",
        f"  {RULES[0]}, for example lost",
        "           1  violation -> nothing; controller zoo, site gates, purpose entry",
    ]
    assert not any(person in text for person in PEOPLE)
    told = as_object(compare(old, new))
    assert not any(person in json.dumps(told) for person in PEOPLE)
    assert (told["compared"], told["differs"]) == (3, True)


def test_a_deadline_is_named_by_its_id(tmp_path: Path) -> None:
    late = a_verdict("x", RULES[2], event_id=None, device_id=None, event_kind="deadline", violation_id="ab" * 32)
    old = said_by_answer(an_answer(tmp_path / "old"))
    new = said_by_answer(an_answer(tmp_path / "new", [late]))
    assert "for example abababababab" in page(compare(old, new))


def test_the_command_ends_with_1_where_answers_differ(run: Run, tmp_path: Path) -> None:
    an_answer(tmp_path / "old", [a_verdict("a", occurred_at=moment_of(tick(1)))])
    an_answer(tmp_path / "new")
    same = run("compare", tmp_path / "old", tmp_path / "old")
    assert (same.code, same.err) == (0, "1 breaches compared, 0 differ\n")
    less: dict[str, Any] = {"from": text_at(-8), "counts": whole_manifest()["counts"] | {"judged": {}}}
    an_answer(tmp_path / "less", **less)
    unlike = run("compare", tmp_path / "old", tmp_path / "less")
    assert "the answers are about different ranges\nthe answers judged 3 and 0 events\n" in unlike.err
    other = run("compare", tmp_path / "old", tmp_path / "new", "--json")
    assert other.code == 1
    assert json.loads(other.out)["no_longer_violating"]["total"] == 1
    none = run("compare", tmp_path / "old", tmp_path / "nowhere")
    assert (none.code, "expected the answer of a replay" in none.err) == (3, True)
