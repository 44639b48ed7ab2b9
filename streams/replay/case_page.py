"""A case file as a person wants to read it in a terminal: the event, a drawing of its records, and the rules.

Rules:
1. Plain text in plain letters, so that it can be sent, printed and compared.
2. What a rule found comes first, by weight; rules that are clear or do not apply come last, a line each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import indent, wrap

from streams.core.explanation import Clause, Explanation, shown
from streams.core.facts import FACTS
from streams.core.judge import Outcome
from streams.replay.case_file import CaseFile, Entry

WIDTH = 100
CELL = 3
CELLS_MAX = 16
"""Instants that a drawing tells apart; with more of them, those next to each other share a cell."""
VALUES = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}
EXPLAINED = (Outcome.VIOLATION, Outcome.UNDETERMINED, Outcome.EXCUSED)
COUNTED = (*EXPLAINED, Outcome.CLEAR, Outcome.NOT_APPLICABLE)
EVENT_FIELDS = (
    "controller_id", "device_id", "site_in_force", "purpose_id", "operation", "comparison_decision", "subject_ref",
    "authority_id", "exception_id", "claimed_basis",
)  # fmt: skip


def page(case: CaseFile) -> str:
    """The whole page; ends without a line break."""
    moment = case.row["occurred_at"]
    said = defaultdict(list)
    for explanation in case.explanations:
        said[explanation.outcome].append(explanation)
    counts = ", ".join(f"{len(said[outcome])} {outcome.word}" for outcome in COUNTED)
    lines = [f"{case.kind.value} {case.row['event_id']} of {shown(moment)}"]
    lines += [f"  {name:20} {shown(case.row[name])}" for name in EVENT_FIELDS if case.row.get(name) is not None]
    lines += ["", "On record, by time (= in force, | the event)", *_drawing(case.entries, moment)]
    lines += ["", f"Rules: {counts}"]
    for outcome in EXPLAINED:
        for explanation in said[outcome]:
            lines += ["", *_rule(explanation, case)]
    if said[Outcome.CLEAR]:
        lines += ["", "Clear", *(f"  {each.rule.id}: {each.rule.title}" for each in said[Outcome.CLEAR])]
    if said[Outcome.NOT_APPLICABLE]:
        lines += ["", "Not applicable"]
        lines += [f"  {each.rule.id}: {'; '.join(each.not_for)}" for each in said[Outcome.NOT_APPLICABLE]]
    return "\n".join(lines)


def _drawing(entries: Sequence[Entry], moment: datetime) -> Iterator[str]:
    """A line a record: when it began and ended among the other instants of the case, to scale in order, not in time."""
    instants = sorted({moment} | {each.since for each in entries} | {each.until for each in entries if each.until})
    shared = max(1, -(-len(instants) // CELLS_MAX))
    place = {instant: index // shared * CELL for index, instant in enumerate(instants)}
    end = max(place.values()) + CELL
    width = max((len(f"{each.kind} {each.record_id}") for each in entries), default=0)
    for each in entries:
        until = end if each.until is None else place[each.until]
        bar = [" "] * end
        bar[place[each.since] : until] = "=" * (until - place[each.since])
        bar[place[each.since]] = "["
        if each.until is not None:
            bar[until] = ")"
        bar[place[moment]] = "|"
        state = "in force" if each.holds(moment) else "later" if each.since > moment else "ended"
        yield f"  {_day(each.since)}  {f'{each.kind} {each.record_id}':{width}}  {''.join(bar)}  {state}"


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000") + "Z"


def _rule(explanation: Explanation, case: CaseFile) -> Iterator[str]:
    rule = explanation.rule
    standing = "" if rule.standing == "in_force" else " (what if it were in force)"
    yield f"{explanation.outcome.word.upper()}  {rule.id}, {rule.level}{standing}: {rule.title}"
    yield from _folded(rule.citation, 2)
    if rule.confidence != "firm":
        yield f"  The reading of the law is {rule.confidence}."
    if rule.limits:
        yield from _folded(f"It cannot see all: {' '.join(rule.limits.split())}", 2)
    for reason in explanation.not_for:
        yield f"  whether it applies is unknown: {reason}"
    for clause in explanation.clauses:
        yield from _clause(clause, case)
    for name, value in explanation.excuses:
        yield f"  exception {name}: {VALUES[value]}"
    if explanation.change:
        yield from _folded(f"It would have been clear with {' and '.join(explanation.change)}.", 2)
    elif explanation.outcome in (Outcome.VIOLATION, Outcome.UNDETERMINED) and not explanation.not_for:
        yield "  No small change of facts would have made it clear."


def _clause(clause: Clause, case: CaseFile) -> Iterator[str]:
    lead = "  " * (clause.depth + 1)
    yield from _folded(f"{VALUES[clause.value]:8}{clause.joint + ':' if clause.joint else clause.text}", len(lead))
    for name in clause.facts:
        source = FACTS[name].source
        reason = case.row.get(f"why_{source}") if case.row[name] is None else None
        known = shown(case.row[name]) + (f" ({reason})" if reason else "")
        yield f"{lead}          {name} is {known}: {FACTS[name].meaning}"


def _folded(text: str, margin: int) -> Iterator[str]:
    folded = wrap(text, WIDTH - margin, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    yield from indent("\n".join(folded), " " * margin).splitlines()
