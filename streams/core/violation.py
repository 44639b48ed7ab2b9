"""From verdicts to violations: the deterministic id, the records on which each rests, the message.

Rules:
1. The id is a digest of rule, revision, controller, event and subject; nothing of time, place in the log or worker.
2. The deciding records are those in force at the match behind every source that the rule asks, sorted by id; where no
   consent is in force, the withdrawal that ended it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from typing import Any

from schemas.verdict import Violation
from streams.core.case import COMBINATION, Views
from streams.core.context import Combination, index_at
from streams.core.facts import FACTS, Source
from streams.core.instant import micros
from streams.core.interpreter import interpret
from streams.core.judge import Outcome, Verdicts
from streams.core.rulebook import Rule

ID_SCHEME = "1"


def violation_id(rule_id: str, revision: int, controller_id: str, event_id: str, subject_ref: str | None) -> str:
    """The id of the breach of one revision of one rule by one event about one subject; 64 hexadecimal digits."""
    identity = json.dumps([ID_SCHEME, rule_id, revision, controller_id, event_id, subject_ref], separators=(",", ":"))
    return hashlib.sha256(identity.encode()).hexdigest()


def violations(verdicts: Verdicts, views: Views) -> Iterator[tuple[int, Rule, Violation]]:
    """Row, rule and message of every violation, open or excused, in the order of rows and then of rules."""
    found = sorted(verdicts.found(Outcome.VIOLATION, Outcome.EXCUSED), key=lambda each: (each[0], each[1].column))
    wanted = list(dict.fromkeys(index for index, _, _ in found))
    rows = dict(zip(wanted, verdicts.cases[wanted].to_dicts(), strict=True))
    for index, rule, outcome in found:
        yield index, rule, _message(verdicts, rule, outcome, rows[index], views)


def _message(verdicts: Verdicts, rule: Rule, outcome: Outcome, row: dict[str, Any], views: Views) -> Violation:
    excused = outcome is Outcome.EXCUSED
    return Violation(
        violation_id=violation_id(rule.id, rule.revision, row["controller_id"], row["event_id"], row["subject_ref"]),
        status="excused" if excused else "open",
        rule_id=rule.id,
        revision=rule.revision,
        level=rule.level,
        standing="what_if" if rule.standing == "what_if" else "in_force",
        excused_by=tuple(each.name for each in rule.excuses if excused and interpret(each.condition.root, row) is True),
        event_id=row["event_id"],
        event_version=row["event_version"],
        event_kind=verdicts.kind.value,
        occurred_at=row["occurred_at"],
        controller_id=row["controller_id"],
        device_id=row["device_id"],
        site_id=row["site_in_force"],
        purpose_id=row["purpose_id"],
        subject_ref=row["subject_ref"],
        deciding_records=deciding_records(rule, row, views),
    )


def deciding_records(rule: Rule, row: dict[str, Any], views: Views) -> tuple[str, ...]:
    """The ids of the records in force behind the facts that a rule asks of a case, sorted."""
    sources = {FACTS[name].source for name in rule.facts}
    if rule.jurisdictions:
        sources.add(Source.SITE)
    if rule.controller_types:
        sources.add(Source.CONTROLLER)
    instant = micros(row["occurred_at"])
    segments = views.contexts.segments(views.registry, Combination(*(row[name] for name in COMBINATION)))
    context = views.contexts.rows[index_at(segments, instant)]
    found = {record for source in sources for record in context.records.get(source, ())}
    found |= {record for name in rule.facts for record in context.attested.get(name, ())}
    return tuple(sorted(found | set(_subject_records(sources, row, views, instant))))


def _subject_records(sources: Collection[Source], row: dict[str, Any], views: Views, instant: int) -> Iterator[str]:
    history = None if row["subject_ref"] is None else views.histories.history(row["subject_ref"])
    if history is None:
        return
    if Source.CONSENT in sources:
        yield from history.consent_records(row["controller_id"], row["purpose_id"], instant)
    if Source.ENROLMENT in sources:
        yield from history.enrolment_records(row["controller_id"], instant)
    if Source.RESTRICTION in sources:
        yield from history.restriction_records(row["controller_id"], instant)
