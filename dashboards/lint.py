"""The lint: whether dashboards and rules ask only for what there is, and say what a reader needs.

Rules:
1. Every query is held against the catalogue, as `expression` says; every metric of the catalogue is asked somewhere, or
   on `UNUSED` with its reason; a label that a legend or an alert shows is one that its query yields.
2. A rate over `$__rate_interval` or the whole range; a title, a description, a unit, thresholds, the data source by its
   variable; ids and refIds that are there once; no panel over another; no variable that changes nothing.
3. What the SDK's own model of a dashboard does not take, or would lose, is a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.expression import Known, examine, exposed
from streams.metrics.catalogue import CATALOGUE

UNUSED: Mapping[str, str] = {}
"""Metrics that no dashboard and no rule asks for, each with its reason."""
STAND_INS = {
    "$__rate_interval": "5m", "$__range_s": "3600", "$__range": "1h", "$__interval": "1m", "${__url_time_range}": "",
}  # fmt: skip
"""What stands for Grafana's own variables when a query is parsed or run; all others stand for everything."""
RATES = frozenset({"rate", "irate", "increase", "delta", "deriv"})
OWN_RANGES = {"$__rate_interval": 301, "$__range": 3_601}
"""Stand-ins by which the lint tells Grafana's own ranges from a number that somebody wrote."""
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


def _faults_of_query(place: str, expr: str, known: Known) -> Iterator[Fault]:
    yield from (Fault(place, problem) for problem in examine(plain(expr), known).problems)


def _faults_of_shown(place: str, text: str, expr: str, known: Known) -> Iterator[Fault]:
    """Whether each label that a legend or a text shows is one that the query yields."""
    labels = examine(plain(expr), known).labels
    for name in re.findall(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}", text):
        if name not in labels:
            yield Fault(place, f"shows a label that its query does not yield: {name}")


def _faults_of_rates(place: str, expr: str, known: Known) -> Iterator[Fault]:
    """Whether a rate is asked over an interval that fits the scrape: one of Grafana's own, known by its length."""
    concrete = expr
    for name, length in OWN_RANGES.items():
        concrete = concrete.replace(f"[{name}]", f"[{length}s]")
    for call, seconds in examine(plain(concrete), known).ranges:
        if call in RATES and seconds not in OWN_RANGES.values():
            yield Fault(place, f"{call} over {seconds:g} s: take $__rate_interval or $__range")


def faults_of_dashboard(board: Mapping[str, Any], known: Known) -> Iterator[Fault]:
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
            where = f"{uid}/annotation {each['name']}"
            yield from _faults_of_query(where, each["expr"], known)
            yield from _faults_of_shown(where, each.get("textFormat", ""), each["expr"], known)
    for place, expr in choices(board):
        yield from _faults_of_query(place, expr, known)


def _faults_of_panel(
    place: str, panel: Mapping[str, Any], variables: Mapping[str, Any], known: Known
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
        yield from _faults_of_rates(where, expr, known)
        yield from _faults_of_shown(where, target.get("legendFormat", ""), expr, known)


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


def _rules(folder: Path) -> Iterator[Mapping[str, Any]]:
    for file in sorted(folder.glob("*.yaml")):
        for group in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("groups", ()):
            yield from group.get("rules", ())


def rule_queries(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and query of every rule in the YAML files of a folder."""
    yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in _rules(folder))


def known_with(folder: Path | None) -> Known:
    """What may be asked: the catalogue, and what the recording rules of a folder make, with the labels they leave."""
    recorded: dict[str, frozenset[str]] = {}
    for rule in _rules(folder) if folder is not None else ():
        if "record" in rule:
            recorded[rule["record"]] = examine(rule["expr"], Known(recorded)).labels | frozenset(rule.get("labels", {}))
    return Known(recorded)


def _faults_of_rule(rule: Mapping[str, Any], known: Known) -> Iterator[Fault]:
    place = f"rule {rule.get('alert') or rule['record']}"
    yield from _faults_of_query(place, rule["expr"], known)
    told = " ".join(rule.get("annotations", {}).values())
    shown = " ".join(re.findall(r"\{\{ *\$labels\.\w+ *\}\}", told))
    yield from _faults_of_shown(place, shown, rule["expr"], known)


def faults(dashboards: Path, rules: Path | None = None) -> list[Fault]:
    """Everything that is wrong with the dashboards and rules of two folders, in order."""
    known = known_with(rules)
    boards = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(dashboards.glob("*.json"))]
    found = [fault for board in boards for fault in faults_of_dashboard(board, known)]
    uids = [board.get("uid") for board in boards]
    found += [Fault(str(uid), "two dashboards have this uid") for uid in set(uids) if uids.count(uid) > 1]
    queries = [query for board in boards for query in (*dashboard_queries(board), *choices(board))]
    if rules is not None:
        queries += rule_queries(rules)
        found += [fault for rule in _rules(rules) for fault in _faults_of_rule(rule, known)]
    return sorted([*found, *_unused(examine(plain(expr), known).metrics for _, expr in queries)])


def _unused(asked: Iterable[set[str]]) -> Iterator[Fault]:
    names = dict(exposed())
    used = {names[name].full_name for each in asked for name in each if name in names}
    for metric in CATALOGUE:
        is_used = metric.full_name in used
        if not is_used and metric.full_name not in UNUSED:
            yield Fault(metric.full_name, "asked by no dashboard or rule, and not on the list of the unused")
        if is_used and metric.full_name in UNUSED:
            yield Fault(metric.full_name, "on the list of the unused, and asked")


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
