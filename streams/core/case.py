"""Cases: a frame of messages becomes a frame of facts, one row a case, every fact as in force at `occurred_at`.

Rules:
1. The facts of a row depend on that row and the views alone, never on its neighbours: batches may be cut anywhere.
2. Registry facts come by combination, subject facts by person; both are small tables that rows index into.
3. The feeds decide last: what rests on a source beyond its horizon becomes unknown, with its reason. Where only an
   absence is in doubt, that is every negative answer; what a record grants stands. A list then stands in part: its NULL
   item says that there may be more texts, and `why_<source>` is there too.
4. A stranger has no records. Searched in the open (no active involvement) nobody can have agreed; at a gate the
   agreement or the notice given there decides; where neither is reported the answer is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

import polars as pl

from streams.core.arrival import Arrivals
from streams.core.columns import COLUMN_TYPES
from streams.core.context import Combination, Context, Contexts, index_at
from streams.core.event_facts import STRANGER, event_facts
from streams.core.facts import FACTS, CaseKind, Source, Unknown, why
from streams.core.grounds import ATTESTABLE, attested
from streams.core.horizon import absent, within_horizons
from streams.core.instant import SECOND
from streams.core.registry import Registry
from streams.core.subject_history import UNNAMED, Histories
from streams.core.subject_state import State

Row = TypeVar("Row")

COMBINATION = Combination._fields

ATTESTED = tuple(
    fact.name for fact in ATTESTABLE if fact.source is Source.EVENT and fact.name != "sensitive_attributes"
)
"""The facts of an event that an attestation may supply; sensitive traits follow from the inferred ones."""

REGISTRY_SOURCES = (
    Source.DEVICE,
    Source.SITE,
    Source.CONTROLLER,
    Source.PURPOSE,
    Source.NOTICE,
    Source.ASSESSMENT,
    Source.GALLERY,
    Source.AUTHORITY,
    Source.EXCEPTION,
)
SUBJECT_SOURCES = (Source.CONSENT, Source.ENROLMENT, Source.RESTRICTION)

HELPERS: Mapping[str, pl.DataType] = {
    "site_in_force": pl.String(),
    "purpose_operations": pl.List(pl.String()),
    "purpose_attributes": pl.List(pl.String()),
    "authority_targets": pl.List(pl.String()),
    "excused_rules": pl.List(pl.String()),
    "perhaps_excused_rules": pl.List(pl.String()),
    **{attested(fact.name): COLUMN_TYPES[fact.type] for fact in ATTESTABLE},
}
"""Columns of a context that are no facts: the device's site, what a purpose allows, whom an authority names, which
rules instruments excuse, and what is attested for events that do not say it."""

AGREED = State(
    forms=("separate",),
    givers=("self",),
    actions=("collect", "identify"),
    separate_actions=("collect", "identify"),
    explicit_actions=("collect", "identify"),
    stranger=True,
)
"""A stranger who agreed on the spot, for this probe alone."""
NOT_AGREED = State(stranger=True)
UNREPORTED = State(why=Unknown.NOT_REPORTED)
UNLINKED = State(why=Unknown.IDENTITY_UNLINKED)

OWN_NAMES = {
    "outcome": "access_outcome",
    "result": "review_result",
    "legal_basis": "disclosure_basis",
    "for_value": "disclosed_for_value",
    "method": "access_method",
    "unsolicited": "disclosure_unsolicited",
}
"""Fields of encounters whose facts have longer names, because the registry uses the short ones."""


SKEW = SECOND
"""What clocks that are set over a network may differ by."""


class Grown:
    """A table that grows with the rows it is made of, so that a batch pays for new rows only."""

    __slots__ = ("_frame", "_generation")

    def __init__(self) -> None:
        self._frame: pl.DataFrame | None = None
        self._generation = -1

    def of(self, rows: Sequence[Row], generation: int, build: Callable[[Sequence[Row]], pl.DataFrame]) -> pl.DataFrame:
        """The table of `rows`, of which those known before are the same while `generation` is."""
        if self._frame is None or self._generation != generation:
            self._frame = build(rows)
        elif self._frame.height < len(rows):
            self._frame = self._frame.vstack(build(rows[self._frame.height :])).rechunk()
        self._generation = generation
        return self._frame


@dataclass(slots=True)
class Views:
    """What is known: the registry and the histories of persons, with the tables computed from them."""

    registry: Registry = field(default_factory=Registry)
    histories: Histories = field(default_factory=Histories)
    contexts: Contexts = field(default_factory=Contexts)
    registry_tables: dict[frozenset[str], Grown] = field(default_factory=dict)
    subject_tables: dict[frozenset[str], Grown] = field(default_factory=dict)
    arrivals: Arrivals = field(default_factory=Arrivals)
    skew: int = SKEW
    """By how many microseconds the clocks of devices and sources may differ."""

    def beside(self, histories: Histories) -> Views:
        """The same registry beside other persons: those of another partition."""
        return Views(self.registry, histories, self.contexts, self.registry_tables, {}, self.arrivals, self.skew)


def assemble(frame: pl.DataFrame, kind: CaseKind, views: Views, wanted: Collection[str] | None = None) -> pl.DataFrame:
    """The messages of one kind with their facts and the reasons of the unknown ones.

    `frame` has the columns of `streams.core.frame`; `wanted` names the facts needed, all of the kind where absent.
    The result has the columns of `frame`, `site_in_force`, one column a fact wanted and one `why_<source>` a source.
    """
    names = _names(kind, wanted)
    # One chunk a column: Polars 2.1 panics in a set operation on lists when one row is left behind an empty chunk, as
    # where both lanes of the decoder took part and all but one event went to other partitions.
    frame = frame.rechunk().rename({old: new for old, new in OWN_NAMES.items() if old in frame.columns})
    frame = frame.with_columns(pl.lit(None, pl.String).alias(each) for each in COMBINATION if each not in frame.columns)
    instants = frame["occurred_at"].dt.epoch("us").to_list()
    views.contexts.refresh(views.registry)
    contexts = _contexts(frame, instants, views)
    table = pl.concat([frame, _registry_facts(views, names)[contexts]], how="horizontal")
    said = [name for name in ATTESTED if name in table.columns]
    table = table.with_columns(pl.coalesce(name, attested(name)) for name in said)
    table = table.with_columns(**{name: each for name, each in event_facts(kind).items() if name in names})
    table = within_horizons(table, views.registry, REGISTRY_SOURCES, names)
    states = _states(table, kind, instants, views)
    grown = views.subject_tables.setdefault(names, Grown())
    subject_table = grown.of(views.histories.states, 0, partial(_subject_table, names=names))
    table = pl.concat([table, subject_table[states]], how="horizontal")
    return within_horizons(table, views.registry, SUBJECT_SOURCES, names)


NEEDED = frozenset({"prompt_given"})
"""Facts that `assemble` itself asks, to judge a stranger at a gate."""


def _names(kind: CaseKind, wanted: Collection[str] | None) -> frozenset[str]:
    asked = (fact.name for fact in FACTS.values() if kind in fact.kinds and (wanted is None or fact.name in wanted))
    return NEEDED | frozenset(asked)


def registry_facts(views: Views, kind: CaseKind, wanted: Collection[str] | None = None) -> pl.DataFrame:
    """What each context known so far says: one row each, with the registry facts that `assemble` joins to its cases."""
    return _registry_facts(views, _names(kind, wanted))


def _registry_facts(views: Views, names: frozenset[str]) -> pl.DataFrame:
    grown = views.registry_tables.setdefault(names, Grown())
    return grown.of(views.contexts.rows, views.contexts.generation, partial(_registry_table, names=names))


def _contexts(frame: pl.DataFrame, instants: Sequence[int], views: Views) -> pl.Series:
    """For each row the index of its context."""
    keys = frame.select(COMBINATION)
    unique = keys.unique(maintain_order=True).with_row_index("combination")
    chosen = keys.join(unique, on=COMBINATION, how="left", nulls_equal=True, maintain_order="left")["combination"]
    segments = [
        views.contexts.segments(views.registry, Combination(*row)) for row in unique.select(COMBINATION).iter_rows()
    ]
    first, last = (min(instants), max(instants)) if instants else (0, 0)
    ends = [(index_at(each, first), index_at(each, last)) for each in segments]
    if all(begin == end for begin, end in ends):
        return pl.Series([begin for begin, _ in ends], dtype=pl.Int64)[chosen]
    rows = zip(chosen.to_list(), instants, strict=True)
    return pl.Series([index_at(segments[which], instant) for which, instant in rows], dtype=pl.Int64)


def _registry_table(rows: Sequence[Context], names: Collection[str]) -> pl.DataFrame:
    """One row a context: its registry facts, reasons and absences."""
    columns: dict[str, Column] = {}
    for fact in FACTS.values():
        if fact.source in REGISTRY_SOURCES and fact.name in names:
            columns[fact.name] = [row.facts.get(fact.name) for row in rows], COLUMN_TYPES[fact.type]
    for name, dtype in HELPERS.items():
        key = "site_id" if name == "site_in_force" else name
        columns[name] = [row.facts.get(key) for row in rows], dtype
    for source in REGISTRY_SOURCES:
        columns[why(source)] = [row.why.get(source) for row in rows], pl.String()
        columns[absent(source)] = [source in row.absent for row in rows], pl.Boolean()
    return table_of(columns)


def _subject_table(states: Sequence[State], names: Collection[str]) -> pl.DataFrame:
    """One row a state: its subject facts, reasons and absences."""
    columns: dict[str, Column] = {}
    for name, fact_of in SUBJECT_FACTS.items():
        if name in names:
            reasons = [_reason(state, FACTS[name].source) for state in states]
            values = [fact_of(state) if reason is None else None for state, reason in zip(states, reasons, strict=True)]
            columns[name] = values, COLUMN_TYPES[FACTS[name].type]
    for source in SUBJECT_SOURCES:
        columns[why(source)] = [_reason(state, source) for state in states], pl.String()
    columns[absent(Source.CONSENT)] = [state.rests_on_absence for state in states], pl.Boolean()
    columns[absent(Source.ENROLMENT)] = [False] * len(states), pl.Boolean()
    columns[absent(Source.RESTRICTION)] = [False] * len(states), pl.Boolean()
    columns["nobody"] = [state.stranger for state in states], pl.Boolean()
    columns["silent"] = [state.silent for state in states], pl.Boolean()
    return table_of(columns)


Column: TypeAlias = tuple[Sequence[Hashable], pl.DataType]
"""Values, and what they are in Polars."""
FEW_ROWS = 16
"""A table of so few rows is made row by row: of one row that takes a third of the time of its dozens of columns, of so
many two thirds; of more, each list that is turned by itself costs more than a column."""


def table_of(columns: Mapping[str, Column]) -> pl.DataFrame:
    """The table of some columns of one height; texts in a list come as a tuple."""
    if len(next(iter(columns.values()))[0]) <= FEW_ROWS:
        rows = list(zip(*(values for values, _ in columns.values()), strict=True))
        return pl.DataFrame(rows, schema={name: dtype for name, (_, dtype) in columns.items()}, orient="row")
    return pl.DataFrame([_column(values, dtype).alias(name) for name, (values, dtype) in columns.items()])


def _reason(state: State, source: Source) -> Unknown | None:
    return state.why or (state.why_consent if source is Source.CONSENT else None)


SUBJECT_FACTS: Mapping[str, Callable[[State], object]] = {
    "consent_in_force": lambda state: bool(state.forms),
    "separate_consent_in_force": lambda state: bool(state.separate_actions),
    "explicit_consent_in_force": lambda state: "identify" in state.explicit_actions,
    "written_consent_in_force": lambda state: "written" in state.forms,
    "guardian_consent_in_force": lambda state: "guardian" in state.givers,
    "consent_forms": lambda state: state.forms,
    "consent_actions": lambda state: state.actions,
    "separate_consent_actions": lambda state: state.separate_actions,
    "consented_attributes": lambda state: tuple(
        action.removeprefix("analyse_") for action in state.separate_actions if action.startswith("analyse_")
    ),
    "consent_withdrawn": lambda state: state.withdrawn,
    "age_band": lambda state: state.age_band,
    "image_source": lambda state: state.image_source,
    "restricted": lambda state: state.restricted,
}


def _column(values: Sequence[Hashable], dtype: pl.DataType) -> pl.Series:
    """A column of few distinct values, each of which is turned into one of Polars once: lists are dear to turn."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    distinct = pl.Series([list(value) if isinstance(value, tuple) else value for value in places], dtype=dtype)
    if len(places) == len(values):
        return distinct
    # By index, not by `gather`, which runs a query: there are dozens of columns.
    return distinct[pl.Series([places[value] for value in values], dtype=pl.UInt32)]


