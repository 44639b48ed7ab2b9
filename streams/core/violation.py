"""From verdicts and duties to violations: the deterministic id, the records on which each rests, the message.

Rules:
1. The id is a digest of rule, revision, controller, event and subject; nothing of time, place in the log or worker.
2. The deciding records are those in force at the match behind every source that the rule asks, sorted by id; where no
   consent is in force, the withdrawal that ended it.
3. Of a deadline or a window the message says nothing that depends on when it was looked at: it repeats byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import polars as pl

from schemas.verdict import Obligation as ObligationMessage
from schemas.verdict import Violation
from streams.core.arrival import Arrival
from streams.core.case import COMBINATION, SUBJECT_SOURCES, Views
from streams.core.context import Combination, Context, index_at
from streams.core.facts import FACTS, Source
from streams.core.instant import micros, moment_of
from streams.core.interpreter import interpret
from streams.core.json_column import json_column
from streams.core.judge import Outcome, Verdicts
from streams.core.obligation import Obligation, Status
from streams.core.rule import Rule
from streams.core.subject_history import Histories
from streams.core.window import Window, bound_of

ID_SCHEME = "1"


def violation_id(rule_id: str, revision: int, controller_id: str, event_id: str, subject_ref: str | None) -> str:
    """The id of the breach of one revision of one rule by one event about one subject; 64 hexadecimal digits."""
    identity = json.dumps([ID_SCHEME, rule_id, revision, controller_id, event_id, subject_ref], separators=(",", ":"))
    return hashlib.sha256(identity.encode()).hexdigest()


IDENTITY = ("rule_id", "revision", "controller_id", "event_id", "subject_ref")


def violation_ids(frame: pl.DataFrame) -> pl.Series:
    """The ids of many breaches at once, as `violation_id` gives them; `frame` has the columns of `IDENTITY`."""
    texts = pl.DataFrame([json_column(frame[name], ascii_only=True) for name in IDENTITY])
    whole = texts.select(pl.format(f'["{ID_SCHEME}",{{}},{{}},{{}},{{}},{{}}]', *IDENTITY)).to_series()
    return pl.Series([hashlib.sha256(text.encode()).hexdigest() for text in whole], dtype=pl.String)


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
        excused_by=excused_by(rule, row, _context(row, views)) if excused else (),
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
        boundary=True if at_boundary(rule, row, views) else None,
    )


def at_boundary(rule: Rule, row: Mapping[str, Any], views: Views) -> bool:
    """Whether a rule asks for consent and the event lies within the skew of the clocks of an edge of one.

    An event that the broker took before it happened (`recorded_at`, microseconds) has measured more of the skew.
    """
    history = None if row["subject_ref"] is None else views.histories.history(row["subject_ref"])
    if history is None or not asks_for_consent(rule):
        return False
    instant, recorded_at = micros(row["occurred_at"]), row.get("recorded_at")
    skew = views.skew if recorded_at is None else max(views.skew, instant - recorded_at)
    return history.near_consent_edge(row["controller_id"], instant, skew)


def asks_for_consent(rule: Rule) -> bool:
    """Whether a rule asks a fact about consent."""
    return any(FACTS[name].source is Source.CONSENT for name in rule.facts)


def excused_by(rule: Rule, row: Mapping[str, Any], context: Context) -> tuple[str, ...]:
    """The names of the rule's exceptions that hold, and the exception records that cover the case."""
    named = [each.name for each in rule.excuses if interpret(each.condition.root, row) is True]
    papers = context.excused_by.get(rule.id, ()) if rule.excusable else ()
    return (*named, *(f"exception:{paper}" for paper in papers))


def _context(row: Mapping[str, Any], views: Views) -> Context:
    segments = views.contexts.segments(views.registry, Combination(*(row[name] for name in COMBINATION)))
    return views.contexts.rows[index_at(segments, micros(row["occurred_at"]))]


def deciding_records(rule: Rule, row: Mapping[str, Any], views: Views) -> tuple[str, ...]:
    """The ids of the records in force behind the facts that a rule asks of a case, sorted."""
    return records_behind(rule, row, _context(row, views), views.histories)


def records_behind(rule: Rule, row: Mapping[str, Any], context: Context, histories: Histories) -> tuple[str, ...]:
    """The same, of a case whose context is known; `row` needs its person, controller, purpose and instant alone."""
    return tuple(sorted(records_around(rule, context) | set(_subject_records(sources_of(rule), row, histories))))


