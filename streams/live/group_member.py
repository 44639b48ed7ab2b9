"""The thread that speaks to the broker as a member of the consumer group: positions, fetches and commits.

Rules:
1. Everything here runs on the thread's own event loop; the main loop calls it through `call_thread`.
2. A position is always set here, from the committed offset or the beginning of the log, and never by the client: the
   client's own reset is off, because it moves on in silence.
3. What a fetch took and could not hand over is put back before the next fetch.
4. A commit carries the generation it was checked against: no rebalance can slip in between.

It leans on the inside of aiokafka 0.14 and faust-streaming 0.15, as Faust's own driver does; the versions are pinned.
"""
# ruff: noqa: SLF001 - see the last sentence of the docstring.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    ConsumerRebalanceListener,
    credentials_to_aiokafka_auth,
    server_list,
)
from faust.types import TP

from streams.errors import ConfigurationError, ConsentinelError, DeliveryError, Place
from streams.live.header_names import read_every_header_name
from streams.live.log_fault import (
    CORRUPT_TRIES,
    CorruptLogError,
    LogGapError,
    TruncatedLogError,
    ends_before,
    fault_of,
)
from streams.live.run import Run, settings_of, weight

REBALANCED = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)
"""Errors that say: the group moved on, the partition may be somebody else's."""


LOOK_SECONDS = 0.1
STOPPING_SECONDS = 1.0
"""How long an app that is stopping may take to hear of an assignment or a revocation."""

Records = Mapping[Any, list[Any]]
"""The client's records by the client's partitions, which equal Faust's."""


class Claim(NamedTuple):
    """An assignment that was announced to the app, and its generation."""

    generation: int
    assignment: Any


class ClaimListener(ConsumerRebalanceListener):
    """Notes each assignment on the thread before the app hears of it."""

    _thread: GroupMember

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Note the claim, then go Faust's way."""
        self._thread.take_claim()
        await self._heard(super().on_partitions_assigned(assigned))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Awaitable[None]:
        """Go Faust's way."""
        return self._heard(super().on_partitions_revoked(revoked))

    async def _heard(self, call: Awaitable[None]) -> None:
        """Wait for the app; one that is stopping may never answer, and would wait for this thread for a minute."""
        task = asyncio.ensure_future(call)
        patience = STOPPING_SECONDS
        while not task.done() and patience > 0:
            await asyncio.wait({task}, timeout=LOOK_SECONDS)
            patience -= LOOK_SECONDS if self._thread.app.should_stop else 0.0
        if task.done():
            task.result()
        else:
            task.cancel()


