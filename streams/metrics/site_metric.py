"""The metrics of sites, devices and consent: what happened where, who speaks, how long a withdrawal takes.

Rules:
1. A site is a place, not a person. Both labels are bounded together: a site beyond the bound, an event whose device is
   on no record, and an id that looks like somebody's reference all count under `other`.
2. By site there is the level of a violation and never its rule: a rule at a place where few people come narrows down
   who is meant.
"""

from __future__ import annotations

from enum import StrEnum

from streams.core.watch import DeviceState
from streams.metrics.metric import LEVEL, STANDING, Label, Metric, counter, gauge, histogram

SITES_MAX = 200
"""So many sites have series of their own; the rest share `other`."""
CONTROLLERS_MAX = 50
"""So many controllers have series of their own; the rest share `other`."""


class ConsentChange(StrEnum):
    """What became of a consent."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


CONTROLLER = Label("controller_id", (), f"the controllers of the registry, at most {CONTROLLERS_MAX}")
SITE_CONTROLLER = Label("controller_id", (), "the controller of the site; `other` together with it")
SITE = Label("site_id", (), f"the sites of the registry, at most {SITES_MAX}")

SITE_EVENTS = counter(
    "site_events",
    "events",
    "Events judged by the site of their device: the denominator of everything that is said of a site.",
    SITE_CONTROLLER,
    SITE,
)
SITE_VIOLATIONS = counter(
    "site_violations",
    "violations",
    "Violations that the broker acknowledged, by the site of their device; excused ones are not among them.",
    SITE_CONTROLLER,
    SITE,
    LEVEL,
    STANDING,
)
SITE_INFO = gauge(
    "site_info",
    "1",
    "The sites of the registry with every jurisdiction that applies to them, one series each; to join by jurisdiction.",
    SITE_CONTROLLER,
    SITE,
    Label("jurisdiction", (), "the records of the sites, ISO 3166"),
)
DEVICES = gauge(
    "devices",
    "devices",
    "Devices of the registry by whether they speak as often as their records promise. A worker hears its own "
    "partitions only, so of several workers the least silent one is right. `unmeasured`: no record says what to "
    "expect, or this worker has not listened for long enough.",
    SITE_CONTROLLER,
    SITE,
    Label("state", tuple(DeviceState), "closed"),
)
SITE_EXPECTED = gauge(
    "site_expected_events_per_second",
    "events per second",
    "Events that the devices of a site send at least, as their records promise; without a promise there is no series.",
    SITE_CONTROLLER,
    SITE,
)
CONSENTS = counter(
    "consents",
    "records",
    "Records of consents given and withdrawn, and consents by purpose that ran out, since the worker is warm; each is "
    "counted by the worker of its person.",
    Label("action", tuple(ConsentChange), "closed"),
)
WITHDRAWAL_TO_MATCH = histogram(
    "withdrawal_to_match_seconds",
    "How long after a person withdrew a match of that person still happened, a value a match.",
    (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0, 604800.0),
    CONTROLLER,
)

SITE_METRICS: tuple[Metric, ...] = (
    SITE_EVENTS,
    SITE_VIOLATIONS,
    SITE_INFO,
    SITE_EXPECTED,
    DEVICES,
    CONSENTS,
    WITHDRAWAL_TO_MATCH,
)
"""What a worker serves of them."""
