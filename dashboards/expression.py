"""What a PromQL expression asks of the catalogue: whether its metrics, labels and values are there, and what it yields.

Rules:
1. A metric is one of the catalogue, one that a rule records, or one that Prometheus makes by itself.
2. A label is asked only where some metric below has it; a value of a closed list only where it is on the list, and a
   bucket only where the histogram has one that ends there.
3. A counter is asked by how fast it rises, never by its height, which begins anew with each start of a worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

from streams.metrics.catalogue import CATALOGUE
from streams.metrics.metric import OTHER, Metric, MetricType

Labels = frozenset[str]
TARGET: Labels = frozenset({"job", "instance"})
"""What Prometheus adds to every series that it scrapes."""
FOREIGN: Mapping[str, Labels] = {
    "up": TARGET,
    "ALERTS": TARGET | {"alertname", "alertstate", "severity"},
    "scrape_duration_seconds": TARGET,
    "scrape_samples_scraped": TARGET,
}
RISES = frozenset({"rate", "increase", "irate", "resets"})
PRESENCE = frozenset({"absent", "absent_over_time", "present_over_time"})
OF_LISTS = frozenset({"count", "group"})
KEEPS = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
NOTHING = frozenset({"absent", "absent_over_time", "vector", "time", "scalar", "pi"})
PLAIN = re.compile(r"[A-Za-z0-9_.-]+(?:\|[A-Za-z0-9_.-]+)*")


@dataclass(frozen=True, slots=True)
class Known:
    """Every metric that may be asked: of the catalogue by exposed name, and the labels of those that rules record."""

    recorded: Mapping[str, Labels] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=lambda: dict(exposed()))

    def labels(self, name: str) -> Labels | None:
        """The labels of a metric; None where there is no such metric."""
        if name in FOREIGN:
            return FOREIGN[name]
        if name in self.recorded:
            return self.recorded[name]
        metric = self.metrics.get(name)
        if metric is None:
            return None
        bucket = {"le"} if name.endswith("_bucket") else set()
        return TARGET | set(metric.label_names) | bucket

    def rises(self, name: str) -> bool:
        """Whether a metric is a counter, or a part of a histogram, which are counters too."""
        metric = self.metrics.get(name)
        return metric is not None and metric.type is not MetricType.GAUGE


def exposed(metrics: Iterable[Metric] = CATALOGUE) -> Iterator[tuple[str, Metric]]:
    """Every name under which a metric is exposed: a histogram has three."""
    for metric in metrics:
        if metric.type is MetricType.HISTOGRAM:
            yield from ((f"{metric.full_name}_{part}", metric) for part in ("bucket", "sum", "count"))
        else:
            yield metric.full_name, metric


@dataclass(slots=True)
class Examined:
    """What was found in an expression: problems in words, the metrics asked, the labels of the result."""

    labels: Labels = frozenset()
    problems: list[str] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    ranges: list[tuple[str, float]] = field(default_factory=list)
    """Function and length in seconds of every range that is asked."""


def examine(text: str, known: Known) -> Examined:
    """Look through an expression, which is concrete: without a variable."""
    found = Examined()
    try:
        tree = promql.parse(text)
    except ValueError as error:
        found.problems.append(f"is no PromQL: {error}")
        return found
    found.labels = _Examination(known, found).of(tree, within="")
    return found


class _Examination:
    """One walk; `within` is the function or aggregation that stands around a selector."""

    def __init__(self, known: Known, found: Examined) -> None:
        self._known = known
        self._found = found

    def of(self, node: Any, within: str) -> Labels:
        """The labels that a node yields; what is wrong with it is added to the problems."""
        match node:
            case promql.VectorSelector():
                return self._selector(node, within)
            case promql.MatrixSelector():
                self._found.ranges.append((within, node.range.total_seconds()))
                return self._selector(node.vector_selector, within)
            case promql.SubqueryExpr() | promql.ParenExpr() | promql.UnaryExpr():
                return self.of(node.expr, within)
            case promql.AggregateExpr():
                return self._aggregate(node)
            case promql.BinaryExpr():
                return self._binary(node, within)
            case promql.Call():
                return self._call(node, within)
            case _:
                return frozenset()

    def _selector(self, node: Any, within: str) -> Labels:
        name = str(node.name or "")
        matchers = [*node.matchers.matchers, *(each for group in node.matchers.or_matchers for each in group)]
        if not name:
            every = (self._known.labels(each) or frozenset() for each in self._known.metrics)
            return frozenset().union(*every)
        labels = self._known.labels(name)
        self._found.metrics.add(name)
        if labels is None:
            self._found.problems.append(f"{name} is no metric of the catalogue and no recorded one")
            return frozenset(each.name for each in matchers)
        if self._known.rises(name) and within not in RISES | PRESENCE | OF_LISTS:
            self._found.problems.append(f"{name} is a counter: ask its rate or increase, not its height")
        if not self._known.rises(name) and within in RISES:
            self._found.problems.append(f"{name} is no counter: it has no {within}")
        for matcher in matchers:
            self._matcher(name, labels, matcher)
        return labels

    def _matcher(self, name: str, labels: Labels, matcher: Any) -> None:
        if matcher.name not in labels:
            self._found.problems.append(f"{name} has no label {matcher.name}")
            return
        metric = self._known.metrics.get(name)
        if metric and matcher.name == "le" and matcher.op == promql.MatchOp.Equal:
            if matcher.value not in {*(str(float(bound)) for bound in metric.buckets), "+Inf"}:
                self._found.problems.append(f"{name} has no bucket that ends at {matcher.value}")
            return
        label = next((each for each in metric.labels if each.name == matcher.name), None) if metric else None
        if label is None or not label.values or not PLAIN.fullmatch(matcher.value):
            return
        regular = matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
        for value in matcher.value.split("|") if regular else [matcher.value]:
            if value not in {*label.values, OTHER}:
                self._found.problems.append(f"{name}: {matcher.name} is never {value}")

    def _asked(self, wanted: Iterable[str], there: Labels) -> None:
        for label in wanted:
            if label not in there:
                self._found.problems.append(f"nothing below has a label {label}")

    def _aggregate(self, node: Any) -> Labels:
        operation = str(node.op)
        inner = self.of(node.expr, operation)
        if operation in KEEPS:
            return inner
        made = {node.param.val} if operation == "count_values" else set()
        if node.modifier is None:
            return frozenset(made)
        self._asked(node.modifier.labels, inner)
        named = frozenset(node.modifier.labels)
        by = node.modifier.type == promql.AggModifierType.By
        return (named if by else inner - named) | made

    def _call(self, node: Any, within: str) -> Labels:
        name = str(node.func.name)
        # Around a rate stand functions that keep its meaning; a selector in one is asked by the function itself.
        inner = [self.of(each, name if _holds_selector(each) else within) for each in node.args]
        labels = frozenset().union(*inner) if inner else frozenset()
        if name in NOTHING:
            return frozenset()
        if name in {"label_replace", "label_join"}:
            return labels | {node.args[1].val}
        return labels - {"le"} if name == "histogram_quantile" else labels

    def _binary(self, node: Any, within: str) -> Labels:
        left, right = self.of(node.lhs, within), self.of(node.rhs, within)
        modifier = node.modifier
        if str(node.op) == "or":
            return left | right
        if modifier is None or modifier.matching is None:
            return left or right
        named = modifier.matching.labels
        if modifier.matching.type == promql.LabelModifierType.Include:
            self._asked(named, left & right)
        else:
            self._asked(named, left | right)
        brought = modifier.group_labels or []
        right_is_one = modifier.card == promql.VectorMatchCardinality.ManyToOne
        self._asked(brought, right if right_is_one else left)
        return (left if right_is_one or str(node.op) in {"and", "unless"} else right if brought else left) | {*brought}


def _holds_selector(node: Any) -> bool:
    return isinstance(node, promql.VectorSelector | promql.MatrixSelector | promql.SubqueryExpr)
