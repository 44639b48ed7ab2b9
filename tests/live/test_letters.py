"""Values whose letters are of the classes of a grammar are of the grammar, whatever stands behind them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from streams.core.plain_record import RATIO
from streams.live.layout import Values
from streams.live.layout_lane import GRAMMARS, LETTERS, PROPER_RATIO
from streams.live.letters import are_of

TEXT = st.text("s_ab09Z.:/@-~ ", min_size=1, max_size=140) | st.text("ab0", max_size=70).map("s_{}".format)


def values_of(texts: list[str], *, behind: str = "") -> Values:
    """Some texts as values; of one width, or with something behind each that does not count."""
    widest = max(map(len, texts)) + len(behind)
    rows = [(text + behind * widest)[:widest].encode() for text in texts]
    lengths = np.array([len(text) for text in texts], np.int64) if behind else None
    return Values(np.array([list(row) for row in rows], np.uint8), lengths)


def said(name: str, texts: list[str]) -> bool:
    """Whether texts are of a grammar that has letters; of ratios these are of those below one."""
    grammar = PROPER_RATIO if RATIO in GRAMMARS[name] else GRAMMARS[name]
    return bool(LETTERS[name]) and all(re.fullmatch(grammar, text) for text in texts)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(sorted(LETTERS)),
    TEXT.flatmap(lambda text: st.lists(st.just(text) | st.permutations(text).map("".join), min_size=1, max_size=3)),
)
def test_texts_of_one_width_are_of_their_grammar_where_no_byte_is_of_another_class(name: str, texts: list[str]) -> None:
    assert are_of(values_of(texts), LETTERS[name]) is said(name, texts)


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(sorted(LETTERS)), st.lists(TEXT, min_size=1, max_size=3), st.sampled_from(['"', ",", "a", "~"]))
def test_what_stands_behind_texts_of_other_widths_is_none_of_theirs(name: str, texts: list[str], behind: str) -> None:
    assert are_of(values_of(texts, behind=behind), LETTERS[name]) is said(name, texts)


@pytest.mark.parametrize("width", [15, 16, 64, 65])
def test_the_bounds_of_a_reference_are_those_of_its_grammar(width: int) -> None:
    texts = ["s_" + "a" * width, "s_" + "b" * 20]
    assert are_of(values_of(texts, behind='"'), LETTERS["subject_ref"]) is (16 <= width <= 64)


@pytest.mark.parametrize("score", ["0", "1", "1.0", "1.5", "0.", "00.5", "0.x"])
def test_only_ratios_below_one_are_told_by_their_letters(score: str) -> None:
    assert are_of(values_of(["0.5", "0.97520000000000001"], behind=","), LETTERS["comparison_score"])
    assert not are_of(values_of(["0.5", score], behind=","), LETTERS["comparison_score"])


def test_ids_are_told_by_their_letters_and_numbers_are_not() -> None:
    told = {name for name, letters in LETTERS.items() if letters}
    assert {"event_id", "probe_id", "device_id", "purpose_id", "subject_ref"} <= told
    assert not {"occurred_at", "rank", "operation"} & told