class GroupMember(AIOKafkaConsumerThread):
    """Faust's consumer thread with runs instead of records."""

    _claim: Claim | None = None
    _corrupt_tries: int = 0

    def __post_init__(self) -> None:
        """Start without a claim and without positions."""
        super().__post_init__()
        self._position: dict[TP, int] = {}
        self._handed: dict[TP, int] = {}
        self._answered: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        conf, settings = self.app.conf, settings_of(self.app)
        if self.app.tables:
            raise ConfigurationError("Faust tables lose input at rebalances: an app that has one is refused")
        self._assignor = RoundRobinPartitionAssignor
        read_every_header_name()
        return AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=int(settings.fetch_wait_seconds * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    # -- claims -------------------------------------------------------------------------------------------------------

    def take_claim(self) -> None:
        """Note the assignment just made; positions are unknown until they are settled."""
        consumer = self._ensure_consumer()
        self._claim = Claim(consumer._coordinator.generation, consumer._subscription.subscription.assignment)
        self._position, self._handed, self._answered = {}, {}, {}

    def _holds(self, claim: Claim | None) -> bool:
        """Whether a claim is the present one, and the broker has not yet been heard to end it."""
        if claim is None or claim is not self._claim:
            return False
        consumer = self._ensure_consumer()
        subscription = consumer._subscription.subscription
        return (
            subscription is not None
            and subscription.assignment is claim.assignment
            and consumer._coordinator.generation == claim.generation
        )

    # -- positions ----------------------------------------------------------------------------------------------------

    async def settle(self, generation: int) -> dict[TP, int]:
        """Seek every partition to its committed offset, or to the log's beginning, and return these offsets.

        Returns nothing when the generation is over. Raises TruncatedLogError when the log no longer holds the committed
        offset, DeliveryError when the broker does not answer.
        """
        claim = self._claim
        if claim is None or claim.generation != generation or not claim.assignment.tps:
            return {}
        try:
            starts = await self._starts(list(claim.assignment.tps))
        except kafka_errors.KafkaError as error:
            raise fault_of(error, Place(self.app.conf.id)) from error
        if not self._holds(claim):
            return {}
        for tp, offset in starts.items():
            self._seek_to(tp, offset)
        return starts

    async def _starts(self, tps: list[Any]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        committed = await consumer._coordinator.fetch_committed_offsets(tps)
        first = await consumer.beginning_offsets(tps)
        starts: dict[TP, int] = {}
        for tp in tps:
            offset = committed[tp].offset if tp in committed else -1
            if 0 <= offset < first[tp]:
                message = f"offset {offset} is to be read next, but the log begins at {first[tp]}"
                raise TruncatedLogError(message, place=place_of(tp))
            starts[TP(tp.topic, tp.partition)] = offset if offset >= 0 else first[tp]
        return starts

    async def put_back(self, tp: TP, offset: int, generation: int) -> None:
        """Read a partition again from `offset`, unless the generation is over."""
        claim = self._claim
        if claim is not None and claim.generation == generation and self._holds(claim):
            self._seek_to(tp, offset)

    def _seek_to(self, tp: TP, offset: int) -> None:
        self._ensure_consumer()._fetcher.seek_to(tp, offset)
        self._position[tp] = self._handed[tp] = offset

    def log_end(self, tp: TP) -> int | None:
        """Return the end of a partition's log as the last fetch saw it."""
        claim = self._claim
        state = None if claim is None else claim.assignment.state_value(tp)
        end: int | None = None if state is None else state.highwater
        return end

    # -- fetches ------------------------------------------------------------------------------------------------------

    async def take(self, wanted: frozenset[TP], timeout: float) -> list[Run]:  # noqa: ASYNC109 - the client's own.
        """Return a run for each wanted partition that has records; waits at most `timeout` seconds for the first.

        Raises a LogError when the log cannot be trusted, DeliveryError when the broker does not answer.
        """
        claim = self._claim
        settled = frozenset(tp for tp in wanted if tp in self._position)
        if claim is None or not settled or not self.consumer.flow_active or not self._holds(claim):
            await asyncio.sleep(timeout)
            return []
        try:
            fetched = await self._fetch(claim, settled, timeout)
        except kafka_errors.CorruptRecordException as error:
            return await self._corrupt(claim, settled, error)
        except kafka_errors.IllegalStateError:
            return []
        except kafka_errors.KafkaError as error:
            self._restore(claim, settled)
            raise fault_of(error, Place(", ".join(sorted({tp.topic for tp in settled})))) from error
        except BaseException:
            self._restore(claim, settled)
            raise
        # What an assignment gave that is over now is fetched again by whoever owns the partition next.
        return self._runs(claim, settled, fetched) if self._holds(claim) else []

    async def _fetch(self, claim: Claim, wanted: frozenset[TP], timeout: float) -> Records:  # noqa: ASYNC109
        fetcher = self._ensure_consumer()._fetcher
        with fetcher._subscriptions.fetch_context():
            fetched = await self._drain(claim, wanted)
            if not fetched:
                news = fetcher._create_fetch_waiter()
                await asyncio.wait([news], timeout=timeout)
                if news.done():
                    news.result()
                news.cancel()
                fetched = await self._drain(claim, wanted)
        return fetched

    async def _drain(self, claim: Claim, wanted: frozenset[TP]) -> Records:
        """Take what the client has fetched ahead; does not suspend, so nothing can move between the check and it."""
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise kafka_errors.ConsumerStoppedError
        if not self._holds(claim) or fetcher._subscriptions.reassignment_in_progress:
            return {}
        self._check_positions(claim, wanted)
        fetched: Records = await fetcher.fetched_records(wanted, timeout=0, max_records=consumer._max_poll_records)
        return fetched

    def _check_positions(self, claim: Claim, wanted: frozenset[TP]) -> None:
        for tp in wanted:
            state = claim.assignment.state_value(tp)
            found = state.position if state.has_valid_position else None
            if found != self._position[tp]:
                message = f"offset {self._position[tp]} is to be read next, but the client stands at {found}"
                raise LogGapError(message, place=place_of(tp))
            # Apache Kafka refuses an offset beyond the end; the embedded broker answers that there is nothing yet. Only
            # the offset that was asked for can show it, so an answer is looked at once, before its records are taken:
            # a broker takes the end before it reads, and may then find records beyond it.
            if state.timestamp != self._answered.get(tp):
                self._answered[tp] = state.timestamp
                if state.highwater < found:
                    raise ends_before(found, state.highwater, place_of(tp))

    def _restore(self, claim: Claim, wanted: frozenset[TP]) -> None:
        """Undo what a failed fetch took from the partitions it had already passed."""
        if not self._holds(claim):
            return
        for tp in wanted:
            state = claim.assignment.state_value(tp)
            if not state.has_valid_position or state.position != self._position[tp]:
                self._ensure_consumer()._fetcher.seek_to(tp, self._position[tp])

    async def _corrupt(self, claim: Claim, wanted: frozenset[TP], error: Exception) -> list[Run]:
        self._restore(claim, wanted)
        self._corrupt_tries += 1
        if self._corrupt_tries >= CORRUPT_TRIES:
            place = Place(", ".join(sorted({tp.topic for tp in wanted})))
            raise CorruptLogError("a record's checksum is wrong at every try", place=place) from error
        await asyncio.sleep(0.1 * self._corrupt_tries)
        return []

    def _runs(self, claim: Claim, wanted: frozenset[TP], fetched: Records) -> list[Run]:
        runs = []
        for tp in wanted:
            position = claim.assignment.state_value(tp).position
            self._position[tp] = position
            records = fetched.get(tp)
            if records:
                first, self._handed[tp] = self._handed[tp], position
                runs.append(Run(tp.topic, tp.partition, records, first, position, weight(records), claim.generation))
        if runs:
            self._corrupt_tries = 0
        return runs

    async def stay(self) -> None:
        """Count as polling although nothing is wanted: a worker that warms up must not be thrown out of the group."""
        with self._ensure_consumer()._fetcher._subscriptions.fetch_context():
            pass

    # -- commits ------------------------------------------------------------------------------------------------------

    async def commit_next(self, offsets: Mapping[TP, int], generation: int) -> bool:
        """Commit next offsets in the name of a generation; False when the group or the assignment moved on.

        Raises DeliveryError when the broker does not answer, ConfigurationError when it forbids the commit.
        """
        try:
            async with asyncio.timeout(self.app.conf.broker_session_timeout):
                return await self._commit_in(generation, offsets)
        except (*REBALANCED, kafka_errors.IllegalStateError):
            return False
        except kafka_errors.KafkaError as error:
            raise fault_of(error, Place(self.app.conf.id)) from error
        except TimeoutError as error:
            raise DeliveryError("no answer to a commit", place=Place(self.app.conf.id)) from error

    async def _commit_in(self, generation: int, offsets: Mapping[TP, int]) -> bool:
        coordinator = self._ensure_consumer()._coordinator
        await coordinator.ensure_coordinator_known()
        async with coordinator._commit_lock:
            claim = self._claim
            if claim is None or claim.generation != generation or not self._holds(claim):
                return False
            if not offsets.keys() <= claim.assignment.tps:
                return False
            # No suspension between the check above and the building of the request, which carries the generation.
            metadata = {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
            await coordinator._do_commit_offsets(claim.assignment, metadata)
        return True


def place_of(tp: Any) -> Place:
    """Return a partition as a place for an error."""
    return Place(f"{tp.topic}/{tp.partition}")


def is_fatal(error: ConsentinelError) -> bool:
    """Whether an error means that the log must not be read on."""
    return not error.retry
