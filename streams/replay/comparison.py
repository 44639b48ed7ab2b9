"""The difference between two answers, or between the log of violations and an answer: what each says of one breach.

Rules:
1. Breaches are compared by their id, so an event is compared with itself, whatever else the two sides know.
2. What was a violation and is none any more is told first: the dangerous direction. An excuse or an unknown in its
   place is less caught, too.
3. The log tells of violations alone. That it says nothing of a case is no word against an unknown.
4. Only rules, revisions and times on which an answer has a say are compared with the log.
5. Counts are whole; examples are a few events, never a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from schemas.verdict import Violation
from streams.replay.answer import INSTANT, TEXTS, Answer, Manifest

EXAMPLES = 3
LIVE = "live"
"""In place of the folder of an older answer: the log of violations on the broker of the settings."""

NOTHING = "nothing"
"""What a side says of a breach that it does not know: clear, not applicable, or not judged at all."""

SAID: Mapping[str, pl.DataType] = {
    "violation_id": pl.String(),
    "rule_id": pl.String(),
    "revision": pl.Int64(),
    "standing": pl.String(),
    "controller_id": pl.String(),
    "site_id": pl.String(),
    "purpose_id": pl.String(),
    "event_id": pl.String(),
    "event_kind": pl.String(),
    "occurred_at": INSTANT,
    "window_until": INSTANT,
    "outcome": pl.String(),
    "reason": pl.String(),
    "deciding_records": TEXTS,
    "excused_by": TEXTS,
}
"""What one side says of one breach; `outcome` is `violation`, `excused`, `undetermined` or `nothing`, or, on the log
alone, `contested`."""

OUTCOMES: Mapping[str, str] = {
    "open": "violation", "contested": "contested", "excused": "excused", "retracted": NOTHING,
}  # fmt: skip
"""What the status of a violation says of the case. A contested one stands until a person decides."""


class Difference(StrEnum):
    """How two sides differ about a breach; in the order in which it is told."""

    NO_LONGER_VIOLATING = "no_longer_violating"
    NEWLY_VIOLATING = "newly_violating"
    NEWLY_UNDETERMINED = "newly_undetermined"
    OTHERWISE = "otherwise"
    """Neither side calls it a violation, and they do not agree."""
    OTHER_GROUNDS = "other_grounds"
    """The same verdict, on other deciding records, excuses or reasons."""


class Left(StrEnum):
    """Why the log of violations is left as it is, though an answer does not say the same; in the order of telling."""

    CONTESTED = "contested"
    """A person decides, not an answer."""
    NOT_SEEN = "not_seen"
    """The answer cannot have seen it."""


BY = ("difference", "rule_id", "controller_id", "site_id", "purpose_id", "was", "became")
"""What differences are counted by."""
LEFT: Mapping[str, pl.DataType] = dict.fromkeys(("left", *BY, "event_id", "violation_id"), pl.String())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where two sides differ: `rows` has one row a breach, with `BY`, `standing`, `violation_id` and `event_id`."""

    rows: pl.DataFrame
    compared: int
    """Breaches on which at least one side has a word."""
    left: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LEFT))
    """What is not the same and no difference either, in such rows, and why, in `left`."""

    @property
    def differs(self) -> bool:
        """Whether the sides differ at all."""
        return self.rows.height > 0

    def counts(self) -> pl.DataFrame:
        """Breaches by `BY`, as `n`, with `examples` of events (of a deadline or a window: its id); the most first."""
        return _counted(self.rows, BY)

    def left_counts(self) -> pl.DataFrame:
        """The same of what is left as it is, by `left` in place of the difference."""
        return _counted(self.left, ("left", *BY[1:]))


