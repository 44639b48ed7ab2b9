"""The words of a condition, looked at before its grammar: each is a fact, a word of the language, or refused.

Rules:
1. The SQL parser knows hundreds of words, accepts several spellings of one thing and logs what it does not understand;
   so only the words named here ever reach it.
2. A refusal names the word, the line, and what to write instead where that is known.
3. Nesting is bounded here, because the parser would meet the end of the stack first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from sqlglot import Token, TokenType
from sqlglot.dialects import Postgres
from sqlglot.errors import TokenError

from streams.core.condition import DEPTH_LIMIT, TEXT_LIMIT, ConditionError
from streams.errors import Place

DIALECT: Final = Postgres()
"""What a condition is written in, as far as its words are allowed."""
FUNCTIONS: Final = frozenset({"coalesce", "cardinality", "any"})
"""What may stand before a parenthesis as a name."""

_T = TokenType
_OPERATORS: Final = frozenset(
    {_T.EQ, _T.NEQ, _T.LT, _T.LTE, _T.GT, _T.GTE, _T.PLUS, _T.DASH, _T.STAR, _T.DAMP, _T.AT_GT, _T.LT_AT}
)
_LINKS: Final = frozenset(
    {_T.AND, _T.OR, _T.NOT, _T.IN, _T.BETWEEN, _T.IS, _T.LIKE, _T.CASE, _T.WHEN, _T.THEN, _T.ELSE}
)
_TEXTS: Final = frozenset({_T.STRING, _T.NUMBER})
_VALUES: Final = frozenset({_T.TRUE, _T.FALSE, _T.NULL, _T.END, _T.R_PAREN, _T.R_BRACKET})
_STARTS: Final = frozenset({_T.CASE, _T.ARRAY, _T.INTERVAL, _T.TIMESTAMP, _T.TIMESTAMPTZ, _T.L_PAREN})
_ENDS: Final = frozenset({_T.END, _T.R_PAREN, _T.R_BRACKET})
_OPENINGS: Final = frozenset({_T.L_PAREN, _T.L_BRACKET, _T.COMMA})
_LITERAL_WORDS: Final = frozenset({_T.ARRAY, _T.ANY, _T.INTERVAL, _T.TIMESTAMP, _T.TIMESTAMPTZ})
_WORDS: Final = _OPERATORS | _LINKS | _VALUES | _OPENINGS | _LITERAL_WORDS

_FOLLOWERS: Final[Mapping[TokenType, TokenType]] = {
    _T.ARRAY: _T.L_BRACKET,
    _T.ANY: _T.L_PAREN,
    _T.INTERVAL: _T.STRING,
    _T.TIMESTAMP: _T.STRING,
    _T.TIMESTAMPTZ: _T.STRING,
}
_FOLLOWER_HINTS: Final[Mapping[TokenType, str]] = {
    _T.ARRAY: "expected ARRAY['a', 'b']",
    _T.ANY: "expected 'x' = ANY(list)",
    _T.INTERVAL: "expected INTERVAL '5 minutes', the length in quotes",
    _T.TIMESTAMP: "expected TIMESTAMP '2025-06-01 00:00:00+08:00', the time in quotes",
    _T.TIMESTAMPTZ: "expected TIMESTAMPTZ '2025-06-01 00:00:00+08:00', the time in quotes",
}

_INSTEAD: Final[Mapping[str, str]] = {
    "/": "division is refused, because engines differ on division by zero; multiply instead",
    "%": "the remainder is refused; write it as a fact",
    "==": "write = for equality",
    "::": "casts are refused; every fact has its type",
    "cast": "casts are refused; every fact has its type",
    "||": "texts are not joined; compare them one by one",
    "~": "regular expressions are refused; write LIKE",
    "~*": "regular expressions are refused; write LIKE",
    "ilike": "write LIKE; facts are in one spelling",
    "similar to": "write LIKE",
    "escape": "a backslash is the escape of LIKE",
    "isnull": "write IS NULL",
    "notnull": "write IS NOT NULL",
    "distinct": "write = and IS NULL",
    "exists": "queries are refused; a fact says whether a record exists",
    "select": "queries are refused; a condition is one boolean expression",
    "all": "only = ANY(list), list @> list and list && list ask about lists",
    "some": "write ANY",
    ";": "a condition is one expression",
    ".": "facts have no prefix, and a number begins with a digit",
    "date": "write TIMESTAMP with a zone; a date alone is no instant",
    "current_timestamp": "a condition has no clock; it is about the moment of the match",
    "now": "a condition has no clock; it is about the moment of the match",
}


def words_of(text: str, facts: Collection[str], *, place: Place) -> list[Token]:
    """The words of a text, each of which belongs to the language; else raises ConditionError with the word's line."""
    if len(text) > TEXT_LIMIT:
        raise ConditionError(f"expected at most {TEXT_LIMIT} characters, got {len(text)}", place=place)
    try:
        tokens: list[Token] = DIALECT.tokenize(text)
    except TokenError as problem:
        raise ConditionError("a quotation mark or a comment is not closed", place=place) from problem
    if not tokens:
        raise ConditionError("expected a condition, got none", place=place)
    for at in range(len(tokens)):
        problem_found = _problem(tokens, at, facts) or _unlinked(tokens, at)
        if problem_found is not None:
            raise ConditionError(problem_found, place=line_place(place, tokens[at].line))
    _check_nesting(tokens, place)
    return tokens


