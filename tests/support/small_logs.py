"""Small logs as files: what the settled world says, as JSON lines, as tables and as an archive, and answers of them.

Rules:
1. A message stands at the tick that is given with it; records stand long before, but those that `RECORDED` names.
2. One law of three rules says something of every event, so that no answer is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rule_texts import a_pack, a_rule
from schemas.contract import Message
from schemas.registry import RegistryRecord
from schemas.topics import TopicName
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, text_at, tick
from streams.core.instant import moment_of
from streams.core.rulebook import Rulebook, load
from streams.replay.answer import Answer, read_answer
from streams.replay.manifest import Manifest, Part, Table, Wanted, write_manifest
from streams.replay.part import Cut, tables_of
from streams.replay.question import Question
from streams.replay.run import Replay
from streams.replay.whole_file import digest_of

PACK = a_pack(
    a_rule("test.always", condition="purpose_named"),
    a_rule("test.consent", condition="NOT consent_in_force"),
    a_rule("test.open", condition="timing = 'post'"),
)
LAW = load([("test.yaml", PACK)])
SINCE, UNTIL = moment_of(tick(-100)), moment_of(tick(100))


class Line:
    """A message as it stood on a log."""

    def __init__(self, offset: int, message: Message | bytes, at: int, key: bytes | None = None) -> None:
        self.offset, self.timestamp, self.timestamp_type = offset, at // 1_000, 1
        self.key, self.headers = key, ()
        self.value = message if isinstance(message, bytes) else message.to_json()


def event(name: str, **fields: Any) -> Message:
    message: Message = a_match(event_id=name, **fields)
    return message


def the_records(*more: Message) -> tuple[list[Message], list[Message]]:
    records = [*a_settled_world(), a_feed(), *more]
    return [each for each in records if isinstance(each, RegistryRecord)], [
        each for each in records if not isinstance(each, RegistryRecord)
    ]


def ndjson(folder: Path, events: Sequence[Message | bytes], *more: Message) -> Path:
    folder.mkdir(exist_ok=True)
    registry, subjects = the_records(*more)
    for name, messages in (("matches", events), ("registry", registry), ("subjects", subjects)):
        lines = [each if isinstance(each, bytes) else each.to_json() for each in messages]
        (folder / f"{name}.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def parquet(folder: Path, events: Sequence[tuple[Message | bytes, int]], *more: Message) -> Path:
    """The same as tables; each event with the tick at which it was recorded."""
    registry, subjects = the_records(*more)
    logs: dict[TopicName, list[tuple[Message | bytes, int]]] = {
        TopicName.MATCHES: list(events),
        TopicName.REGISTRY: [(each, -50) for each in registry],
        TopicName.SUBJECTS: [(each, RECORDED.get(each.record_id, -50)) for each in subjects],  # type: ignore[attr-defined]
    }
    for topic, messages in logs.items():
        _lay(folder, topic, messages)
    return folder


def _lay(folder: Path, topic: TopicName, messages: Sequence[tuple[Message | bytes, int]]) -> None:
    """Lay the messages of a log down as tables, one each."""
    for offset, (message, at) in enumerate(messages):
        line = Line(offset, message, tick(at))
        tables = tables_of(Cut(topic, 0, offset, offset + 1, [line]))
        place = folder / topic.value / "day=2026-03-10"
        place.mkdir(parents=True, exist_ok=True)
        tables.accepted.write_parquet(place / f"part-0-{offset:04}.parquet")


RECORDED = {"late": 20}
"""When the records of the world were recorded that were not recorded at once."""


def archive(
    folder: Path,
    events: Sequence[tuple[Message | bytes, int]],
    *more: Message,
    violations: Sequence[Message | bytes] | None = None,
) -> Path:
    """The same as an archive with its manifest, to the end of the range: a part for each message.

    It holds a log of violations where one is given.
    """
    parquet(folder, events, *more)
    topics = [TopicName.ENCOUNTERS, TopicName.MATCHES, TopicName.REGISTRY, TopicName.SUBJECTS]
    if violations is not None:
        _lay(folder, TopicName.VIOLATIONS, [(each, 1) for each in violations])
        topics.append(TopicName.VIOLATIONS)
    parts: list[Part] = []
    wanted: list[Wanted] = []
    for topic in topics:
        files = sorted((folder / topic.value).rglob("*.parquet"))
        wanted.append(Wanted(topic=topic, partition=0, first_offset=0, next_offset=len(files), until=UNTIL))
        parts += [
            Part(
                topic=topic,
                partition=0,
                first_offset=offset,
                next_offset=offset + 1,
                accepted=Table(
                    path=str(file.relative_to(folder)),
                    rows=1,
                    size_bytes=file.stat().st_size,
                    sha256=digest_of(file),
                ),
            )
            for offset, file in enumerate(files)
        ]
    write_manifest(folder, Manifest(prefix="", wanted=tuple(wanted), parts=tuple(parts)))
    return folder


def question(law: Rulebook = LAW, **changes: Any) -> Question:
    asked: dict[str, Any] = {"since": SINCE, "until": UNTIL, "rulebook": law, "titles": {}}
    return Question(**asked | changes)


def answer(source: Any, out: Path, law: Rulebook = LAW, **changes: Any) -> Answer:
    Replay(question(law, **changes), source, out).run()
    return read_answer(out)


def told(found: Answer) -> list[tuple[Any, ...]]:
    rows = found.verdicts.select("event_id", "event_version", "rule_id", "outcome", "reason").collect()
    return sorted(rows.rows(), key=str)


RANGE = ("--from", text_at(-100), "--to", text_at(100))
"""Options of a command about everything that happens here."""
SOME = [event("a"), event("b", subject_ref=PEOPLE[1]), event("c", timing=None, occurred_at=text_at(1))]
