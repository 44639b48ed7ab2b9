"""What a story says must come of its events: the one thing that the generator hands to the auditor.

Rules:
1. An expectation names event, rule and status; whatever is not expected must not appear.
2. `undetermined` is an expectation of silence: the rule must not have cleared the case, and no violation may appear.
"""

from __future__ import annotations

import json
from typing import Literal, NamedTuple

Status = Literal["open", "excused", "undetermined"]


class Expectation(NamedTuple):
    """One verdict that a story knows beforehand."""

    event_id: str
    rule_id: str
    status: Status
    story: str

    def to_json(self) -> bytes:
        """The expectation as one line of JSON."""
        return json.dumps(self._asdict(), separators=(",", ":")).encode()


def read_expectation(line: bytes) -> Expectation:
    """The expectation that a line of `expected.ndjson` holds; raises ValueError for any other line."""
    try:
        return Expectation(**json.loads(line))
    except TypeError:
        raise ValueError("expected event_id, rule_id, status and story") from None
