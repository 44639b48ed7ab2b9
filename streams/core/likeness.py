"""Likeness: cases that agree in everything a rule can ask are alike, so one of them is judged for all.

Rules:
1. Two rows are alike where their registry facts, the state of their person, the fields of the message that facts are
   made of, and their place between the instants at which a rule or a horizon begins or ends are the same. What no fact
   is made of (ids, scores, the person's token) does not count.
2. A likeness is exact: rows are brought together by a hash and compared by their values.
3. What `assemble` and `judge` say of the case of a row's likeness is what they say of the row; the tests hold that.
4. Where a rule compares `occurred_at` with fixed instants, these part the rows. Where it asks more of it, rows of
   different instants are not alike: exact, and slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import polars as pl

from streams.core.case import COMBINATION, Views, assemble, registry_facts
from streams.core.condition import Between, Compare, Constant, Fact, In, Node, parts
from streams.core.context import Combination, Context, index_at
from streams.core.facts import CaseKind
from streams.core.horizon import KINDS
from streams.core.instant import NEVER, micros
from streams.core.profile import Profiles
from streams.core.rulebook import Rulebook

UNASKED = frozenset(
    {
        *("event_id", "event_version", "previous_key", "probe_id", "match_event_id", "schema_version"),
        *("comparison_score", "comparison_threshold", "system_id", "model_version", "recipient_id"),
        *("subject_ref", "occurred_at", *COMBINATION),
    }
)
"""Fields of messages that are no facts, or that are looked at in another way: the person, the instant, the registry."""
CLAIMS = ("purpose_id", "reference_database_id", "authority_id", "exception_id")
"""Claims of which it counts whether they are made at all, beside what the registry says of them."""
APART = "\x1f"
"""Between the texts of a list; no word of the contracts holds it."""
NO_PERSON = -1
FEW_ROWS = 10_000
"""So few rows are told apart by their values at once: to hash each of fifty columns and compare it costs more."""


PLACE = frozenset({"row", "topic", "partition", "offset", "recorded_at"})
"""Columns that say where a message stood, if a frame has them."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The rows of a frame, and of each kind of like rows one case."""

    which: pl.Series
    """For each row the index of its case."""
    contexts: pl.Series
    """For each row the index of its context into `rows`."""
    rows: Sequence[Context]
    """The contexts as they were numbered here; `Contexts` begins anew where too many are kept."""
    cases: pl.DataFrame
    """One row a kind of like rows, with the facts that the rulebook asks, as `assemble` gives them."""


def alike(frame: pl.DataFrame, kind: CaseKind, views: Views, profiles: Profiles, rulebook: Rulebook) -> Likeness:
    """The likeness of the messages of one kind; `frame` is what `assemble` takes, `profiles` those of the views."""
    frame = frame.rechunk()
    whole = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in COMBINATION if name not in frame.columns)
    instants = whole["occurred_at"].dt.epoch("us")
    wanted = rulebook.facts_of(kind)
    views.contexts.refresh(views.registry)
    combinations, firsts = classes(whole.select(COMBINATION))
    unique = [Combination(*row) for row in whole.select(COMBINATION)[firsts].iter_rows()]
    segments = [views.contexts.segments(views.registry, each) for each in unique]
    contexts = _contexts(combinations, segments, instants)
    keys = [
        _around(unique, segments, registry_facts(views, kind, wanted)).gather(contexts).alias("around"),
        _states(whole["subject_ref"], combinations, unique, instants, profiles),
        *(whole[name] for name in whole.columns if name not in UNASKED and name not in PLACE),
        *_stretches(instants, _bounds(unique, views, kind, rulebook)),
        *_targets(whole),
    ]
    which, firsts = classes(pl.DataFrame(keys))
    rows = views.contexts.rows  # before `assemble`, which may begin anew
    return Likeness(which, contexts, rows, assemble(frame[firsts], kind, views, wanted))


