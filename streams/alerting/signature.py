"""The signature of a webhook: who has the key can tell that a request is ours, and that it is not an old one.

Rules:
1. The headers are those of Standard Webhooks: `webhook-id`, `webhook-timestamp` in seconds, and `webhook-signature`
   with one signature a key, each `v1,` and the base64 of an HMAC-SHA256 over id, timestamp and body, joined by dots.
2. A key is given as `whsec_` and base64 of 24 to 64 bytes, one a line; the file is never shown, nor is a key.
3. Several keys sign side by side, so that a receiver can change from one to the next.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from streams.errors import ConfigurationError

MARK = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64


def read_keys(text: str) -> tuple[bytes, ...]:
    """The keys in the text of a key file; raises ConfigurationError, which shows none of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    keys = tuple(_key(line) for line in lines)
    if not keys:
        raise ConfigurationError("the key file of the webhooks is empty")
    return keys


def _key(line: str) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(MARK), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not line.startswith(MARK) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        expected = f"{MARK} and the base64 of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes"
        raise ConfigurationError(f"a key of the webhooks: expected {expected} on each line")
    return key


def signed(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers that sign a body; without a key there is an id and a time and no signature."""
    stamped = f"{message_id}.{timestamp}.".encode() + body
    marks = [base64.b64encode(hmac.new(key, stamped, hashlib.sha256).digest()).decode() for key in keys]
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    return headers | ({"webhook-signature": " ".join(f"v1,{mark}" for mark in marks)} if marks else {})
