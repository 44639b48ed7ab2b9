"""A dashboard as data, and its JSON: variables, annotations, links, and a layout without overlap.

Rules:
1. The same data gives the same bytes: no clock, no chance; ids count from 1 in reading order.
2. A board has the variables that its panels ask, and those that these choose from; a link carries the choice to where
   it means something.
3. Sites are chosen by name, from the sites of the registry that the controller and the jurisdiction leave; what stands
   under `other` is asked by panels that say so.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panel import DATASOURCE, WIDTH, Given, Panel, Section, build
from dashboards.selection import PACKS

TAG = "consentinel"
VARIABLES = (
    ("controller", "Controller", "label_values(consentinel_site_info, controller_id)", ""),
    (
        "jurisdiction",
        "Jurisdiction",
        'label_values(consentinel_site_info{controller_id=~"$controller"}, jurisdiction)',
        "",
    ),
    (
        "site",
        "Site",
        'label_values(consentinel_site_info{controller_id=~"$controller",jurisdiction=~"$jurisdiction"}, site_id)',
        "",
    ),
    ("pack", "Rule pack", "label_values(consentinel_verdicts_total, rule_id)", "/^([^.]+)\\..*/"),
)
"""Name, label, query and regex. A rule's id begins with the name of its pack."""

CHANGED = "count by ({label}) ({metric}) unless count by ({label}) ({metric} offset 10m)"
ANNOTATIONS = (
    ("Rulebook", "blue", CHANGED.format(label="digest", metric="consentinel_rulebook_info"), "digest"),
    ("Deployment", "purple", CHANGED.format(label="version", metric="consentinel_build_info"), "version"),
    ("Replay", "orange", "changes(consentinel_replay_timestamp_seconds[10m]) > 0", "command"),
)
"""Name, colour, expression and the label that is shown."""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; its variables are those that its queries name."""

    uid: str
    title: str
    description: str
    sections: tuple[Section, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels in reading order."""
        return tuple(panel for section in self.sections for panel in section.panels)


def to_json(board: Board) -> str:
    """The JSON of a board as Grafana takes it, with sorted keys and a newline at its end."""
    made = json.loads(json.dumps(_model(board), cls=JSONEncoder))
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _model(board: Board) -> Any:
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("utc")
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_to_the_others())
        .variables(_variables(board))
    )
    for name, colour, expr, label in ANNOTATIONS:
        built = built.annotation(_annotation(name, colour, expr, label))
    built = built.annotation(_told_to_grafana())
    return _lay_out(board, built).build()


def _lay_out(board: Board, built: dashboard.Dashboard) -> dashboard.Dashboard:
    """Rows and panels from left to right; a panel that does not fit begins a new line."""
    number, y = 1, 0
    for section in board.sections:
        built = built.with_row(dashboard.Row(section.title).id(number).grid_pos(models.GridPos(h=1, w=WIDTH, x=0, y=y)))
        number, y, x, tallest = number + 1, y + 1, 0, 0
        for panel in section.panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            place = models.GridPos(h=panel.height, w=panel.width, x=x, y=y)
            built = built.with_panel(build(panel, number, place))
            number, x, tallest = number + 1, x + panel.width, max(tallest, panel.height)
        y += tallest
    return built


def _variables(board: Board) -> list[Any]:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    rule = ("rule", "Rule", f"label_values(consentinel_verdicts_total{{{PACKS}}}, rule_id)", "")
    queries = " ".join(query.expr for panel in board.panels for query in panel.queries)
    asked: list[tuple[str, str, str, str]] = []
    # From the last to the first: what one chooses from stands before it.
    for each in reversed((*VARIABLES, rule)):
        if re.search(rf"\$\{{?{each[0]}\b", " ".join([queries, *(query for _, _, query, _ in asked)])):
            asked.insert(0, each)
    return [source, *(_variable(*each) for each in asked)]


def _variable(name: str, label: str, query: str, regex: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .definition(query)
        .regex(regex)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _annotation(name: str, colour: str, expr: str, label: str) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .hide(False)
        .icon_color(colour)
        .expr(expr)
        .step("1m")
        .title_format(name)
        .text_format("{{" + label + "}}")
    )


def _told_to_grafana() -> dashboard.AnnotationQuery:
    """What `consentinel dashboards push` and others told Grafana itself."""
    target = models.AnnotationTarget(limit=100, match_any=True, tags=[TAG], type_val="tags")
    return (
        dashboard.AnnotationQuery()
        .name("Told to Grafana")
        .datasource(type(DATASOURCE)(type_val="grafana", uid="-- Grafana --"))
        .enable(True)
        .hide(False)
        .icon_color("green")
        .target(Given(target))  # type: ignore[arg-type]  # the SDK asks for a query where Grafana takes tags
    )


def _to_the_others() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Consentinel")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )
