"""The evidence of verdicts: the records on which each rests, what excuses it, and whether a consent ends nearby.

Rules:
1. It says of many verdicts at once, by columns, what `streams.core.violation` says of one; tests hold them together.
2. What the context says is worked out once a rule and context. The statements about the persons in question are laid
   out as a table, and what stood at each event is found in it by columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from streams.core.case import SUBJECT_SOURCES, Views
from streams.core.claim import ENROLLED, GIVEN, RESTRICTED, WITHDRAWN, Claim
from streams.core.context import Context
from streams.core.facts import Source
from streams.core.instant import NEVER
from streams.core.judge import Outcome, Verdicts
from streams.core.likeness import classes
from streams.core.rule import Rule
from streams.core.subject_history import Histories
from streams.core.violation import asks_for_consent, excused_by, records_around, sources_of

BETWEEN = "\x00"
"""No identifier of the contracts holds it."""
AROUND_MAX = 200_000
"""Rules and contexts of which the records are kept."""
ASKED = (
    *("controller_id", "subject_ref", "purpose_id", "occurred_at", "recorded_at"),
    *("context", "case", "rule", "outcome"),
)
TEXTS = pl.List(pl.String())
NOTHING = pl.lit([], dtype=TEXTS)


class Around:
    """The records that a context lends to what a rule says: the same in every piece, so they are kept."""

    def __init__(self) -> None:
        self.contexts: Sequence[Context] = ()
        self._known: dict[tuple[str, int], str] = {}

    def within(self, contexts: Sequence[Context]) -> Around:
        """The same, of these contexts; what is known of others is forgotten."""
        if contexts is not self.contexts or len(self._known) > AROUND_MAX:
            self.contexts = contexts
            self._known.clear()
        return self

    def of(self, rule: Rule, context: int) -> str:
        """The ids of the records around what a rule says in a context, sorted and joined."""
        known = self._known.get((rule.column, context))
        if known is None:
            found = records_around(rule, self.contexts[context])
            known = self._known[rule.column, context] = BETWEEN.join(sorted(found))
        return known


class Evidence(NamedTuple):
    """What verdicts rest on, a row each; null for one that is undetermined."""

    deciding: pl.Series
    """The ids of the records behind each verdict, sorted."""
    excuses: pl.Series
    """What excuses it."""
    boundary: pl.Series
    """True of a breach, by a rule that asks for consent, within the clocks' skew of the edge of one; else null."""


def evidence(whole: pl.DataFrame, verdicts: Verdicts, around: Around, views: Views) -> Evidence:
    """The evidence of verdicts; `whole` has the columns `ASKED`, `around` is of the contexts of these verdicts."""
    decided = whole["outcome"] != Outcome.UNDETERMINED.value
    held = whole.select(ASKED).filter(decided)
    place = pl.select(pl.when(decided).then(decided.cum_sum().cast(pl.Int64) - 1)).to_series()
    deciding, boundary = _deciding(held, verdicts.rules, around, views)
    excuses = _excuses(held, verdicts, around.contexts)
    return Evidence(*(each.gather(place) for each in (deciding, excuses, boundary)))


def _deciding(held: pl.DataFrame, rules: Sequence[Rule], around: Around, views: Views) -> tuple[pl.Series, pl.Series]:
    """The ids of the records behind each verdict, sorted; and which verdicts are at a boundary."""
    which, firsts = classes(held.select("rule", "context"))
    texts = [around.of(rules[rule], context) for rule, context in held.select("rule", "context")[firsts].iter_rows()]
    whole = pl.DataFrame([_lists(texts).gather(which).alias("around")])
    asking = {source: [source in sources_of(rule) for rule in rules] for source in SUBJECT_SOURCES}
    personal = pl.Series([any(each) for each in zip(*asking.values(), strict=True)], dtype=pl.Boolean)
    rows = personal.gather(held["rule"]).arg_true()
    if not len(rows):
        return whole["around"], pl.repeat(None, held.height, dtype=pl.Boolean, eager=True)
    numbers = pl.Series([-1], dtype=pl.Int64).new_from_index(0, held.height).scatter(rows, range(len(rows)))
    place = pl.select(pl.when(numbers >= 0).then(numbers)).to_series()
    personal_records, near = _about_persons(held[rows], views)
    for source, found in personal_records.items():
        asked = pl.Series(asking[source], dtype=pl.Boolean).gather(held["rule"])
        said = pl.when(asked).then(found.gather(place)).otherwise(NOTHING).fill_null(NOTHING)
        whole = whole.with_columns(said.alias(source.value))
    # Not by `list.sort`, which takes fifteen times as long.
    deciding = whole.select(pl.concat_list(pl.all()).list.eval(pl.element().unique().sort())).to_series()
    consenting = pl.Series([asks_for_consent(rule) for rule in rules], dtype=pl.Boolean).gather(held["rule"])
    breach = held["outcome"].is_in([Outcome.VIOLATION.value, Outcome.EXCUSED.value])
    boundary = pl.select(pl.when(near.gather(place) & consenting & breach).then(True)).to_series()
    return deciding, boundary


