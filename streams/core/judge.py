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
from operator import and_
from typing import NamedTuple

import polars as pl

from streams.core.columns import Lists, incomplete, to_polars
from streams.core.condition import FactType
from streams.core.facts import FACTS, CaseKind, Source, Unknown, why
from streams.core.instant import NEVER, micros
from streams.core.interpreter import interpret
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook


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
            for reason, count in self.reasons(rule)["reason"].value_counts().iter_rows():
                found[rule, reason] += count
        return found

    def reasons(self, rule: Rule) -> pl.DataFrame:
        """The rows (`index`) of the cases that a rule left undetermined, each with its `reason`."""
        index = (self.outcomes[rule.column] == Outcome.UNDETERMINED.value).arg_true().alias("index")
        if rule.column in self.failed:
            return index.to_frame().with_columns(reason=pl.lit(Unknown.RULE_FAILED.value))
        open_cases = self.cases[index]
        reasons = open_cases.select(_reason(rule, "perhaps_excused_rules" in open_cases.columns)).to_series()
        return pl.DataFrame([index, reasons])

    def reason(self, rule: Rule, row: Mapping[str, object]) -> str:
        """Why one undetermined case is; the same reason that `undetermined` counts."""
        if rule.column in self.failed:
            return Unknown.RULE_FAILED.value
        for name in _asked(rule):
            if _is_open(row[name]):
                return str(row.get(why(FACTS[name].source)) or Unknown.NOT_REPORTED.value)
        if rule.id in (row.get("perhaps_excused_rules") or ()):  # type: ignore[operator]  # the contract of a case row
            return str(row.get(why(Source.DEVICE)) or Unknown.RECORD_UNREADABLE.value)
        return Unknown.NOT_REPORTED.value


def judge(cases: pl.DataFrame, kind: CaseKind, rulebook: Rulebook) -> Verdicts:
    """What every rule about `kind` says of the cases, as `streams.core.case.assemble` gives them."""
    rules = rulebook.of_kind(kind)
    cases = cases.rechunk()  # see `assemble`: lists in several chunks are not safe
    try:
        return Verdicts(kind, rules, cases, _outcomes(cases, rules))
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - whatever a rule does, the others are judged
        return _judge_apart(cases, kind, rules)


def _judge_apart(cases: pl.DataFrame, kind: CaseKind, rules: Sequence[Rule]) -> Verdicts:
    """Each rule alone, so that the failing one is known and the others are judged."""
    columns: list[pl.Series] = []
    failed: set[str] = set()
    for rule in rules:
        try:
            columns.append(_outcomes(cases, [rule]).to_series())
        except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - a failing rule is undetermined
            failed.add(rule.column)
            columns.append(_constant(rule, Outcome.UNDETERMINED, cases.height))
    return Verdicts(kind, tuple(rules), cases, pl.DataFrame(columns), frozenset(failed))


