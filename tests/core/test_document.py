"""A document knows its lines, takes each key once, and never fails but by naming what is wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from streams.core.document import BODY, Document, fit, read_document
from streams.errors import Place, RulebookErrors


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 0


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    words: tuple[str, ...] = ()


def problems(text: str) -> list[str]:
    with pytest.raises(RulebookErrors) as raised:
        fit(Outer, read_document(text, "a.yaml"))
    return [str(problem) for problem in raised.value.problems]


def test_every_key_and_item_knows_its_line() -> None:
    document = read_document("name: x\nmany:\n  - number: 1\n  - number: 2\nwords: [a, b]\n", "a.yaml")
    assert document.data == {"name": "x", "many": [{"number": 1}, {"number": 2}], "words": ["a", "b"]}
    assert document.lines["name",] == 1
    assert document.lines["many", 1, "number"] == 4
    assert document.place(("many", 1)) == Place("a.yaml", 4)
    assert document.place(("many", 1, "number", "deeper")) == Place("a.yaml", 4)
    assert Document("a.yaml", None).place(("anything",)) == Place("a.yaml", 1)


def test_the_text_of_a_block_begins_below_its_mark() -> None:
    document = read_document("name: |\n  first\n  second\n", "a.yaml")
    assert document.lines["name", BODY] == 2
    assert ("name", BODY) not in read_document("name: first", "a.yaml").lines


def test_a_key_that_stands_twice_is_named_by_line_and_so_is_each() -> None:
    assert problems("name: x\nname: y\ninner:\n  number: 1\n  number: 2\n") == [
        "a.yaml:2: expected the key 'name' once",
        "a.yaml:5: expected the key 'number' once",
    ]


def test_a_key_that_is_a_list_is_a_problem_and_no_crash() -> None:
    assert problems("? [a, b]\n: x\n") == ["a.yaml:1: expected the key ['a', 'b'] once"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_is_a_problem(text: str) -> None:
    assert len(problems(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "name: [x",
        "name: 'x",
        "a: b: c",
        "name: x\n---\nname: y",
        "name: !!python/object/apply:os.system [x]",
        "name: &a [*a]",
        "name: *nobody",
        "\x00",
        "name: \x07",
        "[" * 5_000,
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
    ],
)
def test_what_is_no_yaml_of_ours_is_a_problem_with_a_place(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("a.yaml:")
    assert "expected" in problem


def test_a_value_that_looks_like_a_date_and_is_none_is_named_by_its_line_beside_others() -> None:
    found = problems("name: 2025-13-01\nwords: []\nwords: [2025-02-30]\n")
    assert found[0] == "a.yaml:1: expected a value of the type timestamp"
    assert "a.yaml:3: expected the key 'words' once" in found


def test_every_problem_of_the_shape_is_named_by_line() -> None:
    assert problems("nam: x\ninner:\n  number: many\nmany:\n  - numbr: 1\n") == [
        "a.yaml:1: name: Field required",
        "a.yaml:3: inner.number: Input should be a valid integer, unable to parse string as an integer",
        "a.yaml:5: unknown key 'many.0.numbr'; did you mean 'number'?",
        "a.yaml:1: unknown key 'nam'; did you mean 'name'?",
    ]


def test_a_document_that_is_no_mapping_is_a_problem() -> None:
    (problem,) = problems("- x\n")
    assert problem.startswith("a.yaml:1: document: ")


def test_a_key_of_nothing_known_names_none() -> None:
    (problem,) = problems("name: x\nzzz: 1\n")
    assert problem == "a.yaml:2: unknown key 'zzz'; known here: inner, many, name, words"


@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@`?, \n\t0129.\x00é", max_size=40))
def test_any_text_is_a_document_or_named_problems(text: str) -> None:
    with suppress(RulebookErrors):
        assert read_document(text, "a.yaml").lines[()] >= 1
