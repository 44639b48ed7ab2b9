"""The commands that write: ingest, the vault, topics, the simulated world; as their users type them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka.admin import KafkaAdminClient

from command_line import Ended, Run
from schemas.match import MATCH
from schemas.topics import TOPICS, TopicName
from small_estate import SmallEstate

FIXTURES = Path(__file__).parent / "ingest" / "fixtures"
PERSON = "Noor Haddad"


# -- ingest and the vault ---------------------------------------------------------------------------------------------


@pytest.fixture
def safe(tmp_path: Path) -> list[Any]:
    """The options that name a vault and its key."""
    return ["--vault", tmp_path / "vault.db", "--key", tmp_path / "vault.key"]


def test_a_person_is_linked_counted_and_forgotten(run: Run, safe: list[Any]) -> None:
    who = ["--controller", "harbour-works", *safe]
    first = run("vault", "link", PERSON, *who)
    assert first.code == 0
    assert first.out.startswith("s_")
    assert (
        run("vault", "link", "-", *who, given=f"{PERSON}\nIman Rao\n".encode()).out.splitlines()[0] == first.out.strip()
    )
    assert run("vault", "count", *who).out == "2\n"
    assert run("vault", "unlink", PERSON, *who) == Ended(0, "", "1 unlinked\n")
    assert run("vault", "unlink", PERSON, *who) == Ended(1, "", "0 unlinked\n")
    assert run("vault", "count", *who).out == "1\n"
    assert run("vault", "link", PERSON, *who).out != first.out, "a forgotten person is somebody new"


def test_a_vault_that_is_not_there_is_told(run: Run, safe: list[Any]) -> None:
    ended = run("vault", "count", "--controller", "harbour-works", *safe)
    assert (ended.code, ended.out) == (3, "")
    assert "vault.key: cannot be read" in ended.err


@pytest.mark.parametrize("source", ["frigate", "rekognition"])
def test_a_recognisers_lines_become_events_on_stdout_and_in_a_file(
    run: Run, safe: list[Any], tmp_path: Path, source: str
) -> None:
    run("vault", "link", PERSON, "--controller", "harbour-works", *safe)
    lines, mapping = FIXTURES / f"{source}.ndjson", FIXTURES / f"mapping.{source}.yaml"
    words = ["--from", source, "--mapping", mapping, *safe]
    ended = run("ingest", lines, *words)
    events = [MATCH.read(line) for line in ended.out.encode().splitlines()]
    assert events
    assert f"{len(events)} events" in ended.err
    assert PERSON not in ended.out + ended.err
    assert run("ingest", "-", *words, given=lines.read_bytes()).out == ended.out
    file = tmp_path / "events.ndjson"
    assert run("ingest", lines, *words, "--out", file).out == ""
    assert file.read_text() == ended.out
    again = run("ingest", lines, *words, "--out", file)
    assert (again.code, file.read_text()) == (3, ended.out), "a file that is there is not written over"


def test_a_line_that_cannot_be_used_ends_with_code_3_and_stops_nothing(
    run: Run, safe: list[Any], tmp_path: Path
) -> None:
    run("vault", "link", PERSON, "--controller", "harbour-works", *safe)
    words = ["--from", "frigate", "--mapping", FIXTURES / "mapping.frigate.yaml", *safe]
    good = (FIXTURES / "frigate.ndjson").read_bytes().splitlines()[0]
    ended = run("ingest", "-", *words, given=b"{ " + PERSON.encode() + b"\n" + good + b"\n")
    assert ended.code == 3
    assert len(ended.out.splitlines()) == 1
    assert PERSON not in ended.err


def test_a_wrong_mapping_is_told_line_by_line(run: Run, safe: list[Any]) -> None:
    ended = run("ingest", "-", "--from", "frigate", "--mapping", FIXTURES / "mapping.misspelled.yaml", *safe)
    assert ended.code == 3
    assert "mapping.misspelled.yaml:3: treshold: unknown key; did you mean threshold?" in ended.err


# -- the broker -------------------------------------------------------------------------------------------------------


@pytest.fixture
def prefix() -> str:
    return f"cli-{uuid4().hex[:8]}."


def test_topics_are_made_once_and_then_in_order(run: Run, embedded: str, prefix: str) -> None:
    missing = run("topics", "check", broker=embedded, prefix=prefix)
    assert (missing.code, missing.err) == (1, f"{len(TOPICS)} topics, {len(TOPICS)} faults\n")
    assert f"fault: {prefix}matches: expected the topic, found none" in missing.out
    made = run("topics", "create")
    assert (made.code, made.out.splitlines()) == (0, [f"{prefix}{name}" for name in TOPICS])
    again = run("topics", "create")
    assert (again.code, again.out) == (0, "")
    assert "nothing was changed" in again.err
    checked = run("topics", "check")
    assert (checked.code, checked.err) == (0, f"{len(TOPICS)} topics, 0 faults\n")
    assert "fault:" not in checked.out


def test_topics_that_are_wrong_are_findings(run: Run, embedded: str, prefix: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=[embedded])
    admin.create_topics({f"{prefix}violations": {"num_partitions": 9, "replication_factor": 1}})
    admin.close()
    refused = run("topics", "create", broker=embedded, prefix=prefix)
    assert refused.code == 3
    assert f"{prefix}violations has 9 partitions: set CONSENTINEL_PARTITIONS=9, or remove it" in refused.err
    assert run("topics", "check").code == 1


def test_no_broker_is_told_without_a_word_of_the_client(run: Run) -> None:
    ended = run("topics", "check", broker="127.0.0.1:9")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("127.0.0.1:9: the broker did not answer")
    assert len(ended.err.splitlines()) == 1


def test_a_recognisers_lines_go_to_the_match_topic(run: Run, safe: list[Any], embedded: str, tmp_path: Path) -> None:
    run("vault", "link", PERSON, "--controller", "harbour-works", *safe)
    with SmallEstate(embedded, tmp_path) as estate:
        words = ["--from", "frigate", "--mapping", FIXTURES / "mapping.frigate.yaml", *safe]
        lines = FIXTURES / "frigate.ndjson"
        said = run("ingest", lines, *words).out.encode().splitlines()
        ended = run("ingest", lines, *words, "--out", "kafka", broker=embedded, prefix=estate.options["prefix"])
        assert ended.out == ""
        there = estate.read(TopicName.MATCHES)
        assert sorted(record.value for record in there) == sorted(said)
        assert all(record.partition == estate.home(MATCH.read(record.value)) for record in there)


def test_a_world_is_written_to_the_topics(run: Run, embedded: str, tmp_path: Path) -> None:
    with SmallEstate(embedded, tmp_path) as estate:
        settings = {"broker": embedded, "prefix": estate.options["prefix"]}
        ended = run("simulate", "--out", "kafka", "--seconds", "1", "--rate", "20", **settings)
        assert ended.code == 0
        assert ended.err.startswith("sent: ")
        for name in (TopicName.MATCHES, TopicName.SUBJECTS, TopicName.REGISTRY):
            contract = TOPICS[name].contract
            assert contract is not None
            found = estate.read(name)
            assert f"{len(found)} {name}" in ended.err
            for record in found[:100]:
                contract.read(record.value)
