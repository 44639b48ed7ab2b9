"""The judging thread: the one thread that touches views and judges, so that neither needs a lock.

Rules:
1. Records are applied and batches are judged here in the order they were handed in.
2. The event loop stays free for the broker; Polars gives up the interpreter lock while it computes.
3. A bug in here is loud: whoever handed the work in gets the exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class JudgingThread:
    """One thread, and two ways in: `hand` from a callback, `run` from a coroutine."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judging")

    def hand(
        self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        """Queue `work`; its result or exception comes with the future."""
        return self._executor.submit(work, *arguments, **named)

    async def run(
        self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Queue `work` and wait for its result without holding up the loop."""
        return await asyncio.wrap_future(self.hand(work, *arguments, **named))

    def stop(self) -> None:
        """Let what runs finish and drop what waits."""
        self._executor.shutdown(wait=False, cancel_futures=True)
