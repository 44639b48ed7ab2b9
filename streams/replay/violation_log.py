"""The log of violations as it stands: what was last said of each breach, on which partition; and writing to it.

Rules:
1. Violations are folded by their id; the last word on the log counts, but for what another word has overtaken.
2. Only what is asked for is kept, so that three years of violations do not have to fit the memory.
3. Violations are written as a worker writes them: through the outbox, acknowledged by all replicas.
4. A message that is no violation is counted and passed over: it says nothing of a breach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from schemas.contract import ContractError
from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from streams.errors import ConfigurationError, Place
from streams.live.log_reader import LogReader
from streams.live.outbox import Outbox, Outgoing
from streams.live.run import LogRecord
from streams.replay.log_range import Asked, Patience, ranges_of
from streams.settings import Settings

ANSWER_MS = 10_000
LOOK_SECONDS = 1.0
DELIVERED_AT_ONCE = 1_000


@dataclass(slots=True)
class ViolationLog:
    """The last word on each breach that was asked for, by violation id."""

    topic: str
    count: int
    """How many partitions the log has."""
    wanted: Callable[[Violation], bool]
    last: dict[str, Violation] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    """Where the words on a breach stand."""
    unreadable: int = 0

    def take(self, _topic: str, partition: int, records: Sequence[LogRecord]) -> None:
        """Read the next records of a partition."""
        for record in records:
            try:
                violation = VIOLATION.read(record.value or b"")
            except ContractError:
                self.unreadable += 1
                continue
            self.hear(violation, partition)

    def hear(self, violation: Violation, partition: int) -> None:
        """Take the next word of a partition in."""
        known = self.last.get(violation.violation_id)
        if known is not None and violation.is_overtaken(version=known.event_version, corrected=known.corrects):
            return
        if self.wanted(violation):
            self.last[violation.violation_id] = violation
            self.partitions[violation.violation_id] = partition


def partitions_of_log(settings: Settings) -> int:
    """How many partitions the log has.

    Raises ConfigurationError where it is not there, and DeliveryError where no broker answers.
    """
    count = len(ranges_of(settings.brokers, settings.prefix, [TopicName.VIOLATIONS], Asked()))
    if count == 0:
        raise ConfigurationError("expected the topic, found none", place=Place(settings.topic(TopicName.VIOLATIONS)))
    return count


def read_violations(settings: Settings, wanted: Callable[[Violation], bool]) -> ViolationLog:
    """Read the log to the end it has now.

    Raises what `partitions_of_log` does, and LogError where the log cannot be trusted.
    """
    topic = settings.topic(TopicName.VIOLATIONS)
    log = ViolationLog(topic, partitions_of_log(settings), wanted)
    asyncio.run(_to_the_end(LogReader(topic, brokers=settings.brokers), log))
    return log


async def _to_the_end(reader: LogReader, log: ViolationLog) -> None:
    reading = asyncio.ensure_future(reader.run(log.take))
    end = asyncio.ensure_future(reader.caught_up.wait())
    patience = Patience(reader)
    try:
        while not reading.done() and not end.done():
            await asyncio.wait({reading, end}, return_when=asyncio.FIRST_COMPLETED, timeout=LOOK_SECONDS)
            patience.check()
    finally:
        end.cancel()
        await reader.stop()
        await reading


def write_violations(settings: Settings, topic: str, violations: Iterable[tuple[int, Violation]]) -> None:
    """Write violations to their partitions; returns when all replicas have all of them."""
    records = [Outgoing(topic, partition, each.violation_id.encode(), each.to_json()) for partition, each in violations]
    asyncio.run(_deliver(settings, records))


async def _deliver(settings: Settings, records: Sequence[Outgoing]) -> None:
    outbox = Outbox(AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all", request_timeout_ms=ANSWER_MS))
    await outbox.start()
    try:
        for first in range(0, len(records), DELIVERED_AT_ONCE):
            await outbox.deliver(records[first : first + DELIVERED_AT_ONCE])
    finally:
        await outbox.stop()
