"""The rulebook: all packs loaded, each rule compiled, and one digest over everything that can change a verdict.

Rules:
1. Loading is pure: texts in, a rulebook or every problem of every pack out; a rulebook with a problem does not start.
2. A rule's id names the breach; id and revision together are its identity in every violation.
3. The digest covers rules in canonical form, the facts they can ask, and the semantics of the engine; comments,
   order of packs and white space do not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import chain, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from streams.core import calendar
from streams.core.canonical import to_sql
from streams.core.compiler import compile_rule
from streams.core.document import fit, read_document
from streams.core.facts import FACTS, CaseKind
from streams.core.instant import NEVER
from streams.core.pack import PackShape
from streams.core.rule import (
    AnyRule,
    Clause,
    DeadlineRule,
    Duty,
    Role,
    Rule,
    WindowRule,
    asked_of_subjects,
    entry_rules,
)
from streams.errors import Place, RulebookError, RulebookErrors

SEMANTICS = "2"
"""Raised when the same rules over the same facts would give another verdict: a change of judge, facts or language."""

@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules in a fixed order, and the digest of all; `rules` judge one case each, `duties` what no case decides."""

    rules: tuple[Rule, ...]
    digest: str
    packs: tuple[str, ...]
    duties: tuple[Duty, ...] = ()
    roles: Mapping[Rule, Role] = field(default_factory=dict)
    """The rules by which cases are entered for duties, and as what."""
    off: tuple[AnyRule, ...] = ()
    """What the packs hold and nobody is judged by."""

    def of_kind(self, kind: CaseKind) -> tuple[Rule, ...]:
        """The rules that judge one kind of case."""
        return tuple(rule for rule in self.rules if rule.kind is kind)

    def facts_of(self, kind: CaseKind) -> frozenset[str]:
        """Every fact that some rule about one kind of case asks, selectors included."""
        rules = [rule for rule in (*self.rules, *self.roles) if rule.kind is kind]
        asked = {name for rule in rules for name in rule.facts}
        selecting = {"stranger"} if any(rule.judges == "subject" for rule in rules) else set()
        return frozenset(asked | selecting | {"jurisdictions", "controller_type"})

    def entering(self) -> Rulebook:
        """The rules that enter cases for duties, as a rulebook that the judge takes."""
        return Rulebook(tuple(self.roles), self.digest, self.packs)

    def asked(self) -> dict[str, tuple[str, ...]]:
        """By kind of subject record, the fields that duties ask of it."""
        return asked_of_subjects(self.duties)

    def every(self) -> tuple[AnyRule, ...]:
        """All rules of every kind that judge, by id and revision."""
        return tuple(sorted(chain(self.rules, self.duties), key=lambda rule: (rule.id, rule.revision)))

    def written(self) -> tuple[AnyRule, ...]:
        """All rules that the packs hold, those that are off too, by id and revision."""
        return tuple(sorted(chain(self.every(), self.off), key=lambda rule: (rule.id, rule.revision)))


def load(texts: Iterable[tuple[str, str]]) -> Rulebook:
    """The rulebook of `(file name, text)` pairs; raises `RulebookErrors` with every problem of every file."""
    rules: dict[tuple[str, int], AnyRule] = {}
    packs: dict[str, str] = {}
    problems: list[RulebookError] = []
    for file, text in texts:
        try:
            document = read_document(text, file)
            shape = fit(PackShape, document)
        except RulebookErrors as error:
            problems.extend(error.problems)
            continue
        if shape.pack in packs:
            problems.append(RulebookError(f"pack {shape.pack!r} is in {packs[shape.pack]} too", place=Place(file, 1)))
        packs[shape.pack] = file
        for index, rule_shape in enumerate(shape.rules):
            path = ("rules", index)
            try:
                rule = compile_rule(shape, rule_shape, document, path)
            except RulebookErrors as error:
                problems.extend(error.problems)
                continue
            known = (rule.id, rule.revision)
            if known in rules:
                said = f"rule {rule.id} revision {rule.revision} stands twice"
                problems.append(RulebookError(said, place=document.place(path)))
            rules[known] = rule
    problems.extend(_overlaps(rules.values()))
    if problems:
        raise RulebookErrors(tuple(problems))
    held = [rules[known] for known in sorted(rules)]
    judging = of_rules([rule for rule in held if not rule.off], packs)
    return replace(judging, off=tuple(rule for rule in held if rule.off))


