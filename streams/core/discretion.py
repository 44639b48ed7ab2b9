"""What must never be said aloud: a reference to a person is taken out of a text before anybody else may read it.

Rules:
1. Whatever looks like a subject reference is replaced, also inside a longer word: too much is better than a person.
2. A text without one comes back as it was.
"""

from __future__ import annotations

import re

SUBJECT_REF = re.compile(r"s_[A-Za-z0-9_-]{16,}")
"""A subject reference anywhere in a text, and whatever hangs on to it (schemas.contract.SubjectRef)."""

SOMEBODY = "s_…"
"""What stands where a subject reference stood."""


def names_somebody(text: str) -> bool:
    """Whether a text holds what looks like a subject reference."""
    return SUBJECT_REF.search(text) is not None


def discreet(text: str) -> str:
    """The text with every subject reference replaced by `s_…`."""
    return SUBJECT_REF.sub(SOMEBODY, text)
