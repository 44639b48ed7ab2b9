"""The violations rule by rule: how often, since when, and an event behind the number."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.panel import (
    NEUTRAL,
    NONE_IS_GOOD,
    SOME_IS_ODD,
    Kind,
    Panel,
    Query,
    Section,
)
from dashboards.selection import IN_FORCE

CHANGES = (
    Panel(
        Kind.TIMESERIES, "Corrections by cause",
        "Changes of violations: a late record, a corrected event, or a reconciling replay.",
        "cps", (Query("sum by (cause) (rate(consentinel_corrections_total[$__rate_interval]))", "{{cause}}"),),
        runbook="consentinel-deferred", width=8,
    ),
    Panel(
        Kind.STAT, "At the edge of a consent",
        "Violations within the skew of the clocks of an edge of a consent: either clock may be wrong.",
        "none", (Query("sum(increase(consentinel_boundary_total[$__range]))", "at the edge"),), SOME_IS_ODD,
        "consentinel-contested", 4,
    ),
    Panel(
        Kind.TIMESERIES, "Alert groups",
        "Alert groups by state. A dormant one has told nothing new for a while, and is no less open for it.",
        "none", (Query("max by (state) (consentinel_alert_groups)", "{{state}}"),), NONE_IS_GOOD,
        "consentinel-alerts-lag", 6,
    ),
    Panel(
        Kind.STAT, "Storm",
        "1 while so much is to be told that some receiver gets summaries with exact counts.",
        "none", (Query("max(consentinel_storm)", "storm"),), NONE_IS_GOOD, "consentinel-storm-lasts", 6,
    ),
)  # fmt: skip
"""Corrections and notifications."""
RULES = 'rule_id=~"$rule"'
FOUND = f"sum by (rule_id, level, standing) (increase(consentinel_violations_total{{{RULES}}}[$__range])) > 0"
VIOLATIONS = Board(
    "consentinel-violations",
    "Violations",
    "Rule by rule: how often, since when, and an event behind the number. Who was concerned is in the log, never here.",
    (
        Section(
            "By rule",
            (
                Panel(
                    Kind.TABLE, "Violations within the range",
                    "Violations that the broker acknowledged, with those that were drafts (what_if). The counter is of this "
                    "process; the log, folded by id, is the truth.",
                    "none", (Query(FOUND),), NONE_IS_GOOD, "consentinel-violations-rise", 14, 10,
                ),
                Panel(
                    Kind.TIMESERIES, "Violations a second",
                    "Each dot is an exemplar: the event of one violation. Explain it with `consentinel explain --case`.",
                    "cps",
                    (Query(f"sum by (rule_id) (rate(consentinel_violations_total{{{RULES},{IN_FORCE}}}[$__rate_interval])) > 0",
                           "{{rule_id}}", exemplar=True),),
                    NONE_IS_GOOD, "consentinel-violations-rise", 10, 10,
                ),
                Panel(
                    Kind.TABLE, "Verdicts of these rules",
                    "The denominator: what each rule said of how many cases.",
                    "none",
                    (Query(f"sum by (rule_id, outcome) (increase(consentinel_verdicts_total{{{RULES},"
                           'outcome!="not_applicable"}[$__range])) > 0'),),
                    NEUTRAL, "consentinel-undetermined", 14, 10,
                ),
                Panel(
                    Kind.TIMESERIES, "Taken back and contested",
                    "Retracted: a record came in time, or the event was corrected. Contested: it came too late.",
                    "cps",
                    (
                        Query(f"sum by (rule_id) (rate(consentinel_retractions_total{{{RULES}}}[$__rate_interval])) > 0",
                              "{{rule_id}} retracted"),
                        Query(f"sum by (rule_id) (rate(consentinel_contested_total{{{RULES}}}[$__rate_interval])) > 0",
                              "{{rule_id}} contested"),
                    ),
                    SOME_IS_ODD, "consentinel-contested", 10, 10,
                ),
            ),
        ),
        Section("Changes, and how they were told", CHANGES),
    ),
)  # fmt: skip
"""The violations, rule by rule."""
