"""The one catalogue of topics: what each carries, by which key, in which partitions, for how long, about whom.

Rules:
1. The partition count of `matches` never changes; whatever is partitioned like it has the same count.
2. Every log has a retention of its class, set here and shown when the worker starts.
3. Names on a broker carry the prefix of the settings; names in the code do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.contract import Contract
from schemas.encounter import ENCOUNTER
from schemas.match import MATCH
from schemas.notification import NOTIFICATION
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT
from schemas.tally import TALLY
from schemas.topic_name import TopicName as TopicName  # noqa: PLC0414 -- the catalogue is asked for its names too
from schemas.verdict import OBLIGATION, RECEIPT, REJECTION, VIOLATION

ORIGIN = "consentinel-origin"
"""Header of a forwarded event: `topic/partition/offset` of where it was found."""
EVENTS = (TopicName.MATCHES, TopicName.ENCOUNTERS)
"""The logs of what is judged."""
RECORDS = (TopicName.REGISTRY, TopicName.SUBJECTS)
"""The logs of what law asks to exist."""


DAY_MS = 24 * 3600 * 1000


class RetentionClass(StrEnum):
    """How long a log is kept by the broker, and why."""

    EVENTS = "events"
    RECORDS = "records"
    EVIDENCE = "evidence"
    REJECTIONS = "rejections"

    @property
    def retention_ms(self) -> int:
        """Milliseconds for the broker's `retention.ms`; -1 keeps for ever."""
        return RETENTION_MS[self]


RETENTION_MS: Mapping[RetentionClass, int] = {
    RetentionClass.EVENTS: 90 * DAY_MS,  # a quarter, to replay before the archive takes over
    RetentionClass.RECORDS: -1,  # the log is the state: a view is rebuilt from its beginning
    RetentionClass.EVIDENCE: 3 * 366 * DAY_MS,  # three years, as for assessments (PIPL Art. 56, Measures Art. 9)
    RetentionClass.REJECTIONS: 30 * DAY_MS,  # long enough to mend a producer; the bytes may hold anything
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One line of the catalogue."""

    name: TopicName
    key: str
    purpose: str
    retention: RetentionClass
    like_matches: bool
    personal_data: str
    contract: Contract[Any] | None

    def config(self) -> dict[str, str]:
        """The broker's configuration of the topic; every log is kept whole, none is compacted.

        `recorded_at` is the broker's append time, so the broker must write it, not the producer.
        """
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention.retention_ms),
            "message.timestamp.type": "LogAppendTime",
        }


TOPICS: Mapping[TopicName, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            TopicName.MATCHES,
            "subject_ref if known, else device_id",
            "match events",
            RetentionClass.EVENTS,
            True,
            "pseudonymous, whereabouts",
            MATCH,
        ),
        Topic(
            TopicName.ENCOUNTERS,
            "subject_ref if known, else device_id",
            "access outcomes, reviews, disclosures",
            RetentionClass.EVENTS,
            True,
            "pseudonymous, whereabouts",
            ENCOUNTER,
        ),
        Topic(
            TopicName.SUBJECTS,
            "subject_ref",
            "subject records",
            RetentionClass.RECORDS,
            False,
            "pseudonymous",
            SUBJECT,
        ),
        Topic(TopicName.REGISTRY, "kind/id", "registry records", RetentionClass.RECORDS, False, "none", REGISTRY),
        Topic(
            TopicName.VIOLATIONS,
            "violation_id",
            "every change of a violation, in the partition of its case or of who holds the key",
            RetentionClass.EVIDENCE,
            True,
            "pseudonymous",
            VIOLATION,
        ),
        Topic(
            TopicName.OBLIGATIONS,
            "obligation_id",
            "duties opened and closed, in the partition of who holds the key",
            RetentionClass.EVIDENCE,
            True,
            "pseudonymous",
            OBLIGATION,
        ),
        Topic(
            TopicName.TALLIES,
            "subject_ref or controller_id: who holds the key",
            "cases entered for duties and windows, and stored persons by partition",
            RetentionClass.EVIDENCE,
            True,
            "pseudonymous, whereabouts",
            TALLY,
        ),
        Topic(
            TopicName.RECEIPTS,
            "topic/partition",
            "the ledger",
            RetentionClass.EVIDENCE,
            True,
            "none",
            RECEIPT,
        ),
        Topic(
            TopicName.REJECTIONS,
            "topic/partition",
            "dead letters: bytes and reason",
            RetentionClass.REJECTIONS,
            False,
            "unknown: what a producer sent by mistake",
            REJECTION,
        ),
        Topic(
            TopicName.NOTIFICATIONS,
            "receiver",
            "what was told of violations, to whom, and what could not be told",
            RetentionClass.EVIDENCE,
            False,
            "none",
            NOTIFICATION,
        ),
    )
}
