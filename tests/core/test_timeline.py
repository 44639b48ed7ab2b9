"""A timeline is a set of statements: order and repetition change nothing, the latest beginning stands to its end."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streams.core.instant import NEVER
from streams.core.timeline import Statement, Statements, Timeline

INSTANTS = st.integers(0, 9)
STATEMENTS = st.builds(
    lambda record, version, start, span, content: Statement(
        record, version, start, content, NEVER if span is None else start + span
    ),
    st.sampled_from(["a", "b", "c"]),
    st.integers(1, 3),
    INSTANTS,
    st.none() | st.integers(1, 5),
    st.sampled_from(["x", "y"]),
)
MANY = st.lists(STATEMENTS, max_size=8)


def naive(statements: list[Statement[str]], instant: int) -> Statement[str] | str | None:
    """What a plain list says: the statement in force, "conflict", or nothing."""
    highest = {each.record_id: max(s.record_version for s in statements if s.record_id == each.record_id)
               for each in statements}  # fmt: skip
    current = {each for each in statements if each.record_version == highest[each.record_id]}
    if len(current) > len(highest):
        return "conflict"
    begun = sorted((each.valid_from, each.record_id, each) for each in current if each.valid_from <= instant)
    return begun[-1][2] if begun and instant < begun[-1][2].valid_until else None


def said(timeline: Timeline[str], instant: int) -> Statement[str] | str | None:
    return "conflict" if timeline.conflicting else timeline.in_force(instant)


def consent(start: int, content: str, *, version: int = 1, until: int = NEVER, record: str = "a") -> Statement[str]:
    return Statement(record, version, start, content, until)


@given(MANY, st.randoms(use_true_random=False))
def test_a_timeline_equals_a_naive_list_in_any_order(statements: list[Statement[str]], chance: Random) -> None:
    shuffled = [*statements, *statements[::2]]
    chance.shuffle(shuffled)
    timeline = Timeline(shuffled)
    for instant in range(-1, 16):
        assert said(timeline, instant) == naive(statements, instant)


@given(MANY)
def test_what_is_in_force_changes_at_the_instants_and_nowhere_else(statements: list[Statement[str]]) -> None:
    timeline = Timeline(statements)
    changes = {
        after for before, after in pairwise(range(-1, 16)) if timeline.in_force(before) != timeline.in_force(after)
    }
    instants = timeline.instants()
    assert changes <= instants
    assert instants <= {edge for each in timeline for edge in (each.valid_from, each.valid_until)}
    assert NEVER not in instants


@given(MANY)
def test_adding_says_whether_anything_changed(statements: list[Statement[str]]) -> None:
    timeline: Timeline[str] = Timeline()
    for each in statements:
        before = (set(timeline), timeline.conflicting, len(timeline))
        if timeline.add(each):
            continue
        assert (set(timeline), timeline.conflicting, len(timeline)) == before
        assert not timeline.add(each)


def test_a_revocation_ends_and_a_grant_after_it_begins_anew() -> None:
    timeline = Timeline([consent(1, "granted"), consent(3, "revoked", record="b"), consent(5, "granted", record="c")])
    assert [said(timeline, instant).content for instant in (1, 2, 3, 4, 5)] == [  # type: ignore[union-attr]
        *("granted", "granted"), *("revoked", "revoked"), "granted"]  # fmt: skip


def test_the_end_of_a_statement_does_not_bring_an_earlier_one_back() -> None:
    timeline = Timeline([consent(1, "long"), consent(3, "short", record="b", until=5)])
    assert timeline.in_force(4) == consent(3, "short", record="b", until=5)
    assert timeline.in_force(5) is None
    assert timeline.in_force(9) is None


def test_at_one_instant_the_id_that_sorts_last_stands() -> None:
    first, last = consent(1, "first", record="a"), consent(1, "last", record="b")
    assert Timeline([first, last]).in_force(1) == Timeline([last, first]).in_force(1) == last


def test_two_contents_of_one_version_conflict_until_a_higher_version_settles_it() -> None:
    assert Timeline([consent(1, "x"), consent(1, "y")]).conflicting
    timeline = Timeline([consent(1, "x"), consent(1, "y")])
    assert not timeline.add(consent(1, "y"))
    assert timeline.add(consent(2, "z", version=2))
    assert not timeline.conflicting
    assert timeline.in_force(1) is None
    assert timeline.in_force(2) == consent(2, "z", version=2)
    assert not timeline.add(consent(1, "w")), "a conflict among corrected versions is history"
    assert not timeline.conflicting


def test_statements_without_a_line_of_time_are_counted_by_record() -> None:
    statements = Statements([consent(1, "x"), consent(1, "x"), consent(2, "x", version=2), consent(1, "y", record="b")])
    assert len(statements) == 2
    assert {each.record_version for each in statements} == {1, 2}
