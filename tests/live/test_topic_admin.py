"""Topics on real brokers: made once, never changed, compared with the catalogue."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from kafka.admin import KafkaAdminClient

from schemas.topics import TOPICS, TopicName
from streams.errors import ConfigurationError, DeliveryError
from streams.live.topic_admin import Grade, Problem, check, create, partition_count
from streams.settings import Settings
from streams.simulator.broker import free_port


@pytest.fixture
def settings(broker: str) -> Settings:
    return Settings(broker=broker, prefix=f"admin-{uuid.uuid4().hex[:8]}.", partitions=3)  # type: ignore[arg-type]


@pytest.fixture
def admin(broker: str) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=[broker])
    yield client
    client.close()


def made_by_hand(admin: KafkaAdminClient, name: str, partitions: int, **config: str) -> None:
    configs = {key.replace("_", "."): value for key, value in config.items()}
    wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    admin.create_topics({name: wanted})
    admin.wait_for_topics([name])


def partitions(admin: KafkaAdminClient, settings: Settings) -> dict[str, int]:
    told = admin.describe_topics([settings.topic(name) for name in TOPICS])
    return {each["name"].removeprefix(settings.prefix): len(each["partitions"]) for each in told}


def faults(settings: Settings) -> list[Problem]:
    return [problem for problem in check(settings) if problem.grave]


def test_all_topics_of_the_catalogue_are_made(settings: Settings, admin: KafkaAdminClient) -> None:
    assert create(settings) == [settings.topic(name) for name in TOPICS]
    counts = partitions(admin, settings)
    assert counts == {str(name): 1 if name in (TopicName.REGISTRY, TopicName.NOTIFICATIONS) else 3 for name in TOPICS}
    assert partition_count(settings) == 3


def test_making_them_again_makes_nothing(settings: Settings) -> None:
    create(settings)
    assert create(settings) == []
    assert faults(settings) == []


def test_topics_just_made_are_in_order_but_for_their_replicas(settings: Settings) -> None:
    create(settings)
    problems = check(settings)
    assert {problem.grade for problem in problems} <= {Grade.WARNING, Grade.UNCHECKED}
    assert sum("replicas" in problem.text for problem in problems) == len(TOPICS)


def test_without_topics_every_one_is_a_fault_and_no_worker_starts(settings: Settings) -> None:
    assert [problem.topic for problem in faults(settings)] == [settings.topic(name) for name in TOPICS]
    with pytest.raises(ConfigurationError, match="consentinel topics create"):
        partition_count(settings)


def test_the_partitions_of_matches_never_change_and_the_others_follow(
    settings: Settings, admin: KafkaAdminClient
) -> None:
    made_by_hand(admin, settings.topic(TopicName.MATCHES), 5)
    made = create(settings)
    assert settings.topic(TopicName.MATCHES) not in made
    counts = partitions(admin, settings)
    assert {counts[name] for name, topic in TOPICS.items() if topic.like_matches} == {5}
    assert counts["subjects"] == 3
    assert partition_count(settings) == 5


def test_a_topic_with_other_partitions_than_matches_is_a_fault(settings: Settings, admin: KafkaAdminClient) -> None:
    made_by_hand(admin, settings.topic(TopicName.MATCHES), 3)
    made_by_hand(admin, settings.topic(TopicName.VIOLATIONS), 2)
    expected = Problem(settings.topic(TopicName.VIOLATIONS), Grade.FAULT, "expected 3 partitions like matches, found 2")
    assert expected in check(settings)
    with pytest.raises(ConfigurationError, match="expected 3 partitions like matches, found 2"):
        partition_count(settings)
    with pytest.raises(ConfigurationError, match="have several"):
        create(settings)


def test_matches_is_not_made_at_odds_with_what_must_be_like_it(settings: Settings, admin: KafkaAdminClient) -> None:
    made_by_hand(admin, settings.topic(TopicName.RECEIPTS), 7)
    with pytest.raises(ConfigurationError, match="CONSENTINEL_PARTITIONS=7"):
        create(settings)
    assert create(settings.model_copy(update={"partitions": 7}))
    assert partition_count(settings) == 7


def test_a_log_that_forgets_too_early_is_a_fault(settings: Settings, admin: KafkaAdminClient) -> None:
    name = settings.topic(TopicName.SUBJECTS)
    made_by_hand(
        admin, name, 3, retention_ms="86400000", cleanup_policy="delete", message_timestamp_type="LogAppendTime"
    )
    create(settings)
    assert [str(problem) for problem in faults(settings)] == [
        f"fault: {name}: expected retention.ms=-1, found 86400000"
    ]


def test_a_compacted_log_is_a_fault(settings: Settings, admin: KafkaAdminClient) -> None:
    name = settings.topic(TopicName.REGISTRY)
    made_by_hand(admin, name, 1, retention_ms="-1", cleanup_policy="compact", message_timestamp_type="LogAppendTime")
    create(settings)
    assert [problem.text for problem in faults(settings)] == ["expected cleanup.policy=delete, found compact"]


def test_a_log_on_the_clock_of_its_producers_is_a_fault(settings: Settings, admin: KafkaAdminClient) -> None:
    name = settings.topic(TopicName.REGISTRY)
    made_by_hand(admin, name, 1, retention_ms="-1", cleanup_policy="delete", message_timestamp_type="CreateTime")
    create(settings)
    said = "expected message.timestamp.type=LogAppendTime, found CreateTime"
    assert [problem.text for problem in faults(settings)] == [said]


def test_a_registry_in_many_partitions_is_unwise(settings: Settings, admin: KafkaAdminClient) -> None:
    made_by_hand(admin, settings.topic(TopicName.REGISTRY), 2)
    assert any(
        problem.grade is Grade.WARNING and problem.text.startswith("expected 1 partition, found 2")
        for problem in check(settings)
    )


def test_what_the_broker_does_not_tell_is_unchecked_and_no_fault(embedded: str) -> None:
    settings = Settings(broker=embedded, prefix=f"admin-{uuid.uuid4().hex[:8]}.")  # type: ignore[arg-type]
    client = KafkaAdminClient(bootstrap_servers=[embedded])
    made_by_hand(client, settings.topic(TopicName.MATCHES), 4)
    client.close()
    untold = [problem for problem in check(settings) if problem.grade is Grade.UNCHECKED]
    assert {problem.topic for problem in untold} == {settings.topic(TopicName.MATCHES)}
    assert all("cannot be checked" in problem.text for problem in untold)


def test_more_replicas_than_brokers_are_refused_by_a_real_broker(apache_kafka: str) -> None:
    settings = Settings(
        broker=apache_kafka,  # type: ignore[arg-type]
        prefix=f"admin-{uuid.uuid4().hex[:8]}.",
        replication_factor=1_000,
    )
    with pytest.raises(ConfigurationError, match="the broker refuses"):
        create(settings)


def test_a_default_of_the_broker_is_told_by_apache_kafka_and_checked(apache_kafka: str) -> None:
    settings = Settings(broker=apache_kafka, prefix=f"admin-{uuid.uuid4().hex[:8]}.")  # type: ignore[arg-type]
    client = KafkaAdminClient(bootstrap_servers=[apache_kafka])
    made_by_hand(client, settings.topic(TopicName.SUBJECTS), 4)
    client.close()
    texts = [problem.text for problem in check(settings) if problem.topic == settings.topic(TopicName.SUBJECTS)]
    assert any(text.startswith("expected retention.ms=-1, found ") for text in texts)
    assert not any("cannot be checked" in text for text in texts)


def test_a_broker_that_is_not_there_is_a_delivery_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.live.topic_admin.ANSWER_MS", 500)
    port = free_port()
    settings = Settings(broker=f"127.0.0.1:{port}")  # type: ignore[arg-type]
    for call in (create, check, partition_count):
        with pytest.raises(DeliveryError, match=f"127.0.0.1:{port}: the broker did not answer"):
            call(settings)


def test_the_gravest_problem_comes_first(settings: Settings, admin: KafkaAdminClient) -> None:
    made_by_hand(admin, settings.topic(TopicName.REGISTRY), 1, cleanup_policy="compact")
    grades = [problem.grade for problem in check(settings)]
    assert grades == sorted(grades, key=list(Grade).index)
    assert grades[0] is Grade.FAULT
