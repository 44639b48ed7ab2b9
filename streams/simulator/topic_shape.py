"""The shape of topics that must already be there: asked of the administration, which never makes one by asking.

Rules:
1. Some brokers make every topic that a producer or consumer asks for, with a number of partitions of their own; so the
   administration is asked first, and a missing topic is an error with what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.errors import ConfigurationError, DeliveryError, Place

PATIENCE_SECONDS = 30.0


def partition_counts(
    brokers: Sequence[str], topics: Sequence[str], *, patience_seconds: float = PATIENCE_SECONDS
) -> Mapping[str, int]:
    """The number of partitions of each topic.

    Raises DeliveryError where no broker (`host:port`) answers and ConfigurationError where a topic is not there.
    """
    # Late, because writing files needs no client and the import costs a quarter of a second.
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    milliseconds = int(patience_seconds * 1000)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=list(brokers), bootstrap_timeout_ms=milliseconds, request_timeout_ms=milliseconds
        )
        try:
            described = admin.describe_topics(list(topics))
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise DeliveryError(f"no broker answers: {type(error).__name__}") from None
    counts = {each["name"]: len(each["partitions"]) for each in described if each["error_code"] == 0}
    for topic in topics:
        if not counts.get(topic):
            raise ConfigurationError("no such topic: run 'consentinel topics create' first", place=Place(topic))
    return counts
