"""The one catalogue of metrics: name, type, labels with their values, unit, help and buckets.

Rules:
1. A label's values are a closed list or come from a named source with a bound; whatever else comes is `other`.
2. No label names a person, an event, a record or a device: a metric is kept for years and read by many.
3. Names follow Prometheus: prefix `consentinel_`, base units, `_total` for counters, `_info` for a 1 with labels.
4. Buckets follow the promises of the design: a verdict within the hold of three seconds and 250 ms.
"""

from __future__ import annotations

from enum import StrEnum
from typing import get_args

from schemas.contract import Reason
from schemas.topics import TopicName
from schemas.verdict import Cause
from streams.alerting.alert_group import GroupState
from streams.core.expiry import Stage
from streams.core.facts import CaseKind, Unknown
from streams.core.judge import Outcome
from streams.metrics.metric import LEVEL, STANDING, Label, Metric, counter, gauge, histogram
from streams.metrics.replay_metric import REPLAY_METRICS
from streams.metrics.site_metric import (
    SITE_METRICS,
)

FEEDS_MAX = 200
"""So many feeds have a series of their own; the rest share `other`."""
PARTITIONS_MAX = 1_000
"""Partitions from this number on share `other`."""


class EventOutcome(StrEnum):
    """What became of a record that was read from a topic of events; each has exactly one."""

    JUDGED = "judged"
    REJECTED = "rejected"
    FORWARDED = "forwarded"
    SUPERSEDED = "superseded"
    """A note that a newer version of an event lies on another partition."""


class Lane(StrEnum):
    """How a record was decoded: in columns, by the contract in doubt, or by the contract since it came with few."""

    FAST = "fast"
    CONTRACT = "contract"
    FEW = "few"


class CommitResult(StrEnum):
    """How a commit of offsets ended: `refused` is a rebalance, `failed` a broker that did not answer."""

    COMMITTED = "committed"
    REFUSED = "refused"
    FAILED = "failed"


class PartitionState(StrEnum):
    """What a worker does with a partition that it owns."""

    WARMING = "warming"
    LIVE = "live"


class NotificationResult(StrEnum):
    """How a notification ended: `failed` was given up, and stands in the log of notifications."""

    DELIVERED = "delivered"
    FAILED = "failed"


EVENT_TOPICS = (TopicName.MATCHES, TopicName.ENCOUNTERS)
RECORD_TOPICS = (TopicName.SUBJECTS, TopicName.REGISTRY)
LOG_TOPICS = (*RECORD_TOPICS, TopicName.TALLIES, TopicName.OBLIGATIONS)
READ_TOPICS = (*EVENT_TOPICS, *RECORD_TOPICS)

RULE_ID = Label("rule_id", (), "the rulebook that is loaded")
EVENT_TOPIC = Label("topic", EVENT_TOPICS, "the topics of events")
RECORD_TOPIC = Label("topic", RECORD_TOPICS, "the topics of records")
LOG_TOPIC = Label("topic", LOG_TOPICS, "the topics that are read from their beginning")
READ_TOPIC = Label("topic", READ_TOPICS, "the topics that are read")
PARTITION = Label("partition", (), f"the partitions that are owned, 0 to {PARTITIONS_MAX - 1}")
FEED = Label("feed", (), f"the feeds of the registry, at most {FEEDS_MAX}")

_BATCH = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_VERDICT = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.25, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


