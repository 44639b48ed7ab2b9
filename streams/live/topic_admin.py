"""The administration of topics: make what is missing, compare what is there with the catalogue, change nothing.

Rules:
1. A topic that exists is never altered: its partitions decide where every key lives, its retention is evidence.
2. Whatever is partitioned like `matches` is made with the count that is there already, not with that of the settings.
3. What a broker does not tell is said to be unchecked; it is neither a fault nor in order.
4. A broker that does not answer is a DeliveryError, one that refuses a ConfigurationError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from schemas.topics import TOPICS, Topic, TopicName
from streams.errors import ConfigurationError, DeliveryError, Place
from streams.settings import SAFE_REPLICAS, Settings

ANSWER_MS = 10_000
"""How long a broker may take for one answer."""
READY_MS = 30_000
"""How long new topics may take until each partition has a leader."""

ONE_PARTITION = frozenset({TopicName.REGISTRY, TopicName.NOTIFICATIONS})
"""Small and read whole by who needs it: one partition keeps its records in order."""

REFUSALS = (
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidTopicError,
    kafka_errors.PolicyViolationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.UnsupportedVersionError,
)
"""Errors that no repetition mends."""


class Grade(StrEnum):
    """How much a problem matters."""

    FAULT = "fault"
    WARNING = "warning"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a topic on the broker is not what the catalogue says; `topic` is its full name."""

    topic: str
    grade: Grade
    text: str

    @property
    def grave(self) -> bool:
        """Whether it must be mended before a worker may be trusted."""
        return self.grade is Grade.FAULT

    def __str__(self) -> str:
        return f"{self.grade}: {self.topic}: {self.text}"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it; a setting that the broker does not tell is not in `config`."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def create(settings: Settings) -> list[str]:
    """Make the topics that are missing and return their full names; what exists stays as it is.

    Raises ConfigurationError when the broker refuses, or when topics that exist already contradict each other.
    """
    with _admin(settings) as admin:
        there = _describe(admin, settings)
        count = _shared_count(there, settings)
        missing = [topic for name, topic in TOPICS.items() if name not in there]
        made = [settings.topic(topic.name) for topic in missing if _make(admin, topic, count, settings)]
        if missing:
            names = [settings.topic(topic.name) for topic in missing]
            admin.wait_for_topics(names, timeout_ms=READY_MS)
        return made


def check(settings: Settings) -> list[Problem]:
    """Compare the topics on the broker with the catalogue, gravest problems first; an empty list is in order."""
    with _admin(settings) as admin:
        there = _describe(admin, settings)
        _add_configs(admin, there, settings)
    problems = [problem for topic in TOPICS.values() for problem in _problems(topic, there, settings)]
    return sorted(problems, key=lambda problem: list(Grade).index(problem.grade))


def partition_count(settings: Settings) -> int:
    """Return how many partitions `matches` has.

    Raises ConfigurationError when it is not there, or when what must be partitioned like it is not.
    """
    with _admin(settings) as admin:
        there = _describe(admin, settings)
    faults = [
        problem
        for topic in TOPICS.values()
        for problem in (*_missing(topic, there, settings), *_misparted(topic, there, settings))
    ]
    if faults:
        lines = "\n".join(map(str, faults))
        raise ConfigurationError(
            f"the topics are not in order (`consentinel topics create` makes missing ones)\n{lines}"
        )
    return there[TopicName.MATCHES].partitions


# -- comparing --------------------------------------------------------------------------------------------------------


def _problems(topic: Topic, there: Mapping[TopicName, Found], settings: Settings) -> Iterator[Problem]:
    yield from _missing(topic, there, settings)
    yield from _misparted(topic, there, settings)
    found = there.get(topic.name)
    if found is None:
        return
    name = settings.topic(topic.name)
    if found.replicas < SAFE_REPLICAS:
        text = f"expected {SAFE_REPLICAS} replicas or more, found {found.replicas}: data goes with a broker"
        yield Problem(name, Grade.WARNING, text)
    for setting, expected in topic.config().items():
        value = found.config.get(setting)
        if value is None:
            yield Problem(name, Grade.UNCHECKED, f"{setting} cannot be checked: the broker does not tell it")
        elif value != expected:
            yield Problem(name, Grade.FAULT, f"expected {setting}={expected}, found {value}")


def _missing(topic: Topic, there: Mapping[TopicName, Found], settings: Settings) -> Iterator[Problem]:
    if topic.name not in there:
        yield Problem(settings.topic(topic.name), Grade.FAULT, "expected the topic, found none")


