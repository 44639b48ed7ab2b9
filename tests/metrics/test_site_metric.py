"""Sites, devices and consent in the metrics: bounded, at zero from the start, and never a person."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from board import CONSENT, Board
from streams.core.watch import DeviceState, Post, Site
from streams.metrics.site_metric import SITES_MAX

SPEAKING = DeviceState.SPEAKING
REFERENCES = st.text("abcXYZ019_-", min_size=16, max_size=40).map(lambda text: f"s_{text}")


@pytest.fixture
def board() -> Board:
    return Board()


OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def test_a_site_of_the_registry_is_there_at_zero_with_its_law_and_goes_with_its_record(board: Board) -> None:
    board.recorder.premises([Site("c1", "mall", ("CN", "CN-SH"))], [(Post("c1", "mall", "d1", 30.0), SPEAKING)])
    assert board.value("site_events_total", controller_id="c1", site_id="mall") == 0
    zero = {"controller_id": "c1", "site_id": "mall", "level": "high", "standing": "in_force"}
    assert board.value("site_violations_total", **zero) == 0
    assert board.value("withdrawal_to_match_seconds_bucket", controller_id="c1", le="60.0") == 0
    assert board.value("site_info", controller_id="c1", site_id="mall", jurisdiction="CN-SH") == 1
    assert board.value("devices", controller_id="c1", site_id="mall", state="speaking") == 1
    assert board.value("devices", controller_id="c1", site_id="mall", state="silent") == 0
    assert board.value("site_expected_events_per_second", controller_id="c1", site_id="mall") == pytest.approx(1 / 30)
    board.recorder.premises([], [])
    assert board.value("site_info", controller_id="c1", site_id="mall", jurisdiction="CN") is None
    assert board.value("devices", controller_id="c1", site_id="mall", state="speaking") is None


def test_what_is_at_no_known_site_is_there_at_zero_before_anything_happened(board: Board) -> None:
    other = {"controller_id": "other", "site_id": "other"}
    assert board.value("site_events_total", **other) == 0
    assert board.value("site_violations_total", **other, level="low", standing="what_if") == 0
    assert board.value("withdrawal_to_match_seconds_count", controller_id="other") == 0
    board.recorder.site_events({("other", "other"): 2, ("c1", None): 1})
    assert board.value("site_events_total", **other) == 3


def test_only_so_many_sites_have_a_name_and_no_event_is_lost(board: Board) -> None:
    sites = SITES_MAX + 3
    board.recorder.site_events({("c1", f"site-{number}"): 1 for number in range(sites)})
    board.recorder.site_events({("c1", None): 4})
    assert board.value("site_events_total", controller_id="c1", site_id="site-0") == 1
    assert board.value("site_events_total", controller_id="other", site_id="other") == 3 + 4


def test_the_delay_of_a_withdrawal_is_told_by_controller(board: Board) -> None:
    board.recorder.since_withdrawal([("c1", 30.0), ("c1", 90.0), ("c2", 1.0)])
    assert board.value("withdrawal_to_match_seconds_bucket", controller_id="c1", le="60.0") == 1
    assert board.value("withdrawal_to_match_seconds_count", controller_id="c1") == 2
    assert board.value("withdrawal_to_match_seconds_count", controller_id="c2") == 1


def test_exemplars_name_events_and_only_open_metrics_shows_them(board: Board) -> None:
    board.recorder.violation(CONSENT, 2, event_id="ev-000017")
    board.recorder.since_event(pl.Series([0.2, 4.0, None]), pl.Series(["ev-1", "ev-000018", "ev-3"]))
    board.recorder.violation(CONSENT, event_id="e" * 128)  # longer than OpenMetrics grants: left out, and counted
    opened = board.recorder.exposition(OPEN_METRICS)[0].decode()
    found = {
        (sample.name, sample.exemplar.labels["event_id"])
        for family in open_metrics(opened)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    }
    assert found == {
        ("consentinel_violations_total", "ev-000017"),
        ("consentinel_event_to_verdict_seconds_bucket", "ev-000018"),
    }
    assert "ev-0000" not in board.recorder.exposition("")[0].decode()
    assert board.value("violations_total", rule_id=CONSENT.id, level="high", standing="in_force") == 3


@given(REFERENCES, st.sampled_from(["", "mall-"]))
def test_a_site_or_a_controller_named_after_a_subject_has_no_name_and_no_exemplar_names_one(
    person: str, before: str
) -> None:
    board, name = Board(), before + person
    board.recorder.site_events({(name, "s1"): 1, ("c1", name): 2})
    board.recorder.site_violations(name, name, CONSENT)
    board.recorder.since_withdrawal([(name, 1.0)])
    posts = [(Post(name, name, name, 60.0), DeviceState.SILENT)]
    board.recorder.premises([Site("c1", name, ("CN",))], posts)
    board.recorder.violation(CONSENT, event_id=name)
    board.recorder.since_event(pl.Series([1.0]), pl.Series([name]))
    for accept in ("", OPEN_METRICS):
        assert person not in board.recorder.exposition(accept)[0].decode()
    assert board.value("site_events_total", controller_id="other", site_id="other") == 3
    assert board.value("devices", controller_id="other", site_id="other", state="silent") == 1
