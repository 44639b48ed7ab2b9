"""The pattern of a plain record is narrower than JSON and than the contract, never wider."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from match_texts import ODD_WORDS
from pace import examples
from schemas.contract import Message
from schemas.match import MatchEvent
from streams.core.plain_record import SAFE_PATTERN, grammars, plain_pattern

PATTERN = plain_pattern(MatchEvent)


def test_the_pattern_names_every_field_of_the_contract_and_no_other() -> None:
    named = set(re.findall(r"[a-z]+(?:_[a-z]+)*", PATTERN.replace("null", "")))
    assert set(MatchEvent.model_fields) <= named


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.from_regex(PATTERN.removesuffix("$") + r"\Z", alphabet=st.characters(codec="ascii")))
def test_whatever_passes_is_one_json_object_of_known_fields(text: str) -> None:
    assert pl.Series([text]).str.contains(PATTERN).item()
    assert set(json.loads(text)) <= set(MatchEvent.model_fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"rank":0',
        '"rank":0}',
        '{"rank":0,}',
        '{,"rank":0}',
        '{"rank":0{"rank":0}',
        '{"rank":0}{"rank":0}',
        '{"rank":0}\n',
        ' {"rank":0}',
        '{"rank":00}',
        '{"rank":-0}',
        '{"rank":+1}',
        '{"rank":1.0}',
        '{"rank":null}',
        '{"rank":"0"}',
        '{"comparison_score":.5}',
        '{"comparison_score":5e-1}',
        '{"comparison_score":0.}',
        '{"comparison_score":2}',
        '{"site_id":"a\\"b"}',
        '{"site_id":"\u00e9"}',
        '{"site_id":""}',
        '{"event_id":null}',
        '{"kind":"other"}',
        '{"schema_version":"1.1"}',
        '{"schema_version":"1x0"}',
        '{"inferred_attributes":["age",]}',
        '{"inferred_attributes":["wealth"]}',
        '{"unknown":1}',
        '{"Rank":0}',
    ],
)
def test_what_is_doubtful_is_not_plain(text: str) -> None:
    assert not pl.Series([text]).str.contains(PATTERN).item()


def test_one_value_has_the_grammar_that_the_whole_record_gives_it() -> None:
    by_field = grammars(MatchEvent)
    lists = {"inferred_attributes", "search_log_fields"}
    assert set(by_field) == set(MatchEvent.model_fields) - lists - {"schema_version"}
    texts = pl.Series([word.removeprefix('"').removesuffix('"') for word in ODD_WORDS if "null" not in word])
    for name, grammar in by_field.items():
        bare, quoted = (pl.Series([f'{{"{name}":{mark}{each}{mark}}}' for each in texts]) for mark in ("", '"'))
        whole = bare.str.contains(PATTERN) | quoted.str.contains(PATTERN)
        assert texts.filter(texts.str.contains(grammar)).to_list() == texts.filter(whole).to_list(), name


@pytest.mark.parametrize("pattern", ['^".*"$', r"^\d+$", "^.+$", "^[^a]+$", "^é$", "a", "^(a|b)$"])
def test_a_pattern_that_json_might_escape_is_not_safe(pattern: str) -> None:
    assert SAFE_PATTERN.fullmatch(pattern) is None


def test_a_field_that_no_plain_record_can_write_is_a_bug() -> None:
    class Signed(Message):
        depth: float

    with pytest.raises((AssertionError, KeyError)):
        plain_pattern(Signed)
