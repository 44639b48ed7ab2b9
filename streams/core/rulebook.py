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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from schemas.vocabulary import Level
from streams.core.canonical import to_sql
from streams.core.condition import Condition
from streams.core.document import BODY, Document, Path, fit, read_document
from streams.core.facts import FACTS, OF_KIND, CaseKind
from streams.core.grammar import parse
from streams.core.instant import NEVER, micros
from streams.core.pack import Annotations, InForce, Judges, PackShape, RuleShape, RuleTest
from streams.errors import Place, RulebookError, RulebookErrors

SEMANTICS = "1"
"""Raised when the same rules over the same facts would give another verdict: a change of judge, facts or language."""

JUDGED_KIND: Mapping[Judges, CaseKind] = {
    "match": CaseKind.MATCH,
    "probe": CaseKind.MATCH,
    "subject": CaseKind.MATCH,
    "access_outcome": CaseKind.ACCESS_OUTCOME,
    "human_review": CaseKind.HUMAN_REVIEW,
    "disclosure": CaseKind.DISCLOSURE,
}


@dataclass(frozen=True, slots=True)
class Excuse:
    """One exception of a rule, compiled."""

    name: str
    citation: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class PlacedTest:
    """A rule's own test, and where it stands."""

    test: RuleTest
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One revision of one rule, compiled; equal only to itself.

    `from_instant` and `until_instant` bound it half-open, in microseconds.
    """

    id: str
    revision: int
    pack: str
    title: str
    description: str
    citation: str
    level: Level
    standing: str
    judges: Judges
    jurisdictions: tuple[str, ...]
    controller_types: tuple[str, ...]
    from_instant: int
    until_instant: int
    condition: Condition
    excuses: tuple[Excuse, ...]
    per: str
    annotations: Annotations
    confidence: str
    limits: str | None
    facts: tuple[str, ...]
    """Every fact that its condition and excuses ask, in order of first use."""
    references: tuple[str, ...] = ()
    timezone: str = "UTC"
    place: Place | None = None
    """Where the rule stands."""
    tests: tuple[PlacedTest, ...] = ()

    @property
    def kind(self) -> CaseKind:
        """The kind of case that the rule judges."""
        return JUDGED_KIND[self.judges]

    @property
    def column(self) -> str:
        """The name of the rule's column of outcomes."""
        return f"{self.id}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules in a fixed order, and the digest of them all."""

    rules: tuple[Rule, ...]
    digest: str
    packs: tuple[str, ...]

    def of_kind(self, kind: CaseKind) -> tuple[Rule, ...]:
        """The rules that judge one kind of case."""
        return tuple(rule for rule in self.rules if rule.kind is kind)

    def facts_of(self, kind: CaseKind) -> frozenset[str]:
        """Every fact that some rule about one kind of case asks, selectors included."""
        rules = self.of_kind(kind)
        asked = {name for rule in rules for name in rule.facts}
        selecting = {"stranger"} if any(rule.judges == "subject" for rule in rules) else set()
        return frozenset(asked | selecting | {"jurisdictions", "controller_type"})


def load(texts: Iterable[tuple[str, str]]) -> Rulebook:
    """The rulebook of `(file name, text)` pairs; raises `RulebookErrors` with every problem of every file."""
    rules: dict[tuple[str, int], Rule] = {}
    seen: set[tuple[str, int]] = set()
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
                rule = _compile(shape, rule_shape, document, path)
            except RulebookErrors as error:
                problems.extend(error.problems)
                continue
            if (rule.id, rule.revision) in seen:
                problems.append(
                    RulebookError(f"rule {rule.id} revision {rule.revision} stands twice", place=document.place(path))
                )
            seen.add((rule.id, rule.revision))
            if rule_shape.mode != "off":
                rules[rule.id, rule.revision] = rule
    if problems:
        raise RulebookErrors(tuple(problems))
    ordered = tuple(rules[key] for key in sorted(rules))
    return Rulebook(ordered, _digest(ordered), tuple(sorted(packs)))


def _conditions(pack: PackShape, shape: RuleShape, document: Document, path: tuple[str, int]) -> list[Condition]:
    """The condition of a rule and those of its exceptions; raises RulebookErrors with every problem of them."""
    facts = OF_KIND[JUDGED_KIND[shape.judges]]
    problems: list[RulebookError] = []
    if not shape.id.startswith(f"{pack.pack}."):
        problems.append(
            RulebookError(f"expected an id that starts with '{pack.pack}.'", place=document.place((*path, "id")))
        )
    texts: list[tuple[Path, str]] = [((*path, "condition"), shape.condition)]
    texts += [((*path, "exceptions", i, "condition"), each.condition) for i, each in enumerate(shape.exceptions)]
    conditions: list[Condition] = []
    for where, text in texts:
        line = document.lines.get((*where, BODY), document.place(where).line)
        try:
            conditions.append(parse(text, facts, place=Place(document.file, line)))
        except RulebookError as error:
            problems.append(error)
    if problems:
        raise RulebookErrors(tuple(problems))
    return conditions


def _compile(pack: PackShape, shape: RuleShape, document: Document, path: tuple[str, int]) -> Rule:
    conditions = _conditions(pack, shape, document, path)
    in_force = shape.in_force or pack.in_force
    zone = ZoneInfo(pack.timezone)
    return Rule(
        id=shape.id,
        revision=shape.revision,
        pack=pack.pack,
        title=shape.title,
        description=shape.description,
        citation=shape.citation,
        level=shape.level,
        standing="what_if" if pack.status == "draft" or shape.mode == "shadow" else "in_force",
        judges=shape.judges,
        jurisdictions=pack.jurisdictions if shape.jurisdictions is None else shape.jurisdictions,
        controller_types=shape.controller_types,
        from_instant=_midnight(in_force.from_, zone),
        until_instant=_end(in_force, zone),
        condition=conditions[0],
        excuses=tuple(
            Excuse(each.name, each.citation, condition)
            for each, condition in zip(shape.exceptions, conditions[1:], strict=True)
        ),
        per=shape.per,
        annotations=shape.annotations,
        confidence=shape.confidence,
        limits=shape.limits,
        facts=tuple(dict.fromkeys(name for condition in conditions for name in condition.facts)),
        references=shape.references,
        timezone=pack.timezone,
        place=document.place(path),
        tests=tuple(
            PlacedTest(test, document.place((*path, "tests", index))) for index, test in enumerate(shape.tests)
        ),
    )


def _midnight(day: date, zone: ZoneInfo) -> int:
    return micros(datetime.combine(day, time(), tzinfo=zone).astimezone(UTC))


def _end(in_force: InForce, zone: ZoneInfo) -> int:
    return NEVER if in_force.until is None else _midnight(in_force.until, zone)


def _digest(rules: tuple[Rule, ...]) -> str:
    content = {
        "semantics": SEMANTICS,
        "facts": [[fact.name, fact.type.value, fact.source.value] for fact in FACTS.values()],
        "rules": [canonical(rule) for rule in rules],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def canonical(rule: Rule) -> dict[str, object]:
    """What of a rule can change a verdict or its weight, in a form that white space and comments do not touch."""
    return {
        "id": rule.id,
        "revision": rule.revision,
        "level": rule.level,
        "standing": rule.standing,
        "judges": rule.judges,
        "jurisdictions": sorted(rule.jurisdictions),
        "controller_types": sorted(rule.controller_types),
        "in_force": [rule.from_instant, rule.until_instant],
        "condition": to_sql(rule.condition.root),
        "excuses": [[excuse.name, to_sql(excuse.condition.root)] for excuse in rule.excuses],
    }
