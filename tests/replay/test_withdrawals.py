"""The withdrawals of an answer: how many matches there were after each, as the metric counts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from settled_world import PEOPLE, subject_record, text_at, tick
from small_logs import answer, event, ndjson
from small_world import the_law
from streams.core.facts import CaseKind
from streams.core.instant import moment_of
from streams.core.withdrawal import since_withdrawal
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.offline import Offline, pieces_of


def test_withdrawals_tell_what_was_matched_after_them(tmp_path: Path) -> None:
    left = subject_record("consent_withdrawn", record_id="w", valid_from=text_at(1))
    events = [event("a"), event("b", occurred_at=text_at(1)), event("c", occurred_at=text_at(3))]
    found = answer(NdjsonSource(ndjson(tmp_path / "in", events, left)), tmp_path / "out").table("withdrawals")
    assert found.select("controller_id", "matches_after").rows() == [("zoo", 2)]
    assert found["last_match_at"][0] == moment_of(tick(3))


@pytest.mark.parametrize(("purposes", "counted"), [((), ["first", "second"]), (("ads",), ["first", "first"])])
def test_a_match_counts_for_the_last_withdrawal_that_no_consent_followed(
    tmp_path: Path, purposes: Sequence[str], counted: Sequence[str]
) -> None:
    first, second = text_at(1), text_at(3)
    records = [
        subject_record("consent_withdrawn", record_id="first", valid_from=first),
        subject_record("consent_withdrawn", record_id="second", valid_from=second, purposes=purposes),
        subject_record("consent_given", record_id="again", valid_from=text_at(5)),
    ]
    ticks = {"before": 0, "one": 2, "two": 4, "agreed-again": 6}
    events = [event(name, occurred_at=text_at(number)) for name, number in ticks.items()]
    found = answer(NdjsonSource(ndjson(tmp_path / "in", events, *records)), tmp_path / "out").table("withdrawals")
    told = zip(found["withdrawn_at"], found["matches_after"], strict=True)
    named = {moment_of(tick(1)): "first", moment_of(tick(3)): "second"}
    assert sorted(counted) == sorted(name for at, n in told for name in [named[at]] * n)


def test_the_withdrawals_of_an_answer_are_those_of_the_metric(tmp_path: Path) -> None:
    chance = Random(7)
    records = [
        subject_record(
            chance.choice(["consent_given", "consent_withdrawn"]),
            record_id=f"said-{number}",
            subject_ref=chance.choice(PEOPLE),
            valid_from=text_at(chance.randrange(8)),
            purposes=chance.choice([["entry"], ["ads"], ["entry", "ads"]]),
        )
        for number in range(20)
    ]
    events = [
        event(
            f"e-{number}",
            subject_ref=chance.choice(PEOPLE),
            occurred_at=text_at(chance.randrange(9)),
            purpose_id=chance.choice([None, "entry", "ads"]),
            comparison_decision=chance.choice(["match", "match", "inconclusive"]),
        )
        for number in range(200)
    ]
    folder = ndjson(tmp_path / "in", events, *records)
    judge = Offline(the_law())
    judge.read_records([folder / "subjects.ndjson"], [folder / "registry.ndjson"])
    (piece,) = pieces_of(folder / "matches.ndjson")
    verdicts = judge.judge(CaseKind.MATCH, piece.matches.frame)
    metric = sum(1 for _ in since_withdrawal(verdicts.cases, judge.views))
    found = answer(NdjsonSource(folder), tmp_path / "out").table("withdrawals")
    assert found["matches_after"].sum() == metric > 0


def test_withdrawals_of_two_persons_may_have_one_id(tmp_path: Path) -> None:
    left = [
        subject_record("consent_withdrawn", record_id="w", valid_from=text_at(1), subject_ref=who) for who in PEOPLE[:2]
    ]
    events = [event("a", occurred_at=text_at(2)), event("b", subject_ref=PEOPLE[1], occurred_at=text_at(3))]
    found = answer(NdjsonSource(ndjson(tmp_path / "in", events, *left)), tmp_path / "out").table("withdrawals")
    assert found["matches_after"].to_list() == [1, 1]
