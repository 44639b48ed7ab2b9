"""The close of a client that reads: its connections are closed in the end, whatever its own close makes of it.

Rules:
1. A client may break off its close with a cancellation that nobody asked for: it waits for tasks it has just cancelled,
   and one of them may not have begun (aiokafka 0.14, `Fetcher.close`).
2. It may wait for an answer that never comes; more than `CLOSE_SECONDS` it is not waited for.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

CLOSE_SECONDS = 2.0


async def close(client: AIOKafkaConsumer) -> None:
    """Close the client; returns when its connections are closed."""
    closing = asyncio.ensure_future(client.stop())
    done, _ = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    if done and not closing.cancelled():
        closing.result()
        return
    closing.cancel()
    await client._client.close()  # noqa: SLF001 - there is no other way left to it.
