"""The lint: whether dashboards and rules ask only for what there is, and say what a reader needs.

Rules:
1. Every metric and label of a query is in the catalogue, or on the short list of what Prometheus itself adds; every
   metric of the catalogue is asked somewhere, or on `UNUSED` with its reason.
2. A rate over `$__rate_interval` or the whole range; a title, a description, a unit, thresholds, the data source by its
   variable; ids and refIds that are there once; no panel over another; no variable that changes nothing.
3. What the SDK's own model of a dashboard does not take, or would lose, is a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from streams.metrics.catalogue import CATALOGUE
from streams.metrics.metric import MetricType

UNUSED: Mapping[str, str] = {}
"""Metrics that no dashboard and no rule asks for, each with its reason."""
TARGET_LABELS = frozenset({"instance", "job"})
"""Labels that Prometheus adds when it scrapes."""
FOREIGN = {"up": TARGET_LABELS}
"""Metrics of Prometheus itself."""
STAND_INS = {
    "$__rate_interval": "5m", "$__range_s": "3600", "$__range": "1h", "$__interval": "1m", "${__url_time_range}": "",
}  # fmt: skip
"""What stands for Grafana's own variables when a query is parsed or run; all others stand for everything."""
RATES = frozenset({"rate", "irate", "increase", "delta", "deriv"})
PARTS = ("bucket", "count", "sum")
SAYS = ("title", "description")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong, and where."""

    place: str
    says: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.place}: {self.says}"


def plain(expr: str) -> str:
    """A query with its variables replaced, so that Prometheus takes it."""
    for name, value in STAND_INS.items():
        expr = expr.replace(name, value)
    return re.sub(r"\$\{?\w+\}?", ".*", expr)


def series() -> dict[str, frozenset[str]]:
    """Every name that can be asked, with its labels: of a histogram its buckets, its sum and its count."""
    found: dict[str, frozenset[str]] = {}
    for metric in CATALOGUE:
        labels = frozenset(metric.label_names) | TARGET_LABELS
        if metric.type is MetricType.HISTOGRAM:
            found[f"{metric.full_name}_bucket"] = labels | {"le"}
            found[f"{metric.full_name}_count"] = found[f"{metric.full_name}_sum"] = labels
        else:
            found[metric.full_name] = labels
    return found


def asked(expr: str) -> Iterator[tuple[str, str]]:
    """Name and label of all that a query asks, the label empty for the name alone; ValueError where it is no query."""
    for node in _nodes(promql.parse(expr)):
        if isinstance(node, promql.VectorSelector):
            name = node.name or ""
            yield name, ""
            yield from ((name, each.name) for each in node.matchers.matchers if each.name != "__name__")


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None and not isinstance(child, str | float | int):
            yield from _nodes(child)
    for child in getattr(node, "args", None) or ():
        yield from _nodes(child)


def _faults_of_query(place: str, expr: str, known: Mapping[str, frozenset[str]]) -> Iterator[Fault]:
    try:
        parsed = promql.parse(plain(expr))
    except ValueError as error:
        yield Fault(place, f"no query: {error}")
        return
    names: set[str] = set()
    for name, label in asked(plain(expr)):
        names.add(name)
        if name not in known:
            yield Fault(place, f"no metric of the catalogue: {name}")
        elif label and label not in known[name]:
            yield Fault(place, f"{name} has no label {label}")
    labels = frozenset().union(*(known.get(name, frozenset()) for name in names))
    for node in _nodes(parsed):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            for label in node.modifier.labels:
                if label not in labels:
                    yield Fault(place, f"grouped by a label that nothing has: {label}")


def _faults_of_rates(place: str, expr: str) -> Iterator[Fault]:
    """Whether what counts up is asked as a rate, over an interval that fits the scrape."""
    for call, window in re.findall(r"\b(\w+)\((?:[^()\[\]]|\[\.\]|\([^()]*\))*\[(\$?\w+)\]", expr):
        if call in RATES and window not in ("$__rate_interval", "$__range"):
            yield Fault(place, f"{call} over {window}: take $__rate_interval or $__range")
    counters = [metric.full_name for metric in CATALOGUE if metric.type is MetricType.COUNTER]
    for name in counters:
        for found in re.finditer(rf"\b{name}\b(\{{[^}}]*\}})?(\[)?", expr):
            if not found.group(2):
                yield Fault(place, f"{name} only ever rises: ask for its rate or increase")


def faults_of_dashboard(board: Mapping[str, Any], known: Mapping[str, frozenset[str]]) -> Iterator[Fault]:
    """Everything that is wrong with one dashboard, as parsed from its JSON."""
    uid = str(board.get("uid", "?"))
    made = json.loads(json.dumps(Dashboard.from_json(dict(board)), cls=JSONEncoder))
    if made != board:
        yield Fault(uid, "the SDK's model of a dashboard does not give it back as it is")
    variables = {each["name"]: each for each in board["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield Fault(uid, "no variable for the data source")
    panels = board["panels"]
    ids = [panel.get("id") for panel in panels]
    if None in ids or len(set(ids)) < len(ids):
        yield Fault(uid, "a panel without an id, or two with one")
    yield from _overlaps(uid, panels)
    yield from _unasked(uid, board, variables)
    for panel in panels:
        if panel["type"] != "row":
            yield from _faults_of_panel(f"{uid}/{panel.get('id')} {panel.get('title', '')}", panel, variables, known)
    for each in board["annotations"]["list"]:
        if each.get("expr"):
            yield from _faults_of_query(f"{uid}/annotation {each['name']}", each["expr"], known)
    for place, expr in choices(board):
        yield from _faults_of_query(place, expr, known)


def _faults_of_panel(
    place: str, panel: Mapping[str, Any], variables: Mapping[str, Any], known: Mapping[str, frozenset[str]]
) -> Iterator[Fault]:
    defaults = panel["fieldConfig"]["defaults"]
    for name in SAYS:
        if not panel.get(name):
            yield Fault(place, f"no {name}")
    if not defaults.get("unit"):
        yield Fault(place, "no unit")
    if not defaults.get("thresholds", {}).get("steps"):
        yield Fault(place, "no thresholds")
    targets = panel.get("targets") or []
    if not targets:
        yield Fault(place, "asks nothing")
    refs = [target.get("refId") for target in targets]
    if not all(refs) or len(set(refs)) < len(refs):
        yield Fault(place, "a query without a refId, or two with one")
    for target in targets:
        where = f"{place} {target.get('refId')}"
        if (target.get("datasource") or {}).get("uid") != "${datasource}":
            yield Fault(where, "the data source is not the variable")
        expr = target.get("expr", "")
        for name in re.findall(r"\$\{?([a-z]\w*)", expr):
            if name not in variables:
                yield Fault(where, f"no variable: {name}")
        yield from _faults_of_query(where, expr, known)
        yield from _faults_of_rates(where, expr)


def _unasked(uid: str, board: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterator[Fault]:
    """A variable that no query names changes nothing, and its reader believes it does."""
    chosen_from = [each.get("definition") or "" for each in variables.values()]
    text = " ".join([*(expr for _, expr in dashboard_queries(board)), *chosen_from])
    for name in variables.keys() - {"datasource"}:
        if not re.search(rf"\$\{{?{name}\b", text):
            yield Fault(uid, f"a variable that nothing asks: {name}")


def _overlaps(uid: str, panels: list[Mapping[str, Any]]) -> Iterator[Fault]:
    taken: dict[tuple[int, int], object] = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield Fault(uid, f"panel {panel.get('id')} is wider than the grid")
        cells = [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        if any(cell in taken for cell in cells):
            yield Fault(uid, f"panel {panel.get('id')} lies over another")
        taken.update(dict.fromkeys(cells, panel.get("id")))


def rule_queries(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and query of every rule in the YAML files of a folder."""
    for file in sorted(folder.glob("*.yaml")):
        for group in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("groups", ()):
            for rule in group.get("rules", ()):
                yield rule.get("alert") or rule["record"], rule["expr"]


