"""A probe as a recogniser reports it: where, when, what was decided, and the candidates by their native ids.

Rules:
1. It lives in memory between the reader of a format and the gateway, and its `repr` shows no native id.
2. One candidate is one person: several references of the same native id count once, with the best score.
3. Ids are derived from the recogniser's own account of the capture, never from a native id, which could be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from schemas.vocabulary import ComparisonDecision

CANDIDATES_MAX = 1_001
"""The contract numbers candidates from 0 to 1000."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of the reference database whose score reached the threshold; scores lie between 0 and 1."""

    native_id: str = field(repr=False)
    score: float


@dataclass(frozen=True, slots=True)
class Probe:
    """One face that was searched, by one attempt of the recogniser."""

    device_name: str = field(repr=False)
    """The camera or stream by the name that the recogniser uses."""
    probe_id: str
    """The same for all attempts at one face."""
    attempt_id: str
    """The attempt; with the rank of a candidate it makes the id of the event."""
    occurred_at: datetime
    decision: ComparisonDecision
    candidates: tuple[Candidate, ...] = ()
    """Those at or above the threshold, the best first; there are some exactly if the decision is `match`."""
    score: float | None = None
    """The best score where there are no candidates, if the recogniser reports one."""

    def __post_init__(self) -> None:
        assert bool(self.candidates) == (self.decision == "match"), "a match has candidates and nothing else has"
        assert len(self.candidates) <= CANDIDATES_MAX, "the contract numbers no more candidates"


@dataclass(frozen=True, slots=True)
class Skip:
    """A line that is well-formed and reports no comparison; `reason` is a word of ours, for counting."""

    reason: str
