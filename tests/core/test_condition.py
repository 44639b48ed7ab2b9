r"""What the condition language reads, what it refuses and with which words, and its canonical text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condition_trees import CONDITIONS, FACTS
from pace import examples
from streams.core import canonical
from streams.core.canonical import to_sql
from streams.core.condition import (
    DEPTH_LIMIT,
    TEXT_LIMIT,
    And,
    Compare,
    Condition,
    ConditionError,
    Constant,
    Contains,
    Fact,
    FactType,
    Is,
    Node,
    Not,
    Or,
    clauses,
    depth,
    fact_names,
    type_of,
)
from streams.core.facts import FACTS as CATALOGUE
from streams.core.grammar import parse
from streams.errors import Blame, Place, RulebookError

CONSENT = Fact("consent_in_force", FactType.BOOLEAN)
STRANGER = Fact("stranger", FactType.BOOLEAN)
ZONE = Fact("device_zone", FactType.TEXT)
LINE = 40


def read(text: str) -> Condition:
    return parse(text, FACTS, place=Place("pack.yaml", LINE))


def root(text: str) -> Node:
    return read(text).root


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONDITIONS)
def test_the_canonical_text_of_a_tree_parses_to_the_same_tree(tree: Node) -> None:
    text = to_sql(tree)
    # The limit on length binds an author; a random text constant may well be longer.
    if len(text) <= TEXT_LIMIT:
        again = parse(text, FACTS, place=Place("canonical"))
        assert again.root == tree
        assert to_sql(again.root) == text
        assert set(again.facts) == set(fact_names(tree))


@pytest.mark.parametrize(
    ("text", "canonical_text"),
    [
        ("Consent_In_Force", "consent_in_force"),
        ("NOT consent_in_force", "NOT consent_in_force"),
        ("not not stranger", "NOT (NOT stranger)"),
        ("device_zone != 'a'", "device_zone <> 'a'"),
        ("device_zone = 'it''s'", "device_zone = 'it''s'"),
        ("consent_in_force and (stranger and true)", "consent_in_force AND stranger AND TRUE"),
        ("stranger or stranger and consent_in_force", "stranger OR (stranger AND consent_in_force)"),
        ("similarity in (1, -2.50, 1e20)", "similarity IN (1, -2.5, 1e+20)"),
        ("not device_zone in ('a')", "device_zone NOT IN ('a')"),
        ("not (similarity between 0 and 1)", "similarity NOT BETWEEN 0 AND 1"),
        ("device_zone not like 'a\\_%'", "device_zone NOT LIKE 'a\\_%'"),
        ("stranger is unknown", "stranger IS UNKNOWN"),
        ("stranger is null", "stranger IS UNKNOWN"),
        ("device_zone is unknown", "device_zone IS NULL"),
        ("stranger is not true", "stranger IS NOT TRUE"),
        ("similarity = 1 is false", "(similarity = 1) IS FALSE"),
        ("stranger = (similarity > 1)", "stranger = (similarity > 1)"),
        ("case when stranger then 1 else null end > 0", "CASE WHEN stranger THEN 1 ELSE NULL END > 0"),
        ("coalesce(stranger, null, false)", "COALESCE(stranger, NULL, FALSE)"),
        ("similarity - (1 - reviewers) - 2 * (3 + 4) > -1", "similarity - (1 - reviewers) - 2 * (3 + 4) > -1"),
        ("(similarity * 2) + 1 > 0", "similarity * 2 + 1 > 0"),
        ("occurred_at > timestamp '2025-06-01 08:00+08'", "occurred_at > TIMESTAMPTZ '2025-06-01 00:00:00+00:00'"),
        ("occurred_at > timestamptz '2025-06-01T00:00:00.5Z'",
         "occurred_at > TIMESTAMPTZ '2025-06-01 00:00:00.500000+00:00'"),
        ("occurred_at - given_at > interval '1' day", "occurred_at - given_at > INTERVAL '1 days'"),
        ("occurred_at - given_at > interval '1 week 36 hours'", "occurred_at - given_at > INTERVAL '204 hours'"),
        ("occurred_at - given_at > interval '90 seconds'", "occurred_at - given_at > INTERVAL '90 seconds'"),
        ("occurred_at - given_at > interval '-0.5 seconds'", "occurred_at - given_at > INTERVAL '-0.5 seconds'"),
        ("interval '2 minutes' + occurred_at > given_at", "INTERVAL '2 minutes' + occurred_at > given_at"),
        ("'race' = any(inferred_attributes)", "'race' = ANY(inferred_attributes)"),
        ("device_zone = any(array['a', 'b'])", "device_zone = ANY(ARRAY['a', 'b'])"),
        ("inferred_attributes && array['a']", "inferred_attributes && ARRAY['a']"),
        ("inferred_attributes <@ attributes_allowed", "attributes_allowed @> inferred_attributes"),
        ("cardinality(inferred_attributes) = 0", "CARDINALITY(inferred_attributes) = 0"),
        ("stranger -- a remark\n and /* another */ stranger", "stranger AND stranger"),
    ],
)  # fmt: skip
def test_every_construct_has_one_canonical_text(text: str, canonical_text: str) -> None:
    assert to_sql(root(text)) == canonical_text
    assert root(canonical_text) == root(text)


def test_a_condition_keeps_its_text_and_the_facts_in_the_order_of_use() -> None:
    text = "stranger AND device_zone = 'a' OR consent_in_force AND stranger"
    condition = read(text)
    assert condition.text == text
    assert condition.facts == ("stranger", "device_zone", "consent_in_force")
    assert condition.root == Or(
        (And((STRANGER, Compare("=", ZONE, Constant(FactType.TEXT, "a")))), And((CONSENT, STRANGER)))
    )


def test_the_clauses_are_what_has_to_be_true_together() -> None:
    both = root("NOT consent_in_force AND (stranger OR device_zone IS NULL)")
    assert [to_sql(clause) for clause in clauses(both)] == ["NOT consent_in_force", "stranger OR device_zone IS NULL"]
    assert clauses(root("stranger OR consent_in_force")) == [root("stranger OR consent_in_force")]


def test_literals_are_read_to_the_microsecond() -> None:
    assert root("occurred_at = TIMESTAMP '2025-06-01 20:00:00.000001+08:00'") == Compare(
        "=",
        Fact("occurred_at", FactType.TIME),
        Constant(FactType.TIME, datetime(2025, 6, 1, 12, 0, 0, 1, tzinfo=UTC)),
    )
    length = root("occurred_at - given_at = INTERVAL '1 day -1 hour 0.000001 seconds'")
    assert isinstance(length, Compare)
    assert length.right == Constant(FactType.INTERVAL, timedelta(hours=23, microseconds=1))
    assert type_of(length.left) is FactType.INTERVAL


def test_negation_stands_outside_so_that_both_spellings_are_one_tree() -> None:
    assert root("stranger IS NOT NULL") == root("NOT (stranger IS NULL)") == Not(Is(STRANGER, "NULL"))
    lists = (Fact("attributes_allowed", FactType.TEXTS), Fact("inferred_attributes", FactType.TEXTS))
    assert root("inferred_attributes <@ attributes_allowed") == Contains(*lists)


def test_a_time_plus_a_length_has_the_types_of_its_parts() -> None:
    for text, kind in [("occurred_at + INTERVAL '1 day'", FactType.TIME), ("occurred_at - given_at", FactType.INTERVAL),
                       ("similarity * 2", FactType.NUMBER), ("CARDINALITY(attributes_allowed)", FactType.NUMBER),
                       ("COALESCE(NULL, device_zone)", FactType.TEXT)]:  # fmt: skip
        asked = root(f"{text} IS NULL")
        assert isinstance(asked, Is)
        assert type_of(asked.term) is kind


def test_every_fact_of_the_catalogue_can_be_named() -> None:
    types = {name: fact.type for name, fact in CATALOGUE.items()}
    for name in types:
        text = f"{name} IS NOT NULL AND COALESCE({name} IS NULL, TRUE)"
        assert parse(text, types, place=Place("a test")).facts == (name,)


REFUSALS = [
    # Nothing, or not one expression
    ("", "expected a condition, got none"),
    ("  -- only a remark", "expected a condition, got none"),
    ("stranger; stranger", "a condition is one expression"),
    ("stranger stranger", "expected an operator between stranger and stranger"),
    ("(stranger) (stranger)", "expected an operator between ) and ("),
    ("similarity BETWEEN 0 1", "expected an operator between 0 and 1"),
    ("stranger,", "expected a complete condition, it breaks off or has a word too many near ','"),
    ("stranger AND", "expected a complete condition, it breaks off or has a word too many near 'AND'"),
    ("(stranger", "expected a complete condition"),
    ("device_zone = 'a", "a quotation mark or a comment is not closed"),
    ("(stranger, stranger) = (TRUE, TRUE)", "outside the condition language: (stranger, stranger)"),
    ("SELECT stranger", "queries are refused"),
    ("EXISTS (SELECT 1)", "queries are refused"),
    ("device_zone IN (SELECT 1)", "queries are refused"),
    # Names
    ("consent_in_farce", "unknown fact 'consent_in_farce'; did you mean 'consent_in_force'?"),
    ("zzz", "unknown fact 'zzz'"),
    ("site.stranger", "unknown fact 'site'"),
    ("stranger.stranger", "facts have no prefix"),
    ('"stranger"', 'a fact is written without quotes, a text in single ones; got "stranger"'),
    ("device_zone = \"a\"", "a fact is written without quotes"),
    ("similarity = .5", "a number begins with a digit"),
    ("lower(device_zone) = 'a'", "unknown function lower(); the language has COALESCE, CARDINALITY and ANY"),
    ("nvl(similarity, 1) = 1", "unknown function nvl()"),
    ("if(stranger, stranger, stranger)", "unknown function if()"),
    ("cardinality(inferred_attributes, attributes_allowed) = 1", "expected CARDINALITY(list), got"),
    ("now() > occurred_at", "a condition has no clock"),
    ("current_timestamp > occurred_at", "a condition has no clock"),
    # Types
    ("similarity", "expected a boolean as a condition, got a number: similarity"),
    ("'a'", "expected a boolean as a condition, got a text: 'a'"),
    ("NOT similarity", "expected a boolean as the term of NOT, got a number: similarity"),
    ("stranger AND similarity", "expected a boolean as a term of AND, got a number"),
    ("stranger OR device_zone", "expected a boolean as a term of OR, got a text"),
    ("similarity = 'high'", "expected values of one type beside =, got a number (similarity) and a text ('high')"),
    ("occurred_at > '2025-06-01'", "write TIMESTAMP '...' with a zone"),
    ("stranger < stranger", "expected = or <> between booleans, got <"),
    ("inferred_attributes = attributes_allowed", "lists are not compared"),
    ("device_zone IS TRUE", "expected a boolean as what IS TRUE asks about, got a text"),
    ("similarity LIKE 'a'", "expected a text as what LIKE looks at, got a number"),
    ("similarity IN ('a')", "expected values of one type by IN"),
    ("stranger IN (TRUE)", "expected a number or a text or a time or an interval as what is compared by IN"),
    ("similarity BETWEEN 'a' AND 'b'", "expected values of one type by BETWEEN"),
    ("stranger BETWEEN FALSE AND TRUE", "as what is compared by BETWEEN, got a boolean"),
    ("COALESCE(stranger, 1)", "expected values of one type as the results of COALESCE"),
    ("CASE WHEN similarity THEN TRUE ELSE FALSE END", "expected a boolean as the condition after WHEN"),
    ("CASE WHEN stranger THEN 1 ELSE 'a' END = 1", "expected values of one type as the results of CASE"),
    ("similarity + device_zone = 1", "beside +, got a number + a text: similarity + device_zone"),
    ("occurred_at + given_at > occurred_at", "beside +, got a time + a time"),
    ("INTERVAL '1 day' - occurred_at > given_at", "beside -, got an interval - a time"),
    ("similarity = ANY(inferred_attributes)", "expected a text as what is looked for with ANY, got a number"),
    ("'a' = ANY(device_zone)", "expected a list of texts as the operand of ANY, got a text"),
    ("inferred_attributes && device_zone", "expected a list of texts as the operand of &&, got a text"),
    ("device_zone <@ inferred_attributes", "expected a list of texts as the operand of <@, got a text"),
    ("CARDINALITY(device_zone) = 1", "expected a list of texts as the operand of CARDINALITY"),
    ("COALESCE(inferred_attributes, ARRAY['a']) && attributes_allowed", "a list of texts is no result of COALESCE"),
    # NULL
    ("NULL", "NULL stands only as a result in CASE or COALESCE; to ask for the unknown write IS NULL"),
    ("stranger = NULL", "NULL stands only as a result"),
    ("device_zone IN ('a', NULL)", "NULL stands only as a result"),
    ("COALESCE(NULL, NULL)", "expected at least one result that is not NULL in COALESCE"),
    ("stranger NOT NULL", "write IS NOT NULL"),
    ("NOT NULL", "write IS NOT NULL"),
    ("stranger ISNULL", "write IS NULL"),
    ("stranger NOTNULL", "write IS NOT NULL"),
    ("stranger IS (NULL)", "expected NULL, TRUE, FALSE or UNKNOWN after IS, got (NULL)"),
    ("stranger IS DISTINCT FROM stranger", "write = and IS NULL"),
    ("NOT UNKNOWN", "expected a fact, got UNKNOWN"),
    ("stranger = UNKNOWN", "UNKNOWN stands only after IS or IS NOT"),
    # Lists, patterns, branches
    ("device_zone IN ()", "expected at least one value in the parentheses after IN"),
    ("device_zone IN (site_kind)", "expected only literal values in the list of IN, got site_kind"),
    ("device_zone IN ('a',)", "expected a value before )"),
    ("COALESCE(stranger, , TRUE)", "expected a value before ,"),
    ("COALESCE(, stranger, TRUE)", "expected a value before ,"),
    ("inferred_attributes && ARRAY['a', ]", "expected a value before ]"),
    ("device_zone IN inferred_attributes", "outside the condition language"),
    ("inferred_attributes && ARRAY[]", "expected at least one text in ARRAY; for an empty list write CARDINALITY"),
    ("inferred_attributes && ARRAY[device_zone]", "expected only texts in ARRAY, got device_zone"),
    ("inferred_attributes && ARRAY('a')", "expected ARRAY['a', 'b']"),
    ("inferred_attributes[1] = 'a'", "expected ARRAY before [; a list is asked for its texts, not by position"),
    ("device_zone <> ANY(inferred_attributes)", "expected = before ANY, got <>"),
    ("ANY(inferred_attributes) = 'a'", "outside the condition language: ANY(inferred_attributes)"),
    ("device_zone = ANY inferred_attributes", "expected 'x' = ANY(list)"),
    ("device_zone = ALL(inferred_attributes)", "only = ANY(list)"),
    ("device_zone LIKE site_kind", "expected a literal pattern after LIKE, got site_kind"),
    (r"device_zone LIKE 'a\b'", "after a backslash in the pattern of LIKE"),
    ("device_zone LIKE 'a\\'", "after a backslash in the pattern of LIKE"),
    ("device_zone LIKE 'a#%' ESCAPE '#'", "a backslash is the escape of LIKE"),
    ("device_zone ILIKE 'a'", "write LIKE"),
    ("device_zone SIMILAR TO 'a'", "write LIKE"),
    ("device_zone ~ 'a'", "regular expressions are refused"),
    ("CASE WHEN stranger THEN TRUE END", "expected ELSE in CASE; write ELSE NULL"),
    ("CASE device_zone WHEN 'a' THEN TRUE ELSE FALSE END", "outside the condition language: CASE device_zone"),
    ("COALESCE(stranger)", "expected at least two values in COALESCE"),
    ("similarity BETWEEN SYMMETRIC 2 AND 1", "unknown fact 'symmetric'"),
    # Operators
    ("similarity / 2 > 1", "division is refused"),
    ("similarity % 2 = 1", "the remainder is refused"),
    ("similarity == 1", "write = for equality"),
    ("similarity = +1", "expected a value before +"),
    ("-similarity < 0", "expected a number or a value before a minus sign, got -similarity; write 0 - x"),
    ("- INTERVAL '1 day' < occurred_at - given_at", "expected a number or a value before a minus sign"),
    ("- 'a' = device_zone", "expected a number or a value before a minus sign"),
    ("device_zone || 'a' = 'b'", "texts are not joined"),
    ("similarity::int = 1", "casts are refused"),
    ("CAST(similarity AS int) = 1", "casts are refused"),
    ("similarity = ?", "'?' is outside the condition language"),
    ("similarity = *", "outside the condition language: *"),
    ("similarity = 1 = stranger", "write parentheses around similarity = 1, which is itself an operand"),
    ("stranger IS NULL IS TRUE", "write parentheses around stranger IS NULL"),
    ("stranger = NOT stranger", "write parentheses around NOT stranger"),
    # Literals
    ("similarity = 1e400", "expected a finite number, got 1e400"),
    ("similarity = 1_000", "unknown fact '_000'"),
    ("device_zone = E'a'", "a text is written in plain single quotes"),
    ("device_zone = $$a$$", "a text is written in plain single quotes"),
    ("device_zone = 'a' 'b'", "expected an operator between a and b"),
    ("occurred_at > TIMESTAMP '2025-06-01 00:00:00'", "expected a time with a zone"),
    ("occurred_at > TIMESTAMP 'yesterday'", "expected a time like '2025-06-01 00:00:00+08:00', got 'yesterday'"),
    ("occurred_at > TIMESTAMP '2025-02-29 00:00Z'", "expected a time that exists, got '2025-02-29 00:00Z'"),
    ("occurred_at > TIMESTAMP '0001-01-01 00:00+14'", "expected a time that exists"),
    ("occurred_at > TIMESTAMP given_at", "expected TIMESTAMP '2025-06-01 00:00:00+08:00', the time in quotes"),
    ("occurred_at > DATE '2025-06-01'", "write TIMESTAMP with a zone"),
    ("occurred_at - given_at > INTERVAL 5 minutes", "expected INTERVAL '5 minutes', the length in quotes"),
    ("occurred_at - given_at > INTERVAL '5'", "expected an interval like '5 minutes' or '1 day 12 hours', got '5'"),
    ("occurred_at - given_at > INTERVAL '1 month'", "'month': it has no fixed length, calendars belong to deadlines"),
    ("occurred_at - given_at > INTERVAL '2' YEARS", "got 'years': it has no fixed length"),
    ("occurred_at - given_at > INTERVAL '2 blinks'", "expected seconds, minutes, hours, days or weeks, got 'blinks'"),
    ("occurred_at - given_at > INTERVAL '0.0000001 seconds'", "expected an interval in whole microseconds"),
    ("occurred_at - given_at > INTERVAL '9999999 days'", "expected an interval of at most 3652058 days"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), REFUSALS)
def test_what_is_outside_the_language_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as refusal:
        read(text)
    assert words in refusal.value.message
    assert str(refusal.value).startswith("pack.yaml:40: ")


WORDS = """
stranger similarity device_zone occurred_at inferred_attributes nobody ( ) , [ ] AND OR NOT = <> < + - * IN BETWEEN IS
NULL TRUE UNKNOWN LIKE CASE WHEN THEN ELSE END ARRAY ANY INTERVAL TIMESTAMP COALESCE( CARDINALITY( ANY( ARRAY[ 'a' 1 day
'5_minutes' @> <@ && ; / . ::
"""


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join))
def test_any_row_of_words_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        tree = root(text)
    except ConditionError:
        return
    assert root(to_sql(tree)) == tree


def test_a_refusal_is_an_error_of_the_rulebook_and_of_its_author() -> None:
    with pytest.raises(RulebookError) as refusal:
        read("similarity")
    assert refusal.value.blame is Blame.RULE_AUTHOR


def test_every_example_of_the_page_is_read_with_the_facts_of_the_catalogue() -> None:
    types = {name: fact.type for name, fact in CATALOGUE.items()}
    page = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")
    examples = [
        example for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) for example in block.split("\n\n")
    ]
    assert len(examples) > 20
    for example in examples:
        parse(example, types, place=Place("conditions.md"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stranger\nAND consent_in_farce", LINE + 1),
        ("stranger\nAND (\n  similarity = 'a')", LINE + 2),
        ("stranger\n\nAND device_zone IN (\n'a', site_kind)", LINE + 3),
        ("stranger\nAND NULL", LINE),
        ("stranger\nAND AND", LINE + 1),
        ("stranger AND\nsimilarity / 2 = 1", LINE + 1),
    ],
)
def test_a_refusal_names_the_line_within_the_condition(text: str, line: int) -> None:
    with pytest.raises(ConditionError) as refusal:
        read(text)
    assert refusal.value.place == Place("pack.yaml", line)


def test_a_place_without_a_line_stays_without() -> None:
    with pytest.raises(ConditionError) as refusal:
        parse("\nzzz", FACTS, place=Place("pack.yaml"))
    assert str(refusal.value) == "pack.yaml: unknown fact 'zzz'"


def test_a_condition_may_be_long_but_not_too_long() -> None:
    text = " AND ".join(["stranger"] * 300)
    assert len(clauses(root(text))) == 300
    assert root(" " * (TEXT_LIMIT - 8) + "stranger") == STRANGER
    with pytest.raises(ConditionError, match="expected at most 4000 characters, got 4001"):
        read(" " * (TEXT_LIMIT - 7) + "stranger")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1000 + "stranger" + ")" * 1000,
        "CASE WHEN " * 60 + "stranger" + " THEN TRUE ELSE FALSE END" * 60,
        "NOT " * 900 + "stranger",
        "similarity" + "+1" * 1900 + " > 0",
        "similarity = 0 " + "-(similarity" * 300 + ")" * 300,
        " IS TRUE".join(["stranger"] + [""] * 100),
    ],
)
def test_a_condition_may_not_be_too_deep(text: str) -> None:
    with pytest.raises(ConditionError, match=r"too deep|write parentheses"):
        read(text[:TEXT_LIMIT])


def test_the_deepest_tree_that_is_read_can_be_written_and_read_again() -> None:
    deepest = root("NOT " * (DEPTH_LIMIT - 1) + "stranger")
    assert depth(deepest) == DEPTH_LIMIT
    assert root(to_sql(deepest)) == deepest
    with pytest.raises(ConditionError, match="too deep: expected at most 24 levels"):
        read("NOT " * (DEPTH_LIMIT - 1) + "(stranger IS NULL)")
    with pytest.raises(ConditionError, match="too deep: expected at most 24 levels"):
        read("NOT " * (DEPTH_LIMIT - 2) + "(stranger IS NOT NULL)")


def test_a_thing_that_is_no_node_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="not a node"):
        canonical.to_sql("a")  # type: ignore[arg-type]
