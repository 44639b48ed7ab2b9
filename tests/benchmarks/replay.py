"""Replay: events a second from Parquet and from NDJSON, against a plain loop and DuckDB, and the memory by length.

    python tests/benchmarks/replay.py [--events N] [--subjects N] [--ndjson-events N] [--sample N] [--keep DIR]

Prints what it does to stderr and, last, one JSON line with `parquet_per_second`, `ndjson_per_second`,
`interpreter_per_second`, `duckdb_per_second`, `ratio_to_duckdb` and `peak_mib` by number of events. The full size is
`--events 20000000` with a million persons and two million records of consent; the default ends within five minutes.

Rules:
1. Each replay is a process of its own, by the code of `consentinel replay` with all packs of the distribution, and its
   collector and allocator: from opening the source to the last byte of the answer. Four rates are told: of reading the
   records and of making the profiles of their persons, which do not grow with the log; of judging the events, which
   does (`parquet_per_second`, `ndjson_per_second`, `sixty_per_second`); and how many persons' duties were settled a
   second, once, at the end (`persons_settled_per_second`). `whole_per_second` divides the events by all that a replay
   takes but the reading of records.
2. The plain loop (`plain_loop`) reads, looks up and judges one event after the other, on a sample of the same events by
   the same packs.
3. DuckDB judges sixty rules over a fourth of the same Parquet, with as-of joins for consent, purpose, device and
   authority: what it joins lies on the disk, and of twenty million events that was more than sixty GB. Ours judges the
   same fourth by the same sixty, both must find the same number of violations, and `ratio_to_duckdb` is of these two;
   `sixty_per_second` is of the whole log, `ndjson_sixty_per_second` of the lines. DuckDB counts; ours also writes each
   with the records behind it, and looks for repeats.
4. One event in a hundred is of a person without consent.
5. Rates are by the clock; `cpu_seconds_a_million` are the seconds of both processors for a million events: on a machine
   that others use too only they say much.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import live_job
import polars as pl
from replay_job import DAYS, INSTANT, START, registry, write_events, write_ndjson, write_records

from streams.__main__ import ALLOCATOR, GARBAGE_THRESHOLDS
from streams.core.frame import MATCH_COLUMNS


def say(line: str) -> None:
    """One line to stderr."""
    print(line, file=sys.stderr, flush=True)


# -- ours -------------------------------------------------------------------------------------------------------------


def replay(source: Path, out: Path, *, sixty: bool) -> dict[str, float]:
    """One replay in this process: seconds for the records, for the rest, and the peak of memory."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    from streams.core.rulebook import load
    from streams.packs import rulebook
    from streams.replay import judgement, run
    from streams.replay.command import _source
    from streams.replay.question import Question
    from streams.replay.run import Replay

    book = load([("sixty.yaml", live_job.pack())]) if sixty else rulebook()
    question = Question(START, START + timedelta(days=DAYS + 1), book, {})
    took: dict[str, float] = {}
    processors: dict[str, float] = {}

    def timed(module: Any, name: str) -> None:
        original = getattr(module, name)

        def timing(*given: Any, **named: Any) -> Any:
            begun, used = time.perf_counter(), time.process_time()
            found = original(*given, **named)
            took[name], processors[name] = time.perf_counter() - begun, time.process_time() - used
            return found

        setattr(module, name, timing)

    timed(run, "read_records")
    timed(run, "settled")
    timed(judgement, "Profiles")
    begun, used = time.perf_counter(), time.process_time()
    answer = Replay(question, _source(str(source), question, out, allow_holes=False), out).run()
    whole, used = time.perf_counter() - begun, time.process_time() - used
    outcomes = dict(answer.verdicts.group_by("outcome").len().collect().iter_rows())
    return {
        "events": sum(answer.manifest.counts.judged.values()),
        "records_seconds": took["read_records"],
        "settling_seconds": took["settled"],
        "profiles_seconds": took["Profiles"],
        "seconds": whole - took["read_records"],
        "cpu_seconds": used - sum(processors.values()),
        "settling_cpu_seconds": processors["settled"],
        "profiles_cpu_seconds": processors["Profiles"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "violations": outcomes.get("violation", 0),
        "undetermined": outcomes.get("undetermined", 0),
    }


def apart(*arguments: str) -> dict[str, float]:
    """What this script says when it runs with other arguments, in a process of its own."""
    begun = [sys.executable, __file__, *arguments]
    done = subprocess.run(begun, check=True, stdout=subprocess.PIPE, env={**os.environ, **ALLOCATOR})
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    say(" ".join(f"{name}={value:,.1f}" for name, value in found.items()))
    return found


# -- the others -------------------------------------------------------------------------------------------------------


def interpreter(parquet: Path, count: int) -> dict[str, float]:
    """Events a second of the plain loop (`plain_loop`), by all packs."""
    from plain_loop import events_a_second

    from streams.packs import rulebook
    from streams.replay.parquet_source import ParquetSource
    from streams.replay.question import Question
    from streams.replay.records import read_records

    book = rulebook()
    question = Question(START, START + timedelta(days=DAYS + 1), book, {})
    views = read_records(ParquetSource(str(parquet)), question).views
    frame = pl.scan_parquet(parquet / "matches" / "**" / "*.parquet").select(list(MATCH_COLUMNS)).head(count).collect()
    return {"per_second": events_a_second(frame, views, book)}


AS_OF = """
WITH facts AS (
    SELECT m.*, s.site_public, s.sign_verified, d.zone AS device_zone, c.controller_type, p.purpose_category,
        p.legal_basis,
        g.consent_id IS NOT NULL AS consent_in_force, false AS consent_withdrawn, n.id IS NOT NULL AS notice_in_force,
        o.id IS NOT NULL AS authority_registered, g.actions AS separate_consent_actions,
        []::VARCHAR[] AS consented_attributes
    FROM read_parquet('{matches}') m
    ASOF LEFT JOIN consents g
        ON g.subject_ref = m.subject_ref AND g.purpose_id = m.purpose_id AND g.valid_from <= m.occurred_at
    ASOF LEFT JOIN devices d ON d.id = m.device_id AND d.valid_from <= m.occurred_at
    ASOF LEFT JOIN sites s ON s.id = d.site_id AND s.valid_from <= m.occurred_at
    ASOF LEFT JOIN controllers c ON c.id = m.controller_id AND c.valid_from <= m.occurred_at
    ASOF LEFT JOIN purposes p ON p.id = m.purpose_id AND p.valid_from <= m.occurred_at
    ASOF LEFT JOIN notices n ON n.controller_id = m.controller_id AND n.valid_from <= m.occurred_at
    ASOF LEFT JOIN authorities o ON o.id = m.authority_id AND o.valid_from <= m.occurred_at
), known AS (SELECT * REPLACE (coalesce(separate_consent_actions, []) AS separate_consent_actions) FROM facts)
SELECT {counts} FROM known
"""


def duckdb(parquet: Path) -> dict[str, float]:
    """Events a second of DuckDB with as-of joins and the sixty rules, from the same Parquet."""
    import duckdb as engine

    database = engine.connect()
    database.execute("SET threads = 2; SET preserve_insertion_order = false")
    subjects = pl.read_parquet(parquet / "subjects" / "**" / "*.parquet")
    said = subjects.select(pl.col("value").cast(pl.String).str.json_decode(pl.Struct({
        "record_id": pl.String, "subject_ref": pl.String, "valid_from": pl.String, "purposes": pl.List(pl.String),
        "actions": pl.List(pl.String),
    }))).unnest("value")  # fmt: skip
    consents = said.filter(pl.col("purposes").is_not_null()).explode("purposes").select(
        "subject_ref", "actions", consent_id="record_id", purpose_id="purposes",
        valid_from=pl.col("valid_from").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC", time_unit="us"),
    )  # fmt: skip
    _taken_in(database, "consents", consents)
    _tables(database)
    counts = ", ".join(
        f"count(*) FILTER (WHERE {each.sql.replace('TIMESTAMP ', 'TIMESTAMPTZ ')})" for each in live_job.RULES
    )
    begun, used = time.perf_counter(), time.process_time()
    row = database.execute(AS_OF.format(matches=parquet / "matches" / "**" / "*.parquet", counts=counts)).fetchone()
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    total = database.execute(f"SELECT count(*) FROM read_parquet('{parquet}/matches/**/*.parquet')").fetchone()
    assert row is not None, "a count has a row"
    assert total is not None, "a count has a row"
    found = {"events": total[0], "seconds": seconds, "cpu_seconds": used, "per_second": total[0] / seconds}
    return found | {"violations": sum(row)}


def _tables(database: Any) -> None:
    tables: dict[str, list[dict[str, Any]]] = {}
    for each in registry():
        said: dict[str, Any] = {"id": each.id, "valid_from": each.valid_from}
        match each.kind:
            case "device":
                said |= {"site_id": each.site_id, "zone": each.zone}
            case "site":
                said |= {"site_public": each.publicly_accessible, "sign_verified": True}
            case "controller":
                said |= {"controller_type": each.controller_type}
            case "purpose":
                said |= {"purpose_category": each.category, "legal_basis": each.legal_basis}
            case "notice":
                said |= {"controller_id": each.controller_id}
            case "authority":
                pass
            case _:
                continue
        tables.setdefault({"authority": "authorities"}.get(each.kind, f"{each.kind}s"), []).append(said)
    for name, rows in tables.items():
        frame = pl.DataFrame(rows, schema_overrides={"valid_from": INSTANT})
        _taken_in(database, name, frame)


def _taken_in(database: Any, name: str, frame: pl.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:  # DuckDB takes no frame of Polars without pyarrow
        frame.write_parquet(f"{folder}/frame.parquet")
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet('{folder}/frame.parquet')")


# -- the command ------------------------------------------------------------------------------------------------------


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, in one run."""
    whole = folder / "whole"
    if not whole.exists():
        say(f"writing {asked.events:,} events, {asked.subjects:,} persons")
        write_records(whole, asked.subjects)
        write_events(whole, asked.events, asked.subjects)
    peaks: dict[str, float] = {}
    found: dict[str, float] = {}
    for share in (4, 2, 1):
        source = folder / f"share-{share}"
        if share == 1:
            source = whole
        elif not source.exists():
            _part_of(whole, source, share)
        with tempfile.TemporaryDirectory() as out:
            found = apart("--replay", str(source), "--out", f"{out}/answer")
        peaks[str(int(found["events"]))] = round(found["peak_mib"])
    sixty, quarter = (_by_sixty(source) for source in (whole, folder / "share-4"))
    from_lines, lines_by_sixty = _by_lines(folder / "ndjson", whole, asked.ndjson_events or asked.events)
    peer = apart("--duckdb", str(folder / "share-4"))
    plain = apart("--interpreter", str(whole), "--sample", str(asked.sample))
    assert peer["violations"] == quarter["violations"], (peer["violations"], quarter["violations"])
    return {
        "events": int(found["events"]),
        "subjects": asked.subjects,
        "parquet_per_second": _judged_per_second(found),
        "ndjson_per_second": _judged_per_second(from_lines),
        "ndjson_sixty_per_second": _judged_per_second(lines_by_sixty),
        "whole_per_second": round(found["events"] / found["seconds"]),
        "persons_settled_per_second": round(asked.subjects / found["settling_seconds"]),
        "interpreter_per_second": round(plain["per_second"]),
        "duckdb_per_second": round(peer["per_second"]),
        "sixty_per_second": _judged_per_second(sixty),
        "ratio_to_duckdb": round(_judged_per_second(quarter) / peer["per_second"], 2),
        "cpu_seconds_a_million": {
            "parquet": _cpu_a_million(found),
            "ndjson": _cpu_a_million(from_lines),
            "ndjson_sixty": _cpu_a_million(lines_by_sixty),
            "sixty": _cpu_a_million(sixty),
            "duckdb": _cpu_a_million(peer),
        },
        "persons_profiled_per_second": round(asked.subjects / found["profiles_seconds"]),
        "processors_used": round(found["cpu_seconds"] / _judging(found), 2),
        "records_per_second": round(2 * asked.subjects / found["records_seconds"]),
        "peak_mib": peaks,
    }


def _by_lines(lines: Path, whole: Path, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """So many events as JSON lines, by all packs and by sixty rules."""
    if not lines.exists():
        write_ndjson(lines, whole, count)
    with tempfile.TemporaryDirectory() as out:
        return apart("--replay", str(lines), "--out", f"{out}/answer"), _by_sixty(lines)


def _by_sixty(source: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as out:
        return apart("--replay", str(source), "--out", f"{out}/answer", "--sixty")


def _judging(found: dict[str, float]) -> float:
    return found["seconds"] - found["settling_seconds"] - found["profiles_seconds"]


def _judged_per_second(found: dict[str, float]) -> int:
    return round(found["events"] / _judging(found))


def _cpu_a_million(found: dict[str, float]) -> float:
    return round(found["cpu_seconds"] / found["events"] * 1e6, 2)


def _part_of(whole: Path, source: Path, share: int) -> None:
    """A log of a share of the length, beside the same records."""
    source.mkdir()
    for topic in ("registry", "subjects"):
        (source / topic).symlink_to(whole / topic)
    files = sorted((whole / "matches").rglob("*.parquet"))
    (source / "matches").mkdir()
    for number, file in enumerate(files[: max(len(files) // share, 1)]):
        (source / "matches" / f"part-{number:06}.parquet").symlink_to(file)


def main() -> None:
    """Measure, or be one of the measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--subjects", type=int, default=200_000)
    parser.add_argument("--ndjson-events", type=int, help="as many as --events, where none are named")
    parser.add_argument("--sample", type=int, default=2_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sixty", action="store_true")
    parser.add_argument("--interpreter", type=Path)
    parser.add_argument("--duckdb", type=Path)
    asked = parser.parse_args()
    if asked.replay:
        print(json.dumps(replay(asked.replay, asked.out, sixty=asked.sixty)))
    elif asked.interpreter:
        print(json.dumps(interpreter(asked.interpreter, asked.sample)))
    elif asked.duckdb:
        print(json.dumps(duckdb(asked.duckdb)))
    elif asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        print(json.dumps(measure(asked, asked.keep)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(asked, Path(folder))))


if __name__ == "__main__":
    main()