def _about_persons(held: pl.DataFrame, views: Views) -> tuple[Mapping[Source, pl.Series], pl.Series]:
    """By source, for each row the ids of the records about its person, null where there are none; and which rows are
    within the clocks' skew of an edge of their person's consent.
    """
    instant = pl.col("occurred_at").dt.epoch("us")
    # What the broker took before it happened has measured more of the skew; where nobody says when, nothing has.
    skew = pl.max_horizontal(instant - pl.col("recorded_at").dt.epoch("us"), pl.lit(views.skew))
    asked = held.select("subject_ref", "controller_id", "purpose_id", instant=instant, skew=skew)
    which, firsts = classes(asked)
    distinct = asked[firsts].with_row_index("event")
    persons = distinct["subject_ref"].drop_nulls().unique().to_list()
    told = distinct.join(_statements(persons, views.histories), on=["subject_ref", "controller_id"])
    edges = [(pl.col(edge) - pl.col("instant")).abs() <= pl.col("skew") for edge in ("valid_from", "valid_until")]
    near = told.filter(pl.col("kind").is_in([GIVEN, WITHDRAWN]) & pl.any_horizontal(edges))
    stood = told.filter(pl.col("valid_from") <= pl.col("instant"))
    found = {
        Source.CONSENT: _consents(stood),
        Source.ENROLMENT: stood.filter(pl.col("kind") == ENROLLED)
        .sort("valid_from", "record_id")
        .unique("event", keep="last", maintain_order=True),
        Source.RESTRICTION: stood.filter(kind=RESTRICTED).filter(pl.col("instant") < pl.col("valid_until")),
    }
    records = {source: _by_event(rows, distinct.height).gather(which) for source, rows in found.items()}
    return records, distinct["event"].is_in(near["event"].unique().implode()).gather(which)


def _consents(stood: pl.DataFrame) -> pl.DataFrame:
    """The consents to the purpose that are in force, or the withdrawals that ended them."""
    named = pl.col("purposes").list.contains(pl.col("purpose_id")).fill_null(value=False)
    withdraws = (pl.col("kind") == WITHDRAWN) & (named | (pl.col("purposes").list.len() == 0))
    last = pl.col("valid_from").filter("withdraws").max().over("event").fill_null(-NEVER)
    since = (pl.col("kind") == GIVEN) & named & (pl.col("valid_from") > last)
    marked = stood.with_columns(withdraws=withdraws).with_columns(since=since, last=last)
    standing = pl.col("since") & (pl.col("instant") < pl.col("valid_until"))
    ended = pl.col("withdraws") & (pl.col("valid_from") == pl.col("last"))
    return marked.filter(pl.when(pl.col("since").any().over("event")).then(standing).otherwise(ended))


def _by_event(rows: pl.DataFrame, height: int) -> pl.Series:
    """For each event the ids of its rows; null where it has none."""
    grouped = rows.group_by("event").agg("record_id")
    events = pl.int_range(height, dtype=pl.UInt32, eager=True).alias("event").to_frame()
    return events.join(grouped, on="event", how="left", maintain_order="left")["record_id"]


def _statements(persons: Iterable[str], histories: Histories) -> pl.DataFrame:
    """Every statement about some persons, a row each."""
    claims: dict[Claim, int] = {}
    refs: list[str] = []
    ids: list[str] = []
    made, since, until = array("q"), array("q"), array("q")
    for ref in persons:
        for each in histories.history(ref) or ():
            refs.append(ref)
            ids.append(each.record_id)
            made.append(claims.setdefault(each.content, len(claims)))
            since.append(each.valid_from)
            until.append(each.valid_until)
    table = pl.DataFrame(
        [(claim.kind, claim.controller_id, list(claim.purposes)) for claim in claims],
        schema={"kind": pl.String(), "controller_id": pl.String(), "purposes": TEXTS},
        orient="row",
    )
    columns = {"valid_from": pl.Series(since, dtype=pl.Int64), "valid_until": pl.Series(until, dtype=pl.Int64)}
    texts = pl.DataFrame({"subject_ref": refs, "record_id": ids, **columns}, schema_overrides=dict.fromkeys(
        ("subject_ref", "record_id"), pl.String()
    ))  # fmt: skip
    return texts.hstack(table[pl.Series(made, dtype=pl.Int64)])


def _excuses(held: pl.DataFrame, verdicts: Verdicts, contexts: Sequence[Context]) -> pl.Series:
    """What excuses each verdict; nothing excuses a violation."""
    excused = pl.when(outcome=Outcome.EXCUSED.value)
    which, firsts = classes(held.select(excused.then(name).alias(name) for name in ("rule", "case", "context")))
    texts = [
        BETWEEN.join(excused_by(verdicts.rules[rule], verdicts.cases.row(case, named=True), contexts[context]))
        if outcome == Outcome.EXCUSED.value
        else ""
        for rule, case, context, outcome in held.select("rule", "case", "context", "outcome")[firsts].iter_rows()
    ]
    return _lists(texts).gather(which)


def _lists(texts: Iterable[str]) -> pl.Series:
    """Joined texts as lists: many times as fast as lists of Python are taken in."""
    joined = pl.col("joined")
    split = pl.when(joined == "").then(NOTHING).otherwise(joined.str.split(BETWEEN))
    return pl.DataFrame({"joined": list(texts)}, schema={"joined": pl.String()}).select(split).to_series()