def records_around(rule: Rule, context: Context) -> set[str]:
    """Those of them that are records of the registry: what the context of the case says, whoever the person is."""
    found = {record for source in sources_of(rule) for record in context.records.get(source, ())}
    found |= {record for name in rule.facts for record in context.attested.get(name, ())}
    return found | set(context.excused_by.get(rule.id, ()) if rule.excusable else ())


@lru_cache(maxsize=4_096)
def sources_of(rule: Rule) -> frozenset[Source]:
    """The sources whose records decide what a rule says."""
    selecting = [(rule.jurisdictions, Source.SITE), (rule.controller_types, Source.CONTROLLER)]
    return frozenset({FACTS[name].source for name in rule.facts} | {source for named, source in selecting if named})


def _subject_records(sources: frozenset[Source], row: Mapping[str, Any], histories: Histories) -> Iterator[str]:
    if sources.isdisjoint(SUBJECT_SOURCES) or row["subject_ref"] is None:
        return
    history = histories.history(row["subject_ref"])
    if history is None:
        return
    instant = micros(row["occurred_at"])
    if Source.CONSENT in sources:
        yield from history.consent_records(row["controller_id"], row["purpose_id"], instant)
    if Source.ENROLMENT in sources:
        yield from history.enrolment_records(row["controller_id"], instant)
    if Source.RESTRICTION in sources:
        yield from history.restriction_records(row["controller_id"], instant)


OF_PART = {"site": "site_id", "purpose": "purpose_id", "device": "device_id", "authority": "authority_id"}
"""In which field of a message a part of a key stands."""
TOLD: Mapping[Status, Literal["open", "fulfilled", "breached", "void"]] = {
    Status.OPEN: "open",
    Status.FULFILLED: "fulfilled",
    Status.BREACHED: "breached",
    Status.VOID: "void",
}
"""What is not known is not told."""


def violation_of(standing: Obligation | Window) -> Violation:
    """The breach of a deadline or a window: open; or one that was said and is undone, as it was said but its status."""
    undone, rule = standing.undone, standing.rule
    breach = standing if undone is None else undone.breach
    return Violation(
        status="open" if undone is None else undone.status,
        cause="record" if undone is not None or standing.again else "judged",
        rule_id=rule.id,
        revision=rule.revision,
        level=rule.level,
        standing=rule.standing,
        **(_of_window(breach) if isinstance(breach, Window) else _of_deadline(breach)),
        **({} if undone is None or undone.by is None else _came(undone.by)),
    )


def _came(arrival: Arrival) -> dict[str, Any]:
    """What a message tells of the record that changed it."""
    return {
        "changed_by": (arrival.record_id,),
        "in_force_since": moment_of(arrival.valid_from),
        "reached_log_at": moment_of(arrival.recorded_at),
    }


def _of_deadline(duty: Obligation) -> dict[str, Any]:
    assert duty.due is not None, "what is breached was due"
    of_record = duty.opened_by[:7] != "stored-"
    return {
        "violation_id": duty.id,
        "obligation_id": duty.id,
        "event_kind": "deadline",
        "occurred_at": moment_of(duty.due),
        "controller_id": duty.parts["controller"],
        "deciding_records": (duty.opened_by,) if of_record else (),
        **_key_fields(duty),
    }


def _of_window(window: Window) -> dict[str, Any]:
    part, _, value = window.key.partition("/")
    field = {**OF_PART, "subject": "subject_ref"}.get(part)
    return {
        "violation_id": window.id,
        "event_kind": "window",
        "occurred_at": moment_of(window.first),
        "window_until": moment_of(window.last),
        "bound": bound_of(window),
        "controller_id": window.controller,
        **({field: value} if field else {}),
    }


def _key_fields(duty: Obligation) -> dict[str, Any]:
    """The fields of a message that name the key of a duty, and where it is about an event or a device, those."""
    fields = {field: duty.parts.get(part) for part, field in OF_PART.items() if part in duty.rule.key}
    subject = duty.parts.get("subject") if "subject" in duty.rule.key else None
    return {**fields, "subject_ref": subject}


def statement_of(duty: Obligation) -> ObligationMessage:
    """What the log of duties says of one that was opened, fulfilled or breached."""
    assert duty.due is not None, "a duty that is told has an end"
    return ObligationMessage(
        obligation_id=duty.id,
        status=TOLD[duty.status],
        rule_id=duty.rule.id,
        revision=duty.rule.revision,
        level=duty.rule.level,
        standing=duty.rule.standing,
        controller_id=str(duty.parts["controller"]),
        opened_by=duty.opened_by,
        opened_at=moment_of(duty.opened_at),
        due_at=moment_of(duty.due),
        fulfilled_by=duty.closed_by,
        **_key_fields(duty),
    )