def _misparted(topic: Topic, there: Mapping[TopicName, Found], settings: Settings) -> Iterator[Problem]:
    found, matches = there.get(topic.name), there.get(TopicName.MATCHES)
    if found is None:
        return
    name = settings.topic(topic.name)
    if topic.like_matches and matches is not None and found.partitions != matches.partitions:
        text = f"expected {matches.partitions} partitions like matches, found {found.partitions}"
        yield Problem(name, Grade.FAULT, text)
    if topic.name in ONE_PARTITION and found.partitions != 1:
        text = f"expected 1 partition, found {found.partitions}: its records may be read out of order"
        yield Problem(name, Grade.WARNING, text)


# -- making -----------------------------------------------------------------------------------------------------------


def _shared_count(there: Mapping[TopicName, Found], settings: Settings) -> int:
    """How many partitions whatever is partitioned like `matches` has, or shall have."""
    alike = {name: found.partitions for name, found in there.items() if TOPICS[name].like_matches}
    if not alike:
        return settings.partitions
    if len(set(alike.values())) > 1:
        listed = ", ".join(f"{settings.topic(name)}: {count}" for name, count in alike.items())
        raise ConfigurationError(f"topics that must have one count of partitions have several ({listed})")
    count = next(iter(alike.values()))
    if TopicName.MATCHES not in alike and count != settings.partitions:
        name = settings.topic(next(iter(alike)))
        raise ConfigurationError(f"{name} has {count} partitions: set CONSENTINEL_PARTITIONS={count}, or remove it")
    return count


def _make(admin: KafkaAdminClient, topic: Topic, count: int, settings: Settings) -> bool:
    """Make one topic; False when somebody else was quicker."""
    wanted = {
        "num_partitions": 1 if topic.name in ONE_PARTITION else count if topic.like_matches else settings.partitions,
        "replication_factor": settings.replication_factor,
        "configs": topic.config(),
    }
    try:
        admin.create_topics({settings.topic(topic.name): wanted}, timeout_ms=ANSWER_MS)
    except kafka_errors.TopicAlreadyExistsError:
        return False
    return True


# -- asking -----------------------------------------------------------------------------------------------------------


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """A client for the length of the block; the client's errors leave it as our own."""
    place = Place(", ".join(settings.brokers))
    admin: KafkaAdminClient | None = None
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=settings.brokers,
            client_id="consentinel-topics",
            bootstrap_timeout_ms=ANSWER_MS,
            request_timeout_ms=ANSWER_MS,
        )
        yield admin
    except REFUSALS as error:
        raise ConfigurationError(_reason(error), place=place) from error
    except (kafka_errors.KafkaError, OSError) as error:
        raise DeliveryError(f"the broker did not answer as expected ({type(error).__name__})", place=place) from error
    finally:
        if admin is not None:
            admin.close()


def _reason(error: BaseException) -> str:
    return f"the broker refuses ({type(error).__name__})"


def _describe(admin: KafkaAdminClient, settings: Settings) -> dict[TopicName, Found]:
    """The topics of the catalogue that are there, without their configuration."""
    by_name = {settings.topic(name): name for name in TOPICS}
    there: dict[TopicName, Found] = {}
    for told in admin.describe_topics(list(by_name)):
        name = by_name.get(told["name"])
        if name is None or told["error_code"] == kafka_errors.UnknownTopicOrPartitionError.errno:
            continue
        if told["error_code"]:
            raise kafka_errors.for_code(told["error_code"])(told["name"])
        replicas = [len(partition["replica_nodes"]) for partition in told["partitions"]]
        there[name] = Found(len(replicas), min(replicas, default=0), {})
    return there


def _add_configs(admin: KafkaAdminClient, there: dict[TopicName, Found], settings: Settings) -> None:
    """Add to each topic what the broker tells of its configuration, be it nothing."""
    if not there:
        return
    asked: list[Any] = [ConfigResource(ConfigResourceType.TOPIC, settings.topic(name)) for name in there]
    try:
        told = admin.describe_configs(asked, config_filter="all").get("topic", {})
    except (kafka_errors.TopicAuthorizationFailedError, kafka_errors.UnsupportedVersionError):
        return
    for name, found in there.items():
        config = {key: str(each["value"]) for key, each in told.get(settings.topic(name), {}).items()}
        there[name] = Found(found.partitions, found.replicas, config)
