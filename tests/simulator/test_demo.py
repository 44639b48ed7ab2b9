"""The demo as a user runs it: real broker, real worker, and an auditor who agrees."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from demo_process import begun, demo, summary_of
from streams.simulator.broker import free_port
from streams.simulator.stories import STORIES
from streams.simulator.worker_child import WorkerChild, WorkerFailed


@pytest.mark.kafka
def test_a_demo_ends_by_itself_and_every_verdict_is_the_expected_one() -> None:
    summary = summary_of(demo("--seconds", "12", "--seed", "5", "--json"))
    assert (summary["missing"], summary["unexpected"], summary["twice"]) == ([], [], [])
    assert summary["judged"] == summary["events"] > len(STORIES)
    assert summary["rejected"] == 0
    assert summary["violations"] == summary["expected"]
    assert {"cn2025.art06.after-withdrawal", "cn2023.art10.remote"} <= set(summary["violations"])
    assert {"feed_behind", "identity_unlinked"} <= set(summary["undetermined"])
    assert summary["judged_per_second"] > 0


@pytest.mark.kafka
def test_a_demo_that_is_interrupted_ends_with_its_summary() -> None:
    process = demo("--rate", "50", "--json")
    begun(process)
    process.send_signal(signal.SIGINT)
    summary = summary_of(process)
    assert summary["judged"] == summary["events"] > 0
    assert summary["agrees"]


def test_a_worker_that_cannot_start_fails_with_its_last_words(tmp_path: Path) -> None:
    options = {"hold_seconds": "-1"}
    with WorkerChild(options, port=free_port(), log=tmp_path / "log") as worker:
        with pytest.raises(WorkerFailed, match="ended with code 3"):
            worker.wait_ready(60)
        assert "CONSENTINEL_HOLD_SECONDS" in worker.last_words()


def test_waiting_for_a_worker_ends_when_somebody_asks_for_the_end(tmp_path: Path) -> None:
    options = {"broker": f"127.0.0.1:{free_port()}"}
    with WorkerChild(options, port=free_port(), log=tmp_path / "log") as worker:
        assert not worker.wait_ready(60, stopped=lambda: True)
        assert worker.series() is None
