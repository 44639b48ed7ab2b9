"""Every query of every dashboard, asked of a real Prometheus that watched a short demo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from dashboards.collection import build
from dashboards.command import RULES
from dashboards.lint import rule_queries
from dashboards.preview import Answer, Prometheus, answers, preview
from prometheus_node import PrometheusNode, missing
from streams.simulator import demo
from streams.simulator.broker import free_port

EMPTY_BY_DESIGN: Mapping[str, str] = {
    "Duties in doubt": "no duty need be in doubt",
    "Taken back and contested": "nothing need be taken back",
    "Alert groups": "`consentinel alerts` does not run",
    "Storm": "`consentinel alerts` does not run",
    "Notifications": "`consentinel alerts` does not run",
    "From a violation to its delivery": "`consentinel alerts` does not run",
    "Violations not told yet": "`consentinel alerts` does not run",
    "Of them later than a minute": "nobody need be matched after a withdrawal",
    "95 % of them within": "nobody need be matched after a withdrawal",
    "Dead letters by reason": "the simulated producers send messages of the contract",
    "Lag by partition": "a worker that ends gives its partitions back",
    "Blind spots": "the simulated devices deliver every fact",
    "Why verdicts are undetermined": "nothing need be unknown",
    "Caught no longer": "no comparison wrote its file",
    "Caught anew": "no comparison wrote its file",
    "Compared": "no comparison wrote its file",
    "How long ago": "no comparison wrote its file",
    "Differences by rule": "no comparison wrote its file",
    "annotation Replay": "no comparison wrote its file",
    "annotation Rulebook": "the rulebook is that of ten minutes ago",
    "annotation Deployment": "the version is that of ten minutes ago",
}
"""What a query may be empty for, by the title of its panel; all others must return data."""
SECONDS = 30.0
"""Devices are counted every five seconds once a worker judges: beside other tests it begins late."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, float]]:
    """The address of a Prometheus that watched a demo from its start to its end, and the last instant it saw of it."""
    reason = missing()
    if reason is not None:
        assert os.environ.get("CI") != "true", f"CI installs what the tests need, but {reason}"
        pytest.skip(reason)
    folder, port = tmp_path_factory.mktemp("watched"), free_port()
    targets = {"consentinel-worker": f"127.0.0.1:{port}"}
    with PrometheusNode(folder, targets) as node, pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "free_port", lambda: port)
        assert demo.run_demo(seconds=SECONDS, seed=1, rate=200, as_json=True) == 0
        last = Prometheus(node.url).ask("max(max_over_time(timestamp(consentinel_warm == 1)[10m:1s]))").rows
        yield node.url, last[0][1]


@pytest.fixture(scope="module")
def said(watched: tuple[str, float]) -> dict[str, Answer]:
    return dict(answers(build(), Prometheus(watched[0]), watched[1]))


def test_no_query_fails(said: dict[str, Answer]) -> None:
    assert {place: answer.failure for place, answer in said.items() if answer.failure} == {}


def test_every_query_returns_data_unless_it_is_empty_by_design(said: dict[str, Answer]) -> None:
    empty = {place.partition(" ")[2] for place, answer in said.items() if answer.state == "empty"}
    titles = {place.partition(" ")[2] if "/annotation" not in place else place.partition("/")[2] for place in said}
    assert empty <= {title.removeprefix("annotation ") for title in EMPTY_BY_DESIGN}
    assert set(EMPTY_BY_DESIGN) <= titles, "a title of the list is no panel any more"
    assert sum(answer.state == "data" for answer in said.values()) > len(said) / 2


def test_no_query_of_a_rule_fails(watched: tuple[str, float]) -> None:
    prometheus = Prometheus(watched[0])
    said = {name: prometheus.ask(expr, watched[1]) for name, expr in rule_queries(RULES)}
    assert said
    assert {name: answer.failure for name, answer in said.items() if answer.failure} == {}


@pytest.mark.parametrize(
    "expr",
    [
        "sum(consentinel_site_events_total)",
        'sum(consentinel_site_violations_total{standing="in_force"})',
        'sum(consentinel_devices{state="speaking"})',
        "count(consentinel_site_info)",
        'sum(consentinel_consents_total{action="given"})',
        'sum(consentinel_consents_total{action="withdrawn"})',
        "sum(consentinel_withdrawal_to_match_seconds_count)",
    ],
)
def test_a_worker_counts_sites_devices_and_consents(watched: tuple[str, float], expr: str) -> None:
    # At any time of the demo: a worker that gives its partitions back can no longer tell which devices speak.
    ((_, value),) = Prometheus(watched[0]).ask(f"max_over_time(({expr})[10m:1s])", watched[1]).rows
    assert value > 0


def test_each_event_that_was_judged_was_judged_at_one_place(watched: tuple[str, float]) -> None:
    judged = 'sum(consentinel_site_events_total) - sum(consentinel_events_total{outcome="judged"})'
    ((_, difference),) = Prometheus(watched[0]).ask(judged, watched[1]).rows
    assert difference == 0


def test_prometheus_kept_the_events_behind_violations_and_slow_verdicts(watched: tuple[str, float]) -> None:
    url, last = watched
    for name in ("consentinel_violations_total", "consentinel_event_to_verdict_seconds_bucket"):
        asked: dict[str, str | float] = {"query": name, "start": last - 600, "end": last + 1}
        found = requests.get(f"{url}/api/v1/query_exemplars", params=asked, timeout=10).json()["data"]
        labels = [exemplar["labels"] for each in found for exemplar in each["exemplars"]]
        assert labels
        assert all(set(each) == {"event_id"} for each in labels)


def test_the_preview_shows_each_panel_at_its_place_and_needs_no_network(
    watched: tuple[str, float], tmp_path: Path
) -> None:
    pages = preview(build(), Prometheus(watched[0]), tmp_path, watched[1])
    assert len(pages) == len(build())
    text = (tmp_path / "consentinel-overview.html").read_text(encoding="utf-8")
    assert "Events judged by site" in text
    assert "grid-column: 1 / span 4; grid-row: 2 / span 4" in text
    assert "failed" not in text.partition("<body>")[2]
    for page in pages:
        assert "<script" not in page.read_text(encoding="utf-8")