def _overlaps(rules: Iterable[AnyRule]) -> Iterator[RulebookError]:
    """Two revisions of one rule that hold at one instant: it could not be told by which a case is judged."""
    ordered = sorted(rules, key=lambda rule: (rule.id, rule.revision))
    for older, newer in pairwise(ordered):
        if older.id == newer.id and newer.from_instant < older.until_instant:
            said = f"expected {newer.id} revision {newer.revision} to begin where revision {older.revision} ends"
            yield RulebookError(said, place=newer.place)


def of_rules(rules: Sequence[AnyRule], packs: Iterable[str] | None = None) -> Rulebook:
    """The rulebook of rules that are compiled already, in their order."""
    duties = tuple(rule for rule in rules if isinstance(rule, DeadlineRule | WindowRule))
    return Rulebook(
        tuple(rule for rule in rules if isinstance(rule, Rule)),
        _digest(rules),
        tuple(sorted({rule.pack for rule in rules} if packs is None else packs)),
        duties,
        {rule: role for duty in duties for rule, role in entry_rules(duty)},
    )


def as_of(book: Rulebook, day: date) -> Rulebook:
    """The law of one day, for events of any time: what was in force on it where it holds, and nothing else.

    The dates of a rule are days of its own place, and so is this one: no instant lies in it everywhere.
    """
    held = [rule for rule in book.every() if _holds_on(rule, day)]
    return of_rules([_of_all_time(rule) for rule in held], book.packs)


def _holds_on(rule: AnyRule, day: date) -> bool:
    return rule.from_instant <= calendar.start_of(day, ZoneInfo(rule.timezone)) < rule.until_instant


def _of_all_time(rule: AnyRule) -> AnyRule:
    """A rule without dates, and so what it asks of cases."""
    dates: dict[str, Any] = {"from_instant": 0, "until_instant": NEVER}
    free = dict(dates)
    match rule:
        case WindowRule():
            asked = {"counts": rule.counts, "unless": rule.unless}
            free |= {name: None if each is None else replace(each, **dates) for name, each in asked.items()}
        case DeadlineRule():
            free |= {name: _clauses(getattr(rule, name), dates) for name in ("opens", "fulfilled_by", "extended_by")}
    return replace(rule, **free)


def _clauses(clauses: Sequence[Clause], free: Mapping[str, Any]) -> tuple[Clause, ...]:
    return tuple(each if each.case is None else replace(each, case=replace(each.case, **free)) for each in clauses)


def _digest(rules: Iterable[AnyRule]) -> str:
    content = {
        "semantics": SEMANTICS,
        "facts": [[fact.name, fact.type.value, fact.source.value] for fact in FACTS.values()],
        "rules": [canonical(rule) for rule in rules],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def canonical(rule: AnyRule) -> dict[str, object]:
    """What of a rule can change a verdict or its weight, in a form that white space and comments do not touch."""
    content: dict[str, object] = {
        "id": rule.id,
        "revision": rule.revision,
        "level": rule.level,
        "standing": rule.standing,
        "jurisdictions": sorted(rule.jurisdictions),
        "controller_types": sorted(rule.controller_types),
        "in_force": [rule.from_instant, rule.until_instant],
    }
    match rule:
        case Rule():
            content |= _case(rule)
        case WindowRule():
            cases = [None if each is None else _case(each) for each in (rule.counts, rule.unless)]
            content["window"] = [rule.days, rule.key, rule.count, rule.at_least, rule.timezone, *cases]
            content |= {} if rule.or_beyond is None else {"or_beyond": rule.or_beyond}
        case DeadlineRule():
            clauses = [[name, _clause(clause)] for name, clause in rule.clauses()]
            content["deadline"] = [list(rule.key), rule.once, rule.continuing, rule.timezone, asdict(rule.due), clauses]
            if rule.due.calendar is not None:
                content["calendar"] = calendar.DATA_VERSION
    return content


def _case(rule: Rule) -> dict[str, object]:
    return {
        "judges": rule.judges,
        "condition": to_sql(rule.condition.root),
        "excusable": rule.excusable,
        "excuses": [[excuse.name, to_sql(excuse.condition.root)] for excuse in rule.excuses],
    }


def _clause(clause: Clause) -> list[object]:
    return [
        clause.record,
        None if clause.condition is None else to_sql(clause.condition.root),
        None if clause.case is None else _case(clause.case),
        clause.stored_persons,
        clause.at,
        clause.earlier,
        clause.restarts,
        None if clause.due is None else asdict(clause.due),
    ]