EVENTS = counter(
    "events",
    "records",
    "Records read from the topics of events, by what became of them; each is counted once.",
    EVENT_TOPIC,
    Label("outcome", tuple(EventOutcome), "closed"),
)
CASES = counter(
    "cases", "cases", "Cases judged: an event with everything in force.", Label("kind", tuple(CaseKind), "closed")
)
VERDICTS = counter(
    "verdicts",
    "verdicts",
    "Verdicts by rule and outcome; each rule says one thing of each case of its kind.",
    RULE_ID,
    Label("outcome", tuple(outcome.word for outcome in Outcome), "closed"),
)
BLIND_SPOTS = gauge(
    "blind_spots",
    "blind spots",
    "Facts that a device never delivers, by the rule that asks; the journal names device, fact and what to supply.",
    RULE_ID,
)
INSTRUMENTS = gauge(
    "instruments",
    "instruments",
    "Exceptions and authorities that have begun, by how near their end is; `expiring` is within two weeks.",
    Label("kind", ("exception", "authority"), "closed"),
    Label("stage", tuple(Stage), "closed"),
)
OBLIGATIONS = counter(
    "obligations",
    "duties",
    "Duties that were opened, fulfilled in time, breached, or void after all, as written to the log of duties.",
    RULE_ID,
    Label("status", ("open", "fulfilled", "breached", "void"), "closed"),
)
DUTIES_UNDETERMINED = gauge(
    "duties_undetermined",
    "duties",
    "Duties and windows of which nothing can be said yet, by rule and reason; one that is none has no series.",
    RULE_ID,
    Label("reason", tuple(Unknown), "closed"),
)
# No label `site_id` here: sites come from the registry, so their list is neither closed nor known when the series are
# laid out at zero; and rule by site together would be thousands of series that narrow down who is meant where few
# people come. What a site tells is in `site_violations`, by level alone; which site it was is in the violation itself.
VIOLATIONS = counter(
    "violations",
    "violations",
    "Violations that the broker acknowledged; `what_if` is a draft or a rule in shadow, and never pages.",
    RULE_ID,
    LEVEL,
    STANDING,
)
UNDETERMINED = counter(
    "undetermined",
    "verdicts",
    "Verdicts left undetermined, by rule and by why a fact is unknown.",
    RULE_ID,
    Label("reason", tuple(Unknown), "closed"),
)
REJECTIONS = counter(
    "rejections",
    "records",
    "Records that are no message of the contract, by reason; their place is on the topic of rejections.",
    READ_TOPIC,
    Label("reason", tuple(Reason), "closed"),
)
FORWARDED = counter(
    "forwarded", "records", "Records found on the wrong partition and sent once to the right one.", EVENT_TOPIC
)
UNREADABLE = counter(
    "unreadable_records",
    "records",
    "Consent and registry records that cannot be read; one with a key makes that key unknown, one without pages.",
    LOG_TOPIC,
    Label("keyed", ("true", "false"), "closed"),
)
LANES = counter(
    "lane_records",
    "records",
    "Records decoded, by lane; many in the lane of the contract make a worker slow.",
    Label("lane", tuple(Lane), "closed"),
)
COMMITS = counter(
    "commits",
    "commits",
    "Commits of offsets, by how they ended; refused ones are repeated by the next owner.",
    Label("result", tuple(CommitResult), "closed"),
)

# -- time: what late records and corrected events change --------------------------------------------------------------

RETRACTIONS = counter(
    "retractions",
    "violations",
    "Violations taken back: a record came that undoes them, no later than its source promises, or the event was "
    "corrected.",
    RULE_ID,
    LEVEL,
    STANDING,
)
CONTESTED = counter(
    "contested",
    "violations",
    "Violations that a record would undo which came later than its source promises: nobody acquits himself afterwards.",
    RULE_ID,
    LEVEL,
    STANDING,
)
CORRECTIONS = counter(
    "corrections",
    "violations",
    "Changes of violations that were told before, or were not, by what led to them.",
    Label("cause", tuple(cause for cause in get_args(Cause) if cause != "judged"), "closed"),
)
DEFERRED = counter(
    "deferred",
    "records",
    "Records and corrected events that reach back beyond the memory; a replay settles the cases that they touch.",
)
BOUNDARY = counter(
    "boundary",
    "violations",
    "Violations whose match lies within the clocks' skew of the edge of a consent, so that either clock may be wrong.",
)
REPEATS = counter(
    "repeats",
    "violations",
    "Violations that the log held already when a worker took a partition over; they are not written again.",
)
DUPLICATES = counter("duplicates", "records", "Events that came again, in a version and with a content known before.")
HELD_CASES = gauge("held_cases", "cases", "Cases kept back because a record in flight may undo a violation of theirs.")
HELD_BYTES = gauge("held_bytes", "bytes", "Bytes of the runs whose cases are kept back.")
MEMORY_CASES = gauge("memory_cases", "cases", "Cases that can still be corrected.")
MEMORY_BYTES = gauge("memory_bytes", "bytes", "Bytes that these cases take in columns.")

DECODE_SECONDS = histogram("decode_seconds", "Time to decode one batch.", _BATCH)
JUDGE_SECONDS = histogram("judge_seconds", "Time to assemble and judge the cases of one batch.", _BATCH)
EMIT_SECONDS = histogram("emit_seconds", "Time until the broker acknowledged what one batch caused.", _BATCH)
EVENT_TO_VERDICT = histogram(
    "event_to_verdict_seconds", "From the event in the world to its verdict; below zero counts as zero.", _VERDICT
)
RECORDED_TO_VERDICT = histogram(
    "recorded_to_verdict_seconds", "From the broker's append time of the event to its verdict.", _VERDICT
)

