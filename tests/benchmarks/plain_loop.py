"""The plain loop that a replay is measured against: one event after the other, in Python, by the interpreter.

Rules:
1. The loop reads an event, looks up in dictionaries what was in force, makes the case of it and judges every rule.
2. It says of every event and rule what the judge says, else it would measure something else; that is not timed.
3. It serves the estate of the benchmark alone: every event names its person, and every feed reaches beyond the log.
"""

from __future__ import annotations

import time
from typing import Any

import polars as pl

from schemas.vocabulary import SENSITIVE_ATTRIBUTES
from streams.core.case import ATTESTED, COMBINATION, SUBJECT_FACTS, Views, assemble
from streams.core.context import Combination, index_at
from streams.core.facts import CaseKind
from streams.core.grounds import attested
from streams.core.instant import micros
from streams.core.judge import judge, judge_row
from streams.core.rulebook import Rulebook

Case = dict[str, Any]


def events_a_second(frame: pl.DataFrame, views: Views, book: Rulebook) -> float:
    """How many match events of a frame the loop judges a second."""
    rules, facts = book.of_kind(CaseKind.MATCH), book.facts_of(CaseKind.MATCH)
    cases = assemble(frame, CaseKind.MATCH, views, facts)
    said = judge(cases, CaseKind.MATCH, book)
    nothing: Case = dict.fromkeys(cases.columns)
    begun = time.perf_counter()
    found = [
        [judge_row(rule, case) for rule in rules]
        for case in (nothing | _case(event, views) for event in frame.iter_rows(named=True))
    ]
    seconds = time.perf_counter() - begun
    judged = said.outcomes.select(rule.column for rule in rules)
    assert list(judged.iter_rows()) == [tuple(each) for each in found], "the loop says what the judge says"
    return frame.height / seconds


def _case(event: Case, views: Views) -> Case:
    """An event with everything in force at its instant; what holds of a combination or a state is kept by the views."""
    instant = micros(event["occurred_at"])
    combination = Combination._make(event.get(name) for name in COMBINATION)
    context = views.contexts.rows[index_at(views.contexts.segments(views.registry, combination), instant)]
    person = event["subject_ref"], event["controller_id"], event["purpose_id"]
    (number,) = views.histories.states_at([(*person, instant)])
    state = views.histories.states[number]
    case = event | context.facts | {name: fact(state) for name, fact in SUBJECT_FACTS.items()}
    for name in ATTESTED:
        case[name] = context.facts.get(attested(name)) if case.get(name) is None else case[name]
    return case | _told(case)


def _told(case: Case) -> Case:
    """The facts that are made of a match event, and of what its purpose and its authority allow."""
    inferred, targets = case["inferred_attributes"], case.get("authority_targets")
    allowed, operations = case.get("purpose_attributes"), case.get("purpose_operations")
    return {
        "purpose_named": case["purpose_id"] is not None,
        "exception_claimed": any(case[name] is not None for name in ("claimed_basis", "authority_id", "exception_id")),
        "claimed_basis": case["claimed_basis"] or "none",
        "stranger": False,
        "sensitive_attributes": inferred and [each for each in inferred if each in SENSITIVE_ATTRIBUTES],
        "operation_allowed": None if operations is None else case["operation"] in operations,
        "attributes_allowed": None if inferred is None or allowed is None else set(inferred) <= set(allowed),
        "authority_targets_subject": None if targets is None else case["subject_ref"] in targets,
    }