def _counted(rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    example = pl.coalesce("event_id", pl.col("violation_id").str.slice(0, 12)).sort().head(EXAMPLES)
    counted = rows.group_by(by).agg(n=pl.len(), examples=example)
    return counted.sort("n", *by, descending=[True, *(False for _ in by)], nulls_last=True)


def said_by_answer(answer: Answer) -> pl.DataFrame:
    """What an answer says of each breach on which it has a word."""
    return answer.verdicts.select(*SAID).unique("violation_id", keep="last").collect()


def said_by_log(violations: Iterable[Violation]) -> pl.DataFrame:
    """What the log of violations says, of violations that are folded by their id already."""
    rows = [
        {
            **{name: getattr(each, name) for name in SAID if name not in ("outcome", "reason")},
            "outcome": OUTCOMES[each.status],
            "reason": None,
            "deciding_records": list(each.deciding_records),
            "excused_by": list(each.excused_by),
        }
        for each in violations
    ]
    return pl.DataFrame(rows, schema=SAID, orient="row")


def in_the_say_of(manifest: Manifest) -> Callable[[Violation], bool]:
    """Whether a violation is of a rule and a time on which an answer has a say, as `within` has it."""
    rules = {(rule.id, rule.revision) for pack in manifest.packs for rule in pack.rules}

    def inside(violation: Violation) -> bool:
        known = (violation.rule_id, violation.revision) in rules
        last = violation.window_until or violation.occurred_at
        return known and manifest.from_ <= violation.occurred_at and last < manifest.until

    return inside


def within(said: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """What is said of the time on which an answer has a say: of windows only those that lie in it whole."""
    last = pl.coalesce("window_until", "occurred_at")
    return said.filter((pl.col("occurred_at") >= manifest.from_) & (last < manifest.until))


def unlike(old: Manifest, new: Manifest) -> Iterator[str]:
    """In what the questions of two answers differ, a sentence each: what one did not look at it says nothing of."""
    if (old.from_, old.until) != (new.from_, new.until):
        yield "the answers are about different ranges"
    if old.known_at != new.known_at:
        yield "the answers rest on what was known at different times"
    if (old.rulebook_digest, old.rules_as_of) != (new.rulebook_digest, new.rules_as_of):
        yield "the answers are given by different rulebooks"
    if old.counts.judged != new.counts.judged:
        judged = [sum(each.counts.judged.values()) for each in (old, new)]
        yield f"the answers judged {judged[0]} and {judged[1]} events"
    for name, each in (("older", old), ("newer", new)):
        if each.holes:
            yield f"the {name} answer has {len(each.holes)} holes, of which it says nothing"


def compare(old: pl.DataFrame, new: pl.DataFrame, *, old_tells_unknown: bool = True) -> Comparison:
    """What `new` says otherwise than `old`; `old_tells_unknown` is False where it is the log of violations."""
    both = old.join(new, on="violation_id", how="full", coalesce=True, suffix="_new")
    was, became = pl.col("outcome").fill_null(NOTHING), pl.col("outcome_new").fill_null(NOTHING)
    told = both.with_columns(was=was, became=became)
    about = [pl.coalesce(f"{name}_new", name).alias(name) for name in SAID if name not in ("violation_id", *WORDS)]
    rows = told.select("violation_id", *about, "was", "became", _difference(old_tells_unknown).alias("difference"))
    return Comparison(rows.drop_nulls("difference").sort("violation_id"), compared=both.height)


WORDS = ("outcome", "reason", "deciding_records", "excused_by")


def _difference(old_tells_unknown: bool) -> pl.Expr:
    was, became = pl.col("was"), pl.col("became")
    silent = (became == "undetermined") & (was == NOTHING) & (not old_tells_unknown)
    grounds = ["deciding_records", "excused_by", *(["reason"] if old_tells_unknown else [])]
    other = pl.any_horizontal(_text(name) != _text(f"{name}_new") for name in grounds)
    return (
        pl.when((was == became) & (was != NOTHING) & other)
        .then(pl.lit(Difference.OTHER_GROUNDS.value))
        .when((was == became) | silent)
        .then(None)
        .when((was == "violation") | ((was == "contested") & (became != "violation")))
        .then(pl.lit(Difference.NO_LONGER_VIOLATING.value))
        .when(became == "violation")
        .then(pl.lit(Difference.NEWLY_VIOLATING.value))
        .when(became == "undetermined")
        .then(pl.lit(Difference.NEWLY_UNDETERMINED.value))
        .otherwise(pl.lit(Difference.OTHERWISE.value))
    )


def _text(name: str) -> pl.Expr:
    column = pl.col(name)
    joined = column if name.startswith("reason") else column.list.join("\x00")
    return joined.fill_null("")
