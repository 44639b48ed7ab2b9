"""A child process says why it failed, is asked over its pages alone, and ends with its block."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streams.simulator.broker import free_port, port_is_free
from streams.simulator.child import Child, ChildFailed
from streams.simulator.worker_child import WorkerChild


def served(tmp_path: Path, *, ready: str) -> Child:
    """A program with pages: the files of a folder."""
    port = free_port()
    (tmp_path / "ready").write_text("yes")
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    return Child("the shelf", words, port=port, log=tmp_path / "log", ready=ready)


def test_a_child_is_ready_when_its_page_says_so_and_ends_with_its_block(tmp_path: Path) -> None:
    with served(tmp_path, ready="/ready") as child:
        assert child.wait_ready(60)
        port = int(child.address.rpartition(":")[2])
        assert not port_is_free(port)
    assert port_is_free(port)


def test_a_child_that_is_never_ready_fails_with_what_it_said(tmp_path: Path) -> None:
    with served(tmp_path, ready="/never") as child:
        child.wait_ready(60, stopped=lambda: "GET /never" in child.last_words())
        with pytest.raises(ChildFailed, match=r"the shelf was not ready after 0\.5 s: its page says so") as failed:
            child.wait_ready(0.5)
    assert "GET /never" in failed.value.last_words


def test_a_child_that_ends_fails_with_its_code_and_its_last_words(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print('no room'); sys.exit(7)"]
    child = Child("the tenant", words, port=free_port(), log=tmp_path / "log", ready="/")
    with child, pytest.raises(ChildFailed, match="the tenant ended with code 7") as failed:
        child.wait_ready(60)
    assert failed.value.last_words == "no room"


def test_a_page_that_is_none_of_a_worker_is_no_reason_to_fail_otherwise(tmp_path: Path) -> None:
    worker = WorkerChild({}, port=free_port(), log=tmp_path / "log")
    assert worker.missing(b'{"missing":["views"]}') == "views"
    assert worker.missing(b"<h1>502 Bad Gateway</h1>") == "its page says so"
