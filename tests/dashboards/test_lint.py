"""The committed dashboards are what the code builds, and the lint finds each thing that can be wrong with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import Run
from dashboards.collection import FOLDER, build
from dashboards.command import RULES
from dashboards.lint import faults, faults_of_dashboard, known_with, plain

Board = dict[str, Any]
KNOWN = known_with(RULES)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def board() -> Board:
    loaded: Board = json.loads(build()["consentinel-overview.json"])
    return loaded


def test_the_committed_json_is_built_again_byte_for_byte() -> None:
    assert {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")} == build()


def test_dashboards_and_rules_are_in_order() -> None:
    assert [str(fault) for fault in faults(FOLDER, RULES if RULES.is_dir() else None)] == []


def test_every_runbook_that_a_panel_names_by_its_rule_exists() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    links = {
        link["url"].partition("#")[2]
        for name in build().values()
        for panel in json.loads(name)["panels"]
        for link in panel.get("links") or ()
        if "#" in link["url"]
    }
    rules = RULES.is_dir()
    named = {link for link in links if rules or not link.startswith("consentinel-")}
    assert {link for link in named if f'id="{link}"' not in text} == set()


def panel(board: Board, kind: str = "stat") -> Board:
    found: Board = next(each for each in board["panels"] if each["type"] == kind)
    return found


def ask(board: Board, expr: str) -> None:
    panel(board)["targets"][0]["expr"] = expr


WRONG: dict[str, tuple[Callable[[Board], Any], str]] = {
    "a metric of nowhere": (lambda b: ask(b, "sum(consentinel_faces)"), "no metric of the catalogue"),
    "a label of nowhere": (lambda b: ask(b, 'consentinel_warm{subject_ref="x"}'), "has no label subject_ref"),
    "grouped by nothing": (lambda b: ask(b, "sum by (vendor) (consentinel_warm)"), "nothing below has a label vendor"),
    "no query": (lambda b: ask(b, "sum("), "is no PromQL"),
    "a fixed interval": (lambda b: ask(b, "sum(rate(consentinel_events_total[5m]))"), "take $__rate_interval"),
    "a bare counter": (lambda b: ask(b, "sum(consentinel_events_total)"), "is a counter"),
    "a value of nowhere": (lambda b: ask(b, 'consentinel_devices{state="asleep"}'), "state is never asleep"),
    "a rate of a gauge": (lambda b: ask(b, "rate(consentinel_warm[$__rate_interval])"), "is no counter"),
    "a lost label": (
        lambda b: ask(b, "sum by (site_id) (sum by (state) (consentinel_devices))"), "nothing below has a label site_id"
    ),
    "a legend of nowhere": (
        lambda b: panel(b)["targets"][0].update(legendFormat="{{vendor}}"), "does not yield: vendor"
    ),
    "a variable of nowhere": (lambda b: ask(b, 'consentinel_warm{instance="$worker"}'), "no variable: worker"),
    "no title": (lambda b: panel(b).update(title=""), "no title"),
    "no description": (lambda b: panel(b).update(description=""), "no description"),
    "no unit": (lambda b: panel(b)["fieldConfig"]["defaults"].update(unit=""), "no unit"),
    "no thresholds": (lambda b: panel(b)["fieldConfig"]["defaults"]["thresholds"].update(steps=[]), "no thresholds"),
    "nothing asked": (lambda b: panel(b).update(targets=[]), "asks nothing"),
    "a fixed source": (lambda b: panel(b)["targets"][0]["datasource"].update(uid="abc"), "is not the variable"),
    "one id twice": (lambda b: panel(b).update(id=1), "two with one"),
    "one over another": (lambda b: panel(b).update(gridPos={"h": 9, "w": 24, "x": 0, "y": 1}), "lies over another"),
    "too wide": (lambda b: panel(b)["gridPos"].update(x=23), "wider than the grid"),
    "no refId": (lambda b: panel(b)["targets"][0].update(refId=""), "without a refId"),
    "a variable for nothing": (
        lambda b: b["templating"]["list"].append({**b["templating"]["list"][-1], "name": "vendor"}),
        "nothing asks: vendor",
    ),
    "no source variable": (lambda b: b["templating"]["list"].pop(0), "no variable for the data source"),
    "a field of nowhere": (lambda b: b.update(panles=[]), "does not give it back"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(board: Board, name: str) -> None:
    spoil, says = WRONG[name]
    assert list(faults_of_dashboard(board, KNOWN)) == []
    spoil(board)
    assert any(says in fault.says for fault in faults_of_dashboard(board, KNOWN))


RULE = """
groups:
  - name: ours
    rules:
      - record: rule:consentinel_violations:rate15m
        expr: sum by (rule_id) (rate(consentinel_violations_total[15m]))
      - alert: ConsentinelOurs
        expr: rule:consentinel_violations:rate15m{MATCHER} > 0
        annotations:
          summary: 'Of {{ $labels.SHOWN }}: {{ $value | humanize }}'
"""


@pytest.mark.parametrize(
    ("matcher", "shown", "says"),
    [
        ("", "rule_id", None),
        ('level="high"', "rule_id", "has no label level"),
        ("", "level", "does not yield: level"),
    ],
)
def test_a_rule_asks_and_shows_only_the_labels_that_a_recording_rule_leaves(
    tmp_path: Path, matcher: str, shown: str, says: str | None
) -> None:
    (tmp_path / "rules.yaml").write_text(RULE.replace("MATCHER", matcher).replace("SHOWN", shown))
    found = [fault.says for fault in faults(FOLDER, tmp_path) if fault.place == "rule ConsentinelOurs"]
    assert found == [] if says is None else any(says in each for each in found)


def test_a_metric_that_nobody_asks_for_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(build()["consentinel-replay.json"])
    assert "consentinel_warm" in {fault.place for fault in faults(tmp_path)}


def test_variables_stand_for_everything_when_a_query_is_run() -> None:
    assert plain('rate(x{s=~"$site",p=~"($pack)[.].*"}[$__rate_interval])') == 'rate(x{s=~".*",p=~"(.*)[.].*"}[5m])'


def test_the_commands_say_whether_everything_is_in_order(run: Run, tmp_path: Path) -> None:
    assert run("dashboards", "lint").code == 0
    assert run("dashboards", "build", "--check").code == 0
    assert run("dashboards", "build", "--check", "--out", str(tmp_path)).code == 1
    assert run("dashboards", "build", "--out", str(tmp_path)).code == 0
    assert run("dashboards", "build", "--check", "--out", str(tmp_path)).code == 0
    spoilt = build()["consentinel-replay.json"].replace("_difference", "_faces")
    (tmp_path / "consentinel-replay.json").write_text(spoilt)
    ended = run("dashboards", "lint", "--from", str(tmp_path))
    assert ended.code == 1
    assert "consentinel_replay_faces" in ended.out
    assert run("dashboards", "lint", "--from", str(tmp_path / "nowhere")).code == 3


def test_without_the_extra_the_command_names_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "promql_parser", None)
    ended = run("dashboards", "lint")
    assert ended.code == 3
    assert "consentinel[dashboards]" in ended.err
