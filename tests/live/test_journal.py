"""The journal tells when, how grave and what; no person and no payload comes through, from nobody in the process."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiokafka.errors
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from schemas.contract import ContractError, Reason
from streams.errors import ConfigurationError, Place
from streams.live.journal import DROPPED, redact, set_up_journal
from streams.live.worker import WorkerProcess

REF = "s_Zm9vYmFyYmF6cXV4MTIzNA"
NAME = "Zhang San"
PERSONAL = (
    *("subject_ref", "subjectRef", "native_id", "key", "value", "payload", "raw_line", "body", "content", "headers"),
    *("previous_key", "key_base64", "token", "sasl_password", "face_id", "candidates", "embedding", "faceTemplate"),
)
NEEDED = ("topic", "partition", "offset", "records", "reason", "host", "digest", "rules", "keyed")
REFERENCES = st.from_regex(r"s_[A-Za-z0-9_-]{16,64}", fullmatch=True)


@dataclass(frozen=True)
class Wish:
    log_format: str = "json"
    log_level: str = "INFO"


class Journal:
    """Everything that was written, and its lines as JSON."""

    def __init__(self, wish: Wish) -> None:
        self.stream = io.StringIO()
        set_up_journal(wish, self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def journal() -> Iterator[Journal]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogger("streams").level)
    yield Journal(Wish())
    root.handlers[:], level, ours = before[0], before[1], before[2]
    root.setLevel(level)
    logging.getLogger("streams").setLevel(ours)
    structlog.reset_defaults()


def ours() -> Any:
    return structlog.get_logger("streams.live.worker")


def caught(error: Exception) -> Exception:
    """The error with a traceback, as somebody would have caught it."""
    with pytest.raises(type(error)) as found:
        raise error
    return found.value


# -- what a line says -------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_utc_time_level_logger_and_event(journal: Journal) -> None:
    ours().info("web_started", host="127.0.0.1", port=6066)
    (line,) = journal.lines
    assert list(line) == ["time", "level", "logger", "event", "host", "port"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["port"]) == ("info", "web_started", 6066)
    assert line["logger"] == "streams.live.worker"


def test_lines_of_libraries_look_the_same(journal: Journal) -> None:
    logging.getLogger("faust.app").warning("Rebalance of %s took %d ms", "orders", 5)
    (line,) = journal.lines
    assert (line["level"], line["logger"]) == ("warning", "faust.app")
    assert line["event"] == "Rebalance of orders took 5 ms"


def test_libraries_never_speak_below_info_and_we_only_when_asked(journal: Journal) -> None:
    ours().debug("unheard")
    set_up_journal(Wish(log_level="DEBUG"), journal.stream)
    logging.getLogger("aiokafka.conn").debug("record %r", NAME)
    ours().debug("heard")
    assert [line["event"] for line in journal.lines] == ["heard"]


def test_a_level_silences_what_is_less_grave(journal: Journal) -> None:
    set_up_journal(Wish(log_level="ERROR"), journal.stream)
    ours().warning("unheard")
    logging.getLogger("faust").warning("unheard")
    ours().error("heard")
    assert [line["event"] for line in journal.lines] == ["heard"]


def test_setting_it_up_twice_writes_every_line_once(journal: Journal) -> None:
    set_up_journal(Wish(), journal.stream)
    ours().info("once")
    assert len(journal.lines) == 1


def test_a_person_can_read_the_console(journal: Journal) -> None:
    set_up_journal(Wish(log_format="console"), journal.stream)
    ours().error("failed", subject_ref=REF, note=f"about {REF}", exc_info=caught(ValueError(NAME)))
    assert "failed" in journal.text
    assert "about s_…" in journal.text
    assert REF not in journal.text
    assert NAME not in journal.text


# -- nobody comes through ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "subject_ref",
        "subjectRef",
        "native_id",
        "key",
        "value",
        "payload",
        "raw_line",
        "body",
        "content",
        "headers",
        "previous_key",
        "key_base64",
        "token",
        "sasl_password",
        "face_id",
        "candidates",
        "embedding",
        "image",
        "faceTemplate",
    ],
)
def test_a_value_under_a_name_that_may_hold_a_person_is_dropped(journal: Journal, name: str) -> None:
    ours().info("refused", **{name: NAME}, nested=[{name: {"deep": NAME}}])
    (line,) = journal.lines
    assert line[name] == DROPPED
    assert line["nested"] == [{name: DROPPED}]
    assert NAME not in journal.text


@pytest.mark.parametrize(
    "name", ["topic", "partition", "offset", "records", "reason", "host", "digest", "rules", "keyed"]
)
def test_a_value_that_is_needed_at_three_in_the_morning_stays(journal: Journal, name: str) -> None:
    ours().info("read", **{name: "17"})
    assert journal.lines[0][name] == "17"


@given(st.text(max_size=5), REFERENCES, st.text(max_size=5))
def test_no_reference_to_a_person_is_written_wherever_it_hides(before: str, reference: str, after: str) -> None:
    text = f"{before}{reference}{after}"
    said = redact(
        None,
        "info",
        {"event": text, text: 1, "list": [text, (text,)], "map": {text: {text: [text]}}, "error": KeyError(text)},
    )
    assert reference not in json.dumps(said, ensure_ascii=False)


def test_a_reference_in_a_librarys_line_is_replaced(journal: Journal) -> None:
    logging.getLogger("faust").info("key=%s %r", REF, {"ref": REF})
    assert REF not in journal.text
    assert "key=s_…" in journal.lines[0]["event"]


def test_bytes_and_encoded_pictures_are_never_shown(journal: Journal) -> None:
    ours().info("got", taken=NAME.encode(), note="x " + "QUJD" * 50)
    logging.getLogger("faust").info("got %r", NAME.encode())
    first, second = journal.lines
    assert (first["taken"], first["note"]) == ("9 bytes", "x …")
    assert second["event"] == "got '9 bytes'"


def test_what_is_nested_without_end_is_cut(journal: Journal) -> None:
    loop: list[Any] = []
    loop.append(loop)
    ours().info("odd", nested=loop)
    assert DROPPED in journal.text


# -- exceptions -------------------------------------------------------------------------------------------------------


def raised(journal: Journal, error: BaseException) -> list[dict[str, Any]]:
    try:
        raise error
    except type(error):
        ours().exception("failed")
    told: list[dict[str, Any]] = journal.lines[-1]["raised"]
    return told


@pytest.mark.parametrize("error", [ValueError(NAME), KeyError(NAME), TypeError(f"{NAME} is no number")])
def test_a_strangers_exception_tells_its_type_and_place_and_not_its_text(journal: Journal, error: Exception) -> None:
    (told,) = raised(journal, error)
    assert told["type"] == type(error).__name__
    assert any("test_journal.py" in place and place.endswith(" in raised") for place in told["at"])
    assert "text" not in told
    assert NAME not in journal.text


def test_our_own_errors_and_those_of_the_clients_tell_their_text(journal: Journal) -> None:
    (own,) = raised(journal, ConfigurationError("expected a port", place=Place("settings")))
    assert (own["type"], own["text"]) == ("streams.errors.ConfigurationError", "settings: expected a port")
    (refused,) = raised(journal, ContractError(Reason.EMPTY, "expected a JSON object"))
    assert refused["text"] == "empty: expected a JSON object"
    (client,) = raised(journal, aiokafka.errors.NotLeaderForPartitionError("matches/3"))
    assert "matches/3" in client["text"]


def test_an_error_of_the_system_names_no_file(journal: Journal) -> None:
    (told,) = raised(journal, FileNotFoundError(2, "No such file or directory", f"/home/{NAME}/events"))
    assert told["text"] == "No such file or directory"
    assert NAME not in journal.text


def test_the_causes_of_an_error_are_told_in_the_same_way(journal: Journal) -> None:
    error = ConfigurationError("expected a date")
    error.__cause__ = caught(ValueError(NAME))
    ours().error("failed", exc_info=error)
    assert [told["type"] for told in journal.lines[0]["raised"]] == ["streams.errors.ConfigurationError", "ValueError"]
    assert NAME not in journal.text


def test_a_library_that_reports_a_crash_quotes_nobody(journal: Journal) -> None:
    error = caught(ValueError(NAME))
    logging.getLogger("mode").error("Crashed reason=%r", error, exc_info=error)
    (line,) = journal.lines
    assert line["event"] == "Crashed reason='ValueError(…)'"
    assert line["raised"][0]["type"] == "ValueError"
    assert NAME not in journal.text


def test_a_task_that_failed_unseen_quotes_nobody(journal: Journal) -> None:
    async def fails() -> None:
        raise ValueError(NAME)

    async def unseen() -> None:
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        del task

    asyncio.run(unseen())
    assert [line["event"] for line in journal.lines] == ["Task exception was never retrieved"]
    assert NAME not in journal.text


def test_an_exception_that_is_not_there_is_no_error(journal: Journal) -> None:
    ours().error("failed", exc_info=True)
    assert "raised" not in journal.lines[0]


def test_a_worker_that_is_asked_where_it_stands_shows_no_variables(capfd: pytest.CaptureFixture[str]) -> None:
    person = "s_mVDuHS3gkquM5ZsI9oi1FJ"
    asyncio.run(object.__new__(WorkerProcess)._cry())
    told = capfd.readouterr().err
    assert "test_a_worker_that_is_asked_where_it_stands" in told
    assert person not in told
