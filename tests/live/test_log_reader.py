"""The reader of a whole log: what it applies is the log, whatever the batches, and however often the wire breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from broken_wire import BrokenWire
from late_records import records_come_late
from streams.errors import ConsentinelError
from streams.live.log_fault import CorruptLogError, TruncatedLogError
from streams.live.log_reader import LogReader, ReaderSettings
from streams.live.run import LogRecord

Log = dict[int, list[tuple[int, bytes | None]]]
QUICK = ReaderSettings(poll_seconds=0.05, first_backoff_seconds=0.05, last_backoff_seconds=0.2, request_seconds=5)


@pytest.fixture(scope="module")
def wire() -> Iterator[BrokenWire]:
    with BrokenWire() as broken:
        yield broken


def create(bootstrap: str, partitions: int = 3) -> str:
    topic = f"log-{uuid4().hex}"
    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
    admin.close()
    return topic


def write(bootstrap: str, topic: str, values: list[bytes | None], partitions: int = 3) -> None:
    producer = KafkaProducer(bootstrap_servers=[bootstrap])
    sent = [producer.send(topic, key=b"k", value=v, partition=n % partitions) for n, v in enumerate(values)]
    for result in sent:
        result.get(timeout=30)
    producer.close()


def expected(values: list[bytes | None], partitions: int = 3) -> Log:
    return {p: list(enumerate(values[p::partitions])) for p in range(partitions)}


class Copy:
    """What a reader was told, and how."""

    def __init__(self) -> None:
        self.log: Log = {}
        self.largest = 0

    def apply(self, _topic: str, partition: int, records: Sequence[LogRecord]) -> None:
        self.log.setdefault(partition, []).extend((record.offset, record.value) for record in records)
        self.largest = max(self.largest, len(records))

    def count(self) -> int:
        return sum(map(len, self.log.values()))

    async def until_count(self, count: int) -> None:
        await until(lambda: self.count() >= count)


def reading(reader: LogReader, copy: Copy, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Run a reader while something else happens, then stop it; what the reader raises is raised here."""

    async def both() -> None:
        task = asyncio.create_task(reader.run(copy.apply))
        other: asyncio.Task[None] = asyncio.create_task(as_coroutine(meanwhile))
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED, timeout=90)
        in_time = other.done()
        await reader.stop()
        other.cancel()
        await task
        assert in_time, "the reader returned by itself, or what was waited for did not come"
        await other

    asyncio.run(both())


def as_coroutine(work: Callable[[], Awaitable[None]]) -> Coroutine[Any, Any, None]:
    async def run() -> None:
        await work()

    return run()


async def until(done: Callable[[], object]) -> None:
    while not done():  # noqa: ASYNC110 - what is waited for is a reader's state, which has no event.
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_applied_equals_the_log_whatever_the_size_of_the_batches(broker: str, seed: int) -> None:
    chance = random.Random(seed)
    topic = create(broker)
    odd = [None, b"", b"x" * chance.randrange(20_000)]
    values = [chance.choice([*odd, str(number).encode()]) for number in range(chance.randrange(1, 400))]
    write(broker, topic, values)
    bound = chance.randrange(1, 200)
    settings = ReaderSettings(max_records=bound, fetch_bytes=chance.randrange(1_000, 200_000), poll_seconds=0.05)
    reader, copy = LogReader(topic, brokers=[broker], settings=settings), Copy()
    assert reader.behind is None
    assert reader.reached_end_at is None

    async def grow() -> None:
        await reader.caught_up.wait()
        assert {p: log for p, log in copy.log.items() if log} == {p: log for p, log in expected(values).items() if log}
        assert reader.behind == 0
        await until(lambda: reader.reached_end_at is not None)
        write(broker, topic, values)
        await until(lambda: copy.count() == 2 * len(values))

    reading(reader, copy, grow)
    assert copy.largest <= bound
    assert reader.frontier == {p: len(copy.log.get(p, [])) for p in range(3)}
    assert all([o for o, _ in log] == list(range(len(log))) for log in copy.log.values())


def test_an_empty_log_is_caught_up_with(broker: str) -> None:
    reader, copy = LogReader(create(broker), brokers=[broker], settings=QUICK), Copy()
    reading(reader, copy, reader.caught_up.wait)  # type: ignore[arg-type]
    assert copy.log == {}
    assert reader.frontier == {0: 0, 1: 0, 2: 0}


