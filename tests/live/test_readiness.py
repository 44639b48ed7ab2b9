"""A worker that has joined its group is not ready before it has taken over what it was given."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from small_world import the_law
from streams.live.pipeline import Pipeline
from streams.live.topic_names import TopicNames
from streams.live.worker import WorkerApp, new_plan
from streams.settings import load_settings


def missing(*, joined: int | None, taken: int | None) -> list[str]:
    worker = SimpleNamespace(
        pipeline=SimpleNamespace(generation=taken, warming=list),
        run_consumer=SimpleNamespace(generation=joined),
        views=SimpleNamespace(missing=list),
        duties=None,
    )
    return WorkerApp.missing(cast("WorkerApp", worker))


@pytest.mark.parametrize(("joined", "taken"), [(None, None), (None, 4), (5, None), (5, 4)])
def test_a_worker_is_not_ready_while_the_generation_is_another_than_the_one_taken_over(
    joined: int | None, taken: int | None
) -> None:
    assert missing(joined=joined, taken=taken)


def test_a_worker_is_ready_when_nothing_of_the_present_generation_is_missing() -> None:
    assert missing(joined=5, taken=5) == []


def test_a_generation_counts_as_taken_over_when_its_partitions_are_known_and_not_before() -> None:
    seen: list[tuple[set[int], int | None]] = []

    async def keep(partitions: set[int]) -> None:
        seen.append((partitions, pipeline.generation))

    settings = load_settings()
    parts: dict[str, Any] = {
        "plan": new_plan(settings, the_law(), TopicNames(settings.prefix), 4),
        "views": SimpleNamespace(keep=keep),
        "consumer": lambda: SimpleNamespace(generation=5),
        "recorder": SimpleNamespace(partitions=lambda **_: None),
        "on_failure": pytest.fail,
    }
    pipeline = Pipeline(recollection=cast("Any", None), thread=cast("Any", None), outbox=cast("Any", None), **parts)
    asyncio.run(pipeline.assigned([TP("somebody.elses", 3)]))
    assert seen == [(set(), None)]
    assert pipeline.generation == 5
