"""Every alert on metrics is whole, has its runbook, and is tried by promtool: once it fires, once it is silent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from program import program, said_by

ROOT = Path(__file__).parents[2]
RULES = ROOT / "dashboards" / "prometheus"
TRIALS = sorted((RULES / "tests").glob("*.yaml"))


def _rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(RULES.glob("*.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in _rules() if "alert" in rule}
each_alert = pytest.mark.parametrize("name", sorted(ALERTS))


@each_alert
def test_an_alert_says_how_loud_it_is_and_in_words_what_it_means(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Consentinel")
    assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in alert["annotations"]["summary"], "a summary groups, so it is the same for all"


@each_alert
def test_an_alert_leads_to_a_page_that_is_there(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].rpartition("#")
    assert page == "{{ $externalLabels.docs_url }}docs/runbooks.md"
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    assert re.search(rf'<a id="{anchor}"></a>\n\n### [^\n]*\b{name}\b', text)


@each_alert
def test_an_alert_is_tried_both_ways(name: str) -> None:
    trials = [trial for file in TRIALS for trial in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
    expected = [
        bool(each["exp_samples"])
        for trial in trials
        for each in trial.get("promql_expr_test", ())
        if f'"{name}"' in each["expr"]
    ]
    # A watchdog that could be silent would be none.
    assert set(expected) == ({True} if name == "ConsentinelWatchdog" else {True, False})


def test_violations_have_no_budget_of_errors() -> None:
    """Only the objective about withdrawals burns a budget: a breach of law is never within one."""
    budgets = [rule for rule in _rules() if re.search(r"14\.4|ratio_rate(1d|3d)", rule["expr"])]
    assert budgets
    assert not any("consentinel_violations" in rule["expr"] for rule in budgets)


def test_promtool_takes_the_rules() -> None:
    code, said = said_by(program("promtool"), "check", "rules", *sorted(RULES.glob("*.yaml")))
    assert code == 0, said


def test_promtool_finds_each_alert_firing_and_silent_as_its_trial_says() -> None:
    code, said = said_by(program("promtool"), "test", "rules", *TRIALS)
    assert code == 0, said
