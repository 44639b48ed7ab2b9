"""Consent and withdrawal: how many agree and take it back, and how long a withdrawal takes."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.panel import (
    GREEN,
    NEUTRAL,
    NONE_IS_GOOD,
    RED,
    YELLOW,
    Kind,
    Panel,
    Query,
    Section,
)

LATE = 'sum by (controller_id) (rate(consentinel_withdrawal_to_match_seconds_{}{{controller_id=~"$controller"{}}}[{}]))'
AFTER, WITHIN = LATE.format("count", "", "$__rate_interval"), LATE.format("bucket", ',le="60.0"', "$__rate_interval")
BUCKETS = 'rate(consentinel_withdrawal_to_match_seconds_bucket{controller_id=~"$controller"}[$__rate_interval])'
CONSENT = Board(
    "consentinel-consent",
    "Consent and withdrawal",
    "How many agree and take it back, and how long a withdrawal takes to reach the recognisers.",
    (
        Section(
            "Records",
            (
                Panel(
                    Kind.STAT, "Consents within the range",
                    "Records of consent given and withdrawn, and consents that ran out. What came while a worker was "
                    "warming is not counted.",
                    "none", (Query("sum by (action) (increase(consentinel_consents_total[$__range]))", "{{action}}"),),
                    NEUTRAL, "consentinel-record-unreadable", 8, 6,
                ),
                Panel(
                    Kind.TIMESERIES, "Consents a second",
                    "Given, withdrawn and expired. A source that writes nothing any more looks flat here.",
                    "cps", (Query("sum by (action) (rate(consentinel_consents_total[$__rate_interval]))", "{{action}}"),),
                    runbook="consentinel-feed-behind", width=16, height=6,
                ),
                Panel(
                    Kind.TIMESERIES, "Records that cannot be read",
                    "A record with a key makes that key unknown until it is replaced; one without may be a lost withdrawal.",
                    "cps",
                    (Query("sum by (topic, keyed) (rate(consentinel_unreadable_records_total[$__rate_interval]))",
                           "{{topic}} keyed={{keyed}}"),),
                    NONE_IS_GOOD, "consentinel-record-unreadable", 24, 6,
                ),
            ),
        ),
        Section(
            "From a withdrawal to the last match",
            (
                Panel(
                    Kind.TIMESERIES, "Matches after a withdrawal, by controller",
                    "Matches a second of persons who had withdrawn. Each is processing without consent.",
                    "cps", (Query(AFTER, "{{controller_id}}"),), NONE_IS_GOOD, "consentinel-withdrawal-late", 12,
                ),
                Panel(
                    Kind.TIMESERIES, "Of them later than a minute",
                    "The part that the objective counts: a withdrawal shall reach the recogniser within 60 s. By controller; "
                    "the contracts name no vendor.",
                    "percentunit", (Query(f"1 - {WITHIN} / ({AFTER} > 0)", "{{controller_id}}"),),
                    ((None, GREEN), (0.001, YELLOW), (0.1, RED)), "consentinel-withdrawal-late", 12, top=1,
                ),
                Panel(
                    Kind.HEATMAP, "How long after a withdrawal matches still happen",
                    "A value a match. What moves up is a withdrawal that never arrived.",
                    "s", (Query(f"sum by (le) ({BUCKETS})", "{{le}}"),), NEUTRAL, "consentinel-withdrawal-late", 12,
                ),
                Panel(
                    Kind.TIMESERIES, "95 % of them within",
                    "The delay that 95 of 100 matches after a withdrawal do not exceed, by controller.",
                    "s", (Query(f"histogram_quantile(0.95, sum by (controller_id, le) ({BUCKETS})) >= 0", "{{controller_id}}"),),
                    ((None, GREEN), (60, RED)), "consentinel-withdrawal-late", 12,
                ),
            ),
        ),
    ),
)  # fmt: skip
"""Consent and withdrawal."""