def test_a_reader_starts_at_a_given_frontier_and_leaves_out_what_lies_before(broker: str) -> None:
    topic = create(broker)
    values: list[bytes | None] = [str(number).encode() for number in range(90)]
    write(broker, topic, values)
    reader, copy = LogReader(topic, brokers=[broker], start_at={0: 20, 2: 30}, settings=QUICK), Copy()
    reading(reader, copy, reader.caught_up.wait)  # type: ignore[arg-type]
    assert copy.log == {0: expected(values)[0][20:], 1: expected(values)[1]}


def test_a_topic_that_comes_later_is_waited_for(embedded: str) -> None:
    topic = f"log-{uuid4().hex}"
    reader, copy = LogReader(topic, brokers=[embedded], settings=QUICK), Copy()

    async def come() -> None:
        await asyncio.sleep(0.3)
        admin = KafkaAdminClient(bootstrap_servers=[embedded])
        admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
        admin.close()
        write(embedded, topic, [b"1", b"2", b"3"])
        await until(lambda: copy.count() == 3)

    reading(reader, copy, come)


def test_new_partitions_are_read_and_the_end_is_unknown_until_they_are(apache_kafka: str) -> None:
    topic = create(apache_kafka)
    values: list[bytes | None] = [str(number).encode() for number in range(30)]
    write(apache_kafka, topic, values)
    settings = ReaderSettings(poll_seconds=0.05, metadata_seconds=0.2, first_backoff_seconds=0.05)
    reader, copy = LogReader(topic, brokers=[apache_kafka], settings=settings), Copy()

    async def widen() -> None:
        await until(lambda: reader.reached_end_at is not None)
        admin = KafkaAdminClient(bootstrap_servers=[apache_kafka])
        admin.create_partitions({topic: 5})
        admin.close()
        write(apache_kafka, topic, values[:10], partitions=5)
        await until(lambda: copy.count() == 40)

    reading(reader, copy, widen)
    assert set(copy.log) == set(range(5))
    assert all([o for o, _ in log] == list(range(len(log))) for log in copy.log.values())


def test_the_log_is_read_whole_over_a_wire_that_breaks_again_and_again(wire: BrokenWire) -> None:
    topic = create(wire.bootstrap)
    values: list[bytes | None] = [str(number).encode() * 50 for number in range(3_000)]
    write(wire.bootstrap, topic, values)
    settings = ReaderSettings(max_records=50, fetch_bytes=4_000, poll_seconds=0.05, first_backoff_seconds=0.05)
    reader, copy = LogReader(topic, brokers=[wire.bootstrap], settings=settings), Copy()

    async def trouble() -> None:
        for share in (100, 800, 1_600, 2_500):
            await copy.until_count(share)
            wire.cut()
            await asyncio.sleep(0.3)
            wire.mend()
        await until(lambda: copy.count() >= len(values))

    reading(reader, copy, trouble)
    assert copy.log == expected(values)


class Hasty(LogReader):
    """A reader that takes a new client at every step, and closes each while a task of it is under way."""

    closed: list[AIOKafkaConsumer]

    def _grown(self, consumer: AIOKafkaConsumer) -> bool:
        return consumer.highwater(TopicPartition(self.topic, 0)) is not None

    def _client(self) -> AIOKafkaConsumer:
        consumer = super()._client()
        stop = consumer.stop

        async def stop_at_once() -> None:
            consumer._fetcher._pending_tasks.add(asyncio.create_task(asyncio.sleep(60)))
            self.closed.append(consumer)
            await stop()

        consumer.stop = stop_at_once
        return consumer


def test_a_client_that_breaks_off_while_it_is_closed_ends_no_reader(embedded: str) -> None:
    topic = create(embedded, partitions=1)
    values: list[bytes | None] = [str(number).encode() * 50 for number in range(300)]
    write(embedded, topic, values, partitions=1)
    settings = ReaderSettings(max_records=50, poll_seconds=0.05, first_backoff_seconds=0.05)
    reader, copy = Hasty(topic, brokers=[embedded], settings=settings), Copy()
    reader.closed = []

    async def read_all() -> None:
        await until(lambda: copy.count() >= len(values))

    reading(reader, copy, read_all)
    assert copy.log == expected(values, partitions=1)
    assert len(reader.closed) > 1
    assert not [conn for client in reader.closed for conn in client._client._conns.values() if conn.connected()]


