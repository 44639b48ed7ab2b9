"""One HTTP request to a receiver, and what its answer means.

Rules:
1. Any 2xx is taken. 408, 425, 429 and 5xx may pass, and so may no answer. Whatever else is a refusal that no
   repetition mends.
2. Errors name the receiver and the status, never an address, which may hold a secret, and never a body.
3. A redirection is not followed: a violation goes where it was told to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import ClassVar

import aiohttp

from streams.alerting.posting import Posting
from streams.errors import Blame, ConsentinelError

ANSWER_SECONDS = 10.0
RETRY_AFTER_MAX = 600.0
"""A receiver that asks for more patience than this is asked again after so long."""
PASSING = frozenset({408, 425, 429})


class ReceiverError(ConsentinelError):
    """A receiver did not take a posting; `status` is its answer, None where there was none."""

    blame = Blame.RECEIVER

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(ReceiverError):
    """There was no answer."""

    retry: ClassVar[bool] = True


class BusyError(ReceiverError):
    """The receiver cannot take it now; `retry_after` is when it asks to be tried again, in seconds from now."""

    retry: ClassVar[bool] = True

    def __init__(self, message: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class RefusalError(ReceiverError):
    """The receiver will never take it."""


async def send(
    session: aiohttp.ClientSession, posting: Posting, headers: Mapping[str, str], *, name: str, now: float
) -> None:
    """Send a posting once; returns when the receiver has taken it, raises a ReceiverError otherwise."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with session.post(
            posting.url, data=posting.body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            status, said = answer.status, answer.headers
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UnreachableError(f"{name} gave no answer ({type(error).__name__})") from None
    if 200 <= status < 300:
        return
    if status in PASSING or status >= 500:
        raise BusyError(f"{name} is busy ({status})", status=status, retry_after=retry_after(said, now))
    raise RefusalError(f"{name} refuses ({status})", status=status)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds from now that a `Retry-After` asks for, as a number or a date; None where it says neither."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return min(float(said), RETRY_AFTER_MAX)
    try:
        seconds = parsedate_to_datetime(said).timestamp() - now
    except (ValueError, TypeError):
        return None
    return min(max(0.0, seconds), RETRY_AFTER_MAX)
