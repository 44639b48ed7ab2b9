"""What is kept as columns says what objects say: whichever way records came, and whoever asked in between."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chance_world import instants, subject_records
from pace import examples
from schemas.subject import SubjectRecord
from settled_world import CONTROLLERS, PEOPLE, PURPOSES, subject_record
from streams.core import subject_history
from streams.core.claim import Claims
from streams.core.consent_end import ConsentEnds
from streams.core.history import History
from streams.core.instant import NEVER
from streams.core.plain_statement import statements
from streams.core.statement_table import STATEMENT_COLUMNS
from streams.core.subject_history import Histories
from streams.core.subject_state import State

ASKED = {"enrolment": ("age_band",)}
Step = tuple[str, list[SubjectRecord] | str]
some = st.lists(subject_records, max_size=3)
steps = st.lists(
    st.tuples(st.sampled_from(["columns", "columns", "objects", "settle", "ask", "keep"]), some)
    | st.tuples(st.just("unreadable"), st.sampled_from(PEOPLE)),
    max_size=8,
)


def columns(records: list[SubjectRecord], claims: Claims) -> pl.DataFrame:
    rows, refused = statements([each.to_json() for each in records], claims)
    assert not refused
    return rows


def taken(found: list[Step], histories: Histories, *, plain: bool) -> Histories:
    """The histories after some steps; `plain` ones know no columns, and nobody asks them anything."""
    for what, about in found:
        if isinstance(about, str):
            histories.mark_unreadable(about)
        elif what == "columns" and not plain:
            histories.put_all(columns(about, histories.claims))
        elif what in ("columns", "objects"):
            for each in about:
                histories.add(each)
        elif what == "settle" and not plain:
            histories.settle()
        elif what == "keep" and not plain:
            histories.keep_few(len(PEOPLE))
        elif not plain:
            histories.states_at([(ref, "zoo", "entry", 0) for ref in PEOPLE])
    return histories


def said(history: History | None) -> Any:
    if history is None:
        return None
    return history.unreadable, history.conflicting, sorted(map(repr, history)), history.only


@pytest.mark.parametrize("kept", [1, 100])
@settings(max_examples=examples(25), deadline=None)
@given(found=steps, moments=st.lists(instants, min_size=1, max_size=3), purpose=st.sampled_from(PURPOSES))
def test_columns_and_objects_say_the_same(kept: int, found: list[Step], moments: list[int], purpose: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject_history, "STORED_MAX", kept)
        whole = taken(found, Histories(ASKED), plain=False)
        plain = taken(found, Histories(ASKED), plain=True)
        assert sorted(whole) == sorted(plain)
        assert len(whole) == len(plain)
        assert {ref: said(each) for ref, each in whole.items()} == {ref: said(each) for ref, each in plain.items()}
        asked = [(ref, each, purpose, moment) for ref in PEOPLE for each in CONTROLLERS for moment in moments]
        assert states(whole, asked) == states(plain, asked)
        for ref in PEOPLE:
            assert said(whole.history(ref)) == said(plain.history(ref))
            assert sorted(whole.consent_ends(ref)) == sorted(plain.consent_ends(ref))
        for each in CONTROLLERS:
            known = {ref for ref, own in plain.items() if any(one.content.controller_id == each for one in own)}
            assert known <= set(whole.towards({each}))
        assert set(plain.take_changes()) <= set(whole.take_changes())
        assert whole.take_changes() == []


def states(histories: Histories, asked: Sequence[tuple[str | None, str, str | None, int]]) -> list[State]:
    return [histories.states[each] for each in histories.states_at(asked)]


@settings(max_examples=examples(25), deadline=None)
@given(found=steps, chance=st.randoms(use_true_random=False))
def test_the_ends_of_all_are_those_of_each(found: list[Step], chance: Random) -> None:
    whole = taken(found, Histories(), plain=False)
    if chance.random() < 0.5:
        whole.settle()
    together, each = ConsentEnds(), ConsentEnds()
    together.begin(whole)
    for ref in PEOPLE:
        each.change((), whole.consent_ends(ref))
    bounds = sorted(end for ref in PEOPLE for end in whole.consent_ends(ref))
    for bound in (*bounds, NEVER):
        assert together.passed(bound + 60_000_000) == each.passed(bound + 60_000_000)


def test_of_what_columns_say_only_so_many_objects_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject_history, "STORED_MAX", 5)
    histories = Histories()
    refs = [f"s_{number:020}" for number in range(40)]
    rows = [(ref, f"r-{ref}", 1, 0, 0, NEVER) for ref in refs]
    histories.claims.made.append(Claims().of(subject_record("enrolment")))
    histories.put_all(pl.DataFrame(rows, schema=STATEMENT_COLUMNS, orient="row"))
    for ref in refs:
        history = histories.history(ref)
        assert history is not None
        assert len(history) == 1
        assert len(histories.objects) <= 5
    assert len(histories) == 40
