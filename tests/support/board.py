"""A recorder over a registry of its own and a small rulebook, to look at what is counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from schemas.vocabulary import Level
from streams.metrics.recorder import Recorder

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class ARule:
    id: str
    level: Level = "high"
    standing: str = "in_force"


@dataclass(frozen=True)
class ARulebook:
    rules: tuple[ARule, ...] = (ARule("core.purpose.unknown"), ARule("cn2023.art05.consent", "low", "what_if"))
    digest: str = "ab" * 32
    packs: tuple[str, ...] = ("cn2023", "core")
    duties: tuple[ARule, ...] = ()


CONSENT = ARule("core.purpose.unknown")


class Board:
    """A recorder and its registry."""

    def __init__(self, rulebook: ARulebook | None = None) -> None:
        self.registry = CollectorRegistry()
        self.recorder = Recorder(self.registry, rulebook or ARulebook(), version="0.1.0", started_at=START)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"consentinel_{name}", labels)
