"""A preview of the dashboards: each panel at its place with what its queries return, as plain HTML; it draws no curves.

Rules:
1. It asks a real Prometheus, with the stand-ins of the lint for Grafana's variables: everything is chosen.
2. A query that fails is shown as failed, and one that returns nothing as empty; neither looks like zero.
3. Pages need no network and no script, and whatever comes from Prometheus is escaped.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from jinja2 import Environment, PackageLoader, StrictUndefined

from dashboards.lint import choices, dashboard_queries, plain
from streams.errors import ConfigurationError, DeliveryError

ROWS_SHOWN = 12
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus says to one query at one instant: its series with their values, or why it failed."""

    expr: str
    rows: tuple[tuple[Mapping[str, str], float], ...] = ()
    failure: str = ""

    @property
    def state(self) -> str:
        """`data`, `empty` or `failed`."""
        return "failed" if self.failure else "data" if self.rows else "empty"


class Prometheus:
    """One Prometheus, asked over its HTTP API."""

    def __init__(self, url: str) -> None:
        """`url` is its address; raises ConfigurationError where it is none."""
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError("the address of Prometheus: expected http(s)://host[:port]")
        self._url = url.rstrip("/")

    def ask(self, expr: str, at: float | None = None) -> Answer:
        """The answer to a query at an instant (seconds since 1970), now where none is given.

        Raises DeliveryError where nobody answers.
        """
        asked = {"query": plain(expr), "time": f"{time.time() if at is None else at:.3f}"}
        try:
            got = requests.post(f"{self._url}/api/v1/query", data=asked, timeout=TIMEOUT_SECONDS)
            said = got.json()
        except requests.RequestException as error:
            raise DeliveryError(f"Prometheus did not answer ({type(error).__name__})") from None
        if said.get("status") != "success":
            return Answer(expr, failure=str(said.get("error", got.status_code)))
        data = said["data"]
        if data["resultType"] == "scalar":
            return Answer(expr, (({}, float(data["result"][1])),))
        return Answer(expr, tuple((each["metric"], float(each["value"][1])) for each in data["result"]))


def answers(boards: Mapping[str, str], prometheus: Prometheus, at: float | None = None) -> Iterator[tuple[str, Answer]]:
    """The place of every query of every panel, annotation and variable, and its answer."""
    for text in boards.values():
        board = json.loads(text)
        for place, expr in (*dashboard_queries(board), *choices(board)):
            yield place, prometheus.ask(expr, at)


def preview(boards: Mapping[str, str], prometheus: Prometheus, out: Path, at: float | None = None) -> list[Path]:
    """Write a page for each dashboard into a folder, which is made where it is missing; their paths."""
    environment = Environment(
        loader=PackageLoader("dashboards", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("preview.html.j2")
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    titles = {name.removesuffix(".json"): json.loads(text)["title"] for name, text in boards.items()}
    for name, text in boards.items():
        board = json.loads(text)
        panels = [_shown(panel, prometheus, at) for panel in board["panels"]]
        page = out / f"{name.removesuffix('.json')}.html"
        page.write_text(template.render(board=board, panels=panels, titles=titles), encoding="utf-8")
        written.append(page)
    return written


def _shown(panel: Mapping[str, Any], prometheus: Prometheus, at: float | None) -> Mapping[str, Any]:
    """A panel with the rows of its answers, as the template takes it."""
    if panel["type"] == "row":
        return {"place": panel["gridPos"], "type": "row", "title": panel["title"]}
    buckets = panel["type"] == "heatmap"
    # The unit of a heatmap is that of its buckets; what is in them is a rate.
    defaults = {**panel["fieldConfig"]["defaults"], **({"unit": "cps"} if buckets else {})}
    rows: list[Mapping[str, str]] = []
    states: list[Mapping[str, str]] = []
    for target in panel["targets"]:
        answer = prometheus.ask(target["expr"], at)
        states.append({"ref": target["refId"], "state": answer.state, "failure": answer.failure, "expr": answer.expr})
        for labels, value in _apart(answer.rows) if buckets else sorted(answer.rows, key=_largest_first):
            rows.append({"name": _legend(target, labels), **_value(value, defaults)})
    return {
        "place": panel["gridPos"],
        "type": panel["type"],
        "id": panel["id"],
        "title": panel["title"],
        "description": panel["description"],
        "links": panel["links"],
        "states": states,
        "rows": rows[:ROWS_SHOWN],
        "more": max(0, len(rows) - ROWS_SHOWN),
    }


def _apart(rows: tuple[tuple[Mapping[str, str], float], ...]) -> Iterator[tuple[Mapping[str, str], float]]:
    """What is in each bucket alone, from the shortest on: Prometheus counts the shorter ones in, Grafana does not."""
    below = 0.0
    for labels, value in sorted(rows, key=_bucket):
        yield labels, max(0.0, value - below)
        below = value


def _bucket(row: tuple[Mapping[str, str], float]) -> float:
    return float(row[0].get("le", "+Inf"))


def _largest_first(row: tuple[Mapping[str, str], float]) -> float:
    return math.inf if math.isnan(row[1]) else -row[1]  # what is no number comes last


def _legend(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The legend of a series, by the format of its query; else its labels."""
    text = str(target.get("legendFormat") or "__auto")
    if text == "__auto":
        return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__")
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _value(value: float, defaults: Mapping[str, Any]) -> Mapping[str, str]:
    """A value in its unit, with the colour of its threshold or of its word; of what is no number neither."""
    if math.isnan(value):
        return {"value": "no value", "colour": "inherit"}
    for mapping in defaults.get("mappings") or ():
        if (found := mapping.get("options", {}).get(f"{value:g}")) is not None:
            return {"value": found["text"], "colour": found["color"]}
    colour = "inherit"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    whole = defaults.get("decimals") == 0
    return {"value": f"{value:,.0f}" if whole else _in_unit(value, str(defaults.get("unit"))), "colour": colour}


def _in_unit(value: float, unit: str) -> str:
    match unit:
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "s":
            return f"{value:.3g} s"
        case "cps":
            return f"{value:.3g} /s"
        case "bytes":
            return f"{value / 1_048_576:.3g} MiB"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
