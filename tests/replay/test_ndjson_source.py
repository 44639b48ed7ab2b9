"""A file of lines is read as the same lines, however it is packed and however it is cut into blocks and pieces."""

from __future__ import annotations

import gzip
from pathlib import Path

import cramjam
import pytest
from polars.testing import assert_frame_equal

from schemas.topics import TopicName
from small_logs import SOME
from streams.errors import InputError
from streams.replay import ndjson_source
from streams.replay.ndjson_source import NdjsonSource
from streams.replay.source import UNREAD

LINES = [
    each if number % 5 else b"{}"
    for number, each in enumerate((*(message.to_json() for message in SOME), b"", b'{"kind":"\xc3\xa4"}') * 9)
]


def packed(folder: Path, form: str, lines: list[bytes], end: bytes = b"\n") -> Path:
    """A folder with some lines as a file of events; the last one lacks its end."""
    folder.mkdir()
    raw = end.join(lines)
    match form:
        case ".gz":
            raw = gzip.compress(raw)
        case ".zst":
            raw = bytes(cramjam.zstd.compress(raw))
        case _:
            pass
    (folder / f"matches.ndjson{form}").write_bytes(raw)
    return folder


def said(folder: Path) -> tuple[list[tuple[int, str]], list[tuple[int, str]], int]:
    """Offset and id of each event and offset and reason of what is none, over all pieces, and how many pieces."""
    events: list[tuple[int, str]] = []
    refused: list[tuple[int, str]] = []
    pieces = [(piece, piece.load(True)) for piece in NdjsonSource(folder).pieces()]
    for piece, found in pieces:
        assert piece.topic is TopicName.MATCHES
        assert piece.rows == found.matches.height + found.encounters.height + found.refused.height
        events += found.matches.select("offset", "event_id").iter_rows()
        refused += found.refused.select("offset", "reason").iter_rows()
    assert len({piece.name for piece, _ in pieces}) == len(pieces)
    return events, refused, len(pieces)


@pytest.mark.parametrize("form", ["", ".gz", ".zst"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("block", "piece"), [(1, 1), (700, 700), (300, 2_000), (10_000_000, 10_000_000)])
def test_lines_are_the_same_however_a_file_is_packed_and_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, end: bytes, block: int, piece: int
) -> None:
    whole = said(packed(tmp_path / "plain", "", LINES))
    monkeypatch.setattr(ndjson_source, "BLOCK_BYTES", block)
    monkeypatch.setattr(ndjson_source, "PIECE_BYTES", piece)
    monkeypatch.setattr(ndjson_source, "BATCH", max(block // 400, 1))
    events, refused, pieces = said(packed(tmp_path / "other", form, LINES, end))
    assert (events, refused) == whole[:2]
    assert (pieces > 1) == (piece < 10_000_000)
    assert sorted([offset for offset, _ in (*events, *refused)]) == list(range(len(LINES)))


@pytest.mark.parametrize("form", [".gz", ".zst"])
def test_a_packed_file_that_is_torn_is_told_by_its_name(tmp_path: Path, form: str) -> None:
    folder = packed(tmp_path / "in", form, LINES * 50)
    file = folder / f"matches.ndjson{form}"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match=f"compressed by {'gzip' if form == '.gz' else 'zstd'}"):
        said(folder)


@pytest.mark.parametrize("form", ["", ".gz", ".zst"])
def test_a_line_that_is_not_utf_8_is_refused_alone_and_in_what_reads_text_the_whole_file(
    tmp_path: Path, form: str
) -> None:
    folder = packed(tmp_path / "in", form, [LINES[0], b"\xff\xfe", LINES[1]])
    if form == ".zst":
        with pytest.raises(InputError, match=r"matches.ndjson.zst: expected a readable file in UTF-8"):
            said(folder)
    else:
        assert (1, "not_json") in said(folder)[1]


def test_a_file_that_became_shorter_while_it_was_read_is_refused(tmp_path: Path) -> None:
    folder = packed(tmp_path / "in", "", LINES)
    (piece,) = NdjsonSource(folder).pieces()
    file = folder / "matches.ndjson"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="readable file of NDJSON"):
        piece.load(True)


def test_what_decides_nothing_is_no_column_unless_all_is_asked_for(tmp_path: Path) -> None:
    event = SOME[0]
    lines = [event.model_copy(update={"event_id": f"e-{at}", "probe_id": f"p-{at}"}).to_json() for at in range(99)]
    odd = [lines[0].replace(b"e-0", b"e \xc3\xa4"), lines[1].replace(b'"p-1"', b'"p 1"'), lines[2] + b" "]
    (piece,) = NdjsonSource(packed(tmp_path / "in", "", [*lines, *odd])).pieces()
    deciding, whole = piece.load(False), piece.load(True)
    assert_frame_equal(deciding.matches, whole.matches.drop(UNREAD))
    assert_frame_equal(deciding.refused, whole.refused)
    assert whole.matches.filter(offset=98)["probe_id"].item() == "p-98"
    assert (whole.matches.height, whole.refused.height) == (100, 2)
