"""Explaining a case: what each clause of a rule says of it, why a rule does not apply, what would have made it clear.

Rules:
1. An explanation never judges: the outcome is the oracle's, and every clause is worth what the interpreter says of it.
2. The smallest change is the fewest facts that, had they been otherwise, would have left the rule clear; of changes of
   one size the one that somebody could have brought about comes first: what is unknown, then what consents and papers
   grant, then other records, what was done last.
3. A change is a statement about facts, not advice: whether a record may be had is for a person to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import combinations, islice, product
from typing import Any

from streams.core.canonical import to_sql
from streams.core.condition import And, Constant, Fact, FactType, Node, Or
from streams.core.facts import FACTS, Source
from streams.core.instant import NEVER, micros, moment_of
from streams.core.interpreter import interpret
from streams.core.judge import Outcome, judge_row
from streams.core.rule import Rule

MENDED = (Outcome.VIOLATION, Outcome.UNDETERMINED)
CHANGED_AT_ONCE = 3
"""A change of more facts than this is another case, not a small change."""
CHANGES_TRIED = 20_000
"""A rule may ask many facts of many values; beyond this the search is given up and nothing is claimed."""
DEPTH_SHOWN = 3
ANOTHER = "another"
"""Stands for a word that the rule does not know."""

GRANTING = frozenset({Source.CONSENT, Source.NOTICE, Source.ASSESSMENT, Source.AUTHORITY, Source.EXCEPTION})
"""Sources whose records allow something: having less of them may silence one rule, and mends nothing."""
GIVEN = frozenset({
    *("site_public", "site_kind", "jurisdictions", "device_zone", "controller_type", "face_required_by_law"),
    *("purpose_category", "legal_basis"),
})
"""Facts that say what a place or a purpose is: nobody mends those before the papers."""
BARRING = frozenset({"consent_withdrawn", "restricted", "stranger"})
"""Facts that forbid something when they are TRUE."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a condition with its value in the case; `joint` is how its parts are joined, empty for a leaf."""

    depth: int
    joint: str
    text: str
    value: bool | None
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one rule says of one case, and why."""

    rule: Rule
    outcome: Outcome
    not_for: tuple[str, ...]
    """Why the rule does not apply, or why that is unknown; empty where it applies."""
    clauses: tuple[Clause, ...]
    excuses: tuple[tuple[str, bool | None], ...]
    change: tuple[str, ...]
    """The smallest change that would have made it clear, a fact each; empty where it is clear, or none was found."""


def explain(rule: Rule, row: Row) -> Explanation:
    """What `rule` says of a case and why; the row holds every fact that the rule asks."""
    outcome = judge_row(rule, row)
    applies = outcome is not Outcome.NOT_APPLICABLE
    against = tuple(_not_for(rule, row))
    return Explanation(
        rule=rule,
        outcome=outcome,
        not_for=against,
        clauses=tuple(_clauses(rule.condition.root, row, 0)) if applies else (),
        excuses=tuple((each.name, interpret(each.condition.root, row)) for each in rule.excuses) if applies else (),
        change=smallest_change(rule, row) if outcome in MENDED and not against else (),
    )


def _not_for(rule: Rule, row: Row) -> Iterator[str]:
    """Every reason for which the rule does not apply to the case, or may not."""
    instant = micros(row["occurred_at"])
    if instant < rule.from_instant:
        yield f"in force only from {moment_of(rule.from_instant).isoformat()}"
    if instant >= min(rule.until_instant, NEVER):
        yield f"in force only until {moment_of(rule.until_instant).isoformat()}"
    if rule.judges == "probe" and row["rank"] != 0:
        yield f"judges a probe once, at rank 0; this is rank {row['rank']}"
    if rule.judges == "subject" and row["stranger"] is not False:
        yield "judges what is done to a known person; " + ("this is a stranger" if row["stranger"] else "unknown who")
    if rule.controller_types and row["controller_type"] not in rule.controller_types:
        yield f"for {', '.join(rule.controller_types)}; the controller is {shown(row['controller_type'])}"
    where = row["jurisdictions"]
    if rule.jurisdictions and not set(rule.jurisdictions) & set(where or ()):
        yield f"for {', '.join(rule.jurisdictions)}; the site is in {shown(where)}"


def _clauses(node: Node, row: Row, depth: int) -> Iterator[Clause]:
    """The parts of a condition from the outside in, as deep as a person wants to read."""
    inner = isinstance(node, And | Or) and depth < DEPTH_SHOWN
    joint = "" if not inner else "all of" if isinstance(node, And) else "one of"
    named = () if inner else tuple(dict.fromkeys(each.name for each in nodes(node) if isinstance(each, Fact)))
    yield Clause(depth, joint, "" if inner else to_sql(node), interpret(node, row), named)
    if inner and isinstance(node, And | Or):
        for term in node.terms:
            yield from _clauses(term, row, depth + 1)


def nodes(node: Node) -> Iterator[Node]:
    """A node and every node below it."""
    yield node
    for field in fields(node):
        value = getattr(node, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if hasattr(each, "__dataclass_fields__"):
                yield from nodes(each)


def shown(value: object) -> str:
    """A fact's value as a person reads it; NULL is unknown."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # thirty days, not 30.0
    if isinstance(value, list | tuple):
        known = ", ".join(str(each) for each in value if each is not None)
        return f"[{known}{' and perhaps more' if None in value else ''}]"
    return str(value)