def recorded(folder: Path) -> dict[str, frozenset[str]]:
    """The names that recording rules make; their labels are those of what they are made of, and not checked."""
    every = frozenset(label for labels in series().values() for label in labels)
    return {name: every for name, _ in rule_queries(folder) if ":" in name}


def faults(dashboards: Path, rules: Path | None = None) -> list[Fault]:
    """Everything that is wrong with the dashboards and rules of two folders, in order."""
    known = {**series(), **FOREIGN, **(recorded(rules) if rules is not None else {})}
    boards = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(dashboards.glob("*.json"))]
    found = [fault for board in boards for fault in faults_of_dashboard(board, known)]
    uids = [board.get("uid") for board in boards]
    found += [Fault(str(uid), "two dashboards have this uid") for uid in set(uids) if uids.count(uid) > 1]
    queries = [query for board in boards for query in (*dashboard_queries(board), *choices(board))]
    for name, expr in rule_queries(rules) if rules is not None else ():
        queries.append((name, expr))
        found += _faults_of_query(f"rule {name}", expr, known)
    used = {name for _, expr in queries for name in re.findall(r"\bconsentinel_\w+", expr)}
    for metric in CATALOGUE:
        is_used = bool({metric.full_name, *(f"{metric.full_name}_{part}" for part in PARTS)} & used)
        if not is_used and metric.full_name not in UNUSED:
            found.append(Fault(metric.full_name, "asked by no dashboard or rule, and not on the list of the unused"))
        if is_used and metric.full_name in UNUSED:
            found.append(Fault(metric.full_name, "on the list of the unused, and asked"))
    return sorted(found)


def choices(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the variables of a dashboard choose from, as queries: of `label_values(series, label)` a count by label."""
    for each in board["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), *(\w+)\)", each.get("definition") or "")
        if found:
            yield f"{board['uid']}/variable {each['name']}", f"count by ({found.group(2)}) ({found.group(1)})"


def dashboard_queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Place and query of every panel and annotation of a dashboard."""
    for panel in board["panels"]:
        for target in panel.get("targets") or ():
            yield f"{board['uid']}/{panel['id']}{target['refId']} {panel['title']}", target["expr"]
    for each in board["annotations"]["list"]:
        if each.get("expr"):
            yield f"{board['uid']}/annotation {each['name']}", each["expr"]
