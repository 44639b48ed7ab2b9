"""From the shape of a rule to the rule: conditions parsed against the facts they may ask, dates turned into instants.

Rules:
1. Every problem of a rule is told at once, with its line.
2. A condition over a case may ask the facts of its kind, one over a record the fields of its kind; nothing else.
3. A duty towards a person rests on subject records and cases alone, any other on registry records and cases: whoever
   settles it must hold all that it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from streams.core import calendar
from streams.core.condition import Condition, FactType
from streams.core.document import BODY, Document, Path
from streams.core.facts import OF_KIND
from streams.core.grammar import parse
from streams.core.instant import NEVER
from streams.core.pack import Amount as AmountShape
from streams.core.pack import Clause as ClauseShape
from streams.core.pack import InForce, Judges, PackShape, RuleShape
from streams.core.record_facts import RECORDS, SUBJECT_RECORDS, facts_of, own_facts
from streams.core.rule import (
    JUDGED_KIND,
    Amount,
    AnyRule,
    Clause,
    DeadlineRule,
    Excuse,
    PlacedTest,
    Rule,
    WindowRule,
)
from streams.errors import Place, RulebookError, RulebookErrors

CASE_DAYS_MAX = 92
"""A case that opened a duty is not kept for ever; `streams.core.docket.KEEP` leaves room for a period before it."""
TRUE = parse("TRUE", {}, place=Place("always"))


class Compiler:
    """Compiles one rule of a document and gathers its problems."""

    def __init__(self, pack: PackShape, shape: RuleShape, document: Document, path: Path) -> None:
        self.pack = pack
        self.shape = shape
        self.document = document
        self.path = path
        self.problems: list[RulebookError] = []
        zone = ZoneInfo(pack.timezone)
        in_force: InForce = shape.in_force or pack.in_force
        self.always: dict[str, Any] = {
            "revision": shape.revision,
            "pack": pack.pack,
            "title": shape.title,
            "description": shape.description,
            "citation": shape.citation,
            "level": shape.level,
            "standing": "what_if" if pack.status == "draft" or shape.mode == "shadow" else "in_force",
            "jurisdictions": pack.jurisdictions if shape.jurisdictions is None else shape.jurisdictions,
            "controller_types": shape.controller_types,
            "from_instant": calendar.start_of(in_force.from_, zone),
            "until_instant": NEVER if in_force.until is None else calendar.start_of(in_force.until, zone),
            "off": shape.mode == "off",
            "per": shape.per,
            "annotations": shape.annotations,
            "confidence": shape.confidence,
            "limits": shape.limits,
            "references": shape.references,
            "timezone": pack.timezone,
            "place": document.place(path),
            "tests": tuple(
                PlacedTest(test, document.place((*path, "tests", index))) for index, test in enumerate(shape.tests)
            ),
        }

    def compile(self) -> AnyRule:
        """The rule; raises `RulebookErrors` with every problem of it."""
        if not self.shape.id.startswith(f"{self.pack.pack}."):
            self._problem(f"expected an id that starts with '{self.pack.pack}.'", ("id",))
        made = self._condition() if self.shape.kind == "condition" else self._duty()
        if self.problems:
            raise RulebookErrors(tuple(self.problems))
        return made

    def _duty(self) -> AnyRule:
        return self._deadline() if self.shape.deadline is not None else self._window()

    def _condition(self) -> Rule:
        assert self.shape.judges is not None, "the shape of a condition asks for what it judges"
        return self._case_rule(self.shape.id, self.shape.judges, self.shape.condition, ("condition",))

    def _case_rule(
        self, rule_id: str, judges: Judges, text: str | None, where: Path, *, excused: bool = True, **changed: Any
    ) -> Rule:
        """A rule over one kind of case, with the exceptions of the shape."""
        facts = OF_KIND[JUDGED_KIND[judges]]
        condition = self._parse(text, facts, where)
        excuses = tuple(
            Excuse(each.name, each.citation, self._parse(each.condition, facts, ("exceptions", index, "condition")))
            for index, each in enumerate(self.shape.exceptions if excused else ())
        )
        asked = (name for each in (condition, *(excuse.condition for excuse in excuses)) for name in each.facts)
        fields = self.always | {"id": rule_id, "excusable": self.shape.excusable} | changed
        return Rule(**fields, judges=judges, condition=condition, excuses=excuses, facts=tuple(dict.fromkeys(asked)))

    def _deadline(self) -> DeadlineRule:
        shape = self.shape.deadline
        assert shape is not None, "the shape of a deadline asks for one"
        of_subject = "subject" in shape.key
        groups: dict[str, list[Clause]] = {}
        roles: tuple[tuple[str, str, tuple[ClauseShape, ...]], ...] = (
            ("opens", "opens", shape.opens),
            ("fulfilled_by", "fulfils", shape.fulfilled_by),
            ("extended_by", "extends", shape.extended_by),
        )
        for key, role, clauses in roles:
            groups[key] = [
                self._clause(each, f"{self.shape.id}#{role}-{number}", ("deadline", key, number), of_subject)
                for number, each in enumerate(clauses)
            ]
        opened = [each.record for each in shape.opens if each.record is not None]
        due = self._amount(shape.due, opened, ("deadline", "due"))
        if any(each.case is not None for each in shape.opens) and _days(due) > CASE_DAYS_MAX:
            self._problem(f"expected a duty that a case opens to end within {CASE_DAYS_MAX} days", ("deadline", "due"))
        return DeadlineRule(
            **self.always,
            id=self.shape.id,
            opens=tuple(groups["opens"]),
            fulfilled_by=tuple(groups["fulfilled_by"]),
            extended_by=tuple(groups["extended_by"]),
            key=shape.key,
            once=shape.once,
            continuing=shape.continuing,
            due=due,
        )

    def _clause(self, shape: Any, clause_id: str, where: Path, of_subject: bool) -> Clause:
        due = getattr(shape, "due", None)
        amount = None if due is None else self._amount(due, [], (*where, "due"))
        at, earlier = getattr(shape, "at", None), getattr(shape, "earlier", False)
        restarts = getattr(shape, "restarts", False)
        if shape.case is not None:
            opens = "#opens-" in clause_id
            free: dict[str, Any] = {} if opens else {"jurisdictions": (), "controller_types": (), "from_instant": 0}
            if not opens:
                free["until_instant"] = NEVER
            case = self._case_rule(clause_id, shape.case, shape.condition, (*where, "condition"), **free)
            return Clause(case=case, earlier=earlier, due=amount, restarts=restarts)
        if shape.record is None:
            return Clause(stored_persons=shape.stored_persons)
        if (shape.record in SUBJECT_RECORDS) != of_subject:
            wanted = "subject records, because its key names the subject" if of_subject else "registry records"
            self._problem(f"expected a duty that rests on {wanted}, not on {shape.record!r}", (*where, "record"))
        facts = facts_of(shape.record) if "#opens-" in clause_id else own_facts(shape.record)
        if at is not None and facts.get(at) is not FactType.TIME:
            times = [name for name, kind in facts.items() if kind is FactType.TIME]
            self._problem(f"expected a time of {shape.record!r}, {_near(at, times)}", (*where, "at"))
        condition = None if shape.condition is None else self._parse(shape.condition, facts, (*where, "condition"))
        return Clause(
            record=shape.record, condition=condition, at=at, earlier=earlier, due=amount, restarts=restarts
        )

    def _amount(self, shape: AmountShape, opened: Sequence[str], where: Path) -> Amount:
        wanted = ((shape.after, FactType.NUMBER, "after"), (shape.counted_from, FactType.TIME, "counted_from"))
        for name, fact_type, key in wanted:
            for kind in opened or list(RECORDS)[:1]:
                facts = facts_of(kind) if opened else {}
                if isinstance(name, str) and facts.get(name) is not fact_type:
                    names = [each for each, held in facts.items() if held is fact_type]
                    self._problem(f"expected a {fact_type} of {kind!r}, {_near(name, names)}", (*where, key))
        if shape.calendar not in (None, "local") and not calendar.known(str(shape.calendar)):
            self._problem(f"no working days are known of {shape.calendar!r}", (*where, "calendar"))
        return Amount(
            after=shape.after,
            unit=shape.unit,
            calendar=shape.calendar,
            roll=shape.roll is not None,
            counted_from=shape.counted_from,
            from_end_of=shape.from_end_of,
        )

    def _window(self) -> WindowRule:
        shape = self.shape.window
        assert shape is not None, "the shape of a window asks for one"
        judges, counts, unless = self.shape.judges, None, None
        if judges is not None:
            counts = self._case_rule(f"{self.shape.id}#counts", judges, self.shape.condition, ("condition",))
            if shape.unless is not None:
                where = ("window", "unless")
                unless = self._case_rule(f"{self.shape.id}#unless", judges, shape.unless, where, excused=False)
        elif shape.key != "controller":
            self._problem("expected the key 'controller' where stored persons are counted", ("window", "key"))
        return WindowRule(
            **self.always,
            id=self.shape.id,
            days=shape.days,
            key=shape.key,
            count=shape.count,
            at_least=shape.at_least,
            or_beyond=shape.or_beyond,
            counts=counts,
            unless=unless,
        )

    def _parse(self, text: str | None, facts: Mapping[str, FactType], where: Path) -> Condition:
        if text is None:
            return TRUE
        full = (*self.path, *where)
        line = self.document.lines.get((*full, BODY), self.document.place(full).line)
        try:
            return parse(text, facts, place=Place(self.document.file, line))
        except RulebookError as error:
            self.problems.append(error)
            return TRUE

    def _problem(self, message: str, where: Path) -> None:
        self.problems.append(RulebookError(message, place=self.document.place((*self.path, *where))))


def _days(amount: Amount) -> float:
    """At most so many days, working days counted as two."""
    lengths = {"minutes": 1 / 1440, "hours": 1 / 24, "days": 1.0, "months": 31.0, "years": 366.0, "working_days": 2.0}
    return float("inf") if isinstance(amount.after, str) else amount.after * lengths[amount.unit]


def compile_rule(pack: PackShape, shape: RuleShape, document: Document, path: Path) -> AnyRule:
    """The rule of a shape; raises `RulebookErrors` with every problem of it."""
    return Compiler(pack, shape, document, path).compile()


def _near(name: str, names: Sequence[str]) -> str:
    found = get_close_matches(name, names, n=1)
    return f"got {name!r}; did you mean {found[0]!r}?" if found else f"one of {', '.join(names)}, got {name!r}"
