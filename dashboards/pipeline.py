"""The health of the pipeline: rate, errors, duration; each worker; what is held, remembered and told."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.panel import (
    GREEN,
    NEUTRAL,
    NONE_IS_GOOD,
    ORANGE,
    RED,
    SOME_IS_ODD,
    YELLOW,
    Kind,
    Panel,
    Query,
    Section,
)

P99 = "histogram_quantile(0.99, sum by (le) (rate(consentinel_{}_seconds_bucket[$__rate_interval])))"

FLOW = Section(
    "Rate, errors, duration",
    (
        Panel(
            Kind.TIMESERIES, "Events by outcome",
            "Records read, by what became of them. Each is counted once.",
            "cps",
            (Query("sum by (topic, outcome) (rate(consentinel_events_total[$__rate_interval]))",
                   "{{topic}} {{outcome}}"),),
            runbook="consentinel-stalled", width=8,
        ),
        Panel(
            Kind.TIMESERIES, "Dead letters by reason",
            "Records that are no message of the contract. `biometric_payload`: a producer sends faces.",
            "cps",
            (Query("sum by (topic, reason) (rate(consentinel_rejections_total[$__rate_interval])) > 0",
                   "{{topic}} {{reason}}"),),
            NONE_IS_GOOD, "consentinel-rejections", 8,
        ),
        Panel(
            Kind.HEATMAP, "From the append to the verdict",
            "How long events wait for their verdict, from the broker's append time. The hold is three seconds.",
            "s",
            (Query("sum by (le) (rate(consentinel_recorded_to_verdict_seconds_bucket[$__rate_interval]))", "{{le}}"),),
            NEUTRAL, "consentinel-verdicts-late", 8,
        ),
        Panel(
            Kind.TIMESERIES, "99 of 100 verdicts within",
            "From the event in the world and from the append to the verdict; the promise is the hold and 250 ms. Dots are "
            "the slowest events.",
            "s",
            (
                Query(P99.format("event_to_verdict"), "from the event", exemplar=True),
                Query(P99.format("recorded_to_verdict"), "from the append"),
            ),
            ((None, GREEN), (3.25, ORANGE)), "consentinel-verdicts-late", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Time of a batch",
            "What one batch takes to decode, to judge and to be acknowledged: 99 of 100.",
            "s",
            (
                Query(P99.format("decode"), "decode"),
                Query(P99.format("judge"), "judge"),
                Query(P99.format("emit"), "emit"),
            ),
            ((None, GREEN), (1, ORANGE)), "consentinel-lag", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Cases and lanes",
            "Cases judged by kind, and records by how they were decoded. Many in the lane of the contract are slow.",
            "cps",
            (
                Query("sum by (kind) (rate(consentinel_cases_total[$__rate_interval]))", "cases: {{kind}}"),
                Query("sum by (lane) (rate(consentinel_lane_records_total[$__rate_interval]))", "lane: {{lane}}"),
                Query("sum by (topic) (rate(consentinel_forwarded_total[$__rate_interval]))", "forwarded: {{topic}}"),
            ),
            runbook="consentinel-lag", width=8,
        ),
    ),
)  # fmt: skip
"""Rate, errors and duration."""
WORKERS = Section(
    "Workers",
    (
        Panel(
            Kind.TIMELINE, "Warm",
            "Green: the worker judges. Orange: it still reads its views.",
            "none", (Query("max by (instance) (consentinel_warm)", "{{instance}}"),), ((None, ORANGE), (1, GREEN)),
            "consentinel-warming-long", 12, 6, words={0: ("warming", ORANGE), 1: ("warm", GREEN)},
        ),
        Panel(
            Kind.TIMELINE, "Views fresh",
            "Whether each view reached the end of its log within seconds.",
            "none", (Query("min by (instance, topic) (consentinel_view_fresh)", "{{instance}} {{topic}}"),),
            ((None, ORANGE), (1, GREEN)), "consentinel-view-behind", 12, 6,
            words={0: ("behind", ORANGE), 1: ("fresh", GREEN)},
        ),
        Panel(
            Kind.TIMESERIES, "Lag by partition",
            "Records of an owned partition that are not judged yet.",
            "none", (Query("max by (topic, partition) (consentinel_consumer_lag_records)", "{{topic}}/{{partition}}"),),
            ((None, GREEN), (10_000, ORANGE)), "consentinel-lag", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Lag of the views",
            "Records that a worker's view has not taken in yet.",
            "none", (Query("max by (instance, topic) (consentinel_view_lag_records)", "{{instance}} {{topic}}"),),
            ((None, GREEN), (1_000, ORANGE)), "consentinel-view-behind", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Partitions and commits",
            "Partitions owned by state, and commits a second by how they ended.",
            "short",
            (
                Query("sum by (state) (consentinel_partitions)", "partitions {{state}}"),
                Query("sum by (result) (rate(consentinel_commits_total[$__rate_interval]))", "commits {{result}}"),
            ),
            runbook="consentinel-commits-fail", width=8,
        ),
        Panel(
            Kind.TABLE, "What runs",
            "Rulebook, version and start of each worker. Two digests are an upgrade half-way.",
            "none",
            (Query("max by (instance, digest, rules) (consentinel_rulebook_info) * on (instance) group_left (version) "
                   "max by (instance, version) (consentinel_build_info)"),),
            NEUTRAL, "consentinel-rulebooks-differ", 16,
        ),
        Panel(
            Kind.STAT, "Running for",
            "How long each worker has been running.",
            "s", (Query("time() - max by (instance) (consentinel_start_time_seconds)", "{{instance}}"),), NEUTRAL,
            "consentinel-worker-down", 8,
        ),
    ),
)  # fmt: skip
"""Each worker."""
KEPT = Section(
    "Held, remembered, told",
    (
        Panel(
            Kind.TIMESERIES, "Cases held and remembered",
            "Cases kept back for a record in flight, and cases that a late record can still correct.",
            "none",
            (
                Query("sum(consentinel_held_cases)", "held"),
                Query("sum(consentinel_memory_cases)", "remembered"),
            ),
            runbook="consentinel-deferred", width=8,
        ),
        Panel(
            Kind.TIMESERIES, "Bytes held and remembered",
            "What these take.",
            "bytes",
            (
                Query("sum(consentinel_held_bytes)", "held"),
                Query("sum(consentinel_memory_bytes)", "remembered"),
            ),
            ((None, GREEN), (1_073_741_824, ORANGE)), "consentinel-deferred", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Again, and too far back",
            "Events and violations that came again, and records that reach back beyond the memory.",
            "cps",
            (
                Query("sum(rate(consentinel_duplicates_total[$__rate_interval]))", "duplicate events"),
                Query("sum(rate(consentinel_repeats_total[$__rate_interval]))", "repeats"),
                Query("sum(rate(consentinel_deferred_total[$__rate_interval]))", "beyond the memory"),
            ),
            SOME_IS_ODD, "consentinel-deferred", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Notifications",
            "Notifications by how they ended, and tries that a receiver did not take.",
            "cps",
            (
                Query("sum by (receiver, result) (rate(consentinel_notifications_total[$__rate_interval]))",
                      "{{receiver}} {{result}}"),
                Query("sum by (receiver) (rate(consentinel_notification_failures_total[$__rate_interval]))",
                      "{{receiver}} not taken"),
            ),
            NONE_IS_GOOD, "consentinel-notifications-fail", 8,
        ),
        Panel(
            Kind.TIMESERIES, "From a violation to its delivery",
            "95 of 100 notifications are delivered within.",
            "s",
            (Query(P99.replace("0.99", "0.95").format("notification"), "delivered"),),
            ((None, GREEN), (60, RED)), "consentinel-alerts-lag", 8,
        ),
        Panel(
            Kind.STAT, "Violations not told yet",
            "Records of the log of violations that some receiver was not told of yet.",
            "none", (Query("max(consentinel_alerts_lag_records)", "waiting"),), ((None, GREEN), (1, YELLOW)),
            "consentinel-alerts-lag", 8,
        ),
    ),
)  # fmt: skip
"""What is kept back or remembered, and whether violations are told."""
PIPELINE = Board(
    "consentinel-pipeline",
    "Pipeline health",
    "Whether events come through: rate, errors, duration; each worker; what is held, remembered and told.",
    (FLOW, WORKERS, KEPT),
)
"""The health of the pipeline."""
