"""The command line as its users type it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from command_line import Run
from streams.screen import BAD_LINES_SHOWN

COMMANDS = (
    (), ("worker",), ("demo",), ("simulate",), ("topics",), ("topics", "create"), ("topics", "check"), ("rules",),
    ("rules", "list"), ("rules", "check"), ("rules", "diff"), ("judge",), ("explain",), ("ingest",),
    ("vault",), ("vault", "link"), ("vault", "unlink"), ("vault", "count"),
    ("dashboards",), ("dashboards", "build"), ("dashboards", "lint"), ("dashboards", "preview"), ("dashboards", "push"),
)  # fmt: skip
PERSON = "Noor Haddad"


# -- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, words: tuple[str, ...]) -> None:
    ended = run(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert " ".join(("Usage: consentinel", *words)) in ended.out


def test_the_installed_command_tells_its_version() -> None:
    command = Path(sys.executable).with_name("consentinel")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("consentinel 0.")


@pytest.mark.parametrize("words", [(), ("topics",), ("rules",), ("vault",)], ids=" ".join)
def test_nothing_asked_is_no_success_and_shows_what_there_is(run: Run, words: tuple[str, ...]) -> None:
    ended = run(*words)
    assert (ended.code, ended.err) == (3, "")
    assert "Commands" in ended.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("judje", "No such command 'judje'"),
        ("judge", "Missing option '--events'. Try `consentinel judge --help`."),
        ("topics chek", "Did you mean 'check'?"),
        ("simulate --out x --seconds -1", "greater than or equal to 0"),
        ("demo --rate 0", "greater than or equal to 1"),
        ("ingest x --from onvif --mapping m --vault v --key k", "rekognition"),
    ],
)
def test_a_slip_of_the_hand_is_answered_on_one_line_with_code_3(run: Run, line: str, said: str) -> None:
    ended = run(*line.split())
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


HEAVY = {"aiohttp", "faust", "holidays", "kafka", "numpy", "polars", "pydantic", "sqlglot", "yaml"}
OF_OTHERS = ("streams.replay.", "streams.ingest.", "streams.simulator.")
OF_THE_COMMAND_LINE = {"streams.replay.command", "streams.replay.suppression", "streams.ingest.recogniser"}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh process holds after a statement."""
    command = [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_command_line_imports_a_room_only_for_a_command_that_needs_it() -> None:
    every_command = "from streams.cli import app; from typer.main import get_command; get_command(app)"
    assert loaded_by(every_command) & HEAVY == set()


def test_a_worker_imports_nothing_that_only_files_and_replays_need() -> None:
    loaded = loaded_by("import streams.cli, streams.live.worker")
    assert {each for each in loaded if each.startswith(OF_OTHERS)} == OF_THE_COMMAND_LINE


def test_a_rulebook_is_loaded_without_the_holidays_of_any_country() -> None:
    assert "holidays.countries" not in loaded_by("from streams.packs import rulebook; rulebook()")


# -- simulate and judge -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    command = [sys.executable, "-m", "streams.cli", "simulate", "--out", str(folder), "--seconds", "5", "--rate", "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "verdicts expected" in done.stderr
    return folder


def of(folder: Path, *, registry: str = "registry.ndjson", subjects: str = "subjects.ndjson") -> list[str]:
    return [
        "judge", "--events", f"{folder}/events.ndjson", "--events", f"{folder}/encounters.ndjson",
        "--subjects", f"{folder}/{subjects}", "--registry", f"{folder}/{registry}",
    ]  # fmt: skip


def test_files_are_judged_as_their_simulator_expects(run: Run, world: Path) -> None:
    ended = run(*of(world), "--json")
    assert ended.code == 1
    said = [json.loads(line) for line in ended.out.splitlines()]
    of_events = [each for each in said if "event_id" in each]  # a deadline or a window is breached by no single one
    found = {(each["event_id"], each["rule_id"]) for each in of_events if each["verdict"] in ("violation", "excused")}
    wanted = [json.loads(line) for line in (world / "expected.ndjson").read_bytes().splitlines()]
    assert found == {(each["event_id"], each["rule_id"]) for each in wanted if each["status"] != "undetermined"}
    in_force = sum(each["verdict"] == "violation" and each["standing"] == "in_force" for each in said)
    assert f"{in_force} violations in force" in ended.err


def test_a_case_is_explained_and_an_unknown_one_is_told(run: Run, world: Path) -> None:
    events = (world / "events.ndjson").read_text("utf-8").splitlines()
    case = json.loads(events[0])["event_id"]
    done = run("explain", *of(world)[1:], "--case", case)
    assert (done.code, done.out.splitlines()[0].split()[:2]) == (0, ["match", case])
    missing = run("explain", *of(world)[1:], "--case", "no-such-event")
    assert (missing.code, missing.out) == (3, "")
    assert "expected an event with the id that --case names" in missing.err


def test_rulebooks_are_compared_and_less_caught_is_a_finding(run: Run, world: Path, tmp_path: Path) -> None:
    core, law = resources.files("streams") / "law" / "core.yaml", tmp_path
    for name in ("core.yaml", "cn-2025.yaml"):
        (law / name).write_text((resources.files("streams") / "law" / name).read_text("utf-8"), encoding="utf-8")
    same = run("rules", "diff", core, core, *of(world)[1:])
    assert (same.code, same.out.splitlines()[0]) == (0, "No longer violating: 0")
    less = run("rules", "diff", law, core, *of(world)[1:], "--json")
    assert (less.code, json.loads(less.out)["catches_less"]) == (1, True)


def test_a_summary_that_goes_into_a_file_is_whole(run: Run, world: Path) -> None:
    ended = run(*of(world))
    assert ended.code == 1
    assert "…" not in ended.out
    head, *rows = ended.out.splitlines()
    assert head.split() == ["rule", "standing", "violation", "excused", "undetermined", "clear"]
    assert all(len(row.split()) == 6 for row in rows)
    assert any(row.split()[0] == "cn2025.art06.after-withdrawal" for row in rows)
    assert "undetermined: " in ended.err


def test_no_events_break_no_rule(run: Run, world: Path, tmp_path: Path) -> None:
    (tmp_path / "none.ndjson").touch()
    records = ["--subjects", f"{world}/subjects.ndjson", "--registry", f"{world}/registry.ndjson"]
    ended = run("judge", "--events", tmp_path / "none.ndjson", *records, "--json")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("0 events judged")


def test_a_bad_line_is_told_by_its_place_and_the_rest_is_judged(run: Run, world: Path, tmp_path: Path) -> None:
    events = (world / "events.ndjson").read_bytes().splitlines()
    events[2] = f'{{"event_id": "{PERSON}"'.encode()
    bad = tmp_path / "events.ndjson"
    bad.write_bytes(b"\n".join(events) + b"\n")
    records = ["--subjects", f"{world}/subjects.ndjson", "--registry", f"{world}/registry.ndjson"]
    ended = run("judge", "--events", bad, *records)
    assert ended.code == 3
    assert f"{bad}:3: not_json: " in ended.err
    assert f"{len(events) - 1} events judged" in ended.err
    assert PERSON not in ended.err + ended.out


def test_a_file_of_the_wrong_kind_does_not_flood_the_screen(run: Run, world: Path) -> None:
    ended = run(*of(world, subjects="events.ndjson"))
    assert ended.code == 3
    told = [line for line in ended.err.splitlines() if line.startswith(f"{world}/events.ndjson:")]
    assert len(told) == BAD_LINES_SHOWN
    assert "more lines that are no contract" in ended.err


def test_files_that_are_not_there_are_named(run: Run, world: Path) -> None:
    ended = run(*of(world, registry="nothing"))
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == f"{world}/nothing: expected a readable file of NDJSON\n"


def test_a_place_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run("simulate", "--out", tmp_path / "file" / "folder", "--seconds", "1")
    assert ended.code == 3
    assert "cannot be written" in ended.err


# -- rules ------------------------------------------------------------------------------------------------------------

PACK = """\
pack: own
title: One rule
status: in_force
description: made for a test
source: none
jurisdictions: [CN]
timezone: UTC
in_force: {from: 2020-01-01}
rules:
  - id: own.r1.rule
    title: a rule
    description: made for a test
    citation: none at all
    level: high
    judges: match
    condition: |
      device_zone = 'gate'
    per: device
    annotations: {summary: none, description: none, runbook: none}
"""


def test_the_rules_are_listed_with_their_citations_uncut(run: Run) -> None:
    ended = run("rules", "list")
    assert ended.code == 0
    assert "…" not in ended.out
    (row,) = [line for line in ended.out.splitlines() if "cn2025.art13.private-space" in line]
    assert "in_force" in row
    assert "Art. 13" in row
    assert "rules in 14 packs, rulebook" in ended.out.splitlines()[-1]


def test_packs_that_are_in_order_are_said_to_be(run: Run, tmp_path: Path) -> None:
    pack = tmp_path / "own.yaml"
    pack.write_text(PACK)
    assert run("rules", "check").code == 0
    ended = run("rules", "check", pack)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("1 rules in 1 packs are in order")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("device_zone", "device_zon", ":17: "),
        ("level: high", "level: dreadful", ":14: "),
        ("pack: own", "pack: [", "expected YAML"),
        ("per: device", "per: device\n    prize: 3", ":19: "),
    ],
)
def test_a_broken_pack_is_named_by_file_and_line_with_code_2(
    run: Run, tmp_path: Path, world: Path, right: str, wrong: str, said: str
) -> None:
    pack = tmp_path / "own.yaml"
    pack.write_text(PACK.replace(right, wrong))
    for words in (["rules", "check", pack], ["rules", "list", pack], [*of(world), "--rules", pack]):
        ended = run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"{pack}:")
        assert said in ended.err


def test_files_are_judged_by_a_pack_of_ones_own(run: Run, world: Path, tmp_path: Path) -> None:
    pack = tmp_path / "own.yaml"
    pack.write_text(PACK)
    ended = run(*of(world), "--rules", pack, "--json")
    assert ended.code == 1
    assert {json.loads(line)["rule_id"] for line in ended.out.splitlines()} == {"own.r1.rule"}
