"""Between the docket and its topics: what is entered, said and counted, as messages, and back.

Rules:
1. A case goes to the partition of whoever holds the key of the duty: the person, or the controller.
2. Whoever took a log of events over tells every partition how far it has told its cases anew.
3. What was said is on a log too, after it was said: a worker that takes a key over says again what no log shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from schemas.contract import Message
from schemas.tally import CaseTally, RestatedTally, StoredTally, WindowTally
from schemas.topics import TopicName
from schemas.verdict import Obligation as ObligationMessage
from streams.core.case_book import Origin, Stated, Stretch
from streams.core.docket import Docket
from streams.core.entry import Entry
from streams.core.facts import Unknown
from streams.core.holder import Standing, holder_of
from streams.core.instant import NEVER, micros, moment_of
from streams.core.obligation import Happening, Obligation, Status
from streams.core.partition import partition_of
from streams.core.rule import DeadlineRule, WindowRule
from streams.core.violation import OF_PART, statement_of, violation_of
from streams.core.window import Window, window_of
from streams.live.outbox import Outgoing
from streams.live.topic_names import TopicNames

FIELDS = {**OF_PART, "subject": "subject_ref"}
"""In which field of a message a part of a key stands; the controller stands in all of them."""


def tallies(entered: Iterable[Entry], log: tuple[str, int], names: TopicNames, partitions: int) -> Iterator[Outgoing]:
    """The records that enter cases of a log (topic and partition) with the holders of their keys, or take them out."""
    topic, partition = log
    for entry in entered:
        duty, case, stated = entry.role.duty, entry.case, entry.stated
        assert stated is not None, "what is entered of a log can be corrected"
        message = CaseTally(
            rule_id=duty.id,
            revision=duty.revision,
            role=case.what,
            certain=case.known,
            reason=None if case.why is None else case.why.value,
            event_id=case.id,
            occurred_at=moment_of(case.at),
            controller_id=str(case.parts["controller"]),
            subject_ref=case.parts.get("subject"),
            site_id=case.parts.get("site"),
            purpose_id=case.parts.get("purpose"),
            device_id=case.parts.get("device"),
            authority_id=case.parts.get("authority"),
            exception_id=case.parts.get("exception"),
            match_event_id=case.parts.get("event"),
            undone=None if stated.plays else True,
            event_version=stated.version,
            known_until=moment_of(stated.known_until),
            origin=f"{topic}/{partition}/{entry.offset}",
        )
        yield _outgoing(names[TopicName.TALLIES], holder_of(duty, case).id, message, partitions)


def restated(stretch: Stretch, names: TopicNames, partitions: int) -> Iterator[Outgoing]:
    """The records that tell every partition of a stretch whose cases were told anew."""
    message = RestatedTally(
        topic=stretch.topic,
        partition=stretch.partition,
        first_offset=stretch.first,
        end_offset=stretch.end,
        known_until=moment_of(stretch.known_until),
    )
    key = f"{stretch.topic}/{stretch.partition}".encode()
    for each in range(partitions):
        yield Outgoing(names[TopicName.TALLIES], each, key, message.to_json())


def stored_tallies(docket: Docket, partition: int, names: TopicNames, partitions: int) -> Iterator[Outgoing]:
    """The records that tell the owners of controllers how many persons of this partition they store."""
    for zone, controller, year, counts in docket.stored.take_parts():
        message = StoredTally(
            controller_id=controller,
            partition=partition,
            timezone=zone,
            year=year,
            days=tuple(day.timetuple().tm_yday for day, _ in counts),
            persons=tuple(count for _, count in counts),
        )
        yield _outgoing(names[TopicName.TALLIES], controller, message, partitions)


def _outgoing(topic: str, key: str, message: Message, partitions: int) -> Outgoing:
    return Outgoing(topic, partition_of(key, partitions), key.encode(), message.to_json())


def breaches(found: Iterable[Standing], partition: int, names: TopicNames) -> Iterator[Outgoing]:
    """The violations of what is breached, and of what is taken back."""
    for standing in found:
        if standing.status is Status.BREACHED or standing.undone is not None:
            violation = violation_of(standing)
            key = violation.violation_id.encode()
            yield Outgoing(names[TopicName.VIOLATIONS], partition, key, violation.to_json())


def memories(found: Iterable[Standing], partition: int, names: TopicNames) -> Iterator[Outgoing]:
    """What is written of what was said, once the broker has the violations: what is remembered is not said again."""
    for standing in found:
        topic = names[TopicName.TALLIES if isinstance(standing, Window) else TopicName.OBLIGATIONS]
        key = standing.controller if isinstance(standing, Window) else standing.id
        yield Outgoing(topic, partition, key.encode(), _remembered(standing).to_json())


def _remembered(standing: Standing) -> Message:
    if not isinstance(standing, Window):
        return statement_of(standing)
    part, _, value = standing.key.partition("/")
    about = {part: value}
    return WindowTally(
        undone=None if standing.status is Status.BREACHED else True,
        rule_id=standing.rule.id,
        revision=standing.rule.revision,
        controller_id=standing.controller,
        window_id=standing.id,
        occurred_at=moment_of(standing.first),
        subject_ref=about.get("subject"),
        site_id=about.get("site"),
        purpose_id=about.get("purpose"),
        device_id=about.get("device"),
        authority_id=about.get("authority"),
    )


def enter(docket: Docket, partition: int, message: CaseTally | RestatedTally | StoredTally | WindowTally) -> None:
    """Take a tally in; what this partition told of its own persons it knows better itself."""
    match message:
        case CaseTally():
            docket.enter(f"{message.rule_id}@{message.revision}", _case(message), _stated(message))
        case RestatedTally():
            log = (message.topic, message.partition)
            offsets = (message.first_offset, message.end_offset)
            docket.state_anew(Stretch(*log, *offsets, micros(message.known_until)))
        case WindowTally() if (window := _window(docket, message)) is not None:
            docket.told(window)
        case StoredTally() if message.partition != partition:
            first = date(message.year, 1, 1)
            days = [first + timedelta(days=day - 1) for day in message.days]
            counts = list(zip(days, message.persons, strict=True))
            docket.stored.tell(message.partition, message.timezone, message.controller_id, message.year, counts)
            docket.look_at(message.controller_id)


def _window(docket: Docket, message: WindowTally) -> Window | None:
    """The window that was told of; None where its rule is of another book."""
    rule = docket.duty(message.rule_id, message.revision)
    if not isinstance(rule, WindowRule):
        return None
    field = FIELDS.get(rule.key)
    value = message.controller_id if field is None else getattr(message, field)
    first, last = window_of(rule, micros(message.occurred_at))
    status = Status.BREACHED if message.undone is None else Status.VOID
    return Window(rule, message.window_id, status, message.controller_id, f"{rule.key}/{value}", first, last)


def remember(docket: Docket, message: ObligationMessage) -> None:
    """Learn that the state of a duty was said; of one of another book nothing is asked."""
    rule = docket.duty(message.rule_id, message.revision)
    if not isinstance(rule, DeadlineRule):
        return
    parts = {"controller": message.controller_id} | {part: getattr(message, FIELDS[part]) for part in FIELDS}
    docket.told(
        Obligation(
            rule,
            message.obligation_id,
            Status(message.status),
            parts,
            message.opened_by,
            micros(message.opened_at),
            micros(message.due_at),
            message.fulfilled_by,
        )
    )


def _stated(message: CaseTally) -> Stated | None:
    """What a tally rests on; one of an older version of us does not say."""
    if message.event_version is None or message.known_until is None or message.origin is None:
        return None
    topic, partition, offset = message.origin.rsplit("/", 2)
    origin = Origin(topic, int(partition), int(offset))
    return Stated(message.event_version, micros(message.known_until), message.undone is None, origin)


REASONS = frozenset(reason.value for reason in Unknown)
"""Those that we know; another version of us may write more."""


def _case(message: CaseTally) -> Happening:
    parts: dict[str, str | None] = {
        "controller": message.controller_id,
        "subject": message.subject_ref,
        "site": message.site_id,
        "purpose": message.purpose_id,
        "device": message.device_id,
        "authority": message.authority_id,
        "exception": message.exception_id,
    }
    if message.match_event_id is not None:
        parts["event"] = message.match_event_id
    at = micros(message.occurred_at)
    why = Unknown(message.reason) if message.reason in REASONS else None
    return Happening(message.role, message.event_id, at, NEVER, {}, parts, message.certain, why)
