"""A trial: one rule over one small world, judged by columns and by the interpreter, also after more has arrived.

Rules:
1. A condition says a verdict of the world's one event; a deadline or a window says the gravest of what is pending.
2. Where the two ways of judging disagree, that is what is said, and no test expects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.contract import Message
from schemas.registry import RegistryRecord
from schemas.subject import SubjectRecord
from streams.core.case import Views, assemble
from streams.core.docket import Docket
from streams.core.entry import entries
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.holder import Standing
from streams.core.instant import micros
from streams.core.judge import Outcome, judge, judge_row
from streams.core.obligation import Status
from streams.core.rule import AnyRule, Rule
from streams.core.rule_world import Setting, StoredCounts, events, read_time, record_of, records, stored
from streams.core.rulebook import Rulebook, of_rules
from streams.core.subject_history import Histories

LONG_AFTER = "at + 150 days"
"""While the cases are still kept; a longer duty says its own `until`."""
GRAVEST = (Status.BREACHED, Status.UNDETERMINED, Status.OPEN, Status.FULFILLED)
WORDS = {
    Status.BREACHED: "violation",
    Status.UNDETERMINED: "undetermined",
    Status.OPEN: "open",
    Status.FULFILLED: "fulfilled",
}
Said = tuple[str, str | None]
"""A verdict, and the reason where it is undetermined."""


@dataclass(slots=True)
class Trial:
    """One rule over one world; raises ContractError or ValueError where the world cannot be built."""

    rule: AnyRule
    given: Mapping[str, Any]
    setting: Setting
    views: Views = field(init=False)
    docket: Docket = field(init=False)
    cases: list[tuple[CaseKind, Message]] = field(init=False)
    book: Rulebook = field(init=False)

    def __post_init__(self) -> None:
        self.book = of_rules([self.rule])
        self.views = Views(histories=Histories(self.book.asked()))
        self.docket = Docket(self.book, self.views.registry, self.views.histories)
        self._take(records(self.given, self.setting))
        self.cases = list(events(self.given, self.setting, always=isinstance(self.rule, Rule)))
        for each in stored(self.given, self.setting):
            self._tell(each)

    def arrive(self, wholes: Iterable[Mapping[str, Any]]) -> None:
        """Take in records that arrive later."""
        self._take(record_of(whole, self.setting) for whole in wholes)

    def _take(self, found: Iterable[RegistryRecord | SubjectRecord]) -> None:
        for record in found:
            if isinstance(record, RegistryRecord):
                self.views.registry.add(record)
            else:
                self.views.histories.add(record)

    def _tell(self, counts: StoredCounts) -> None:
        zone = self.rule.timezone
        self.docket.stored.tell(0, zone, counts.controller, 0, counts.days)
        self.docket.look_at(counts.controller)

    def says(self, until: Any) -> Said:
        """The verdict on the world as it is known now."""
        if isinstance(self.rule, Rule):
            return self._verdict(self.rule)
        for kind in dict.fromkeys(kind for kind, _ in self.cases):
            if (said := self._enter(kind, [message for each, message in self.cases if each is kind])) is not None:
                return said, None
        self.docket.settle(micros(read_time(until or LONG_AFTER, self.setting)))
        return gravest(self.docket.standings())

    def _verdict(self, rule: Rule) -> Said:
        (kind, message), *others = self.cases
        if others:
            return "more than one event", None
        if kind is not rule.kind:
            return f"a {kind.value}, which the rule does not judge", None
        cases = assemble(_frame(kind, [message]), kind, self.views, self.book.facts_of(kind))
        verdicts = judge(cases, kind, self.book)
        (row,) = verdicts.cases.to_dicts()
        columns, oracle = Outcome(verdicts.outcomes[rule.column][0]), judge_row(rule, row)
        if columns is not oracle or verdicts.failed:
            return f"{columns.word} by columns and {oracle.word} by the interpreter", None
        return columns.word, verdicts.reason(rule, row) if columns is Outcome.UNDETERMINED else None

    def _enter(self, kind: CaseKind, messages: Sequence[Message]) -> str | None:
        """Enter cases of one kind for the duty, by columns; gives what is wrong where the interpreter differs."""
        cases = assemble(_frame(kind, messages), kind, self.views, self.book.facts_of(kind))
        verdicts = judge(cases, kind, self.book.entering())
        for rule in verdicts.rules:
            for row, column in zip(verdicts.cases.to_dicts(), verdicts.outcomes[rule.column], strict=True):
                columns, oracle = Outcome(column), judge_row(rule, row)
                if columns is not oracle or verdicts.failed:
                    role = self.book.roles[rule].name
                    return f"{role}: {columns.word} by columns and {oracle.word} by the interpreter"
        for entry in entries(cases, kind, self.book):
            self.docket.enter(self.rule.column, entry.case)
        return None


def gravest(standings: Iterable[Standing]) -> Said:
    """What a duty says on the whole: the gravest of its standings, or clear where there is none."""
    found = list(standings)
    for status in GRAVEST:
        held = [each for each in found if each.status is status]
        if held:
            return WORDS[status], None if held[0].why is None else held[0].why.value
    return "clear", None


def _frame(kind: CaseKind, messages: Sequence[Message]) -> pl.DataFrame:
    return frame_of(messages, MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS)
