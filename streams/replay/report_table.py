"""The counted tables of a report: an answer's figures by rule, place, purpose, day and reason, small counts hidden.

Rules:
1. Every count of cases passes through `streams.replay.suppression`, in the group whose sum is shown with it.
2. The tables of one sum are apart from each other: by rule, by day, by reason, and by controller and below it by site
   or by purpose. What lies below a hidden count is hidden.
3. Only what is in force is counted as a finding; what would be one if a draft were law has tables of its own.
4. What is suppressed, and what is shown as it is, `streams.replay.suppression` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Literal

import polars as pl

from streams.replay.answer import Answer, RuleNamed
from streams.replay.suppression import Shown, denominator, group, hidden_sum, total

NARROW_SPACE = "\u202f"
NOWHERE = "not known"
"""Where a case names no site or purpose."""
TRUNCATED: Mapping[str, str] = {"day": "1d", "week": "1w", "month": "1mo"}
DAYS_MAX, WEEKS_MAX = 62, 400
"""A chart of more days shows weeks, and of more than these, months."""

Standing = Literal["in_force", "what_if"]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table of counts; `depth` 1 is a part of the row of depth 0 above it."""

    name: str
    count: Shown
    depth: int = 0


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What one rule said of how many cases."""

    rule: RuleNamed
    cases: Shown
    violation: Shown
    excused: Shown
    undetermined: Shown

    @property
    def silent(self) -> bool:
        """Whether it was clear of every case to which it applied."""
        return self.violation == self.excused == self.undetermined == 0


FOUND = ("violation", "excused", "undetermined")


def digits(count: int) -> str:
    """A count as it is read, in groups of three digits."""
    return f"{count:,}".replace(",", NARROW_SPACE)


@dataclass(frozen=True, slots=True)
class Findings:
    """All counted tables about rules of one standing."""

    totals: Mapping[str, Shown]
    """Cases by outcome: `violation`, `excused`, `undetermined`."""
    cases: Shown
    """Cases to which a rule of this standing applied: what the totals are a part of."""
    cases_seen: int
    """So many cases there are at least, by what is shown of them."""
    rules: tuple[RuleLine, ...]
    controllers: tuple[Line, ...]
    sites: tuple[Line, ...]
    """Violations by controller, and below each by site."""
    purposes: tuple[Line, ...]
    times: tuple[Line, ...]
    """Violations by day, week or month."""
    unknown_times: tuple[Line, ...]
    period: str
    reasons: tuple[Line, ...]
    """Undetermined cases by reason."""
    boundary: Shown
    """Violations within the clocks' skew of the edge of a consent."""


def findings(answer: Answer, standing: Standing, cell_size: int) -> Findings:
    """The counted tables of an answer about the rules of one standing."""
    rules = [rule for pack in answer.manifest.packs for rule in pack.rules if rule.standing == standing]
    named = {(rule.id, rule.revision): rule for rule in rules}
    keys = pl.DataFrame(list(named), schema={"rule_id": pl.String, "revision": pl.Int64}, orient="row")
    tallies = answer.table("tallies").join(keys, on=["rule_id", "revision"], how="semi")
    sums = {outcome: int(tallies.filter(outcome=outcome)["n"].sum()) for outcome in FOUND}
    shown = {outcome: total(count, cell_size) for outcome, count in sums.items()}
    violations, unknown = tallies.filter(outcome="violation"), tallies.filter(outcome="undetermined")
    period, lines = period_of(answer), _rules(tallies, named, shown, cell_size)
    # Less the cases of the rules that show them, the sum would be what is hidden.
    hidden = any(line.cases is None for line in lines)
    return Findings(
        totals=shown,
        cases=None if hidden else int(tallies["n"].sum()),
        cases_seen=max(_seen(line.cases for line in lines), _seen(shown.values())),
        rules=tuple(lines),
        controllers=tuple(tree(violations, ("controller_id",), shown["violation"], cell_size)),
        sites=tuple(folded(tree(violations, ("controller_id", "site_id"), shown["violation"], cell_size))),
        purposes=tuple(folded(tree(violations, ("controller_id", "purpose_id"), shown["violation"], cell_size))),
        times=tuple(_times(violations, answer, shown["violation"], cell_size)),
        unknown_times=tuple(_times(unknown, answer, shown["undetermined"], cell_size)),
        period=period,
        boundary=_boundary(answer, standing, sums["violation"], shown["violation"], cell_size),
        reasons=tuple(_reasons(answer, standing, shown["undetermined"], sums["undetermined"], cell_size)),
    )


def _seen(counts: Iterable[Shown]) -> int:
    """The sum of the counts that are shown."""
    return sum(count for count in counts if count is not None)


def _rules(
    tallies: pl.DataFrame, named: Mapping[tuple[str, int], RuleNamed], totals: Mapping[str, Shown], cell_size: int
) -> list[RuleLine]:
    """A line a rule that applied to a case: the most violations first, then the most that is unknown."""
    wide = tallies.group_by("rule_id", "revision").agg(
        cases=pl.col("n").sum(),
        **{outcome: pl.col("n").filter(pl.col("outcome") == outcome).sum() for outcome in FOUND},
    )
    columns = {outcome: group(wide[outcome].to_list(), totals[outcome], cell_size) for outcome in FOUND}
    bounds = [hidden_sum(columns[outcome], totals[outcome], cell_size) for outcome in FOUND]
    lines = []
    for index, row in enumerate(wide.iter_rows(named=True)):
        parts = [columns[outcome][index] for outcome in FOUND]
        cases = denominator(row["cases"], parts, bounds, cell_size)
        lines.append(RuleLine(named[row["rule_id"], row["revision"]], cases, *parts))
    return sorted(lines, key=lambda line: (_rank(line.violation), _rank(line.undetermined), line.rule.id))