VIEW_LAG = gauge(
    "view_lag_records", "records", "Records of a log that the worker's view has not taken in yet.", RECORD_TOPIC
)
VIEW_FRESH = gauge("view_fresh", "0 or 1", "1 while a fetch reached the end of the log within seconds.", RECORD_TOPIC)
CONSUMER_LAG = gauge(
    "consumer_lag_records",
    "records",
    "Records of an owned partition that are not judged yet.",
    EVENT_TOPIC,
    PARTITION,
)
PARTITIONS = gauge(
    "partitions", "partitions", "Partitions owned, by state.", Label("state", tuple(PartitionState), "closed")
)
WARM = gauge("warm", "0 or 1", "1 when the views were read to their end and the worker judges.")
FEED_BEHIND = gauge(
    "feed_behind_seconds",
    "seconds",
    "How long ago a feed's promise ran out; 0 while it holds. Of the feeds under `other`, the worst.",
    FEED,
)
RULEBOOK_INFO = gauge(
    "rulebook_info",
    "1",
    "The rulebook that is loaded: digest, number of rules, packs.",
    Label("digest", (), "the rulebook that is loaded"),
    Label("rules", (), "the rulebook that is loaded"),
    Label("packs", (), "the rulebook that is loaded"),
)
BUILD_INFO = gauge("build_info", "1", "The version that runs.", Label("version", (), "the distribution"))
START_TIME = gauge("start_time_seconds", "seconds", "When the worker started, in seconds since 1970.")

# -- the alerts process -----------------------------------------------------------------------------------------------

RECEIVER = Label("receiver", (), "the destinations of the settings: their kind and a number")
_DELIVERY = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

NOTIFICATIONS = counter(
    "notifications",
    "notifications",
    "Notifications by receiver and how they ended; what is posted again to keep an alert firing is none.",
    RECEIVER,
    Label("result", tuple(NotificationResult), "closed"),
)
NOTIFICATION_FAILURES = counter(
    "notification_failures",
    "tries",
    "Tries that a receiver did not take: it could not be reached, was busy, or refused. Most are tried again.",
    RECEIVER,
)
NOTIFICATION_SECONDS = histogram(
    "notification_seconds", "From the broker's append time of a violation to its delivery.", _DELIVERY
)
ALERT_GROUPS = gauge(
    "alert_groups",
    "groups",
    "Alert groups (rule, controller, site, severity) by state.",
    Label("state", tuple(GroupState), "closed"),
)
ALERTS_LAG = gauge(
    "alerts_lag_records", "records", "Records of the log of violations that some receiver was not told of yet."
)
STORM = gauge("storm", "0 or 1", "1 while so much is to be told that some receiver gets summaries.")

ALERT_METRICS: tuple[Metric, ...] = (
    NOTIFICATIONS,
    NOTIFICATION_FAILURES,
    NOTIFICATION_SECONDS,
    ALERT_GROUPS,
    ALERTS_LAG,
    STORM,
)
"""What `consentinel alerts` serves, beside the build and the start."""

WORKER_METRICS: tuple[Metric, ...] = (
    EVENTS,
    CASES,
    VERDICTS,
    VIOLATIONS,
    UNDETERMINED,
    BLIND_SPOTS,
    INSTRUMENTS,
    OBLIGATIONS,
    DUTIES_UNDETERMINED,
    REJECTIONS,
    FORWARDED,
    UNREADABLE,
    LANES,
    COMMITS,
    RETRACTIONS,
    CONTESTED,
    CORRECTIONS,
    DEFERRED,
    BOUNDARY,
    REPEATS,
    DUPLICATES,
    HELD_CASES,
    HELD_BYTES,
    MEMORY_CASES,
    MEMORY_BYTES,
    *SITE_METRICS,
    DECODE_SECONDS,
    JUDGE_SECONDS,
    EMIT_SECONDS,
    EVENT_TO_VERDICT,
    RECORDED_TO_VERDICT,
    VIEW_LAG,
    VIEW_FRESH,
    CONSUMER_LAG,
    PARTITIONS,
    WARM,
    FEED_BEHIND,
    RULEBOOK_INFO,
    BUILD_INFO,
    START_TIME,
)
"""What a worker serves."""

CATALOGUE: tuple[Metric, ...] = (*WORKER_METRICS, *ALERT_METRICS, *REPLAY_METRICS)
