"""A panel as data: what it asks, in which unit, from when it is worth a look; and how the SDK builds it.

Rules:
1. Every panel has a title, a description, a unit, thresholds and at least one query; the lint checks it.
2. The data source is the variable `datasource`; ids and refIds are set, since links and alerts name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
RUNBOOKS = "https://consentinel.example/docs/runbooks.md"
"""Where the runbooks lie; `consentinel dashboards push --docs` puts the address of one's own in its place."""

GREY, GREEN, YELLOW, ORANGE, RED, BLUE = "#8e8e8e", "green", "yellow", "orange", "red", "blue"
Steps = tuple[tuple[float | None, str], ...]
NEUTRAL: Steps = ((None, BLUE),)
"""A number that is neither good nor bad."""
SOME = 0.000_001
"""Less than any rate or count that is not zero: one violation a week is no green."""
NONE_IS_GOOD: Steps = ((None, GREEN), (SOME, RED))
SOME_IS_ODD: Steps = ((None, GREEN), (SOME, YELLOW))


class Kind(StrEnum):
    """How a panel shows what it asks."""

    STAT = "stat"
    TIMESERIES = "timeseries"
    TABLE = "table"
    TIMELINE = "state-timeline"
    HEATMAP = "heatmap"
    BARS = "bargauge"


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus; `exemplar` asks for the events behind the numbers."""

    expr: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `runbook` is the anchor of a section of the runbooks, `words` says what a number of a state means."""

    kind: Kind
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    steps: Steps = NEUTRAL
    runbook: str = ""
    width: int = 12
    height: int = 8
    words: Mapping[int, tuple[str, str]] | None = None
    links: tuple[tuple[str, str], ...] = ()
    top: float | None = None
    """The largest value that can be, where there is one."""


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard with its panels, from left to right and top to bottom."""

    title: str
    panels: tuple[Panel, ...]


BUILDERS: Mapping[Kind, type[Any]] = {
    Kind.STAT: stat.Panel,
    Kind.TIMESERIES: timeseries.Panel,
    Kind.TABLE: table.Panel,
    Kind.TIMELINE: statetimeline.Panel,
    Kind.HEATMAP: heatmap.Panel,
    Kind.BARS: bargauge.Panel,
}
AT_ONCE = (Kind.STAT, Kind.TABLE, Kind.BARS)
"""What shows the end of the range only."""


def build(panel: Panel, number: int, place: models.GridPos) -> Any:
    """The SDK's builder of a panel with its id and place."""
    built = (
        BUILDERS[panel.kind]()
        .id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(DATASOURCE)
        .unit(panel.unit)
        .min(0)
        .grid_pos(place)
        .thresholds(_thresholds(panel.steps))
        .links([_link(title, url) for title, url in _links(panel)])
    )
    if panel.top is not None:
        built = built.max(panel.top)
    if panel.unit == "none":
        built = built.decimals(0)  # what is counted is whole; `increase` extrapolates to 2.07
    if panel.words is not None:
        built = built.mappings([_words(panel.words)])
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        built = built.with_target(_target(panel, query, letter))
    return _shape(panel, built)


def _shape(panel: Panel, built: Any) -> Any:
    """What only one kind of panel has."""
    match panel.kind:
        case Kind.TIMESERIES:
            legend = common.VizLegendOptions().show_legend(True)
            legend = legend.display_mode(common_models.LegendDisplayMode.LIST)
            legend = legend.placement(common_models.LegendPlacement.BOTTOM)
            legend = legend.calcs([])
            return built.legend(legend).fill_opacity(10).line_width(1)
        case Kind.HEATMAP:
            axis = heatmap_models.YAxisConfig(unit=panel.unit)
            return built.calculate(False).y_axis(Given(axis))
        case Kind.TIMELINE:
            return built.show_value(common_models.VisibilityMode.NEVER).merge_values(True)
        case Kind.TABLE:
            return built.with_transformation(
                models.DataTransformerConfig(
                    id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {}}
                )
            )
    return built


class Given:
    """A model in the clothes of a builder."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def build(self) -> Any:
        """The model."""
        return self._value


def _target(panel: Panel, query: Query, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(DATASOURCE)
    target = target.legend_format(query.legend or "__auto")
    if panel.kind in AT_ONCE:
        shape = prometheus_models.PromQueryFormat
        return target.instant().format(
            shape.TABLE if panel.kind is Kind.TABLE else shape.TIME_SERIES
        )
    if panel.kind is Kind.HEATMAP:
        target = target.format(prometheus_models.PromQueryFormat.HEATMAP)
    return target.range().exemplar(query.exemplar)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    told = [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(told)


def _words(words: Mapping[int, tuple[str, str]]) -> models.ValueMap:
    options = {
        str(value): models.ValueMappingResult(text=text, color=color, index=value)
        for value, (text, color) in words.items()
    }
    return models.ValueMap(options=options)


def _links(panel: Panel) -> tuple[tuple[str, str], ...]:
    runbook = ((f"Runbook: {panel.runbook}", f"{RUNBOOKS}#{panel.runbook}"),) if panel.runbook else ()
    return (*runbook, *panel.links)


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).url(url).type(models.DashboardLinkType.LINK).target_blank(True)
