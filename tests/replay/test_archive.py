"""An archive holds each offset once, tells what it lacks, and is the same however often the archiving was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from command_line import Run
from schemas.contract import time_text
from schemas.topics import TopicName
from schemas.verdict import Rejection
from settled_world import PEOPLE, a_match, a_settled_world, subject_record, text_at
from small_estate import SmallEstate
from streams.errors import DeliveryError, InputError, Place
from streams.live.log_reader import LogReader
from streams.replay import log_range
from streams.replay.archive import fill, opened
from streams.replay.log_range import Range
from streams.replay.manifest import Lack, Manifest, Sound, read_manifest, sound, unsound
from streams.simulator.broker import free_port

SECRET = "a-face-that-nobody-may-keep"
MATCHES = 40
BLOCK = "4"


@pytest.fixture(scope="module")
def estate(apache_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallEstate]:
    """Logs with a little of everything: events, records, a dead letter, garbage, a tombstone, a newer version."""
    with SmallEstate(apache_kafka, tmp_path_factory.mktemp("estate"), partitions=2) as there:
        there.send(*a_settled_world())
        for number in range(MATCHES):
            match = a_match(event_id=f"event-{number}", occurred_at=text_at(0, number))
            there.put(TopicName.MATCHES, match.to_json(), key=match.key.encode(), partition=number % 2)
        there.put(TopicName.MATCHES, b'{"image": "' + SECRET.encode() + b'"}', partition=0)
        there.put(TopicName.MATCHES, None, key=b"gate-1", partition=1)
        newer = json.loads(a_match(event_id="newer").to_json()) | {"schema_version": "1.7", "mood": SECRET}
        there.put(TopicName.MATCHES, json.dumps(newer).encode(), partition=1)
        there.put(TopicName.SUBJECTS, b"no record", key=PEOPLE[1].encode())
        there.put(TopicName.REJECTIONS, _rejection(), key=b"matches/0")
        yield there


def _rejection() -> bytes:
    rejection = Rejection.model_validate(
        {
            "topic": "matches", "partition": 0, "offset": 20, "reason": "not_json", "expected": "JSON",
            "size_bytes": 3, "sha256": "0" * 64, "key_base64": "a2V5", "value_base64": "dmFs",
        }
    )  # fmt: skip
    return rejection.to_json()


def archived(run: Run, estate: SmallEstate, folder: Path, *words: str, code: int = 0, **settings: str) -> Manifest:
    ended = run("archive", "--out", folder, "--part-offsets", BLOCK, *words, **_options(estate), **settings)
    assert ended.code == code, ended.err
    return read_manifest(folder)


def _options(estate: SmallEstate) -> dict[str, str]:
    return {name: estate.options[name] for name in ("broker", "prefix")}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def table(folder: Path, topic: str) -> pl.DataFrame:
    return pl.read_parquet(sorted((folder / topic).rglob("*.parquet")), hive_partitioning=False)


def test_every_offset_of_every_log_is_in_the_archive_once(run: Run, estate: SmallEstate, tmp_path: Path) -> None:
    manifest = archived(run, estate, tmp_path)
    assert manifest.holes() == []
    for topic in TopicName:
        stood = [(record.partition, record.offset) for record in estate.read(topic)]
        rows: list[tuple[int, int]] = []
        for part in manifest.of(topic):
            for held in part.tables:
                kept = pl.read_parquet(tmp_path / held.path, hive_partitioning=False)
                assert kept["offset"].is_between(part.first_offset, part.next_offset, closed="left").all()
                assert kept["topic"].unique().to_list() == [topic.value]
                rows += kept.select("partition", "offset").rows()
        assert sorted(rows) == stood
    columns = table(tmp_path, "matches")
    assert set(columns["event_id"]) == {*(f"event-{number}" for number in range(MATCHES)), "newer"}
    stamps = {(each.partition, each.offset): each.timestamp for each in estate.read(TopicName.MATCHES)}
    assert {
        (partition, offset): int(at.timestamp() * 1000)
        for partition, offset, at in columns.select("partition", "offset", "recorded_at").iter_rows()
    }.items() <= stamps.items()


def test_an_archive_keeps_the_words_of_records_and_of_newer_versions_and_no_byte_that_was_refused(
    run: Run, estate: SmallEstate, tmp_path: Path
) -> None:
    archived(run, estate, tmp_path)
    subjects, matches = table(tmp_path, "subjects"), table(tmp_path, "matches")
    written = {record.value for record in estate.read(TopicName.SUBJECTS)}
    assert set(subjects["value"]) == written - {b"no record"}
    assert matches.filter(pl.col("value").is_not_null())["event_id"].to_list() == ["newer"]
    (dead,) = table(tmp_path, "rejections")["value"].to_list()
    assert json.loads(dead)["reason"] == "not_json"
    assert not {"key_base64", "value_base64"} & json.loads(dead).keys()
    refused = table(tmp_path, "refused")
    said = set(refused.select("topic", "reason").iter_rows())
    assert said == {("matches", "biometric_payload"), ("matches", "empty"), ("subjects", "not_json")}
    assert refused.filter(topic="subjects")["key"].to_list() == [PEOPLE[1]]
    assert SECRET not in str(refused.rows())


def test_a_second_run_fetches_nothing_and_a_later_one_only_what_came(
    run: Run, apache_kafka: str, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=2) as there:
        folder = tmp_path / "archive"
        there.send(*(a_match(event_id=f"event-{number}") for number in range(3)))
        first = archived(run, there, folder)
        files = files_of(folder)
        archived(run, there, folder)
        assert files_of(folder) == files
        there.send(a_match(event_id="later"), subject_record("consent_given"))
        manifest = archived(run, there, folder)
        assert set(first.parts) < set(manifest.parts)
        assert len(table(folder, "matches")) == 4
        assert manifest.holes() == []


@pytest.mark.parametrize("ahead", [0, 60])
def test_what_lies_between_two_instants_is_archived_with_what_a_clock_may_be_ahead_and_all_records_of_law(
    run: Run, apache_kafka: str, tmp_path: Path, ahead: int
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        there.send(*a_settled_world(), *(a_match(event_id=f"event-{number}") for number in range(6)))
        stamps = [record.timestamp for record in there.read(TopicName.MATCHES)]
        since, before = (datetime.fromtimestamp(each / 1000, UTC) for each in (stamps[2], stamps[4]))
        first = stamps[2] - ahead * 1_000
        between = [f"event-{number}" for number, stamp in enumerate(stamps) if first <= stamp < stamps[4]]
        folder, between_them = tmp_path / "archive", ("--from", time_text(since), "--to", time_text(before))
        manifest = archived(run, there, folder, *between_them, future_seconds=str(ahead))
        held = [part for part in manifest.of(TopicName.MATCHES) if part.accepted]
        assert [name for _ in held[:1] for name in table(folder, "matches")["event_id"]] == between
        assert len(table(folder, "registry")) == len(there.read(TopicName.REGISTRY))


def test_named_offsets_are_archived_and_those_that_are_not_there_are_refused(
    run: Run, apache_kafka: str, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=2) as there:
        for number in range(8):
            there.put(TopicName.MATCHES, a_match(event_id=f"event-{number}").to_json(), partition=number % 2)
        asked = tmp_path / "offsets.json"
        asked.write_text('{"matches": {"1": [1, 3]}}')
        archived(run, there, tmp_path / "archive", "--offsets", str(asked))
        assert table(tmp_path / "archive", "matches").select("partition", "offset").rows() == [(1, 1), (1, 2)]
        asked.write_text('{"matches": {"1": [1, 9]}}')
        ended = run("archive", "--out", tmp_path / "archive", "--offsets", asked, **_options(there))
        assert (ended.code, "the log ends at 4" in ended.err) == (3, True)
        asked.write_text('{"matches": {"1": [3, 1]}}')
        ended = run("archive", "--out", tmp_path / "archive", "--offsets", asked, **_options(there))
        assert (ended.code, "expected a JSON object of offsets" in ended.err) == (3, True)


def test_what_the_broker_no_longer_holds_is_a_hole_and_said_so(run: Run, apache_kafka: str, tmp_path: Path) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        there.send(*(a_match(event_id=f"event-{number}") for number in range(9)))
        folder, asked = tmp_path / "archive", tmp_path / "offsets.json"
        asked.write_text('{"matches": {"0": [0, 3]}}')
        archived(run, there, folder, "--offsets", str(asked))
        admin = KafkaAdminClient(bootstrap_servers=[apache_kafka])
        admin.delete_records({TopicPartition(there.topic(TopicName.MATCHES), 0): 6})
        admin.close()
        manifest = archived(run, there, folder, code=1)
        assert manifest.holes() == [(TopicName.MATCHES, 0, 3, 6, Lack.EXPIRED)]
        assert table(folder, "matches")["offset"].to_list() == [0, 1, 2, 6, 7, 8]
        with pytest.raises(InputError, match="offsets 3 to 5: expired"):
            looked(folder)
        assert [hole.lack for hole in looked(folder, allow_holes=True).holes] == [Lack.EXPIRED]


def test_the_broker_s_own_offsets_and_aborted_records_are_no_holes(run: Run, apache_kafka: str, tmp_path: Path) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        producer = KafkaProducer(bootstrap_servers=[apache_kafka], transactional_id=there.options["group"])
        producer.init_transactions()
        for number, commit in enumerate((True, False, True, False)):
            producer.begin_transaction()
            value = a_match(event_id=f"event-{number}").to_json()
            producer.send(there.topic(TopicName.MATCHES), value=value, partition=0).get(30)
            if commit:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
        producer.close()
        manifest = archived(run, there, tmp_path / "archive")
        assert table(tmp_path / "archive", "matches")["event_id"].to_list() == ["event-0", "event-2"]
        assert [each.next_offset for each in manifest.wanted if each.topic is TopicName.MATCHES] == [8]
        assert manifest.holes() == []


def test_a_killed_archive_goes_on_and_equals_one_that_was_not_killed(
    run: Run, estate: SmallEstate, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    archived(run, estate, whole)
    words = ["archive", "--out", str(killed), "--part-offsets", BLOCK]
    settings = {f"CONSENTINEL_{name.upper()}": value for name, value in _options(estate).items()}
    for wanted in (1, 12):
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *words], env=os.environ | settings, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and _parts(killed) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was killed before it came to its end"
    assert 0 < _parts(killed) < _parts(whole)
    archived(run, estate, killed)
    assert files_of(killed) == files_of(whole)


def looked(folder: Path, *, allow_holes: bool = False) -> Sound:
    manifest = read_manifest(folder)
    return sound(manifest, list(unsound(folder, manifest.parts)), Place(str(folder)), allow_holes=allow_holes)


def _parts(folder: Path) -> int:
    return len(list(folder.rglob("part-*.parquet")))


def test_an_altered_file_is_refused_and_mended_from_the_log(run: Run, estate: SmallEstate, tmp_path: Path) -> None:
    manifest = archived(run, estate, tmp_path)
    files = files_of(tmp_path)
    altered, gone = [part.accepted for part in manifest.of(TopicName.MATCHES) if part.accepted][:2]
    (tmp_path / altered.path).write_bytes(files[altered.path][:-1] + b"x")
    (tmp_path / gone.path).unlink()
    with pytest.raises(InputError, match="digest_differs"):
        looked(tmp_path)
    found = looked(tmp_path, allow_holes=True)
    assert {hole.lack for hole in found.holes} == {Lack.FILE_MISSING, Lack.DIGEST_DIFFERS}
    assert not {altered, gone} & {part.accepted for part in found.parts}
    archived(run, estate, tmp_path, "--mend")
    assert files_of(tmp_path) == files


def test_an_archive_is_refused_where_it_belongs_to_others(run: Run, estate: SmallEstate, tmp_path: Path) -> None:
    archived(run, estate, tmp_path / "archive")
    ended = run("archive", "--out", tmp_path / "archive", broker=estate.broker, prefix="others.")
    assert (ended.code, "expected an archive of the topics others.*" in ended.err) == (3, True)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-a-friend.txt").write_text("hello")
    ended = run("archive", "--out", tmp_path / "letters", **_options(estate))
    assert (ended.code, "expected an archive or an empty folder" in ended.err) == (3, True)


def test_a_broker_that_has_gone_away_is_told_and_what_came_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_range, "PATIENCE_SECONDS", 0.2)
    nobody = f"127.0.0.1:{free_port()}"
    asked = [Range(TopicName.MATCHES, 0, first=0, after=3, log_begin=0, log_end=3)]
    told: list[int] = []

    @contextmanager
    def bar(whole: int) -> Iterator[Callable[[int], None]]:
        told.append(whole)
        yield told.append

    with opened(tmp_path / "archive", "") as archive:
        with pytest.raises(DeliveryError, match="the same command goes on where it was") as caught:
            fill(archive, asked, lambda topic, start: LogReader(topic, brokers=[nobody], start_at=start), bar)
        assert caught.value.retry
        assert archive.manifest.holes() != [], "what was asked for and is not there is known"
    assert told == [3]
