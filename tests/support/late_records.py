"""A broker's race made certain: each fetch that brings records reports the end as it was before they came.

Apache Kafka takes the high watermark and the last stable offset first and reads the records afterwards, so what was
appended in between is delivered beyond the end that stands in the same answer. It happens under load only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka.client import AIOKafkaClient


def as_late(answer: Any, ask: Any) -> Any:
    """Return an answer to a fetch with the offset that was asked for as the end, wherever it brings records."""
    asked = {(topic, partition): offset for topic, places in ask.topics for partition, offset, *_ in places}
    answer.topics = [
        (topic, [_place(asked[topic, place[0]], place) for place in places]) for topic, places in answer.topics
    ]
    return answer


def _place(asked: int, place: tuple[Any, ...]) -> tuple[Any, ...]:
    partition, error, _, _, *rest = place
    return (partition, error, asked, asked, *rest) if rest[-1] else place


def records_come_late(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let every Kafka client of this process see the race at each fetch; `put` sets an attribute of its class."""
    send = AIOKafkaClient.send

    async def late(self: Any, node_id: Any, ask: Any, **options: Any) -> Any:
        answer = await send(self, node_id, ask, **options)
        return as_late(answer, ask) if type(answer).__name__.startswith("FetchResponse") else answer

    put(AIOKafkaClient, "send", late)