def _outcomes(cases: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """One column of outcomes a rule.

    Whether a rule applies is worked out once for all rules of the same scope; a scope that holds everywhere costs its
    rules nothing more, one that holds nowhere saves them: most estates lie in one jurisdiction.
    """
    span = _span(cases)
    scopes = {rule: _scope(rule, span) for rule in rules}
    names = {scope: f"scope {number}" for number, scope in enumerate(dict.fromkeys(scopes.values()))}
    masks = cases.select([_applies(scope).alias(name) for scope, name in names.items()])
    everywhere = {scope for scope, name in names.items() if masks[name].all(ignore_nulls=False)}
    nowhere = {scope for scope, name in names.items() if masks[name].any(ignore_nulls=False) is False} - everywhere
    lists = _lists(cases)
    judged = [
        _judged(rule, lists) if scope in everywhere else _masked(rule, names[scope], lists)
        for rule, scope in scopes.items()
        if scope not in nowhere
    ]
    rest = [_constant(rule, Outcome.NOT_APPLICABLE, cases.height) for rule, scope in scopes.items() if scope in nowhere]
    # A frame without columns has no height, so nothing can be put beside it.
    outcomes = cases.hstack(masks).select(judged).hstack(rest) if judged else pl.DataFrame(rest)
    return _with_instruments(outcomes.select([rule.column for rule in rules]), cases, rules)


def _with_instruments(outcomes: pl.DataFrame, cases: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """The outcomes with the violations excused that exception records cover: a rare thing, so its columns are rare."""
    if "excused_rules" not in cases.columns:
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
    return pl.repeat(outcome.value, height, dtype=pl.UInt8, eager=True).alias(rule.column)


def _span(cases: pl.DataFrame) -> tuple[int, int]:
    if cases.is_empty():
        return 0, 0
    ends = cases.select(
        pl.col("occurred_at").dt.epoch("us").min().alias("first"),
        pl.col("occurred_at").dt.epoch("us").max().alias("last"),
    )
    first, last = ends.row(0)
    return first, last


@lru_cache(maxsize=4_096)
def _judged(rule: Rule, lists: Lists) -> pl.Expr:
    """The outcome of a rule where it applies; kept, since building sixty of them costs more than computing them."""
    breach = to_polars(rule.condition.root, lists)
    worth = Outcome.VIOLATION.value - Outcome.CLEAR.value
    said = breach.cast(pl.UInt8) * worth + Outcome.CLEAR.value
    said = said.fill_null(Outcome.UNDETERMINED.value).cast(pl.UInt8)
    if rule.excuses:
        excused = pl.any_horizontal(to_polars(excuse.condition.root, lists) for excuse in rule.excuses)
        said = (
            pl.when(breach & excused)
            .then(_code(Outcome.EXCUSED))
            .when(breach & excused.is_null())
            .then(_code(Outcome.UNDETERMINED))
            .otherwise(said)
        )
    return said.alias(rule.column)


@lru_cache(maxsize=4_096)
def _masked(rule: Rule, mask: str, lists: Lists) -> pl.Expr:
    """The outcome of a rule that applies to some rows only, as the column `mask` says."""
    applies = pl.col(mask)
    return (
        pl.when(~applies)
        .then(_code(Outcome.NOT_APPLICABLE))
        .when(applies.is_null())
        .then(_code(Outcome.UNDETERMINED))
        .otherwise(_judged(rule, lists))
        .alias(rule.column)
    )


def _code(outcome: Outcome) -> pl.Expr:
    return pl.lit(outcome.value, dtype=pl.UInt8)


class Scope(NamedTuple):
    """To what a rule applies; the bounds of time are None where they do not cut the batch."""

    judges: str
    jurisdictions: tuple[str, ...]
    controller_types: tuple[str, ...]
    from_instant: int | None
    until_instant: int | None


def _scope(rule: Rule, span: tuple[int, int]) -> Scope:
    return Scope(
        rule.judges if rule.judges in ("probe", "subject") else "",
        rule.jurisdictions,
        rule.controller_types,
        rule.from_instant if rule.from_instant > span[0] else None,
        rule.until_instant if rule.until_instant <= span[1] else None,
    )


def _applies(scope: Scope) -> pl.Expr:
    """Whether a scope holds a row."""
    instant = pl.col("occurred_at").dt.epoch("us")
    parts: list[pl.Expr] = [instant.is_not_null()]
    if scope.from_instant is not None:
        parts.append(instant >= scope.from_instant)
    if scope.until_instant is not None:
        parts.append(instant < scope.until_instant)
    if scope.judges == "probe":
        parts.append(pl.col("rank") == 0)
    if scope.judges == "subject":
        parts.append(~pl.col("stranger"))
    if scope.controller_types:
        parts.append(pl.col("controller_type").is_in(list(scope.controller_types)))
    if scope.jurisdictions:
        held = [pl.col("jurisdictions").list.contains(each) for each in scope.jurisdictions]
        parts.append(pl.any_horizontal(held) if len(held) > 1 else held[0])
    return reduce(and_, parts)


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
def _reason(rule: Rule, instruments: bool) -> pl.Expr:
    """Why an undetermined case is: the reason of the first fact asked that is unknown, be it in part."""
    reasons = [pl.when(_is_open_column(name)).then(_fact_reason(name)) for name in _asked(rule)]
    if instruments:
        unclear = pl.coalesce(why(Source.DEVICE), pl.lit(Unknown.RECORD_UNREADABLE.value))
        reasons.append(pl.when(pl.col("perhaps_excused_rules").list.contains(rule.id)).then(unclear))
    return pl.coalesce(*reasons, pl.lit(Unknown.NOT_REPORTED.value)).alias("reason")


@lru_cache(maxsize=4_096)
def first_open(rule: Rule) -> tuple[pl.Expr, pl.Expr]:
    """Of an undetermined case the first fact asked that is unknown, as `fact`, and why it is, as `reason`."""
    named = [pl.when(_is_open_column(name)).then(pl.lit(name)) for name in _asked(rule)]
    reasons = [pl.when(_is_open_column(name)).then(_fact_reason(name)) for name in _asked(rule)]
    return pl.coalesce(*named).alias("fact"), pl.coalesce(*reasons).alias("reason")


def _is_open_column(name: str) -> pl.Expr:
    fact = pl.col(name)
    return fact.is_null() | incomplete(fact) if FACTS[name].type is FactType.TEXTS else fact.is_null()


def _is_open(value: object) -> bool:
    """Whether a fact is unknown, or a list that is known in part."""
    return value is None or (isinstance(value, list | tuple) and None in value)


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
    if None in excused:
        return Outcome.UNDETERMINED
    return _by_instrument_row(rule, row)


def _by_instrument_row(rule: Rule, row: Mapping[str, object]) -> Outcome:
    """What exception records make of a violation."""
    excused, perhaps = row.get("excused_rules") or (), row.get("perhaps_excused_rules") or ()
    if rule.excusable and rule.id in excused:  # type: ignore[operator]  # the contract of a case row
        return Outcome.EXCUSED
    return Outcome.UNDETERMINED if rule.excusable and rule.id in perhaps else Outcome.VIOLATION  # type: ignore[operator]


def _applies_row(rule: Rule, row: Mapping[str, object]) -> bool | None:
    instant = micros(row["occurred_at"])  # type: ignore[arg-type]  # the contract of a case row
    parts: list[bool | None] = [rule.from_instant <= instant < min(rule.until_instant, NEVER)]
    if rule.judges == "probe":
        parts.append(row["rank"] == 0)
    if rule.judges == "subject":
        stranger = row["stranger"]
        parts.append(None if stranger is None else not stranger)
    if rule.controller_types:
        held = row["controller_type"]
        parts.append(None if held is None else held in rule.controller_types)
    if rule.jurisdictions:
        where = row["jurisdictions"]
        parts.append(None if where is None else bool(set(rule.jurisdictions) & set(where)))  # type: ignore[call-overload]
    return False if False in parts else None if None in parts else True
