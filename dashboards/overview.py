"""The compliance overview: was anybody watching, what did the rules say, what is missing."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.panel import (
    BLUE,
    GREEN,
    GREY,
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
from dashboards.selection import DRILL, IN_FORCE, PACKS, SITES

SPEAKING = f'max by (controller_id, site_id) (consentinel_devices{{{SITES},state="speaking"}})'
SILENT = f'min by (controller_id, site_id) (consentinel_devices{{{SITES},state="silent"}})'
UNMEASURED = f'min by (controller_id, site_id) (consentinel_devices{{{SITES},state="unmeasured"}})'
FOUND = f"sum by (controller_id, site_id) (increase(consentinel_site_violations_total{{{SITES},{IN_FORCE}}}[$__rate_interval]))"
STATES = {
    0: ("not measured", "#d8d8d8"),
    1: ("watched, nothing found", GREEN),
    2: ("a device is silent: unwatched", GREY),
    3: ("violations", RED),
}
TIMELINE = f"""0 * ({FOUND} > 0) + 3
or
0 * ({SILENT} > 0) + 2
or
0 * ({SPEAKING} > 0) + 1
or
0 * ({UNMEASURED} > 0)"""

WATCHED = Section(
    "Was anybody watching",
    (
        Panel(
            Kind.STAT, "Events judged",
            "The denominator of everything on this page: events within the range that were judged, at the chosen sites.",
            "none", (Query(f"sum(increase(consentinel_site_events_total{{{SITES}}}[$__range]))", "judged"),),
            NEUTRAL, "consentinel-nobody-watches", 4, 4,
        ),
        Panel(
            Kind.STAT, "Events expected at least",
            "What the devices' records promise for the whole range (reports_every_seconds), whether or not a worker ran. No data: no record says what to expect.",
            "none",
            (Query("sum(max by (controller_id, site_id) "
                   f"(avg_over_time(consentinel_site_expected_events_per_second{{{SITES}}}[$__range]))) * $__range_s",
                   "expected"),),
            NEUTRAL, "consentinel-device-silent", 4, 4,
        ),
        Panel(
            Kind.STAT, "Events at no known place",
            "Events whose device or site is on no record, or beyond the bound of sites with series of their own.",
            "none", (Query('sum(increase(consentinel_site_events_total{site_id="other"}[$__range]))', "elsewhere"),),
            SOME_IS_ODD, "core-device-unregistered", 4, 4,
        ),
        Panel(
            Kind.STAT, "Devices that speak",
            "Devices that sent as often as their records promise. Of several workers the one that hears most is right.",
            "none", (Query(f"sum({SPEAKING})", "speaking"),), ((None, GREEN),), "consentinel-device-silent", 4, 4,
        ),
        Panel(
            Kind.STAT, "Silent devices",
            "Devices that should have spoken. Their minutes are unwatched, whatever the counts say.",
            "none", (Query(f"sum({SILENT})", "silent"),), ((None, GREEN), (1, GREY)), "consentinel-device-silent", 4, 4,
        ),
        Panel(
            Kind.STAT, "Not measured",
            "Devices of which no record says how often they report, or that were not listened to for long enough.",
            "none", (Query(f"sum({UNMEASURED})", "not measured"),), ((None, BLUE), (1, GREY)),
            "consentinel-device-silent", 4, 4,
        ),
        Panel(
            Kind.TIMELINE, "Sites",
            "Green: watched and nothing found. Red: violations in force. Grey: a device that should speak is silent, so "
            "nobody watched. Light: nothing says what to expect.",
            "none", (Query(TIMELINE, "{{controller_id}} {{site_id}}"),), NEUTRAL, "consentinel-device-silent", 24, 10,
            words=STATES,
        ),
        Panel(
            Kind.TIMESERIES, "Events judged by site",
            "Events a second at each site. A line that ends is a place that nobody watches any more.",
            "cps",
            (Query(f"sum by (controller_id, site_id) (rate(consentinel_site_events_total{{{SITES}}}[$__rate_interval]))",
                   "{{site_id}}"),),
            runbook="consentinel-device-silent",
        ),
        Panel(
            Kind.TABLE, "Violations by site and level",
            "Violations in force within the range, by site and level; a rule by site is in the log of violations only.",
            "none",
            (Query("sum by (controller_id, site_id, level) "
                   f"(increase(consentinel_site_violations_total{{{SITES},{IN_FORCE}}}[$__range])) > 0"),),
            NONE_IS_GOOD, "consentinel-violations-rise", links=DRILL,
        ),
    ),
)  # fmt: skip
"""How much there was to judge, and whether anybody watched."""
SAID = Section(
    "What the rules said",
    (
        Panel(
            Kind.TIMESERIES, "Verdicts by outcome",
            "How much was clear, violating, excused or undetermined, where the rule applied. Undetermined is not "
            "clear: a fact is missing.",
            "cps",
            (Query(f'sum by (outcome) (rate(consentinel_verdicts_total{{{PACKS},outcome!="not_applicable"}}'
                   "[$__rate_interval]))", "{{outcome}}"),),
            runbook="consentinel-undetermined", width=8,
        ),
        Panel(
            Kind.STAT, "Undetermined",
            "The part of all verdicts that could not be given because a fact is unknown.",
            "percentunit",
            (Query(f'sum(rate(consentinel_verdicts_total{{{PACKS},outcome="undetermined"}}[$__rate_interval])) / '
                   f'(sum(rate(consentinel_verdicts_total{{{PACKS},outcome!="not_applicable"}}[$__rate_interval]))'
                   " > 0)", "undetermined"),),
            ((None, GREEN), (0.01, YELLOW), (0.05, ORANGE)), "consentinel-undetermined", 4, top=1,
        ),
        Panel(
            Kind.BARS, "Violations by rule",
            "Violations in force within the range. A rule that stands out nearly always lacks one record.",
            "none",
            (Query(f"topk(15, sum by (rule_id) (increase(consentinel_violations_total{{{PACKS},{IN_FORCE}}}[$__range]))"
                   " > 0)", "{{rule_id}}"),),
            NONE_IS_GOOD, "consentinel-violations-rise", 12, links=DRILL,
        ),
        Panel(
            Kind.TIMESERIES, "Violations by level",
            "Violations in force a second, by the level of their rule. Drafts and rules in shadow are not among them.",
            "cps",
            (Query(f"sum by (level) (rate(consentinel_violations_total{{{PACKS},{IN_FORCE}}}[$__rate_interval]))",
                   "{{level}}", exemplar=True),),
            NONE_IS_GOOD, "consentinel-violations-rise", 8, links=DRILL,
        ),
        Panel(
            Kind.TIMESERIES, "Excused and contested",
            "Excused: a breach with a ground on record; told, never hidden. Contested: the record that would undo it came "
            "later than its source promised.",
            "cps",
            (
                Query(f'sum(rate(consentinel_verdicts_total{{{PACKS},outcome="excused"}}[$__rate_interval]))', "excused"),
                Query(f"sum(rate(consentinel_contested_total{{{PACKS}}}[$__rate_interval]))", "contested"),
                Query(f"sum(rate(consentinel_retractions_total{{{PACKS}}}[$__rate_interval]))", "retracted"),
            ),
            runbook="consentinel-contested", width=8,
        ),
        Panel(
            Kind.TIMESERIES, "Why verdicts are undetermined",
            "Verdicts that could not be given, by the reason; the runbooks begin with what each asks for.",
            "cps",
            (Query(f"sum by (reason) (rate(consentinel_undetermined_total{{{PACKS}}}[$__rate_interval])) > 0",
                   "{{reason}}"),),
            runbook="consentinel-undetermined", width=8,
        ),
    ),
)  # fmt: skip
"""What the rules said."""
MISSING = Section(
    "What is missing, and what is due",
    (
        Panel(
            Kind.TABLE, "Blind spots",
            "Facts that a device never delivers, by the rule that asks. The journal names device, fact and what to supply.",
            "none", (Query(f"max by (rule_id) (consentinel_blind_spots{{{PACKS}}}) > 0"),), SOME_IS_ODD,
            "consentinel-undetermined", 8,
        ),
        Panel(
            Kind.TIMESERIES, "Duties",
            "Duties that were opened, fulfilled in time, breached, or void after all, a second.",
            "cps",
            (Query(f"sum by (status) (rate(consentinel_obligations_total{{{PACKS}}}[$__rate_interval]))", "{{status}}"),),
            runbook="consentinel-violations-rise", width=8,
        ),
        Panel(
            Kind.TABLE, "Duties in doubt",
            "Duties and windows of which nothing can be said yet, by rule and reason.",
            "none", (Query(f"sum by (rule_id, reason) (consentinel_duties_undetermined{{{PACKS}}}) > 0"),), SOME_IS_ODD,
            "consentinel-undetermined", 8,
        ),
        Panel(
            Kind.STAT, "Exceptions and authorities",
            "Legal instruments by how near their end is; expiring is within two weeks.",
            "none", (Query("max by (kind, stage) (consentinel_instruments)", "{{kind}} {{stage}}"),), NEUTRAL,
            "consentinel-instrument-expires", 8, 6,
        ),
        Panel(
            Kind.TIMESERIES, "Sources that broke their promise",
            "For how long each source of records has been silent. What rests on it is undetermined.",
            "s", (Query("max by (feed) (consentinel_feed_behind_seconds)", "{{feed}}"),),
            ((None, GREEN), (60, ORANGE)), "consentinel-feed-behind", 16, 6,
        ),
    ),
)  # fmt: skip
"""What keeps verdicts from being given, and duties that run."""
OVERVIEW = Board(
    "consentinel-overview",
    "Compliance overview",
    "Was anybody watching, what did the rules say, and what is missing. A number without its denominator says nothing.",
    (WATCHED, SAID, MISSING),
)
"""The compliance overview: the denominator first."""