def _rank(count: Shown) -> tuple[int, int]:
    """The largest first, then what is hidden, whose order must not tell which is larger, then zeros."""
    return (1, 0) if count is None else (0, -count) if count else (2, 0)


def tree(
    rows: pl.DataFrame, levels: Sequence[str], whole: Shown, cell_size: int, *, order: Sequence[str] = ()
) -> Iterator[Line]:
    """The sums of `n` by the first level, and below each by the second: the largest first, or as `order` names them."""
    yield from _level(rows, levels, whole, cell_size, order, 0)


def _level(
    rows: pl.DataFrame, levels: Sequence[str], whole: Shown, cell_size: int, order: Sequence[str], depth: int
) -> Iterator[Line]:
    by = pl.col(levels[0]).fill_null(NOWHERE)
    counted = rows.group_by(by).agg(pl.col("n").sum()).sort(levels[0])
    shown = group(counted["n"].to_list(), whole, cell_size)
    lines = [Line(name, count, depth) for name, count in zip(counted[levels[0]].to_list(), shown, strict=True)]
    for line in sorted(lines, key=lambda line: _place(line, order)):
        yield line
        if levels[1:]:
            yield from _level(rows.filter(by == line.name), levels[1:], line.count, cell_size, order, depth + 1)


def _place(line: Line, order: Sequence[str]) -> tuple[int, tuple[int, int], str]:
    return (order.index(line.name), (0, 0), "") if line.name in order else (0, _rank(line.count), line.name)


def folded(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines of a tree where a row with one part alone shares a line with it."""
    every = list(lines)
    roots = [index for index, line in enumerate(every) if line.depth == 0]
    for first, after in pairwise([*roots, len(every)]):
        row, *parts = every[first:after]
        if len(parts) == 1:
            yield Line(f"{row.name} / {parts[0].name}", row.count)
        else:
            yield from every[first:after]


def _reasons(answer: Answer, standing: str, whole: Shown, unknown: int, cell_size: int) -> Iterator[Line]:
    told = answer.verdicts.filter((pl.col("outcome") == "undetermined") & (pl.col("standing") == standing))
    counted = told.group_by("reason").agg(n=pl.len().cast(pl.Int64)).collect()
    if counted["n"].sum() != unknown:
        return  # the tallies say otherwise: a table beside its sum would be wrong
    yield from tree(counted, ("reason",), whole, cell_size)


def _boundary(answer: Answer, standing: str, violations: int, whole: Shown, cell_size: int) -> Shown:
    told = answer.verdicts.filter(pl.col("boundary") & (pl.col("outcome") == "violation"))
    near = int(told.filter(pl.col("standing") == standing).select(pl.len()).collect().item())
    return group([near, max(0, violations - near)], whole, cell_size)[0]


# -- time -------------------------------------------------------------------------------------------------------------


def period_of(answer: Answer) -> str:
    """By what a report of this range counts: `day`, `week` (from Monday) or `month`, UTC."""
    days = (answer.manifest.until - answer.manifest.from_).days
    return "day" if days <= DAYS_MAX else "week" if days <= WEEKS_MAX else "month"


def _times(rows: pl.DataFrame, answer: Answer, whole: Shown, cell_size: int) -> Iterator[Line]:
    """Every period of the range, those without a case too, in the order of time."""
    period = period_of(answer)
    counted = dict(
        rows.with_columns(at=pl.col("day").dt.truncate(TRUNCATED[period]))
        .group_by("at")
        .agg(pl.col("n").sum())
        .iter_rows()
    )
    periods = sorted({*_periods(answer, period), *counted})
    shown = group([counted.get(each, 0) for each in periods], whole, cell_size)
    for each, count in zip(periods, shown, strict=True):
        yield Line(each.isoformat(), count)


def _periods(answer: Answer, period: str) -> Iterator[date]:
    first, last = answer.manifest.from_.date(), (answer.manifest.until - timedelta(microseconds=1)).date()
    for number in range((last - first).days + 1):
        yield _begin(first + timedelta(days=number), period)


def _begin(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


# -- withdrawals ------------------------------------------------------------------------------------------------------

DELAYS: Sequence[tuple[str, timedelta]] = (
    ("within a minute", timedelta(minutes=1)),
    ("within an hour", timedelta(hours=1)),
    ("within a day", timedelta(days=1)),
    ("within a week", timedelta(days=7)),
    ("later than a week", timedelta.max),
)
NO_MATCH = "no match after it"
LAST = "last match "
ORDER = (NO_MATCH, *(f"{LAST}{name}" for name, _ in DELAYS))


def withdrawals(answer: Answer, cell_size: int) -> tuple[Shown, list[Line]]:
    """How many withdrawals there are; and by controller, and below each by how long after it the last match was."""
    rows = [
        {"controller_id": row["controller_id"], "delay": _delay(row), "n": 1}
        for row in answer.table("withdrawals").iter_rows(named=True)
    ]
    whole = total(len(rows), cell_size)
    schema = {"controller_id": pl.String, "delay": pl.String, "n": pl.Int64}
    counted = pl.DataFrame(rows, schema=schema, orient="row")
    return whole, list(folded(tree(counted, ("controller_id", "delay"), whole, cell_size, order=ORDER)))


def _delay(row: Mapping[str, Any]) -> str:
    if row["last_match_at"] is None:
        return NO_MATCH
    passed = row["last_match_at"] - row["withdrawn_at"]
    return LAST + next(name for name, most in DELAYS if passed <= most)
