"""The judge: every rule over every case, in columns; the same for a micro-batch and for years.

Rules:
1. A rule applies by its dates, jurisdictions, controller types and scope; an unknown selector is undetermined, unless
   another one already says that the rule does not apply.
2. TRUE is a violation, or excused where an exception holds; FALSE is clear; unknown is undetermined. A violation whose
   exception is unknown is undetermined too: it is neither clear nor open.
3. An exception record that covers a case excuses the violation of the rules it names, unless the rule suffers none
   (`excusable: false`); where it is not known whether one covers it, the violation is undetermined.
4. A rule that fails gives `undetermined` for all its cases and stops no other rule.
5. `judge_row` says the same of one row by the interpreter; the tests hold the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

import polars as pl

from streams.core.columns import Lists
from streams.core.constant import constant
from streams.core.facts import CaseKind, Source, Unknown, why
from streams.core.interpreter import interpret
from streams.core.reason import facts_of, reason_column, reason_of, unknown_facts
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook
from streams.core.scope import Places, Reach, applies_to_row, places_of, reach_of, scope_of, span_of
from streams.core.truth import Parts, Truths

FEW_CASES = 128
"""Up to so many cases are looked at row by row: a query has a price, and a small estate has many small runs."""


class Outcome(IntEnum):
    """What one rule says of one case."""

    NOT_APPLICABLE = 0  # these two as `Reach.holds` counts them
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
    places: Places | None = None
    """Where the cases are, for whoever judges the same cases by other rules."""
    _counts: dict[Rule, dict[Outcome, int]] = field(default_factory=dict)
    _reasons: list[Counter[tuple[Rule, str]]] = field(default_factory=list)
    """What `undetermined` gives, once it was asked."""
    _unknown: list[dict[str, str]] = field(default_factory=list)
    """The unknown facts of each case, once they were asked."""

    @property
    def few(self) -> bool:
        """Whether they are so few that to look at them row by row costs less than a query."""
        return self.cases.height <= FEW_CASES

    def where(self, mask: pl.Series) -> Verdicts:
        """The same of some of the cases."""
        return Verdicts(self.kind, self.rules, self.cases.filter(mask), self.outcomes.filter(mask), self.failed)

    def said(self, rule: Rule, *outcomes: Outcome) -> list[int]:
        """The rows of which a rule said one of some outcomes."""
        wanted = [outcome.value for outcome in outcomes]
        column = self.outcomes[rule.column]
        if self.few:
            return [row for row, value in enumerate(column.to_list()) if value in wanted]
        return column.is_in(wanted).arg_true().to_list()

    def counts(self) -> Mapping[Rule, Mapping[Outcome, int]]:
        """How often each rule said what; every outcome is there, zeros too."""
        if self._counts or not self.rules:
            return self._counts
        if self.few:
            for rule in self.rules:
                few = self.outcomes[rule.column].to_list()
                self._counts[rule] = {outcome: few.count(outcome.value) for outcome in Outcome}
        else:
            numbers = self.outcomes.select(_sums(self.rules)).row(0)
            width = len(Outcome)
            for index, rule in enumerate(self.rules):
                said = numbers[index * width : (index + 1) * width]
                self._counts[rule] = dict(zip(Outcome, said, strict=True))
        return self._counts

    def found(self, *outcomes: Outcome) -> Iterator[tuple[int, Rule, Outcome]]:
        """Row, rule and outcome wherever one of `outcomes` was said, rule by rule in row order."""
        for rule, counts in self.counts().items():
            if any(counts[outcome] for outcome in outcomes):
                rows, column = self.said(rule, *outcomes), self.outcomes[rule.column]
                for row, value in zip(rows, column[rows].to_list(), strict=True):
                    yield row, rule, Outcome(value)

    def undetermined(self) -> Counter[tuple[Rule, str]]:
        """How many cases each rule left undetermined, by the reason."""
        if not self._reasons:
            self._reasons.append(self._count_reasons())
        return self._reasons[0]

    def _count_reasons(self) -> Counter[tuple[Rule, str]]:
        left = {rule: counts[Outcome.UNDETERMINED] for rule, counts in self.counts().items()}
        found = Counter({(rule, Unknown.RULE_FAILED.value): left[rule] for rule in left if rule.column in self.failed})
        asked = [rule for rule, count in left.items() if count and rule.column not in self.failed]
        if asked:
            found.update(self._reasons_of_few(asked) if self.few else self._reasons_of_many(asked))
        return found

    def _reasons_of_few(self, asked: Sequence[Rule]) -> Counter[tuple[Rule, str]]:
        """Row by row: the query of `_reasons_of_many` takes tens of milliseconds whatever the height."""
        return Counter((rule, reason) for rule in asked for _, _, reason in self.open_facts(rule))

    def open_facts(self, rule: Rule) -> Iterator[tuple[int, str | None, str]]:
        """Row, first unknown fact and reason of the few cases that a rule, which did not fail, left undetermined."""
        asked, unknown = facts_of(rule), self._unknown or self._find_unknown()
        for row in self.said(rule, Outcome.UNDETERMINED):
            there = unknown[row]
            fact = next((name for name in asked if name in there), None)
            reason = reason_of(rule, self.cases.row(row, named=True)) if fact is None else there[fact]
            yield row, fact, reason

    def _find_unknown(self) -> Sequence[Mapping[str, str]]:
        self._unknown.extend(unknown_facts(self.cases, self.rules))
        return self._unknown

    def _reasons_of_many(self, asked: Sequence[Rule]) -> Counter[tuple[Rule, str]]:
        """All rules are asked at once, of the cases that some of them left: a query each would be most of the cost."""
        outcomes = self.outcomes.select(rule.column for rule in asked)
        some = outcomes.select(pl.any_horizontal(pl.all() == Outcome.UNDETERMINED.value)).to_series()
        cases = self.cases.hstack(outcomes).lazy().filter(some)
        instruments = "perhaps_excused_rules" in self.cases.columns
        counted = cases.select(_reason_counts(rule, instruments) for rule in asked).collect()
        found: Counter[tuple[Rule, str]] = Counter()
        for rule, counts in zip(asked, counted.row(0), strict=True):
            found.update({(rule, each["reason"]): each["count"] for each in counts})
        return found

    def reasons(self, rule: Rule) -> pl.DataFrame:
        """The rows (`index`) of the cases that a rule left undetermined, each with its `reason`."""
        index = pl.Series("index", self.said(rule, Outcome.UNDETERMINED), dtype=pl.UInt32)
        if rule.column in self.failed:
            return index.to_frame().with_columns(reason=pl.lit(Unknown.RULE_FAILED.value))
        if self.few:
            found = [reason for _, _, reason in self.open_facts(rule)]
            return pl.DataFrame([index, pl.Series("reason", found, dtype=pl.String)])
        open_cases = self.cases[index]
        reasons = open_cases.select(reason_column(rule, "perhaps_excused_rules" in open_cases.columns)).to_series()
        return pl.DataFrame([index, reasons])

    def reason(self, rule: Rule, row: Mapping[str, object]) -> str:
        """Why one undetermined case is; the same reason that `undetermined` counts."""
        if rule.column in self.failed:
            return Unknown.RULE_FAILED.value
        return reason_of(rule, row)


def judge(cases: pl.DataFrame, kind: CaseKind, rulebook: Rulebook, places: Places | None = None) -> Verdicts:
    """What every rule about `kind` says of the cases, as `streams.core.case.assemble` gives them.

    `places` are those of the same cases, where they were judged by other rules before.
    """
    rules = rulebook.of_kind(kind)
    cases = cases.rechunk()  # see `assemble`: lists in several chunks are not safe
    try:
        places = places or places_of(cases)
        return Verdicts(kind, rules, cases, _outcomes(cases, rules, places), places=places)
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - whatever a rule does, the others are judged
        return _judge_apart(cases, kind, rules)


def _judge_apart(cases: pl.DataFrame, kind: CaseKind, rules: Sequence[Rule]) -> Verdicts:
    """Each rule alone, so that the failing one is known and the others are judged."""
    columns: list[pl.Series] = []
    failed: set[str] = set()
    for rule in rules:
        try:
            columns.append(_outcomes(cases, [rule], places_of(cases)).to_series())
        except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - a failing rule is undetermined
            failed.add(rule.column)
            columns.append(_constant(rule, Outcome.UNDETERMINED, cases.height))
    return Verdicts(kind, tuple(rules), cases, pl.DataFrame(columns), frozenset(failed))


def _outcomes(cases: pl.DataFrame, rules: Sequence[Rule], places: Places) -> pl.DataFrame:
    """One column of outcomes a rule.

    Whether a rule applies is worked out once for all rules of the same scope, and what several rules ask is answered
    once. Most rules find nothing in most batches: where one is nowhere TRUE or unknown, its scope alone is its column.
    """
    if not rules:
        return pl.DataFrame()
    parts, asked = _plan(tuple(rules), _lists(cases))
    span = span_of(cases)
    scopes = {rule: scope_of(rule, span) for rule in rules}
    reaches = reach_of(cases, dict.fromkeys(scopes.values()), places)
    reach = {rule: reaches[scope] for rule, scope in scopes.items()}
    asking = [each for each in asked if not reach[each.rule].nowhere]
    truths = Truths(
        parts,
        cases,
        places,
        ((number, reach[each.rule].places) for each in asking for number in (each.breach, *each.excuses)),
    )
    truths.ask(each.breach for each in asking)
    columns = {each.rule: _quiet(truths, each, reach[each.rule]) for each in asked}
    loud = [each for each in asked if columns[each.rule] is None]
    truths.ask(excuse for each in loud for excuse in each.excuses)
    terms = pl.DataFrame([column for each in loud for column in _terms(truths, each, reach[each.rule])])
    told = terms.select([_told(each.rule, masked=reach[each.rule].applies is not None) for each in loud])
    outcomes = [told[rule.column] if quiet is None else quiet.alias(rule.column) for rule, quiet in columns.items()]
    return _with_instruments(pl.DataFrame(outcomes), cases, rules)


class Asked(NamedTuple):
    """What a rule asks, by the numbers of the parts of conditions."""

    rule: Rule
    breach: int
    excuses: tuple[int, ...]


@lru_cache(maxsize=256)
def _plan(rules: tuple[Rule, ...], lists: Lists) -> tuple[Parts, tuple[Asked, ...]]:
    """The conditions of rules taken apart, and which part is whose; kept, since it is the same for every batch."""
    parts = Parts(lists)
    asked = []
    for rule in rules:
        excuses = tuple(parts.number(excuse.condition.root) for excuse in rule.excuses)
        asked.append(Asked(rule, parts.number(rule.condition.root), excuses))
    return parts, tuple(asked)


def _quiet(truths: Truths, asked: Asked, reach: Reach) -> pl.Series | None:
    """The outcomes of a rule that finds nothing: clear where it applies; None where it may find something."""
    if reach.holds is None or reach.nowhere:
        return reach.holds
    breach = truths.of(asked.breach)
    found = breach if reach.applies is None else breach & reach.applies
    return reach.holds if found.any(ignore_nulls=False) is False else None


def _terms(truths: Truths, asked: Asked, reach: Reach) -> Iterator[pl.Series]:
    """The columns from which `_told` makes the outcomes of a rule."""
    column = asked.rule.column
    yield truths.of(asked.breach).alias(f"breach {column}")
    if asked.excuses:
        yield reduce(or_, [truths.of(each) for each in asked.excuses]).alias(f"excused {column}")
    if reach.applies is not None:
        yield reach.applies.alias(f"applies {column}")


@lru_cache(maxsize=4_096)
def _told(rule: Rule, *, masked: bool) -> pl.Expr:
    """The outcomes of a rule; `masked` where it does not apply to all rows."""
    breach = pl.col(f"breach {rule.column}")
    worth = Outcome.VIOLATION.value - Outcome.CLEAR.value
    said = breach.cast(pl.UInt8) * worth + Outcome.CLEAR.value
    said = said.fill_null(Outcome.UNDETERMINED.value).cast(pl.UInt8)
    if rule.excuses:
        excused = pl.col(f"excused {rule.column}")
        said = (
            pl.when(breach & excused)
            .then(_code(Outcome.EXCUSED))
            .when(breach & excused.is_null())
            .then(_code(Outcome.UNDETERMINED))
            .otherwise(said)
        )
    if masked:
        applies = pl.col(f"applies {rule.column}")
        said = (
            pl.when(~applies)
            .then(_code(Outcome.NOT_APPLICABLE))
            .when(applies.is_null())
            .then(_code(Outcome.UNDETERMINED))
            .otherwise(said)
        )
    return said.alias(rule.column)


def _with_instruments(outcomes: pl.DataFrame, cases: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """The outcomes with the violations excused that exception records cover: a rare thing, so its columns are rare."""
    if "excused_rules" not in cases.columns:
        return outcomes
    lengths = cases.select(pl.col("perhaps_excused_rules", "excused_rules").list.len().max())
    if not any(lengths.row(0)):
        return outcomes
    changed = outcomes
    for column, outcome in (("perhaps_excused_rules", Outcome.UNDETERMINED), ("excused_rules", Outcome.EXCUSED)):
        named = set(cases[column].explode(empty_as_null=True).drop_nulls().unique())
        for rule in (rule for rule in rules if rule.excusable and rule.id in named):
            covered = (outcomes[rule.column] == Outcome.VIOLATION.value) & cases[column].list.contains(rule.id)
            values = pl.select(pl.when(covered).then(_code(outcome)).otherwise(changed[rule.column])).to_series()
            changed = changed.with_columns(values.alias(rule.column))
    return changed


def _lists(cases: pl.DataFrame) -> Lists:
    """What the lists of a batch are; `case` leaves one in part only where the feed of consents is behind."""
    reason = why(Source.CONSENT)
    if reason not in cases.columns or (cases[reason] == Unknown.FEED_BEHIND.value).any():
        return Lists.ANY
    return Lists.WHOLE


def _constant(rule: Rule, outcome: Outcome, height: int) -> pl.Series:
    return constant(outcome.value, height, pl.UInt8).alias(rule.column)


def _code(outcome: Outcome) -> pl.Expr:
    return pl.lit(outcome.value, dtype=pl.UInt8)


@lru_cache(maxsize=4_096)
def _sums(rules: tuple[Rule, ...]) -> list[pl.Expr]:
    """One sum for each rule and outcome, in that order."""
    return [
        (pl.col(rule.column) == outcome.value).sum().alias(f"{rule.column}|{outcome.value}")
        for rule in rules
        for outcome in Outcome
    ]


@lru_cache(maxsize=4_096)
def _reason_counts(rule: Rule, instruments: bool) -> pl.Expr:
    """Each reason why a rule left cases undetermined, and of how many, as one list."""
    left = pl.col(rule.column) == Outcome.UNDETERMINED.value
    return reason_column(rule, instruments).filter(left).value_counts().implode().alias(rule.column)


def judge_row(rule: Rule, row: Mapping[str, object]) -> Outcome:
    """What one rule says of one case, by the interpreter: the oracle of `judge`."""
    applies = applies_to_row(rule, row)
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
    if None in excused:
        return Outcome.UNDETERMINED
    return _by_instrument_row(rule, row)


def _by_instrument_row(rule: Rule, row: Mapping[str, object]) -> Outcome:
    """What exception records make of a violation."""
    excused, perhaps = row.get("excused_rules") or (), row.get("perhaps_excused_rules") or ()
    if rule.excusable and rule.id in excused:  # type: ignore[operator]  # the contract of a case row
        return Outcome.EXCUSED
    return Outcome.UNDETERMINED if rule.excusable and rule.id in perhaps else Outcome.VIOLATION  # type: ignore[operator]
