"""The comparison of rulebooks: what the last replay by two of them found."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.panel import (
    GREEN,
    NEUTRAL,
    NONE_IS_GOOD,
    SOME_IS_ODD,
    YELLOW,
    Kind,
    Panel,
    Query,
    Section,
)

LAST = "max by (command) (consentinel_replay_timestamp_seconds)"
REPLAY = Board(
    "consentinel-replay",
    "Replay comparison",
    "What the last comparison of two rulebooks found, as its command wrote it for the textfile collector of "
    "node_exporter (`consentinel rules diff`, `compare` or `reconcile`, with `--metrics FILE`).",
    (
        Section(
            "The last comparison",
            (
                Panel(
                    Kind.STAT, "Caught no longer",
                    "Violations under the old rules that are none under the new: the dangerous direction.",
                    "none", (Query("sum(max by (rule_id) (consentinel_replay_difference{change='no_longer_violating'}))",
                           "no longer"),),
                    NONE_IS_GOOD, "consentinel-deferred", 6, 5,
                ),
                Panel(
                    Kind.STAT, "Caught anew",
                    "Violations under the new rules that were none under the old.",
                    "none",
                    (Query("sum(max by (rule_id) (consentinel_replay_difference{change='newly_violating'}))", "anew"),),
                    SOME_IS_ODD, "consentinel-deferred", 6, 5,
                ),
                Panel(
                    Kind.STAT, "Compared",
                    "The denominator: events that both rulebooks judged, or breaches on which a side has a word.",
                    "none", (Query("max(consentinel_replay_compared)", "compared"),), NEUTRAL, "consentinel-deferred", 6, 5,
                ),
                Panel(
                    Kind.STAT, "How long ago",
                    "When the comparison was made; an old one says nothing of today's rules.",
                    "s", (Query(f"time() - {LAST}", "{{command}}"),), ((None, GREEN), (604_800, YELLOW)),
                    "consentinel-deferred", 6, 5,
                ),
                Panel(
                    Kind.TABLE, "Differences by rule",
                    "How many verdicts changed, by rule and direction.",
                    "none",
                    (Query('max by (change, rule_id) (consentinel_replay_difference{rule_id=~"($pack)[.].*"}) > 0'),),
                    SOME_IS_ODD, "consentinel-deferred", 24, 12,
                ),
            ),
        ),
    ),
)  # fmt: skip
"""What the last comparison found."""
