"""The names of the topics, for who asks for a name and for no contract: the command line, at each start."""

from __future__ import annotations

from enum import StrEnum


class TopicName(StrEnum):
    """The topics, by their bare names."""

    MATCHES = "matches"
    ENCOUNTERS = "encounters"
    SUBJECTS = "subjects"
    REGISTRY = "registry"
    VIOLATIONS = "violations"
    OBLIGATIONS = "obligations"
    TALLIES = "tallies"
    RECEIPTS = "receipts"
    REJECTIONS = "rejections"
    NOTIFICATIONS = "notifications"
