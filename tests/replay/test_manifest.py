"""A manifest tells every offset that was asked for and is not held, and takes no file of another for its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import TopicName
from streams.errors import InputError, Place
from streams.live.run import LogRecord
from streams.replay.archive import DAY_MILLIS, Tail
from streams.replay.manifest import (
    Expired,
    Lack,
    Manifest,
    Part,
    Table,
    Wanted,
    manifest_of,
    read_manifest,
    unsound,
    write_manifest,
)
from streams.replay.part import Cut
from taken_record import Taken

LOG = 40
TOPIC = TopicName.MATCHES
PLACE = Place("here")


S = TypeVar("S", Wanted, Expired, Part)


def of(kind: type[S], first: int, after: int) -> S:
    return kind(topic=TOPIC, partition=0, first_offset=first, next_offset=after)


SPANS = st.lists(st.integers(0, LOG), max_size=8, unique=True).map(
    lambda cuts: list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
)


@given(wanted=st.tuples(st.integers(0, LOG), st.integers(0, LOG)).map(sorted), held=SPANS, lost=SPANS)
def test_an_offset_that_was_asked_for_is_in_a_part_or_in_a_hole_with_its_reason(
    wanted: list[int], held: list[tuple[int, int]], lost: list[tuple[int, int]]
) -> None:
    manifest = Manifest(
        prefix="",
        wanted=(of(Wanted, *wanted),),
        expired=tuple(of(Expired, *span) for span in lost),
        parts=tuple(of(Part, *span) for span in held),
    )
    holes = manifest.holes()
    assert holes == sorted(holes)
    for offset in range(LOG):
        told = [hole.lack for hole in holes if hole.first_offset <= offset < (hole.next_offset or LOG)]
        missing = wanted[0] <= offset < wanted[1] and not any(first <= offset < after for first, after in held)
        gone = any(first <= offset < after for first, after in lost)
        assert told == ([Lack.EXPIRED if gone else Lack.NOT_ARCHIVED] if missing else [])


def test_a_hole_of_a_log_that_nobody_asks_for_is_not_told() -> None:
    manifest = Manifest(prefix="", wanted=(of(Wanted, 0, 3),))
    assert manifest.holes(topics=[TopicName.SUBJECTS]) == []
    assert [str(hole) for hole in manifest.holes()] == ["matches/0: offsets 0 to 2: not_archived"]


RECORDS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.sampled_from([None, b"", b"x" * 9])), max_size=30
).map(
    lambda steps: [
        Taken(sum(step for step, _, _ in steps[: number + 1]), day * DAY_MILLIS + number, value)
        for number, (_, day, value) in enumerate(steps)
    ]
)


def cut(records: Sequence[LogRecord], first: int, end: int, fetches: list[int]) -> list[tuple[int, int, list[int]]]:
    tail = Tail(TOPIC, 0, first, end, part_offsets=8)
    cuts: list[Cut] = []
    begin = 0
    for size in [*fetches, len(records)]:
        cuts += list(tail.take(records[begin : begin + size]))
        begin += size
    return [
        (each.first_offset, each.next_offset, [r.offset for r in each.records]) for each in (*cuts, tail.finish())
    ]


@given(records=RECORDS, fetches=st.lists(st.integers(0, 5), max_size=20), data=st.data())
def test_where_a_part_ends_depends_on_the_log_alone(
    records: list[Taken], fetches: list[int], data: st.DataObject
) -> None:
    end = records[-1].offset + 2 if records else 2
    whole = cut(records, 0, end, [])
    assert cut(records, 0, end, fetches) == whole
    assert [first for first, _, _ in whole] == [0, *(after for _, after, _ in whole[:-1])]
    assert [offset for *_, held in whole for offset in held] == [record.offset for record in records]
    again = data.draw(st.sampled_from(whole))[0]
    left = [record for record in records if record.offset >= again]
    assert cut(left, again, end, fetches) == [each for each in whole if each[0] >= again]
    days = {each.offset: each.timestamp // DAY_MILLIS for each in records}
    assert all(len({(days[offset], offset // 8) for offset in held}) <= 1 for *_, held in whole)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "file.parquet").write_bytes(b"rows")
    table = Table(path="matches/day=2026-01-01/part-0-0.parquet", rows=1, size_bytes=4, sha256="0" * 64)
    part = of(Part, 0, 3).model_copy(update={"accepted": table})
    manifest = Manifest(prefix="a.", wanted=(of(Wanted, 0, 3),), parts=(part,))
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert read_manifest(tmp_path).digest() == manifest.digest()
    assert [hole.lack for hole in unsound(tmp_path, manifest.parts)] == [Lack.FILE_MISSING]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"format": 2, "prefix": ""}',
        b'{"format": 1, "prefix": "", "more": 1}',
        b'{"prefix": "", "parts": [{"topic": "faces", "partition": 0, "first_offset": 0, "next_offset": 1}]}',
    ],
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(InputError, match="here: expected the manifest of an archive"):
        manifest_of(text, PLACE)


@pytest.mark.parametrize("path", ["../secret.parquet", "/etc/x.parquet", "matches/../../x.parquet", "matches/x.csv"])
def test_a_manifest_names_no_file_outside_its_archive(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Table(path=path, rows=1, size_bytes=1, sha256="0" * 64)