def test_a_reader_without_a_broker_waits_and_its_end_grows_old(wire: BrokenWire) -> None:
    topic = create(wire.bootstrap)
    write(wire.bootstrap, topic, [b"1", b"2", b"3"])
    ticks = iter(range(1_000_000))
    reader = LogReader(topic, brokers=[wire.bootstrap], settings=QUICK, clock=lambda: float(next(ticks)))
    copy = Copy()
    seen: list[float | None] = []

    async def away() -> None:
        wire.cut()
        await asyncio.sleep(0.3)
        assert reader.reached_end_at is None
        wire.mend()
        await until(lambda: reader.reached_end_at is not None)
        first = reader.reached_end_at
        await until(lambda: reader.reached_end_at != first)
        wire.cut()
        # Polls go on, and the clock with them, but no answer moves the end.
        await asyncio.sleep(0.5)
        seen.append(reader.reached_end_at)
        await asyncio.sleep(0.5)
        seen.append(reader.reached_end_at)
        wire.mend()
        await until(lambda: reader.reached_end_at != seen[-1])

    reading(reader, copy, away)
    assert seen[0] == seen[1]
    assert copy.count() == 3


def test_records_beyond_the_end_that_their_own_fetch_reports_are_read(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = create(broker)
    values: list[bytes | None] = [b"1"] * 90
    write(broker, topic, values)
    records_come_late(monkeypatch.setattr)
    settings = ReaderSettings(max_records=7, poll_seconds=0.05)
    reader, copy = LogReader(topic, brokers=[broker], settings=settings), Copy()

    async def grow() -> None:
        await copy.until_count(90)
        write(broker, topic, values)
        await copy.until_count(180)
        # Nothing comes any more, so the last answers tell the real end.
        await until(lambda: reader.unread == 0 and reader.reached_end_at is not None)

    reading(reader, copy, grow)
    assert copy.log == expected(values * 2)


def test_a_frontier_the_log_does_not_reach_ends_the_reader(broker: str) -> None:
    topic = create(broker)
    write(broker, topic, [b"1"] * 9)
    reader, copy = LogReader(topic, brokers=[broker], start_at={1: 4}, settings=QUICK), Copy()
    with pytest.raises(TruncatedLogError, match="to be read next"):
        reading(reader, copy, asyncio.Event().wait)  # type: ignore[arg-type]
    assert reader.frontier[1] == 4


def test_a_log_that_was_made_anew_ends_the_reader() -> None:
    with BrokenWire() as own:
        topic = create(own.bootstrap)
        write(own.bootstrap, topic, [b"1"] * 30)
        reader, copy = LogReader(topic, brokers=[own.bootstrap], settings=QUICK), Copy()

        async def anew() -> None:
            await reader.caught_up.wait()
            own.cut()
            own.end_broker()
            own.start_broker()
            own.mend()
            admin = KafkaAdminClient(bootstrap_servers=[own.bootstrap])
            admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
            admin.close()
            write(own.bootstrap, topic, [b"2"] * 6)
            await asyncio.Event().wait()

        with pytest.raises(TruncatedLogError, match="the log"):
            reading(reader, copy, anew)
        assert (0, b"2") not in copy.log[0]


def test_a_record_whose_checksum_stays_wrong_is_a_typed_error_and_is_not_stepped_over() -> None:
    with BrokenWire() as own:
        topic = create(own.bootstrap, partitions=1)
        write(own.bootstrap, topic, [b"good"] * 5, partitions=1)
        write(own.bootstrap, topic, [b"the-broken-one"], partitions=1)
        write(own.bootstrap, topic, [b"good"] * 5, partitions=1)
        own.spoil(b"the-broken-one", b"the-brokea-one")
        reader, copy = LogReader(topic, brokers=[own.bootstrap], settings=QUICK), Copy()
        with pytest.raises(CorruptLogError, match="wrong checksum"):
            reading(reader, copy, asyncio.Event().wait)  # type: ignore[arg-type]
        assert copy.log.get(0, []) == [(offset, b"good") for offset in range(copy.count())]
        assert copy.count() <= 5


def test_what_the_view_raises_ends_the_reader_and_the_batch_is_not_counted_as_applied(broker: str) -> None:
    topic = create(broker)
    write(broker, topic, [b"1"] * 9)
    reader = LogReader(topic, brokers=[broker], settings=QUICK)

    def refuse(topic: str, partition: int, records: Sequence[LogRecord]) -> None:
        raise ConsentinelError("not this")

    with pytest.raises(ConsentinelError, match="not this"):
        asyncio.run(reader.run(refuse))
    assert sum(reader.frontier.values()) == 0
