"""An answer is whole or none, tells every file that was changed, and has one digest however its verdicts are cut."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from settled_world import PEOPLE, text_at
from streams.core.instant import moment_of
from streams.errors import InputError
from streams.replay import verdict_digest as digests
from streams.replay.answer import TABLES, VERDICTS, Answer, finish, read_answer, write_table
from streams.replay.answer import write_verdicts as write
from streams.replay.verdict_digest import CANONICAL, verdict_digest

DIGEST = "0" * 64


def verdict(event: str, **fields: Any) -> dict[str, Any]:
    whole = dict.fromkeys(VERDICTS) | {
        "event_id": event,
        "event_version": 1,
        "event_kind": "match",
        "occurred_at": moment_of(0),
        "controller_id": "zoo",
        "rule_id": "test.rule",
        "revision": 1,
        "level": "high",
        "standing": "in_force",
        "outcome": "violation",
        "deciding_records": [],
        "violation_id": hashlib.sha256(event.encode()).hexdigest(),
    }
    return whole | fields


def frame(verdicts: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(verdicts), schema=VERDICTS, orient="row")


def an_answer(folder: Path, *parts: Sequence[Mapping[str, Any]]) -> Answer:
    for name, schema in TABLES.items():
        write_table(pl.DataFrame(schema=schema), folder / f"{name}.parquet")
    for number, part in enumerate(parts):
        write(frame(part), folder / "verdicts" / f"part-{number}.parquet")
    counts = dict.fromkeys(("read", "duplicates", "superseded", "not_yet_known", "records", "refused_records"), 0) | {
        "judged": {"match": 3},
        "rejected": {},
    }
    manifest = {
        "consentinel": "0",
        "command": "consentinel replay",
        "from": text_at(0),
        "to": text_at(1),
        "source": {"kind": "ndjson", "location": "events.ndjson"},
        "rulebook_digest": DIGEST,
        "packs": [],
        "counts": counts,
    }
    return finish(folder, manifest)


def test_an_answer_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = an_answer(tmp_path, [verdict("b", subject_ref=PEOPLE[0])], [verdict("a", deciding_records=["r", "s"])])
    read = read_answer(tmp_path)
    assert read.manifest == written.manifest
    assert read.manifest.verdicts == 2
    verdicts = read.verdicts.collect()
    assert verdicts.schema == pl.Schema(VERDICTS)
    assert sorted(verdicts["event_id"]) == ["a", "b"]
    assert {name: read.table(name).schema for name in TABLES} == {
        name: pl.Schema(each) for name, each in TABLES.items()
    }


def test_an_answer_without_verdicts_has_an_empty_table_of_them(tmp_path: Path) -> None:
    an_answer(tmp_path)
    assert read_answer(tmp_path).verdicts.collect().schema == pl.Schema(VERDICTS)


def test_a_folder_in_which_a_replay_did_not_end_is_no_answer(tmp_path: Path) -> None:
    write(frame([verdict("a")]), tmp_path / "verdicts" / "part-0.parquet")
    with pytest.raises(InputError, match="came to its end"):
        read_answer(tmp_path)


@pytest.mark.parametrize("name", ["tallies.parquet", "verdicts/part-0.parquet"])
def test_a_file_that_was_changed_or_removed_is_told(tmp_path: Path, name: str) -> None:
    an_answer(tmp_path, [verdict("a")])
    (tmp_path / name).write_bytes(b"other bytes")
    with pytest.raises(InputError, match=name):
        read_answer(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match="digest differs"):
        read_answer(tmp_path)


def test_verdicts_of_a_file_that_the_manifest_does_not_name_are_nobodys(tmp_path: Path) -> None:
    an_answer(tmp_path, [verdict("a")])
    (tmp_path / "verdicts" / "part-9.parquet").write_bytes((tmp_path / "verdicts" / "part-0.parquet").read_bytes())
    assert read_answer(tmp_path).verdicts.collect()["event_id"].to_list() == ["a"]


def test_an_answer_of_another_format_is_refused(tmp_path: Path) -> None:
    an_answer(tmp_path)
    file = tmp_path / "answer.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(InputError, match="see format"):
        read_answer(tmp_path)


def test_the_digest_is_that_of_the_sorted_lines(tmp_path: Path) -> None:
    found = an_answer(tmp_path, [verdict("a", outcome="undetermined", deciding_records=None)]).manifest
    line = f'["a",1,null,"test.rule",1,"undetermined",null,"{hashlib.sha256(b"a").hexdigest()}"]\n'
    assert found.verdict_digest == hashlib.sha256(line.encode()).hexdigest()


FEW = st.lists(
    st.builds(
        verdict,
        st.sampled_from("abc"),
        event_id=st.sampled_from(["a", "b", "ab", "\n", None]),
        event_version=st.sampled_from([None, 1, 2]),
        subject_ref=st.sampled_from([None, *PEOPLE]),
        outcome=st.sampled_from(["violation", "excused", "undetermined"]),
        deciding_records=st.sampled_from([None, [], ["r"], ["r", "s"], ["r-"], ["é"], ['"', "\\"]]),
    ),
    max_size=12,
)


@given(verdicts=FEW, data=st.data())
@settings(max_examples=examples(30), deadline=None)
def test_the_digest_is_the_same_however_the_verdicts_are_cut_and_ordered(
    tmp_path_factory: pytest.TempPathFactory, verdicts: list[dict[str, Any]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    write(frame(verdicts), folder / "whole.parquet")
    shuffled = data.draw(st.permutations(verdicts))
    cut = data.draw(st.integers(0, len(verdicts)))
    parts = [folder / "first.parquet", folder / "second.parquet"]
    for part, each in zip(parts, (shuffled[:cut], shuffled[cut:]), strict=True):
        write(frame(each), part)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(digests, "SAMPLED", 1)
        patched.setattr(digests, "STRETCH", data.draw(st.integers(1, 12)))
        assert verdict_digest(parts) == (len(verdicts), by_hand(verdicts))
    assert verdict_digest([folder / "whole.parquet"]) == (len(verdicts), by_hand(verdicts))


def by_hand(verdicts: list[dict[str, Any]]) -> str:
    """The digest as its definition says it."""
    keys = sorted(tuple((each[name] is not None, each[name]) for name in CANONICAL) for each in verdicts)
    lines = [json.dumps([value for _, value in key], separators=(",", ":"), ensure_ascii=False) + "\n" for key in keys]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
