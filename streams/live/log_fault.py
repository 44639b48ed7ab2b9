"""What can be wrong with a log that is being read, as typed errors, and how a Kafka client's errors map onto them.

Rules:
1. A log that is not the one that was read before (shorter, moved on, damaged) is never read past: the worker ends
   before it commits anything, and a person decides.
2. What may pass by itself (a broker that is away) is a `DeliveryError`, and the same call is made again.
3. The texts carry topics, partitions and offsets, never keys or values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import errors as kafka_errors

from streams.errors import Blame, ConfigurationError, ConsentinelError, DeliveryError, LogError, Place

REFUSALS = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
)
"""Errors of the Kafka client that no repetition mends: somebody has to change a setting."""

CORRUPT_TRIES = 5
"""How often a record with a wrong checksum is fetched before it counts as damage of the log and not of the wire."""


class TruncatedLogError(LogError):
    """The log ends before, or begins after, the offset that is to be read next: truncated, recreated or expired."""


class LogGapError(LogError):
    """The position in the log moved although nobody read the records in between."""


class CorruptLogError(LogError):
    """A record's checksum stays wrong however often it is fetched."""


class OversizeRecordError(LogError):
    """A record is larger than what one fetch may bring, so the client would step over it."""

    blame = Blame.OPERATOR


def _asked(error: kafka_errors.OffsetOutOfRangeError) -> Mapping[Any, int]:
    asked = error.args[0] if error.args else None
    return asked if isinstance(asked, Mapping) else {}


def ends_before(offset: int, end: int, place: Place) -> TruncatedLogError:
    """Return the error for a broker that was asked for `offset` and answered that the log ends before it, at `end`."""
    return TruncatedLogError(f"offset {offset} is to be read next, but the log ends at {end}", place=place)


def fault_of(error: kafka_errors.KafkaError, place: Place) -> ConsentinelError:
    """Return the typed error for an error of the Kafka client, to be raised from it."""
    name = type(error).__name__
    if isinstance(error, kafka_errors.OffsetOutOfRangeError):
        asked = ", ".join(f"offset {offset} of {tp.topic}/{tp.partition}" for tp, offset in _asked(error).items())
        return TruncatedLogError(f"the log does not hold {asked or 'the offset'} that is to be read next", place=place)
    if isinstance(error, kafka_errors.NoOffsetForPartitionError):
        return LogGapError("a partition was read before its position was settled", place=place)
    if isinstance(error, kafka_errors.RecordTooLargeError):
        return OversizeRecordError("a record is larger than the fetch size; raise consumer_max_fetch_size", place=place)
    if isinstance(error, kafka_errors.CorruptRecordException):
        return CorruptLogError("a record has a wrong checksum", place=place)
    if isinstance(error, REFUSALS):
        return ConfigurationError(f"the broker refuses access ({name})", place=place)
    return DeliveryError(f"the broker did not answer as expected ({name})", place=place)
