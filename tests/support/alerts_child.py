"""The alerts process over a small estate: started with settings, asked over HTTP, ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer

from schemas.contract import time_text
from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from small_estate import LiveWorker, SmallEstate


class AlertsChild(LiveWorker):
    """`consentinel alerts` as a process."""

    command = "alerts"
    port_setting = "alerts_port"


class Alarm:
    """An estate whose violations are told: starts and ends the alerts process for the length of a `with` block."""

    def __init__(self, estate: SmallEstate, folder: Path, **options: str) -> None:
        self.estate = estate
        self._options = {
            **estate.options,
            "alerts_group": f"{estate.options['group']}-alerts",
            "repost_seconds": "2",
            "give_up_seconds": "2",
            **options,
        }
        self._folder = folder
        self._children: list[AlertsChild] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.__exit__(kind, error, trace)

    def start(self, **options: str) -> AlertsChild:
        """A process that tells."""
        child = AlertsChild(self._options | options, log=self._folder / f"alerts-{len(self._children)}.log")
        self._children.append(child)
        child.__enter__()
        child.ready()
        return child

    def say(self, *violations: Violation) -> None:
        """Write to the log of violations as a worker does, each in the partition of its id."""
        for violation in violations:
            partition = int(violation.violation_id[-4:], 16) % self.estate.partitions
            key = violation.violation_id.encode()
            self.estate.put(TopicName.VIOLATIONS, violation.to_json(), key=key, partition=partition)

    def say_at_once(self, violations: Iterable[Violation]) -> None:
        """Write many, without waiting for each."""
        producer = KafkaProducer(bootstrap_servers=[self.estate.broker], acks="all", linger_ms=20)
        topic = self.estate.topic(TopicName.VIOLATIONS)
        for violation in violations:
            partition = int(violation.violation_id[-4:], 16) % self.estate.partitions
            key = violation.violation_id.encode()
            producer.send(topic, value=violation.to_json(), key=key, partition=partition)
        producer.flush(timeout=60)
        producer.close(timeout=5)


def a_violation(number: int = 0, **change: Any) -> Violation:
    """The violation of a number, open, of one rule at one site; with some fields changed."""
    said = {
        "violation_id": f"{number:064x}",
        "status": "open",
        "rule_id": "cn2025.art13.private-space",
        "revision": 1,
        "level": "critical",
        "standing": "in_force",
        "event_id": f"event-{number}",
        "event_kind": "match",
        "occurred_at": "2026-03-10T04:00:00Z",
        "controller_id": "zoo",
        "device_id": "gate-1",
        "site_id": "north",
        "subject_ref": f"s_somebody_{number:010d}",
        "deciding_records": [f"consent-{number}"],
    }
    change = {name: time_text(value) if hasattr(value, "isoformat") else value for name, value in change.items()}
    return VIOLATION.fit({name: value for name, value in (said | change).items() if value is not None})
