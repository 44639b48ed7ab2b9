"""The difference of two rulebooks: whole counts, the dangerous direction first, nothing where nothing changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rule_texts import a_pack, a_rule
from schemas.contract import Message
from schemas.registry import RegistryRecord
from small_world import MEMBER, a_match, records
from streams.core.rulebook import Rulebook, load
from streams.replay.offline import Offline
from streams.replay.rule_diff import Change, RuleDiff, diff
from streams.replay.rule_diff_page import as_object, page

EVENTS = [
    a_match(event_id="post", timing="post"),
    a_match(event_id="kept", original_image_retained=True),
    a_match(event_id="unsaid", original_image_retained=None),
    a_match(event_id="plain"),
    a_match(event_id="both", timing="post", original_image_retained=True, subject_ref=MEMBER),
]


def a_book(*rules: Any) -> Rulebook:
    return load([("test.yaml", a_pack(*rules))])


POST = a_rule("test.post", condition="timing = 'post'")
KEPT = a_rule("test.kept", condition="original_image_retained")
LESS = a_rule("test.kept", condition="original_image_retained AND timing = 'realtime'")
EXCUSED = a_rule("test.post", condition="timing = 'post'", exceptions={"lawful": "device_registered"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("diff")

    def written(name: str, messages: list[Any]) -> list[Path]:
        (folder / name).write_bytes(b"".join(message.to_json() + b"\n" for message in messages))
        return [folder / name]

    around: list[Message] = list(records())
    return {
        "events": written("events", EVENTS),
        "subjects": written("subjects", [each for each in around if not isinstance(each, RegistryRecord)]),
        "registry": written("registry", [each for each in around if isinstance(each, RegistryRecord)]),
    }


TOO_MANY = a_rule("test.many", condition="original_image_retained", kind="window",
                  window={"days": 1, "key": "controller", "at_least": 2})  # fmt: skip


def test_a_window_that_speaks_under_one_rulebook_alone_is_a_difference(files: dict[str, list[Path]]) -> None:
    without, with_it = a_book(POST), a_book(POST, TOO_MANY)
    gone = diff(with_it, without, **files)
    assert (gone.catches_less, changes(gone, Change.NO_LONGER_VIOLATING)) == (True, {"test.many": 1})
    assert changes(diff(without, with_it, **files), Change.NEWLY_VIOLATING) == {"test.many": 1}
    later = a_rule("test.many", condition="original_image_retained", kind="window", revision=2,
                   window={"days": 1, "key": "controller", "at_least": 1})  # fmt: skip
    assert not diff(with_it, a_book(POST, later), **files).counts


def changes(found: RuleDiff, change: Change) -> dict[str, int]:
    """How many cases of each rule changed so."""
    counts: Counter[str] = Counter()
    for where, count in found.by(change):
        counts[where.rule_id] += count
    return dict(counts)


def test_the_same_rules_differ_in_nothing(files: dict[str, list[Path]]) -> None:
    found = diff(a_book(POST, KEPT), a_book(POST, KEPT), **files)
    assert (found.judged, dict(found.counts), found.catches_less) == (len(EVENTS), {}, False)


def test_a_rule_that_is_gone_catches_less(files: dict[str, list[Path]]) -> None:
    found = diff(a_book(POST, KEPT), a_book(POST), **files)
    assert changes(found, Change.NO_LONGER_VIOLATING) == {"test.kept": 2}
    assert found.catches_less
    assert found.examples[Change.NO_LONGER_VIOLATING, "test.kept"] == ["kept", "both"]


def test_a_rule_that_is_new_catches_more_and_leaves_more_open(files: dict[str, list[Path]]) -> None:
    found = diff(a_book(POST), a_book(POST, KEPT), **files)
    assert changes(found, Change.NEWLY_VIOLATING) == {"test.kept": 2}
    assert changes(found, Change.NEWLY_UNDETERMINED) == {"test.kept": 1}
    assert not found.catches_less


def test_a_narrower_condition_catches_less_and_what_stays_open_is_no_change(files: dict[str, list[Path]]) -> None:
    found = diff(a_book(KEPT), a_book(LESS), **files)
    assert changes(found, Change.NO_LONGER_VIOLATING) == {"test.kept": 1}
    assert changes(found, Change.NEWLY_UNDETERMINED) == {}


def test_an_excuse_in_its_place_is_less_caught(files: dict[str, list[Path]]) -> None:
    found = diff(a_book(POST), a_book(EXCUSED), **files)
    ((where, count),) = found.by(Change.NO_LONGER_VIOLATING)
    assert (where.became, count, where.site_id, where.purpose_id) == ("excused", 2, "zoo-gates", "entry")
    assert changes(diff(a_book(EXCUSED), a_book(POST), **files), Change.NEWLY_VIOLATING) == {"test.post": 2}


def test_revisions_of_a_rule_are_one_rule(files: dict[str, list[Path]]) -> None:
    until = {"from": "2020-01-01", "until": "2026-01-01"}
    revised = [a_rule("test.post", condition="timing = 'post'", in_force=until)]
    revised += [a_rule("test.post", condition="timing = 'post'", revision=2, in_force={"from": "2026-01-01"})]
    assert not diff(a_book(POST), a_book(*revised), **files).counts


def test_every_change_is_counted_once_as_two_judgements_say(files: dict[str, list[Path]]) -> None:
    books = a_book(POST, KEPT), a_book(EXCUSED, LESS)
    said = []
    for book in books:
        side = Offline(book)
        side.read_records(files["subjects"], files["registry"])
        verdicts = list(side.judge_files(files["events"]))
        said.append({(each["event_id"], each["rule_id"]) for each in verdicts if each["verdict"] == "violation"})
    found = diff(books[0], books[1], **files)
    assert found.total(Change.NO_LONGER_VIOLATING) == len(said[0] - said[1])
    assert found.total(Change.NEWLY_VIOLATING) == len(said[1] - said[0])


def test_the_page_tells_the_dangerous_direction_first(files: dict[str, list[Path]]) -> None:
    found = diff(a_book(POST), a_book(LESS), **files)
    lines = page(found).splitlines()
    assert lines[0] == "No longer violating: 2"
    assert lines[1] == "  test.post, for example post, both"
    assert lines[2].split(maxsplit=1) == ["2", "now not_applicable; site zoo-gates, purpose entry"]
    assert lines[3:] == [
        "Newly violating: 1",
        "  test.kept, for example kept",
        "           1  now violation; site zoo-gates, purpose entry",
        "Newly undetermined: 1",
        "  test.kept, for example unsaid",
        "           1  now undetermined; site zoo-gates, purpose entry",
    ]
    assert as_object(found)["no_longer_violating"] == {
        "total": 2,
        "counts": [
            {
                "rule_id": "test.post",
                "became": "not_applicable",
                "site_id": "zoo-gates",
                "purpose_id": "entry",
                "count": 2,
                "examples": ["post", "both"],
            }
        ],
    }