def _states(table: pl.DataFrame, kind: CaseKind, instants: Sequence[int], views: Views) -> pl.Series:
    """For each row the index of the state of its person."""
    asked = (table[name].to_list() for name in ("subject_ref", "controller_id", "purpose_id"))
    states = pl.Series("state", views.histories.states_at(zip(*asked, instants, strict=True)), dtype=pl.Int64)
    unnamed = states == UNNAMED
    if not unnamed.any():
        return states
    nobody = table.select(_nobody(kind, views.histories)).to_series()
    return pl.select(pl.when(unnamed).then(nobody).otherwise(states)).to_series()


def _nobody(kind: CaseKind, histories: Histories) -> pl.Expr:
    """The state of a case without a subject."""
    agreed, not_agreed, unreported, unlinked = (
        pl.lit(histories.intern(state), pl.Int64) for state in (AGREED, NOT_AGREED, UNREPORTED, UNLINKED)
    )
    if kind is not CaseKind.MATCH:
        return pl.repeat(histories.intern(UNREPORTED), pl.len(), dtype=pl.Int64)
    involved = pl.col("active_involvement")
    on_site = pl.coalesce("on_site_consent", pl.when(pl.col("prompt_given")).then(True))
    return (
        pl.when(~STRANGER & pl.col("comparison_decision").is_in(["match", "non_match"]))
        .then(unlinked)
        .when(~STRANGER)
        .then(unreported)
        .when(~involved)
        .then(not_agreed)
        .when(involved & on_site)
        .then(agreed)
        .when(involved & ~on_site)
        .then(not_agreed)
        .otherwise(unreported)
    )
