"""A record as the broker took it, for whatever reads a run without a broker."""

from __future__ import annotations

from typing import NamedTuple


class Taken(NamedTuple):
    """What the pipeline asks of a record: where it stood, when it was taken (milliseconds), and its bytes."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes], ...] = ()
