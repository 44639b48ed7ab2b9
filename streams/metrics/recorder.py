"""The recorder: the one place that counts, over an injected registry.

Rules:
1. Every series with a closed list of values is there at zero from the start, for every rule of the rulebook: an alert
   on a rate can tell "nothing happened" from "nobody counted".
2. Nobody hands a label over as a free text: arguments are words of closed lists, rules of the rulebook, numbers. What
   is on no list becomes `other`; a person never becomes a label. An exemplar names an event.
3. A record read from a topic of events is counted by exactly one of `judged`, `rejected`, `forwarded` and `superseded`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from itertools import product

import polars as pl
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from schemas.contract import Reason
from schemas.topics import TopicName
from schemas.verdict import Violation
from streams.core.discretion import names_somebody
from streams.core.facts import CaseKind, Unknown
from streams.core.judge import Outcome, Verdicts
from streams.core.watch import DeviceState, Post, Site
from streams.metrics import catalogue, site_metric
from streams.metrics.bounded import Bounded
from streams.metrics.catalogue import WORKER_METRICS
from streams.metrics.counted import CountedRule, CountedRulebook
from streams.metrics.distribution import Distribution, exemplar_of
from streams.metrics.exposition import exposition
from streams.metrics.metric import LEVEL, OTHER, STANDING, Label, Metric, MetricType

DIGEST = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,64}")


class Stage(StrEnum):
    """The stages of a batch that are timed."""

    DECODE = "decode"
    JUDGE = "judge"
    EMIT = "emit"


STAGES: Mapping[Stage, Metric] = {
    Stage.DECODE: catalogue.DECODE_SECONDS,
    Stage.JUDGE: catalogue.JUDGE_SECONDS,
    Stage.EMIT: catalogue.EMIT_SECONDS,
}


class Recorder:
    """Counts what a worker does; `started_at` is aware, `version` is that of the distribution."""

    def __init__(
        self, registry: CollectorRegistry, rulebook: CountedRulebook, *, version: str, started_at: datetime
    ) -> None:
        assert started_at.tzinfo is not None, "a start has a time zone"
        assert DIGEST.fullmatch(rulebook.digest), "a digest is 64 hexadecimal digits"
        assert VERSION.fullmatch(version), "a version is that of the distribution"
        every = (*rulebook.rules, *rulebook.duties)
        names = (*(rule.id for rule in every), *rulebook.packs)
        assert not any(map(names_somebody, names)), "the name of a rule or a pack names no person"
        # For the whole process, as the library has it: `_created` series would double the exposition.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it out
        self._registry = registry
        self._rules = {rule.id for rule in every}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._distributions: dict[str, Distribution] = {}
        self._places = Bounded(site_metric.SITES_MAX, 2)
        self._controllers = Bounded(site_metric.CONTROLLERS_MAX, 1)
        for metric in WORKER_METRICS:
            self._build(metric)
            self._lay_out(metric, rulebook)
        self._lay_out_site(self._places.rest)  # its first event shall be a rise from zero, as everywhere
        self._gauge(catalogue.RULEBOOK_INFO, rulebook.digest, str(len(every)), ",".join(rulebook.packs)).set(1)
        self._gauge(catalogue.BUILD_INFO, version).set(1)
        self._gauge(catalogue.START_TIME).set(started_at.timestamp())

    # -- records of the topics of events ------------------------------------------------------------------------------

    def judged(self, topic: TopicName, count: int) -> None:
        """Records that were judged."""
        self._count(catalogue.EVENTS, count, topic, catalogue.EventOutcome.JUDGED)

    def rejected(self, topic: TopicName, reason: Reason, count: int = 1) -> None:
        """Records that are no message of the contract; those of the topics of records too."""
        self._count(catalogue.REJECTIONS, count, topic, reason)
        if topic in catalogue.EVENT_TOPICS:
            self._count(catalogue.EVENTS, count, topic, catalogue.EventOutcome.REJECTED)

    def forwarded(self, topic: TopicName, count: int = 1) -> None:
        """Records that were sent on to the partition of their key."""
        self._count(catalogue.FORWARDED, count, topic)
        self._count(catalogue.EVENTS, count, topic, catalogue.EventOutcome.FORWARDED)

    def superseded(self, topic: TopicName, count: int = 1) -> None:
        """Records that only tell of a newer version elsewhere."""
        self._count(catalogue.EVENTS, count, topic, catalogue.EventOutcome.SUPERSEDED)

    def lane(self, lane: catalogue.Lane, count: int) -> None:
        """Records that were decoded in one lane."""
        self._count(catalogue.LANES, count, lane)

    # -- verdicts -----------------------------------------------------------------------------------------------------

    def verdicts(self, verdicts: Verdicts) -> None:
        """Everything the judge said of a batch: its cases, each rule's outcomes, and why it left some undetermined."""
        self.cases(verdicts.kind, verdicts.cases.height)
        for rule, counts in verdicts.counts().items():
            for outcome, count in counts.items():
                if count:
                    self.outcome(rule, outcome, count)
        for (rule, reason), count in verdicts.undetermined().items():
            self._count(catalogue.UNDETERMINED, count, rule.id, reason)

    def cases(self, kind: CaseKind, count: int) -> None:
        """Cases that were judged."""
        self._count(catalogue.CASES, count, kind)

    def outcome(self, rule: CountedRule, outcome: Outcome, count: int = 1) -> None:
        """Verdicts of one rule with one outcome."""
        self._count(catalogue.VERDICTS, count, rule.id, outcome.word)

    def undetermined(self, rule: CountedRule, reason: Unknown, count: int = 1) -> None:
        """Verdicts of one rule that a missing fact left undetermined; they are counted by `outcome` as well."""
        self._count(catalogue.UNDETERMINED, count, rule.id, reason)

    def violation(self, rule: CountedRule, count: int = 1, *, event_id: str | None = None) -> None:
        """Violations of one rule that the broker acknowledged; the event of one of them is the exemplar."""
        self._count(catalogue.VIOLATIONS, count, rule.id, rule.level, rule.standing, event_id=event_id)

    def obligation(self, rule: CountedRule, status: str, count: int = 1) -> None:
        """Duties of one rule that were opened, fulfilled or breached, as the broker acknowledged."""
        self._count(catalogue.OBLIGATIONS, count, rule.id, status)

    def pending(self, found: Mapping[tuple[str, str], int]) -> None:
        """Of how many duties and windows nothing can be said, by rule id and reason; those not named are none."""
        gauge = self._gauges[catalogue.DUTIES_UNDETERMINED.name]
        gauge.clear()
        for (rule_id, reason), count in found.items():
            gauge.labels(*self._fit(catalogue.DUTIES_UNDETERMINED, (rule_id, reason))).set(count)

    def blind_spots(self, found: Mapping[str, int]) -> None:
        """How many blind spots each rule has, by its id; rules not named have none."""
        for rule_id in self._rules | found.keys():
            if self._fit_open(catalogue.RULE_ID, rule_id) != OTHER:
                self._gauge(catalogue.BLIND_SPOTS, rule_id).set(found.get(rule_id, 0))

    def instruments(self, found: Mapping[tuple[str, str], int]) -> None:
        """How many exceptions and authorities there are, by kind and stage."""
        for kind, stage in product(("exception", "authority"), catalogue.INSTRUMENTS.labels[1].values):
            self._gauge(catalogue.INSTRUMENTS, kind, stage).set(found.get((kind, stage), 0))

    # -- sites, devices, consent --------------------------------------------------------------------------------------

    def site_events(self, found: Mapping[tuple[str, str | None], int]) -> None:
        """Events that were judged, by controller and site; the site is None where no record names it."""
        for (controller_id, site_id), count in found.items():
            self._count(site_metric.SITE_EVENTS, count, *self._places.fit(controller_id, site_id))

    def site_violations(self, controller_id: str, site_id: str | None, rule: CountedRule, count: int = 1) -> None:
        """Violations of one rule at one site that the broker acknowledged; excused ones are none."""
        place = self._places.fit(controller_id, site_id)
        self._count(site_metric.SITE_VIOLATIONS, count, *place, rule.level, rule.standing)

    def premises(self, sites: Iterable[Site], posts: Iterable[tuple[Post, DeviceState]]) -> None:
        """What the registry says now: sites with their law, devices with their state; sites not named are no more."""
        for metric in (site_metric.SITE_INFO, site_metric.DEVICES, site_metric.SITE_EXPECTED):
            self._gauges[metric.name].clear()
        for site in sites:
            place = self._places.fit(site.controller_id, site.site_id)
            self._lay_out_site(place)
            for jurisdiction in site.jurisdictions:
                self._gauges[site_metric.SITE_INFO.name].labels(*place, jurisdiction).set(1)
        # Summed here, for a label costs more than a sum and there are thousands of devices at hundreds of sites.
        found: defaultdict[tuple[tuple[str, ...], DeviceState], int] = defaultdict(int)
        expected: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for post, state in posts:
            place = self._places.fit(post.controller_id, post.site_id)
            found[place, state] += 1
            if post.every_seconds is not None:
                expected[place] += 1 / post.every_seconds
        for place, state in product(dict.fromkeys(place for place, _ in found), DeviceState):
            self._gauges[site_metric.DEVICES.name].labels(*place, state).set(found[place, state])
        for place, rate in expected.items():
            self._gauges[site_metric.SITE_EXPECTED.name].labels(*place).set(rate)

    def consent(self, change: site_metric.ConsentChange, count: int = 1) -> None:
        """Consents that were given, withdrawn or ran out."""
        self._count(site_metric.CONSENTS, count, change)

    def since_withdrawal(self, found: Iterable[tuple[str, float]]) -> None:
        """By controller, how many seconds after a withdrawal a match of that person still happened."""
        by_label: dict[str, list[float]] = {}
        for controller_id, seconds in found:
            by_label.setdefault(self._controllers.fit(controller_id)[0], []).append(seconds)
        for label, each in by_label.items():
            self._distributions[site_metric.WITHDRAWAL_TO_MATCH.name].observe_all(
                pl.Series(each, dtype=pl.Float64), label
            )

    # -- corrections --------------------------------------------------------------------------------------------------

    def retraction(self, rule: CountedRule, count: int = 1) -> None:
        """Violations of one rule that were taken back; the counter of violations stays as it is."""
        self._count(catalogue.RETRACTIONS, count, rule.id, rule.level, rule.standing)

    def contested(self, rule: CountedRule, count: int = 1) -> None:
        """Violations of one rule that a record would undo which came later than its source promises."""
        self._count(catalogue.CONTESTED, count, rule.id, rule.level, rule.standing)

    def told(self, rule: CountedRule, message: Violation, *, first: bool) -> None:
        """A change of a violation that the broker acknowledged; `first` where nothing was told of it before."""
        if first:
            self.violation(rule, event_id=message.event_id)
            self.boundary(int(message.boundary is True))
            if message.status == "open":
                self.site_violations(message.controller_id, message.site_id, rule)
        if message.status == "retracted":
            self.retraction(rule)
        if message.status == "contested":
            self.contested(rule)
        if message.cause != "judged":
            self.correction(message.cause)

    def correction(self, cause: str, count: int = 1) -> None:
        """Changes of violations that the broker acknowledged, by what led to them."""
        self._count(catalogue.CORRECTIONS, count, cause)

    def deferred(self, count: int) -> None:
        """Records and corrected events that reach back beyond the memory."""
        self._count(catalogue.DEFERRED, count)

    def boundary(self, count: int) -> None:
        """Violations within the skew of the clocks of an edge."""
        self._count(catalogue.BOUNDARY, count)

    def repeats(self, count: int) -> None:
        """Violations that the log held already."""
        self._count(catalogue.REPEATS, count)

    def duplicates(self, count: int) -> None:
        """Events that came again."""
        self._count(catalogue.DUPLICATES, count)

    def held(self, *, cases: int, size_bytes: int) -> None:
        """How much is kept back now."""
        self._gauge(catalogue.HELD_CASES).set(cases)
        self._gauge(catalogue.HELD_BYTES).set(size_bytes)

    def memory(self, *, cases: int, size_bytes: int) -> None:
        """How much can still be corrected now."""
        self._gauge(catalogue.MEMORY_CASES).set(cases)
        self._gauge(catalogue.MEMORY_BYTES).set(size_bytes)

    # -- times, in seconds --------------------------------------------------------------------------------------------

    def took(self, stage: Stage, seconds: float) -> None:
        """How long one batch took in one stage."""
        self._distributions[STAGES[stage].name].observe(seconds)

    def since_event(self, seconds: pl.Series, event_ids: pl.Series | None = None) -> None:
        """From `occurred_at` to the verdict, a value an event; the slowest event is the exemplar."""
        self._distributions[catalogue.EVENT_TO_VERDICT.name].observe_all(seconds, event_ids=event_ids)

    def since_recorded(self, seconds: pl.Series) -> None:
        """From the broker's append time to the verdict, a value an event."""
        self._distributions[catalogue.RECORDED_TO_VERDICT.name].observe_all(seconds)

    # -- partitions, views, feeds -------------------------------------------------------------------------------------

    def commit(self, result: catalogue.CommitResult) -> None:
        """One commit of offsets ended."""
        self._count(catalogue.COMMITS, 1, result)

    def lag(self, topic: TopicName, partition: int, records: int) -> None:
        """How many records of an owned partition wait."""
        self._gauge(catalogue.CONSUMER_LAG, topic, _partition(partition)).set(records)

    def disown(self, topic: TopicName, partition: int) -> None:
        """Forget the lag of a partition that somebody else owns now."""
        with suppress(KeyError):  # it was never told
            self._gauges[catalogue.CONSUMER_LAG.name].remove(
                *self._fit(catalogue.CONSUMER_LAG, (topic, _partition(partition)))
            )

    def partitions(self, *, warming: int, live: int) -> None:
        """How many partitions are owned, by state."""
        self._gauge(catalogue.PARTITIONS, catalogue.PartitionState.WARMING).set(warming)
        self._gauge(catalogue.PARTITIONS, catalogue.PartitionState.LIVE).set(live)

    def warm(self, *, warm: bool) -> None:
        """Whether the views were read to their end."""
        self._gauge(catalogue.WARM).set(warm)

    def view(self, topic: TopicName, *, lag_records: int, fresh: bool) -> None:
        """How far the view of a log of records is from its end, and whether it reached the end lately."""
        self._gauge(catalogue.VIEW_LAG, topic).set(lag_records)
        self._gauge(catalogue.VIEW_FRESH, topic).set(fresh)

    def unreadable(self, topic: TopicName, *, keyed: bool, count: int = 1) -> None:
        """Records of a log of records that cannot be read."""
        self._count(catalogue.UNREADABLE, count, topic, "true" if keyed else "false")

    def feeds(self, behind_seconds: Mapping[str, float]) -> None:
        """How long the promise of each feed of the registry has been broken; feeds not named are no more."""
        gauge = self._gauges[catalogue.FEED_BEHIND.name]
        gauge.clear()
        plain = (feed for feed in behind_seconds if feed != OTHER and not names_somebody(feed))
        named = sorted(plain)[: catalogue.FEEDS_MAX]
        for feed in named:
            gauge.labels(feed).set(max(0.0, behind_seconds[feed]))
        rest = behind_seconds.keys() - set(named)
        if rest:
            gauge.labels(OTHER).set(max(0.0, *(behind_seconds[feed] for feed in rest)))

    # -- exposition ---------------------------------------------------------------------------------------------------

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in the format that an `Accept` header asks for."""
        return exposition(self._registry, accept)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _build(self, metric: Metric) -> None:
        match metric.type:
            case MetricType.COUNTER:
                counter = Counter(metric.full_name, metric.help, metric.label_names, registry=self._registry)
                self._counters[metric.name] = counter
            case MetricType.GAUGE:
                gauge = Gauge(metric.full_name, metric.help, metric.label_names, registry=self._registry)
                self._gauges[metric.name] = gauge
            case MetricType.HISTOGRAM:
                self._distributions[metric.name] = Distribution(metric, self._registry)

    def _lay_out(self, metric: Metric, rulebook: CountedRulebook) -> None:
        if metric.type is MetricType.HISTOGRAM or not metric.labels:
            return
        family = self._counters.get(metric.name) or self._gauges[metric.name]
        for values in _series(metric, rulebook):
            family.labels(*values)

    def _lay_out_site(self, place: tuple[str, ...]) -> None:
        """Be there at zero for a site that the registry names."""
        self._counters[site_metric.SITE_EVENTS.name].labels(*place)
        self._distributions[site_metric.WITHDRAWAL_TO_MATCH.name].lay_out(*self._controllers.fit(place[0]))
        for level, standing in product(LEVEL.values, STANDING.values):
            self._counters[site_metric.SITE_VIOLATIONS.name].labels(*place, level, standing)

    def _fit(self, metric: Metric, values: Iterable[str]) -> tuple[str, ...]:
        return tuple(
            self._fit_open(label, value) if not label.values else label.fit(value)
            for label, value in zip(metric.labels, values, strict=True)
        )

    def _fit_open(self, label: Label, value: str) -> str:
        if label is catalogue.RULE_ID:
            return value if value in self._rules else OTHER
        return value

    def _count(self, metric: Metric, count: int, *values: str, event_id: str | None = None) -> None:
        assert count >= 0, "a counter never falls"
        if count:
            counter = self._counters[metric.name]
            (counter.labels(*self._fit(metric, values)) if values else counter).inc(count, exemplar_of(event_id))

    def _gauge(self, metric: Metric, *values: str) -> Gauge:
        gauge = self._gauges[metric.name]
        return gauge.labels(*self._fit(metric, values)) if values else gauge


def _series(metric: Metric, rulebook: CountedRulebook) -> set[tuple[str, ...]]:
    """The series of a metric that are known before anything happens."""
    if metric in (catalogue.VIOLATIONS, catalogue.RETRACTIONS, catalogue.CONTESTED):
        # A rule has one level and one standing, so their other combinations will never be.
        return {(rule.id, rule.level, rule.standing) for rule in (*rulebook.rules, *rulebook.duties)}
    if any(not label.values and label is not catalogue.RULE_ID for label in metric.labels):
        return set()  # what the registry or an assignment names is laid out when it is known
    if metric is catalogue.DUTIES_UNDETERMINED:
        return set()  # one that is none has no series: there are hundreds, and most are never asked
    counted = rulebook.duties if metric is catalogue.OBLIGATIONS else rulebook.rules
    rules = tuple(rule.id for rule in counted)
    return set(product(*(rules if label is catalogue.RULE_ID else label.values for label in metric.labels)))


def _partition(number: int) -> str:
    return str(number) if 0 <= number < catalogue.PARTITIONS_MAX else OTHER
