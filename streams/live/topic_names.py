"""The names of the topics as the broker knows them."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.topics import TopicName


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The names of the topics as the broker knows them."""

    prefix: str

    def __getitem__(self, name: TopicName) -> str:
        return f"{self.prefix}{name}"