def line_place(place: Place, line: int | None) -> Place:
    """The place of a line (from 1) of a condition whose first line is at `place`."""
    return place if place.line is None or line is None else Place(place.file, place.line + line - 1)


def _problem(tokens: Sequence[Token], at: int, facts: Collection[str]) -> str | None:
    """What is wrong with one word beside its neighbours, or None."""
    token = tokens[at]
    before = tuple(one.token_type for one in tokens[max(at - 2, 0) : at])
    after = tokens[at + 1].token_type if at + 1 < len(tokens) else None
    kind, word = token.token_type, token.text.lower()
    if kind in _TEXTS:
        return None
    if after is _T.L_PAREN and kind not in _WORDS and word not in facts and word.replace("_", "a").isalnum():
        return None if word in FUNCTIONS else _unknown_function(word)
    if kind in _FOLLOWERS and after is not _FOLLOWERS[kind]:
        return _FOLLOWER_HINTS[kind]
    if kind in _WORDS:
        return _INSTEAD.get(word) or _misplaced(kind, before, word)
    if word == "unknown" and before and before[-1] in (_T.IS, _T.NOT):
        return None
    unit = before == (_T.INTERVAL, _T.STRING)
    return None if unit or (word in facts and kind is not _T.IDENTIFIER) else _unknown_word(token, facts)


def _unlinked(tokens: Sequence[Token], at: int) -> str | None:
    """Two values side by side: the parser would take the second for a name of the first, or imagine the AND between."""
    if at == 0 or not (_is_value(tokens[at - 1]) or tokens[at - 1].token_type in _ENDS):
        return None
    before = tokens[at - 1]
    function = before.text.lower() in FUNCTIONS and before.token_type is not _T.STRING
    unit = at > 1 and tokens[at - 2].token_type is _T.INTERVAL
    if function or unit or not (_is_value(tokens[at]) or tokens[at].token_type in _STARTS):
        return None
    return f"expected an operator between {before.text} and {tokens[at].text}"


def _is_value(token: Token) -> bool:
    """Whether a word is a value by itself: a literal, or a name (every other word of the language is known)."""
    return token.token_type not in _WORDS - {_T.TRUE, _T.FALSE, _T.NULL}


def _unknown_function(word: str) -> str:
    return _INSTEAD.get(word) or f"unknown function {word}(); the language has COALESCE, CARDINALITY and ANY"


def _misplaced(kind: TokenType, before: tuple[TokenType, ...], word: str) -> str | None:
    """Spellings the parser would let pass in silence: a sign before a value, an empty place, NOT NULL without IS."""
    last = before[-1] if before else None
    if kind is _T.PLUS and (last is None or last in _OPERATORS | _LINKS | _OPENINGS):
        return "expected a value before +"
    if (kind is _T.COMMA and last in _OPENINGS) or (kind in (_T.R_PAREN, _T.R_BRACKET) and last is _T.COMMA):
        return f"expected a value before {word}"
    if kind is _T.L_BRACKET and last is not _T.ARRAY:
        return "expected ARRAY before [; a list is asked for its texts, not by position"
    if kind is _T.NULL and last is _T.NOT and before[0] is not _T.IS:
        return "write IS NOT NULL"
    return None


def _unknown_word(token: Token, facts: Collection[str]) -> str:
    kind, word = token.token_type, token.text.lower()
    if kind is _T.IDENTIFIER:
        return f'a fact is written without quotes, a text in single ones; got "{token.text}"'
    if kind.name.endswith("_STRING"):
        return "a text is written in plain single quotes, without a letter or a dollar sign before them"
    if word in _INSTEAD:
        return _INSTEAD[word]
    if word == "unknown":
        return "UNKNOWN stands only after IS or IS NOT"
    if kind is _T.VAR or word.replace("_", "a").isalpha():
        near = get_close_matches(word, facts, n=1, cutoff=0.5)
        return f"unknown fact {word!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return f"{word!r} is outside the condition language"


def _check_nesting(tokens: Sequence[Token], place: Place) -> None:
    nesting = 0
    for token in tokens:
        nesting += token.token_type in (_T.L_PAREN, _T.CASE)
        nesting -= token.token_type in (_T.R_PAREN, _T.END)
        if nesting > DEPTH_LIMIT:
            message = f"too deep: expected at most {DEPTH_LIMIT} parentheses or CASEs within one another"
            raise ConditionError(message, place=line_place(place, token.line))