# -- the smallest change -----------------------------------------------------------------------------------------------


def smallest_change(rule: Rule, row: Row) -> tuple[str, ...]:
    """The fewest facts that would have left the rule clear had they been otherwise, as `fact = value`; () if none."""
    trees = [rule.condition.root, *(each.condition.root for each in rule.excuses)]
    wanted = sorted(rule.facts, key=lambda name: _reluctance(name, rule, row))
    lists = [each for name in wanted if isinstance(row[name], list) for each in row[name] if each is not None]
    others = {name: list(_otherwise(name, row, [*_constants(name, trees), *lists])) for name in wanted}
    for changes in islice(_changes(wanted, others), CHANGES_TRIED):
        if interpret(rule.condition.root, {**row, **changes}) is False:
            return tuple(f"{name} = {shown(value)}" for name, value in changes.items())
    return ()


def _reluctance(name: str, rule: Rule, row: Row) -> tuple[object, ...]:
    """The order in which facts are tried; what a condition asks last is what it demands."""
    source = FACTS[name].source
    unknown = row[name] is None or (isinstance(row[name], list) and None in row[name])
    return (not unknown, source is Source.EVENT, source not in GRANTING, name in GIVEN, -rule.facts.index(name))


def _changes(names: Sequence[str], others: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    """Every change of the facts, the smallest first."""
    for size in range(1, CHANGED_AT_ONCE + 1):
        for chosen in combinations(names, size):
            for values in product(*(others[name] for name in chosen)):
                yield dict(zip(chosen, values, strict=True))


def _otherwise(name: str, row: Row, constants: Sequence[Any]) -> Iterator[object]:
    """Other values that a fact might have had, as far as the rule can tell them apart."""
    held = row[name]
    for value in _values(FACTS[name].type, held, constants):
        if value != held and _mends(name, value):
            yield value


def _mends(name: str, value: object) -> bool:
    """Whether a value would allow more than its opposite."""
    if name in BARRING:
        return value is not True
    return not (value is False and FACTS[name].source in GRANTING)


def _constants(name: str, trees: Sequence[Node]) -> list[Any]:
    """The constants that stand in one comparison with the fact."""
    found: dict[Any, None] = {}
    for tree in trees:
        for node in nodes(tree):
            inside = list(nodes(node))
            if isinstance(node, And | Or) or not any(isinstance(each, Fact) and each.name == name for each in inside):
                continue
            for each in inside:
                if isinstance(each, Constant) and each.value is not None:
                    values = each.value if isinstance(each.value, tuple) else (each.value,)
                    found.update(dict.fromkeys(values))
    return list(found)


def _values(kind: FactType, held: Any, constants: Sequence[Any]) -> Iterator[object]:
    if kind is FactType.BOOLEAN:
        yield from (True, False)
    elif kind is FactType.TEXT:
        yield from (each for each in constants if isinstance(each, str))
        yield ANOTHER
    elif kind is FactType.NUMBER:
        for each in constants:
            if isinstance(each, int | float):
                yield from (each, each - 1, each + 1)
    elif kind is FactType.TIME:
        steps = (timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1))
        yield from (each + step for each in constants if isinstance(each, datetime) for step in steps)
    else:
        known = [each for each in held or () if each is not None]
        texts = [each for each in constants if isinstance(each, str)]
        yield known
        yield [each for each in known if each not in texts]
        yield from ([*known, each] for each in (*texts, ANOTHER) if each not in known)
        yield sorted({*known, *texts})