def classes(keys: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """For each row the number of its class, of rows that agree in all columns; for each class its first row."""
    height = keys.height  # a frame that is left without columns has none
    keys = keys.select(_texts(each) if isinstance(each.dtype, pl.List) else each for each in keys)
    keys = keys.select(name for name in keys.columns if not _uniform(keys[name]))
    if not keys.width or not height:
        return pl.repeat(0, height, dtype=pl.UInt32, eager=True), pl.Series([0] if height else [], dtype=pl.UInt32)
    if height <= FEW_ROWS:
        return _numbered(keys)
    hashed = pl.sum_horizontal(pl.col(name).hash(seed) for seed, name in enumerate(keys.columns))
    hashes = keys.select(hashed.alias("hash"))
    firsts = hashes["hash"].arg_unique()  # two thirds of the time of grouping them, which is left to the rare case
    found = hashes[firsts].with_row_index("class")
    which = hashes.join(found, on="hash", how="left", maintain_order="left")["class"]
    named = keys[firsts]
    if all(named[name].gather(which).eq_missing(keys[name]).all() for name in keys.columns):
        return which, firsts
    return _numbered(keys)  # two of them share a hash


def _uniform(values: pl.Series) -> bool:
    """Whether all values are the same: most fields of a message are, throughout a log."""
    return values.is_empty() or bool(values.eq_missing(values[0]).all())


def _texts(lists: pl.Series) -> pl.Series:
    """Lists as joined texts; most often all are empty or none is there, which is seen in a tenth of the time."""
    lengths = lists.list.len()
    if lengths.max():
        return lists.list.join(APART)
    return pl.select(pl.when(lengths.is_not_null()).then(pl.lit("")).alias(lists.name)).to_series()


def _numbered(keys: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    rows = keys.with_row_index("row number")
    firsts = rows.group_by(keys.columns).agg(pl.col("row number").min()).sort("row number").with_row_index("class")
    which = keys.join(firsts, on=keys.columns, how="left", nulls_equal=True, maintain_order="left")["class"]
    return which, firsts["row number"]


def _contexts(combinations: pl.Series, segments: Sequence[Segments], instants: pl.Series) -> pl.Series:
    """For each row the index of its context; only combinations that change within the batch are looked at by row."""
    if instants.is_empty():
        return pl.Series([], dtype=pl.Int64)
    first, last = int(instants.min()), int(instants.max())  # type: ignore[arg-type]  # there are instants
    begins = [index_at(each, first) for each in segments]
    changing = [number for number, each in enumerate(segments) if index_at(each, last) != begins[number]]
    found = pl.Series(begins, dtype=pl.Int64).gather(combinations)
    if not changing:
        return found
    rows = combinations.is_in(changing).arg_true()
    asked = pl.DataFrame({"row": rows, "held": combinations.gather(rows), "instant": instants.gather(rows)})
    edges = pl.DataFrame(
        [(number, start, index) for number in changing for start, index in zip(*segments[number], strict=True)],
        schema={"held": combinations.dtype, "instant": pl.Int64, "context": pl.Int64},
        orient="row",
    )
    joined = asked.sort("instant").join_asof(edges.sort("instant"), on="instant", by="held", check_sortedness=False)
    return found.scatter(joined["row"], joined["context"])


Segments = tuple[list[int], list[int]]
"""First instants of the stretches of a combination, and its contexts, as `Contexts.segments` gives them."""


def _around(unique: Sequence[Combination], segments: Sequence[Segments], facts: pl.DataFrame) -> pl.Series:
    """For each context of the batch the class of what it says: many devices stand in the same circumstances."""
    held = [(number, index) for number, (_, indices) in enumerate(segments) for index in indices]
    indices = pl.Series([index for _, index in held], dtype=pl.Int64)
    claims = pl.DataFrame(
        {
            "claims of": [unique[number].controller_id for number, _ in held],
            **{f"no {name}": [getattr(unique[number], name) is None for number, _ in held] for name in CLAIMS},
        }
    )
    which, _ = classes(pl.concat([claims, facts[indices]], how="horizontal"))
    table = pl.repeat(0, facts.height, dtype=pl.UInt32, eager=True)
    return table.scatter(indices, which) if len(indices) else table


def _states(
    refs: pl.Series, combinations: pl.Series, unique: Sequence[Combination], instants: pl.Series, profiles: Profiles
) -> pl.Series:
    """For each row the state of its person; NO_PERSON where it has none."""
    controllers = pl.Series([profiles.controller(each.controller_id) for each in unique], dtype=pl.Int64)
    found = profiles.at(refs, controllers.gather(combinations), instants)
    purposes = list(dict.fromkeys(each.purpose_id for each in unique))
    numbers = pl.Series([purposes.index(each.purpose_id) for each in unique], dtype=pl.Int64)
    pairs = found.cast(pl.Int64) * len(purposes) + numbers.gather(combinations)
    there = pairs.unique()
    states = [profiles.state(pair // len(purposes), purposes[pair % len(purposes)]) for pair in there.to_list()]
    size = int(there.max() or 0) + 1  # type: ignore[arg-type]  # a column of integers
    table = pl.Series([0], dtype=pl.Int64).new_from_index(0, size)
    table = table.scatter(there, pl.Series(states, dtype=pl.Int64))
    said = pl.when(refs.is_not_null()).then(table.gather(pairs)).otherwise(NO_PERSON)
    return pl.select(said.alias("state")).to_series()


def _bounds(unique: Sequence[Combination], views: Views, kind: CaseKind, rulebook: Rulebook) -> set[int] | None:
    """Every instant at which a rule begins, ends or turns, or the horizon of a feed lies; None if that is any."""
    rules = [rule for rule in (*rulebook.rules, *rulebook.roles) if rule.kind is kind]
    found = {bound for rule in rules for bound in (rule.from_instant, rule.until_instant)}
    kinds = set(chain.from_iterable(KINDS.values()))
    for controller_id in {each.controller_id for each in unique}:
        for horizon in (views.registry.feeds.horizon(controller_id, each) for each in kinds):
            found |= set(horizon or ())
    for condition in (
        each for rule in rules for each in (rule.condition, *(excuse.condition for excuse in rule.excuses))
    ):
        turns = turning_points(condition.root) if INSTANT in condition.facts else set()
        if turns is None:
            return None
        found |= turns
    return found


INSTANT = "occurred_at"


def turning_points(node: Node) -> set[int] | None:
    """The instants at which a condition turns that compares `occurred_at` with fixed ones; None if it asks more."""
    if isinstance(node, Fact):
        return None if node.name == INSTANT else set()
    inside = list(parts(node))
    if isinstance(node, Compare | Between | In) and any(_is_instant(each) for each in inside):
        fixed = [each.value for each in inside if isinstance(each, Constant) and isinstance(each.value, datetime)]
        if len(fixed) == len([each for each in inside if not _is_instant(each)]):
            return {micros(value) + beside for value in fixed for beside in (0, 1)}
    found: set[int] = set()
    for part in inside:
        turns = turning_points(part)
        if turns is None:
            return None
        found |= turns
    return found


def _is_instant(node: Node) -> bool:
    return isinstance(node, Fact) and node.name == INSTANT


def _stretches(instants: pl.Series, bounds: set[int] | None) -> list[pl.Series]:
    """Between which bounds each row lies, if it makes a difference in this batch."""
    if bounds is None:
        return [instants.alias("instant")]
    if instants.is_empty():
        return []
    first, last = int(instants.min()), int(instants.max())  # type: ignore[arg-type]  # there are instants
    inside = sorted(bound for bound in bounds if first < bound <= last)
    cuts = pl.Series([-NEVER, *inside], dtype=pl.Int64)
    return [cuts.search_sorted(instants, side="right").alias("stretch")] if inside else []


def _targets(whole: pl.DataFrame) -> list[pl.Series]:
    """Where an authority is claimed, it counts who the person is: it may name them."""
    if whole["authority_id"].null_count() == whole.height:
        return []
    claimed = pl.when(pl.col("authority_id").is_not_null()).then(pl.col("subject_ref"))
    return [whole.select(claimed.alias("target")).to_series()]
