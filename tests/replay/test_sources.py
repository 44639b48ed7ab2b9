"""A replay from an object store, from Kafka and from an archive says what it says of the same messages in files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from command_line import Run
from schemas.topics import TopicName
from settled_world import PEOPLE, a_feed, a_settled_world, subject_record, text_at
from small_estate import SmallEstate
from small_logs import RANGE, SOME, Line, answer, archive, event, ndjson, parquet, the_records, told
from streams.errors import InputError
from streams.replay import parquet_source
from streams.replay.answer import Answer, read_answer
from streams.replay.archive import opened
from streams.replay.log_range import Range
from streams.replay.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.parquet_source import ParquetSource
from streams.replay.part import Cut
from streams.replay.source import in_turn

LATE = subject_record("consent_given", record_id="late", subject_ref=PEOPLE[1], valid_from=text_at(-1))
RECORDED = [(each, 1) for each in SOME]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """What is said of the same messages in files."""
    folder = tmp_path_factory.mktemp("files")
    return answer(NdjsonSource(ndjson(folder / "in", SOME)), folder / "out")


# -- an archive on disk ------------------------------------------------------------------------------------------------


def test_records_come_in_the_order_of_their_offsets_however_they_are_grouped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_source, "PIECE_ROWS", 1)
    subjects = [b"no record", *(each.to_json() for each in the_records()[1])]
    lines = [Line(offset, each, 0, key=PEOPLE[0].encode()) for offset, each in enumerate(subjects)]
    with opened(tmp_path / "in", "") as archiving:
        archiving.want([Range(TopicName.SUBJECTS, 0, 0, len(lines), 0, len(lines))])
        archiving.add(Cut(TopicName.SUBJECTS, 0, 0, len(lines), lines))
        archiving.commit()
    found = list(ParquetSource(str(tmp_path / "in")).records())
    assert [each.offset for each in found] == list(range(len(lines)))
    assert found[0].value is None


# -- an object store --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an object store, which the environment names too."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    said = {"ENDPOINT_URL": endpoint, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in (said | {"ACCESS_KEY_ID": "of-a-test", "SECRET_ACCESS_KEY": "of-a-test"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="logs")
    yield client
    server.stop()


def put(store: Any, folder: Path) -> None:
    """Put an archive into the store, as `year`."""
    for file in folder.rglob("*"):
        if file.is_file():
            store.put_object(Bucket="logs", Key=f"year/{file.relative_to(folder)}", Body=file.read_bytes())


def test_an_archive_in_an_object_store_is_replayed_as_on_disk(
    run: Run, store: Any, files: Answer, law: Path, tmp_path: Path
) -> None:
    held = archive(tmp_path / "in", RECORDED)
    put(store, held)
    ended = run("replay", *RANGE, "--source", "s3://logs/year", "--rules", law, "--out", tmp_path / "out")
    assert ended.code == 1, ended.err
    found = read_answer(tmp_path / "out")
    assert found.manifest.verdict_digest == files.manifest.verdict_digest
    assert found.manifest.source.location == "s3://logs/year"
    assert found.manifest.source.manifest_digest == read_manifest(held).digest()
    assert "of-a-test" not in (tmp_path / "out" / "answer.json").read_text()


def test_an_object_store_that_lacks_a_part_or_the_manifest_is_refused(store: Any, tmp_path: Path) -> None:
    put(store, archive(tmp_path / "in", RECORDED))
    lost = "matches/day=2026-03-10/part-0-0001.parquet"
    store.delete_object(Bucket="logs", Key=f"year/{lost}")
    with pytest.raises(InputError, match="matches/0: offsets 1 to 1: file_missing"):
        ParquetSource("s3://logs/year")
    assert [hole.first_offset for hole in ParquetSource("s3://logs/year", allow_holes=True).holes] == [1]
    store.delete_object(Bucket="logs", Key=f"year/{MANIFEST}")
    with pytest.raises(InputError, match="expected the manifest of an archive"):
        ParquetSource("s3://logs/year")


# -- an archive -------------------------------------------------------------------------------------------------------


def without(folder: Path, number: int) -> Manifest:
    """The manifest of an archive in which one event was not archived."""
    held = read_manifest(folder)
    left = [each for each in held.parts if (each.topic.value, each.first_offset) != ("matches", number)]
    write_manifest(folder, held.model_copy(update={"parts": tuple(left)}))
    return read_manifest(folder)


@pytest.mark.parametrize(("harm", "lack"), [("hole", "not_archived"), ("altered", "digest_differs")])
def test_what_an_archive_lacks_is_refused_and_with_leave_called_not_replayable(
    run: Run, law: Path, tmp_path: Path, harm: str, lack: str
) -> None:
    held = archive(tmp_path / "in", RECORDED)
    if harm == "hole":
        without(held, 1)
    else:
        file = held / "matches" / "day=2026-03-10" / "part-0-0001.parquet"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    words = ("replay", *RANGE, "--source", held, "--rules", law)
    refused = run(*words, "--out", tmp_path / "refused")
    assert refused.code == 3
    assert f"matches/0: offsets 1 to 1: {lack}" in " ".join(refused.err.split())
    assert not (tmp_path / "refused" / "answer.json").exists()
    told_so = run(*words, "--allow-holes", "--out", tmp_path / "out")
    assert f"not replayable: matches/0: offsets 1 to 1: {lack}" in told_so.out + told_so.err
    found = read_answer(tmp_path / "out")
    assert {each[0] for each in told(found)} == {"a", "c"}
    assert [(each.first_offset, each.last_offset, each.reason) for each in found.manifest.holes] == [(1, 1, lack)]
    assert "--allow-holes" in found.manifest.command


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_an_answer_names_gives_the_same_answer_again(run: Run, law: Path, tmp_path: Path) -> None:
    source = ndjson(tmp_path / "in", [*SOME, b"{"])
    ended = run("replay", *RANGE, "--source", source, "--rules", law, "--out", tmp_path / "one")
    assert ended.code == 1, ended.err
    assert "test.consent" in ended.out
    assert "4 events read, 3 judged, 1 rejected" in ended.out + ended.err
    said = json.loads((tmp_path / "one" / "answer.json").read_text())
    words = said["command"].split()[1:]
    assert run(*words, "--out", tmp_path / "two").code == 1
    assert (tmp_path / "two" / "answer.json").read_bytes() == (tmp_path / "one" / "answer.json").read_bytes()
    again = run("replay", *RANGE, "--source", source, "--rules", law, "--out", tmp_path / "one")
    assert (again.code, "expected a new folder" in " ".join(again.err.split())) == (3, True)


def test_how_far_an_event_may_lie_ahead_is_the_setting_of_the_workers(run: Run, law: Path, tmp_path: Path) -> None:
    source = parquet(tmp_path / "in", [(event("ahead", occurred_at=text_at(5)), 1), (event("a"), 1)])
    words = ("replay", *RANGE, "--source", source, "--rules", law)
    run(*words, "--out", tmp_path / "default")
    strict = run(*words, "--out", tmp_path / "strict", future_seconds="39")
    assert strict.code == 1, strict.err
    assert read_answer(tmp_path / "default").manifest.counts.judged == {"match": 2}
    found = read_answer(tmp_path / "strict").manifest
    assert (found.counts.judged, found.counts.rejected) == ({"match": 1}, {"in_future": 1})
    assert found.command.startswith("CONSENTINEL_FUTURE_SECONDS=39 consentinel replay")


# -- Kafka ------------------------------------------------------------------------------------------------------------


def test_a_range_of_kafka_is_replayed_and_a_past_frontier_gives_that_day_s_verdicts_again(
    run: Run, apache_kafka: str, files: Answer, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=2) as there:
        options = {name: there.options[name] for name in ("broker", "prefix")}
        words = ("replay", *RANGE, "--source", "kafka", "--rules", law)
        there.send(*a_settled_world(), a_feed(), *SOME)
        ended = run(*words, "--out", tmp_path / "then", **options)
        assert ended.code == 1, ended.err
        then = read_answer(tmp_path / "then").manifest
        assert then.verdict_digest == files.manifest.verdict_digest
        frontier = tmp_path / "frontier.json"
        frontier.write_text(json.dumps(then.source.frontier))
        there.send(LATE, event("d"))
        assert run(*words, "--out", tmp_path / "now", **options).code == 1
        assert run(*words, "--known-at", frontier, "--out", tmp_path / "again", **options).code == 1
        now, again = read_answer(tmp_path / "now"), read_answer(tmp_path / "again")
        assert again.manifest.verdict_digest == then.verdict_digest
        assert again.manifest.counts.not_yet_known == 2
        assert "d" in {each[0] for each in told(now)}
        assert ("b", 1, "test.consent", "violation", None) in set(told(again)) - set(told(now))


def test_an_interrupted_replay_of_kafka_keeps_the_range_it_began_with(
    run: Run, apache_kafka: str, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        options = {name: there.options[name] for name in ("broker", "prefix")}
        there.send(*the_records()[0], *the_records()[1], *SOME)
        words = ("replay", *RANGE, "--source", "kafka", "--rules", law, "--out", tmp_path / "out")
        assert run(*words, **options).code == 1
        whole = read_answer(tmp_path / "out").manifest
        for file in (tmp_path / "out").rglob("*"):
            if file.is_file():
                file.unlink()
        for folder in sorted((tmp_path / "out").rglob("*"), reverse=True):
            folder.rmdir()
        there.send(event("later"))
        assert run(*words, **options).code == 1
        assert read_answer(tmp_path / "out").manifest == whole


def test_the_command_that_an_answer_from_kafka_names_gives_its_verdicts_again_however_the_log_has_grown(
    run: Run, apache_kafka: str, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        there.send(*the_records()[0], *the_records()[1], *SOME)
        options = {name: there.options[name] for name in ("broker", "prefix")}
        words = ("replay", *RANGE, "--source", "kafka", "--rules", law, "--out", tmp_path / "then")
        assert run(*words, **options).code == 1
        then = read_answer(tmp_path / "then").manifest
        there.send(LATE, event("d"))
        again = run(*shlex.split(then.command)[1:], "--out", tmp_path / "again", **options)
        assert again.code == 1, again.err
        assert read_answer(tmp_path / "again").manifest.verdict_digest == then.verdict_digest


def test_works_are_done_in_turn_each_behind_the_making_of_the_next() -> None:
    done: list[int] = []
    made: list[int] = []

    def works() -> Iterator[tuple[int, Callable[[], None]]]:
        for number in range(4):
            assert len(made) - len(done) <= 2, "two are held at once"
            made.append(number)
            yield number, partial(done.append, number)

    assert list(in_turn(works())) == done == [0, 1, 2, 3]


def test_a_work_that_fails_ends_the_turn() -> None:
    def work(number: int) -> None:
        if number == 1:
            message = "the disk is full"
            raise OSError(message)

    given = in_turn((number, partial(work, number)) for number in range(4))
    assert next(given) == 0
    with pytest.raises(OSError, match="the disk is full"):
        next(given)
