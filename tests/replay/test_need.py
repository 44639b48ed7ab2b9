"""What a replay needs of an archive is there, or a hole: no record is absent because nobody archived it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from command_line import Run
from rule_texts import a_pack, a_rule
from schemas.topics import TopicName
from settled_world import a_feed, tick
from small_estate import SmallEstate, until
from small_logs import RANGE, SOME, UNTIL, answer, archive, the_records, told
from streams.core.instant import moment_of
from streams.core.rulebook import load
from streams.errors import InputError
from streams.replay.answer import read_answer
from streams.replay.log_range import Asked, ranges_of
from streams.replay.manifest import Wanted, read_manifest, write_manifest
from streams.replay.parquet_source import ParquetSource
from streams.replay.reconciliation import check_whole

RECORDED = [(each, 1) for each in SOME]


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
        check_whole(found, found.manifest.until)
    of_consent = [each for each in told(found) if each[2] == "test.consent"]
    if hole.startswith(("subjects", "registry")):
        assert of_consent
        assert {each[3:] for each in of_consent} == {("undetermined", "feed_missing")}


DUTY = load(
    [
        (
            "duty.yaml",
            a_pack(
                a_rule(
                    "test.reviewed",
                    kind="deadline",
                    judges=None,
                    condition=None,
                    deadline={
                        "opens": [{"case": "match"}],
                        "key": ["controller", "event"],
                        "due": {"after": 1, "unit": "hours"},
                        "fulfilled_by": [{"case": "human_review"}],
                    },
                )
            ),
        )
    ]
)


@pytest.mark.parametrize(("lost", "said"), [(0, ("violation", None)), (1, ("undetermined", "feed_missing"))])
def test_a_duty_that_a_lost_event_may_have_fulfilled_is_not_breached(
    tmp_path: Path, lost: int, said: tuple[str, str | None]
) -> None:
    def more(each: Wanted) -> Wanted:
        return each.model_copy(update={"next_offset": lost} if each.topic is TopicName.ENCOUNTERS else {})

    held = told_to_hold(archive(tmp_path / "in", RECORDED[:1]), more)
    source = ParquetSource(str(held), allow_holes=True)
    assert len(source.holes) == lost
    found = answer(source, tmp_path / "out", DUTY, until=UNTIL + timedelta(days=1))
    assert {each[3:] for each in told(found)} == {said}


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


def test_an_archive_of_a_range_holds_what_a_replay_of_the_same_range_needs(
    run: Run, apache_kafka: str, law: Path, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path, partitions=1) as there:
        there.send(*the_records()[0], *the_records()[1], *SOME)
        options = {name: there.options[name] for name in ("broker", "prefix")}
        begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        end = begin + timedelta(seconds=1)
        until(lambda: datetime.now(UTC) > end, "the end of the range")
        same = ("--from", f"{begin:%Y-%m-%dT%H:%M:%S}", "--to", f"{end:%Y-%m-%dT%H:%M:%S}")
        assert run("archive", "--out", tmp_path / "in", *same, **options).code == 0
        ended = run("replay", *same, "--source", tmp_path / "in", "--rules", law, "--out", tmp_path / "out")
        assert ended.code == 0, ended.err


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
