"""The stack without containers: a real Prometheus and Alertmanager watch a real worker, on the same configuration."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import Run
from demo_process import begun, demo, summary_of
from program import program, said_by
from streams.settings import load_settings
from streams.simulator.broker import port_is_free
from streams.simulator.stack import AlertsChild, only_to, prometheus_config

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
CONFIG = (DASHBOARDS / "stack" / "prometheus.yml").read_text()
JOBS = ("consentinel-worker", "consentinel-alerts", "prometheus", "alertmanager")
TARGETS = {job: f"127.0.0.1:{number}" for number, job in enumerate(JOBS, 1)}


def answer(address: str, path: str, **asked: str) -> Any:
    """What an API answers, as JSON; None while it does not."""
    try:
        with urllib.request.urlopen(f"{address}{path}?{urllib.parse.urlencode(asked)}", timeout=10) as page:
            return json.load(page)
    except (urllib.error.URLError, OSError):
        return None


def eventually(seen: Callable[[], bool]) -> None:
    """Look until it is so; that it never is, the guard of the suite says."""
    while not seen():
        time.sleep(0.2)


# -- the configuration -------------------------------------------------------------------------------------------------


def test_nothing_but_addresses_and_paths_differs_from_the_containers(tmp_path: Path) -> None:
    ours, theirs = yaml.safe_load(prometheus_config(CONFIG, TARGETS, tmp_path)), yaml.safe_load(CONFIG)
    assert ours["rule_files"] == [f"{tmp_path}/*.yaml"]
    assert {job["job_name"]: job["static_configs"] for job in ours["scrape_configs"]} == {
        name: [{"targets": [address]}] for name, address in TARGETS.items()
    }
    assert ours["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": [TARGETS["alertmanager"]]}]}]
    for config in (ours, theirs):
        del config["rule_files"], config["alerting"]["alertmanagers"]
        for job in config["scrape_configs"]:
            job.pop("static_configs", None), job.pop("dns_sd_configs", None)
    theirs["scrape_configs"] = [job for job in theirs["scrape_configs"] if job["job_name"] in TARGETS]
    assert ours == theirs


def test_what_does_not_run_beside_a_demo_is_not_watched(tmp_path: Path) -> None:
    only = {name: address for name, address in TARGETS.items() if name != "prometheus"}
    ours = yaml.safe_load(prometheus_config(CONFIG, only, tmp_path))
    assert {job["job_name"] for job in ours["scrape_configs"]} == set(only)


def test_prometheus_takes_what_is_left(tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(prometheus_config(CONFIG, TARGETS, DASHBOARDS / "prometheus"))
    code, said = said_by(program("promtool"), "check", "config", config)
    assert code == 0, said


def test_a_missing_program_is_named_with_its_package(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = run("demo", "--stack", "--seconds", "1")
    assert ended.code == 3
    assert "Prometheus is not installed" in ended.err
    assert "apt-get install prometheus" in ended.err
    (tmp_path / "prometheus").write_text("")
    (tmp_path / "prometheus").chmod(0o755)
    ended = run("demo", "--stack", "--seconds", "1")
    assert ended.code == 3
    assert "apt-get install prometheus-alertmanager" in ended.err


def test_a_demo_tells_its_own_alertmanager_and_no_webhook_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The settings that the process would load, asked of a command in its place.
    monkeypatch.setenv("CONSENTINEL_WEBHOOK", "http://example.org/ours")
    monkeypatch.setenv("CONSENTINEL_ALERTMANAGER", "http://example.org/ours-too")
    options = only_to("http://127.0.0.1:1", {"broker": "127.0.0.1:2"})
    alerts = AlertsChild(options, port=3, log=tmp_path / "log")
    for name, value in alerts.environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.webhook, settings.alertmanager) == ((), ("http://127.0.0.1:1",))
    assert (settings.brokers, settings.alerts_port) == (["127.0.0.1:2"], 3)


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_a_demo_with_the_stack_is_scraped_judged_by_every_rule_and_heard_by_alertmanager() -> None:
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    process = demo("--stack", "--rate", "50", "--json")
    try:
        addresses = dict(re.findall(r"(Prometheus|Alertmanager|alerts): (http://\S+)", begun(process)))
        prometheus, alertmanager = addresses["Prometheus"], addresses["Alertmanager"]

        def value(query: str) -> float:
            found = answer(prometheus, "/api/v1/query", query=query)
            return float(found["data"]["result"][0]["value"][1]) if found and found["data"]["result"] else 0.0

        eventually(lambda: value(f"count(up == 1) == {len(TARGETS)}") == len(TARGETS))
        eventually(lambda: value('sum(consentinel_events_total{outcome="judged"})') > 0)

        def evaluated() -> bool:
            rules = [rule for group in answer(prometheus, "/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
            return all(rule["health"] == "ok" for rule in rules) and {rule["name"] for rule in rules} == written_rules()

        eventually(evaluated)

        def heard(name: str) -> list[dict[str, Any]]:
            alerts = answer(alertmanager, "/api/v2/alerts") or []
            return [each for each in alerts if each["labels"]["alertname"] == name]

        eventually(lambda: bool(heard("ConsentinelWatchdog")))
        assert set(heard("ConsentinelWatchdog")[0]["labels"]) == {"alertname", "severity"}, "links are no labels"
        eventually(lambda: bool(heard("ConsentinelViolation")))
    finally:
        process.send_signal(signal.SIGINT)
        summary = summary_of(process)
    assert summary["agrees"]
    assert all(port_is_free(int(address.rpartition(":")[2])) for address in addresses.values())


def written_rules() -> set[str]:
    """The names of all rules in the files."""
    files = [yaml.safe_load(file.read_text()) for file in (DASHBOARDS / "prometheus").glob("*.yaml")]
    return {
        rule.get("alert") or rule["record"] for file in files for group in file["groups"] for rule in group["rules"]
    }
