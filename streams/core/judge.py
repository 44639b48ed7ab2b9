"""The judge: every rule over every case, in columns; the same for a micro-batch and for years.

Rules:
1. A rule applies by its dates, jurisdictions, controller types and scope; an unknown selector is undetermined, unless
   another one already says that the rule does not apply.
2. TRUE is a violation, or excused where an exception holds; FALSE is clear; unknown is undetermined. A violation whose
   exception is unknown is undetermined too: it is neither clear nor open.
3. A rule that fails gives `undetermined` for all its cases and stops no other rule.
4. `judge_row` says the same of one row by the interpreter; the tests hold the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache, reduce
from operator import and_

import polars as pl

from streams.core.columns import to_polars
from streams.core.facts import FACTS, CaseKind, Unknown, why
from streams.core.instant import NEVER, micros
from streams.core.interpreter import interpret
from streams.core.rulebook import Rule, Rulebook


class Outcome(IntEnum):
    """What one rule says of one case."""

    NOT_APPLICABLE = 0
    CLEAR = 1
    UNDETERMINED = 2
    EXCUSED = 3
    VIOLATION = 4

    @property
    def word(self) -> str:
        """The outcome as a label: `not_applicable`, `clear`, `undetermined`, `excused`, `violation`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the rules about one kind of case say of a batch; `outcomes` has one UInt8 column a rule, one row a case."""

    kind: CaseKind
    rules: tuple[Rule, ...]
    cases: pl.DataFrame
    outcomes: pl.DataFrame
    failed: frozenset[str] = frozenset()
    _counts: dict[Rule, dict[Outcome, int]] = field(default_factory=dict)

    def counts(self) -> Mapping[Rule, Mapping[Outcome, int]]:
        """How often each rule said what; every outcome is there, zeros too."""
        if self.rules and not self._counts:
            numbers = self.outcomes.select(_sums(self.rules)).row(0)
            width = len(Outcome)
            for index, rule in enumerate(self.rules):
                said = numbers[index * width : (index + 1) * width]
                self._counts[rule] = dict(zip(Outcome, said, strict=True))
        return self._counts

    def found(self, *outcomes: Outcome) -> Iterator[tuple[int, Rule, Outcome]]:
        """Row, rule and outcome wherever one of `outcomes` was said, rule by rule in row order."""
        wanted = [outcome.value for outcome in outcomes]
        for rule, counts in self.counts().items():
            if not any(counts[outcome] for outcome in outcomes):
                continue
            column = self.outcomes[rule.column]
            rows = column.is_in(wanted).arg_true()
            for row, value in zip(rows.to_list(), column[rows].to_list(), strict=True):
                yield row, rule, Outcome(value)

    def undetermined(self) -> Counter[tuple[Rule, str]]:
        """How many cases each rule left undetermined, by the reason."""
        found: Counter[tuple[Rule, str]] = Counter()
        for rule, counts in self.counts().items():
            if not counts[Outcome.UNDETERMINED]:
                continue
            if rule.column in self.failed:
                found[rule, Unknown.RULE_FAILED.value] = counts[Outcome.UNDETERMINED]
                continue
            open_cases = self.cases.filter(self.outcomes[rule.column] == Outcome.UNDETERMINED.value)
            reasons = open_cases.select(_reason(rule)).to_series().value_counts()
            for reason, count in reasons.iter_rows():
                found[rule, reason] += count
        return found

    def reason(self, rule: Rule, row: Mapping[str, object]) -> str:
        """Why one undetermined case is; the same reason that `undetermined` counts."""
        if rule.column in self.failed:
            return Unknown.RULE_FAILED.value
        for name in _asked(rule):
            if row[name] is None:
                return str(row.get(why(FACTS[name].source)) or Unknown.NOT_REPORTED.value)
        return Unknown.NOT_REPORTED.value


def judge(cases: pl.DataFrame, kind: CaseKind, rulebook: Rulebook) -> Verdicts:
    """What every rule about `kind` says of the cases, as `streams.core.case.assemble` gives them."""
    rules = rulebook.of_kind(kind)
    span = _span(cases)
    try:
        outcomes = cases.select([_outcome(rule, *_bounds(rule, span)) for rule in rules])
        return Verdicts(kind, rules, cases, outcomes)
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - whatever a rule does, the others are judged
        return _judge_apart(cases, kind, rules, span)


def _judge_apart(cases: pl.DataFrame, kind: CaseKind, rules: Sequence[Rule], span: tuple[int, int]) -> Verdicts:
    """Each rule alone, so that the failing one is known and the others are judged."""
    columns: list[pl.Series] = []
    failed: set[str] = set()
    for rule in rules:
        try:
            columns.append(cases.select(_outcome(rule, *_bounds(rule, span))).to_series())
        except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - a failing rule is undetermined
            failed.add(rule.column)
            columns.append(pl.Series(rule.column, [Outcome.UNDETERMINED.value] * cases.height, dtype=pl.UInt8))
    return Verdicts(kind, tuple(rules), cases, pl.DataFrame(columns), frozenset(failed))


def _span(cases: pl.DataFrame) -> tuple[int, int]:
    if cases.is_empty():
        return 0, 0
    ends = cases.select(
        pl.col("occurred_at").dt.epoch("us").min().alias("first"),
        pl.col("occurred_at").dt.epoch("us").max().alias("last"),
    )
    first, last = ends.row(0)
    return first, last


def _bounds(rule: Rule, span: tuple[int, int]) -> tuple[bool, bool]:
    """Whether the first and the last day of a rule cut the span, so that rows must be asked."""
    return rule.from_instant > span[0], rule.until_instant <= span[1]


@lru_cache(maxsize=4_096)
def _outcome(rule: Rule, asks_first: bool, asks_last: bool) -> pl.Expr:
    """The outcome of a rule as one expression; kept, since building sixty of them costs more than computing them."""
    applies = _applies(rule, asks_first, asks_last)
    breach = to_polars(rule.condition.root)
    said = pl.when(~breach).then(_code(Outcome.CLEAR)).when(breach.is_null()).then(_code(Outcome.UNDETERMINED))
    if rule.excuses:
        excused = pl.any_horizontal(to_polars(excuse.condition.root) for excuse in rule.excuses)
        said = said.when(excused).then(_code(Outcome.EXCUSED))
        said = said.when(excused.is_null()).then(_code(Outcome.UNDETERMINED))
    judged = said.otherwise(_code(Outcome.VIOLATION))
    if applies is None:
        return judged.alias(rule.column)
    return (
        pl.when(~applies)
        .then(_code(Outcome.NOT_APPLICABLE))
        .when(applies.is_null())
        .then(_code(Outcome.UNDETERMINED))
        .otherwise(judged)
        .alias(rule.column)
    )


def _code(outcome: Outcome) -> pl.Expr:
    return pl.lit(outcome.value, dtype=pl.UInt8)


def _applies(rule: Rule, asks_first: bool, asks_last: bool) -> pl.Expr | None:
    """Whether the rule applies to a row; None where it applies to every row."""
    parts: list[pl.Expr] = []
    if asks_first:
        parts.append(pl.col("occurred_at").dt.epoch("us") >= rule.from_instant)
    if asks_last:
        parts.append(pl.col("occurred_at").dt.epoch("us") < rule.until_instant)
    if rule.judges == "probe":
        parts.append(pl.col("rank") == 0)
    if rule.judges == "subject":
        parts.append(~STRANGER_ROW)
    if rule.controller_types:
        parts.append(pl.col("controller_type").is_in(list(rule.controller_types)))
    if rule.jurisdictions:
        held = [pl.col("jurisdictions").list.contains(each) for each in rule.jurisdictions]
        parts.append(pl.any_horizontal(held) if len(held) > 1 else held[0])
    return reduce(and_, parts) if parts else None


STRANGER_ROW = (pl.col("operation") == "identification") & (pl.col("comparison_decision") == "non_match")
SELECTORS = {"controller_types": "controller_type", "jurisdictions": "jurisdictions"}


def _asked(rule: Rule) -> list[str]:
    """The facts whose absence can leave a rule undetermined, selectors first."""
    selecting = [fact for selector, fact in SELECTORS.items() if getattr(rule, selector)]
    return list(dict.fromkeys([*selecting, *rule.facts]))


@lru_cache(maxsize=4_096)
def _sums(rules: tuple[Rule, ...]) -> list[pl.Expr]:
    """One sum for each rule and outcome, in that order."""
    return [
        (pl.col(rule.column) == outcome.value).sum().alias(f"{rule.column}|{outcome.value}")
        for rule in rules
        for outcome in Outcome
    ]


@lru_cache(maxsize=4_096)
def _reason(rule: Rule) -> pl.Expr:
    """Why an undetermined case is: the reason of the first fact asked that is unknown."""
    reasons = [pl.when(pl.col(name).is_null()).then(_fact_reason(name)) for name in _asked(rule)]
    return pl.coalesce(*reasons, pl.lit(Unknown.NOT_REPORTED.value)).alias("reason")


def _fact_reason(name: str) -> pl.Expr:
    source = FACTS[name].source
    reported = pl.lit(Unknown.NOT_REPORTED.value)
    return reported if why(source) == why(FACTS["occurred_at"].source) else pl.coalesce(pl.col(why(source)), reported)


def judge_row(rule: Rule, row: Mapping[str, object]) -> Outcome:
    """What one rule says of one case, by the interpreter: the oracle of `judge`."""
    applies = _applies_row(rule, row)
    if applies is False:
        return Outcome.NOT_APPLICABLE
    breach = interpret(rule.condition.root, row)
    if applies is None or breach is None:
        return Outcome.UNDETERMINED
    if not breach:
        return Outcome.CLEAR
    excused = [interpret(excuse.condition.root, row) for excuse in rule.excuses]
    if True in excused:
        return Outcome.EXCUSED
    return Outcome.UNDETERMINED if None in excused else Outcome.VIOLATION


def _applies_row(rule: Rule, row: Mapping[str, object]) -> bool | None:
    instant = micros(row["occurred_at"])  # type: ignore[arg-type]  # the contract of a case row
    stranger = row.get("operation") == "identification" and row.get("comparison_decision") == "non_match"
    parts: list[bool | None] = [rule.from_instant <= instant < min(rule.until_instant, NEVER)]
    if rule.judges == "probe":
        parts.append(row["rank"] == 0)
    if rule.judges == "subject":
        parts.append(not stranger)
    if rule.controller_types:
        held = row["controller_type"]
        parts.append(None if held is None else held in rule.controller_types)
    if rule.jurisdictions:
        where = row["jurisdictions"]
        parts.append(None if where is None else bool(set(rule.jurisdictions) & set(where)))  # type: ignore[call-overload]
    return False if False in parts else None if None in parts else True
