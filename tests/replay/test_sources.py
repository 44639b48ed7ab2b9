"""A replay from an object store, from Kafka and from an archive says what it says of the same messages in files."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from command_line import Run
from schemas.topics import TopicName
from settled_world import PEOPLE, a_feed, a_settled_world, subject_record, text_at, tick
from small_estate import SmallEstate
from small_logs import PACK, SOME, Line, answer, archive, event, ndjson, parquet, the_records, told
from streams.core.instant import moment_of
from streams.errors import InputError
from streams.replay import parquet_source
from streams.replay.answer import Answer, read_answer
from streams.replay.archive import opened
from streams.replay.log_range import Asked, Range, ranges_of
from streams.replay.manifest import MANIFEST, Manifest, Wanted, read_manifest, write_manifest
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.parquet_source import ParquetSource
from streams.replay.part import Piece
from streams.replay.reconciliation import check_whole
from streams.replay.source import in_turn

RANGE = ("--from", text_at(-100), "--to", text_at(100))
LATE = subject_record("consent_given", record_id="late", subject_ref=PEOPLE[1], valid_from=text_at(-1))
RECORDED = [(each, 1) for each in SOME]


@pytest.fixture
def law(tmp_path: Path) -> Path:
    """The law of these tests as a file."""
    file = tmp_path / "law.yaml"
    file.write_text(PACK)
    return file


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
        archiving.add(Piece(TopicName.SUBJECTS, 0, 0, len(lines), lines))
        archiving.commit()
    found = list(ParquetSource(str(tmp_path / "in")).records())
    assert [each.offset for each in found] == list(range(len(lines)))
    assert found[0].value is None


# -- tables without a manifest ----------------------------------------------------------------------------------------

NEEDED = [
    *(("matches", name) for name in ("event_id", "occurred_at", "controller_id", "device_id", "comparison_decision")),
    *((log, name) for log in ("matches", "registry") for name in ("partition", "offset", "recorded_at")),
    ("subjects", "value"),
]


def second_table(folder: Path, log: str) -> Path:
    return sorted((folder / log).rglob("*.parquet"))[1]


@pytest.mark.parametrize("harm", ["gone", "null"])
@pytest.mark.parametrize(("log", "column"), NEEDED)
def test_a_table_that_lacks_what_every_message_says_is_told_by_its_name_and_the_column(
    tmp_path: Path, log: str, column: str, harm: str
) -> None:
    folder = parquet(tmp_path / "in", RECORDED)
    file = second_table(folder, log)
    table = pl.read_parquet(file, hive_partitioning=False)
    empty = table.with_columns(pl.lit(None, table.schema[column]).alias(column))
    (table.drop(column) if harm == "gone" else empty).write_parquet(file)
    with pytest.raises(InputError, match=rf"{re.escape(str(file))}: expected .* `{column}`"):
        answer(ParquetSource(str(folder)), tmp_path / "out")


@pytest.mark.parametrize("log", ["matches", "subjects"])
@pytest.mark.parametrize("harm", ["no table", "half a table", "another type"])
def test_a_file_that_is_no_table_of_the_layout_is_told_by_its_name(tmp_path: Path, log: str, harm: str) -> None:
    folder = parquet(tmp_path / "in", RECORDED)
    file = second_table(folder, log)
    match harm:
        case "another type":
            pl.read_parquet(file, hive_partitioning=False).with_columns(offset=pl.lit("first")).write_parquet(file)
        case "half a table":
            file.write_bytes(file.read_bytes()[:-60])
        case _:
            file.write_bytes(b"event_id,occurred_at")
    with pytest.raises(InputError, match=rf"{re.escape(str(file))}: expected a table"):
        answer(ParquetSource(str(folder)), tmp_path / "out")


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


def told_to_hold(folder: Path, change: Callable[[Wanted], Wanted | None]) -> Path:
    """An archive that was told to hold something else, and holds no more than that."""
    held = read_manifest(folder)
    wanted = tuple(other for each in held.wanted if (other := change(each)) is not None)
    spans = {(each.topic, each.partition): range(each.first_offset, each.next_offset) for each in wanted}
    parts = tuple(each for each in held.parts if each.first_offset in spans.get((each.topic, each.partition), ()))
    write_manifest(folder, held.model_copy(update={"wanted": wanted, "parts": parts}))
    return folder


def without_log(log: TopicName) -> Callable[[Wanted], Wanted | None]:
    return lambda each: None if each.topic is log else each


def from_second_on(log: TopicName) -> Callable[[Wanted], Wanted]:
    return lambda each: each.model_copy(update={"first_offset": 1} if each.topic is log else {})


def only_partition(number: int) -> Callable[[Wanted], Wanted]:
    return lambda each: each.model_copy(update={"partition": number} if each.topic is TopicName.MATCHES else {})


def until_before(log: TopicName) -> Callable[[Wanted], Wanted]:
    return lambda each: each.model_copy(update={"until": moment_of(tick(50))} if each.topic is log else {})


LACKING = {
    "no subjects": (without_log(TopicName.SUBJECTS), "subjects/0: offset 0 and on"),
    "no registry": (without_log(TopicName.REGISTRY), "registry/0: offset 0 and on"),
    "no encounters": (without_log(TopicName.ENCOUNTERS), "encounters/0: offset 0 and on"),
    "no partition 0": (only_partition(1), "matches/0: offset 0 and on"),
    "it begins later": (from_second_on(TopicName.MATCHES), "matches/0: offsets 0 to 0"),
    "records from their middle": (from_second_on(TopicName.SUBJECTS), "subjects/0: offsets 0 to 0"),
    "it ends before": (until_before(TopicName.MATCHES), "matches/0: offset 3 and on"),
    "consents end before": (until_before(TopicName.SUBJECTS), "subjects/0: offset 3 and on"),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_what_an_archive_was_never_told_to_hold_is_a_hole_and_no_consent_is_absent_for_it(
    run: Run, law: Path, tmp_path: Path, lacking: str
) -> None:
    change, hole = LACKING[lacking]
    held = told_to_hold(archive(tmp_path / "in", RECORDED), change)
    words = ("replay", *RANGE, "--source", held, "--rules", law)
    refused = run(*words, "--out", tmp_path / "refused")
    assert refused.code == 3, refused.err
    assert f"{hole}: not_archived" in " ".join(refused.err.split())
    run(*words, "--allow-holes", "--out", tmp_path / "out")
    found = read_answer(tmp_path / "out")
    assert found.manifest.holes
    with pytest.raises(InputError, match="without holes"):
        check_whole(found)
    of_consent = [each for each in told(found) if each[2] == "test.consent"]
    if hole.startswith(("subjects", "registry")):
        assert of_consent
        assert {each[3:] for each in of_consent} == {("undetermined", "feed_missing")}


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


def test_an_archive_of_a_range_is_whole_also_where_nothing_was_recorded(
    run: Run, apache_kafka: str, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=3) as there:
        there.send(*the_records()[0], *the_records()[1], *SOME)
        options = {name: there.options[name] for name in ("broker", "prefix")}
        held = tmp_path / "in"
        assert run("archive", "--out", held, "--from", "2026-03-01", "--to", "2026-05-01", **options).code == 0
        words = ("replay", *RANGE, "--source", held, "--rules", law)
        ended = run(*words, "--out", tmp_path / "out")
        assert ended.code == 0, ended.err  # what happened then was recorded now
        assert run("archive", "--out", held, **options).code == 0
        assert run(*words, "--out", tmp_path / "whole").code == 1
        there.send(a_feed(record_id="heartbeat-2"))
        assert run("archive", "--out", held, "--topics", "registry", **options).code == 0
        ended = run(*words, "--out", tmp_path / "older")
        assert ended.code == 3, "the heartbeat would vouch for consents that came before it and were not fetched"
        assert "subjects/0: offset" in " ".join(ended.err.split())
        assert run("archive", "--out", held, **options).code == 0
        assert run(*words, "--out", tmp_path / "again").code == 1


def test_an_archive_that_was_fetched_for_another_range_is_not_replayed(
    run: Run, apache_kafka: str, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        there.send(*the_records()[0], *the_records()[1], *SOME)
        options = {name: there.options[name] for name in ("broker", "prefix")}
        words = ("--to", "2090-01-01", "--source", "kafka", "--rules", law, "--out", tmp_path / "out")
        wrong = run("replay", "--from", "2089-01-01", *words, **options)
        assert wrong.code == 0, wrong.err
        rmtree(tmp_path / "out")
        ended = run("replay", "--from", "2026-03-01", *words, **options)
        assert ended.code == 3, ended.out
        assert "one of this range" in " ".join(ended.err.split())


def test_what_vouches_is_asked_for_before_that_for_which_it_vouches(apache_kafka: str, tmp_path: Path) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        ranges = ranges_of([apache_kafka], there.options["prefix"], [*TopicName], Asked())
    assert {each.topic for each in ranges} == {*TopicName}
    assert ranges[0].topic is TopicName.REGISTRY


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
