"""Replay: events a second from Parquet and from NDJSON, against a plain loop and DuckDB, and the memory by length.

    python tests/benchmarks/replay.py [--events N] [--subjects N] [--ndjson-events N] [--sample N] [--keep DIR]

Prints what it does to stderr and, last, one JSON line with `parquet_per_second`, `ndjson_per_second`,
`interpreter_per_second`, `duckdb_per_second` and `peak_mib` by number of events. The full size is `--events 20000000`
with a million persons and two million records of consent; the default ends within about five minutes.

Rules:
1. Each replay is a process of its own, by the code of `consentinel replay` with all packs of the distribution: from
   opening the source to the last byte of the answer. The rate leaves out reading the records: they do not grow with the
   log.
2. The plain loop is the interpreter, one event after the other, on a sample of the same events by the same packs.
3. DuckDB judges sixty rules over the same Parquet, with as-of joins for consent, purpose, device and authority; ours
   judges the same sixty too, as `sixty_per_second`, and both must find the same number of violations.
4. One event in a hundred is of a person without consent.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import live_job
import polars as pl

from schemas.registry import AuthorityRecord, GalleryRecord, RegistryRecord
from streams.core.frame import MATCH_COLUMNS

HERE = Path(__file__).parent
DAYS = 20
START = datetime(2026, 11, 1, tzinfo=UTC)
PART_ROWS = 1_000_000
INSTANT = pl.Datetime("us", "UTC")


def say(line: str) -> None:
    """One line to stderr."""
    print(line, file=sys.stderr, flush=True)


# -- the world --------------------------------------------------------------------------------------------------------


def registry() -> list[RegistryRecord]:
    """The estate of the live benchmark, with whatever else the packs ask, so that nothing stays unknown."""
    found: list[RegistryRecord] = []
    for record in live_job.registry():
        match record.kind:
            case "site":
                changes: dict[str, Any] = {"recognition_default": False}
            case "purpose":
                changes = {
                    "necessary_for_service": False,
                    "retention_days": 30,
                    "commercial": False,
                    "operations": ("verification",),
                    "basis_evidence_ref": "memo-2",
                }
            case "feed":
                changes = {"covers": (*record.covers, "gallery", "deletion", "filing")}
            case _:
                changes = {}
        found.append(record.model_copy(update=changes))
    common: dict[str, Any] = {"valid_from": live_job.SINCE, "controller_id": "c1"}
    found.append(GalleryRecord(record_id="g", id="members", provenance="enrolment", criteria=(), **common))
    found.append(
        AuthorityRecord(
            record_id="o",
            id="order-1",
            authority_type="warrant",
            basis="statute",
            issuer="A court",
            status="granted",
            evidence_ref="paper-1",
            target_refs=(),
            requested_at=live_job.SINCE,
            narrow=True,
            **common,
        )
    )
    return found


def write_records(folder: Path, persons: int) -> None:
    """Two records a person, a consent and an enrolment; one person in a hundred consented to something else."""
    values = pl.DataFrame({"value": [record.to_json() for record in registry()]})
    _write(values, folder / "registry" / "day=2026-10-01" / "part-0-0.parquet", 0)
    number = pl.int_range(persons)
    refs = pl.select(n=number, ref=_ref(number), other=number % live_job.VIOLATING == 0)
    head = '"record_id":"{}-{}","controller_id":"c1","subject_ref":"{}","valid_from":"{}"'
    consent = (
        f'"kind":"consent_given",{head},"purposes":[{{}}],"actions":["collect","identify"],"consent_form":"separate"'
    )
    enrolment = f'"kind":"enrolment",{head},"age_band":"adult","source_of_image":"capture"'
    since, later = pl.lit("2026-10-02T00:00:00.000000Z"), pl.lit("2026-10-05T00:00:00.000000Z")
    purposes = pl.when("other").then(pl.lit('"p-gate"')).otherwise(pl.lit('"p-access","p-entry"'))
    said = (
        pl.format(consent, pl.lit("c"), "n", "ref", since, purposes),
        pl.format(enrolment, pl.lit("e"), "n", "ref", later),
    )
    parts = [refs.select(value=(pl.lit("{") + each + pl.lit("}")).cast(pl.Binary)) for each in said]
    _write(pl.concat(parts), folder / "subjects" / "day=2026-10-02" / "part-0-0.parquet", 0)


def _ref(number: pl.Expr) -> pl.Expr:
    return pl.lit("s_") + number.cast(pl.String).str.zfill(22)


def events(first: int, count: int, total: int, persons: int) -> pl.DataFrame:
    """Events of a stretch of the log, in the order of their time, spread over the days."""
    row = pl.int_range(first, first + count, dtype=pl.Int64)
    micros = int(START.timestamp()) * 1_000_000
    gap = DAYS * 86_400_000_000 // total
    chance = [(row + 1).hash(seed) for seed in range(4)]
    said: dict[str, pl.Expr] = {
        "event_id": pl.lit("e") + row.cast(pl.String).str.zfill(10),
        "event_version": pl.lit(1, pl.Int64),
        "probe_id": pl.lit("p") + row.cast(pl.String).str.zfill(10),
        "rank": pl.lit(0, pl.Int64),
        "occurred_at": (micros + row * gap).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "controller_id": pl.lit("c1"),
        "device_id": pl.lit("cam-") + (chance[0] % live_job.DEVICES).cast(pl.String).str.zfill(4),
        "purpose_id": pl.when(chance[1] % 2 == 0).then(pl.lit("p-access")).otherwise(pl.lit("p-entry")),
        "operation": pl.lit("verification"),
        "timing": pl.lit("realtime"),
        "active_involvement": pl.lit(value=True),
        "subject_ref": _ref(chance[2] % persons),
        "comparison_decision": pl.lit("match"),
        "comparison_score": 0.8 + (chance[3] % 2_000) / 10_000,
        "comparison_threshold": pl.lit(0.8),
        "inferred_attributes": pl.lit([], pl.List(pl.String)),
        "original_image_retained": pl.lit(value=False),
        "storage_location": pl.lit("device"),
        "internet_transfer": pl.lit(value=False),
        "reference_database_id": pl.lit("members"),
        "notice_id": pl.lit("n1"),
        "decision_effect": pl.lit("admit"),
    }
    return pl.select(said.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in MATCH_COLUMNS.items())


def write_events(folder: Path, total: int, persons: int) -> None:
    """The log of match events, one file a day or more."""
    for first in range(0, total, PART_ROWS):
        frame = events(first, min(PART_ROWS, total - first), total, persons)
        day = frame["occurred_at"][0].date()
        _write(frame, folder / "matches" / f"day={day}" / f"part-0-{first}.parquet", first)


def _write(frame: pl.DataFrame, file: Path, first: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    recorded = (
        pl.col("occurred_at") + timedelta(seconds=1)
        if "occurred_at" in frame.columns
        else pl.lit(START - timedelta(days=20))
    )
    frame.with_columns(
        topic=pl.lit(file.parent.parent.name),
        partition=pl.lit(0, pl.Int32),
        offset=pl.int_range(first, first + pl.len(), dtype=pl.Int64),
        recorded_at=recorded.cast(INSTANT),
    ).write_parquet(file, compression="zstd")


def write_ndjson(folder: Path, parquet: Path, count: int) -> None:
    """The same logs as JSON lines; of the events the first so many."""
    folder.mkdir()
    for topic in ("registry", "subjects"):
        values = pl.read_parquet(parquet / topic / "**" / "*.parquet", columns=["value"])["value"]
        with (folder / f"{topic}.ndjson").open("wb") as file:
            file.writelines(value + b"\n" for value in values.to_list())
    frame = pl.scan_parquet(parquet / "matches" / "**" / "*.parquet").select(list(MATCH_COLUMNS)).head(count).collect()
    frame = frame.with_columns(pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    frame = frame.select(name for name in frame.columns if frame[name].null_count() < frame.height)
    frame.write_ndjson(folder / "matches.ndjson")


# -- ours -------------------------------------------------------------------------------------------------------------


def replay(source: Path, out: Path, *, sixty: bool) -> dict[str, float]:
    """One replay in this process: seconds for the records, for the rest, and the peak of memory."""
    from streams.core.rulebook import load
    from streams.packs import rulebook
    from streams.replay import run as module
    from streams.replay.command import _source
    from streams.replay.question import Question
    from streams.replay.run import Replay

    book = load([("sixty.yaml", live_job.pack())]) if sixty else rulebook()
    question = Question(START, START + timedelta(days=DAYS + 1), book, {})
    took: dict[str, float] = {}
    read = module.read_records

    def timed(*given: Any) -> Any:
        begun = time.perf_counter()
        found = read(*given)
        took["records"] = time.perf_counter() - begun
        return found

    module.read_records = timed
    begun = time.perf_counter()
    answer = Replay(question, _source(str(source), question, out, allow_holes=False), out).run()
    whole = time.perf_counter() - begun
    outcomes = dict(answer.verdicts.group_by("outcome").len().collect().iter_rows())
    return {
        "events": sum(answer.manifest.counts.judged.values()),
        "records_seconds": took["records"],
        "seconds": whole - took["records"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "violations": outcomes.get("violation", 0),
        "undetermined": outcomes.get("undetermined", 0),
    }


def apart(*arguments: str) -> dict[str, float]:
    """What this script says when it runs with other arguments, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    say(" ".join(f"{name}={value:,.1f}" for name, value in found.items()))
    return found


# -- the others -------------------------------------------------------------------------------------------------------


def interpreter(parquet: Path, count: int) -> dict[str, float]:
    """Events a second of a plain loop: the facts of one event at a time, each rule by the interpreter."""
    from streams.core.case import assemble
    from streams.core.facts import CaseKind
    from streams.core.judge import judge_row
    from streams.packs import rulebook
    from streams.replay.parquet_source import ParquetSource
    from streams.replay.question import Question
    from streams.replay.records import read_records

    book = rulebook()
    question = Question(START, START + timedelta(days=DAYS + 1), book, {})
    views = read_records(ParquetSource(str(parquet)), question).views
    frame = pl.scan_parquet(parquet / "matches" / "**" / "*.parquet").select(list(MATCH_COLUMNS)).head(count).collect()
    rules, wanted = book.of_kind(CaseKind.MATCH), book.facts_of(CaseKind.MATCH)
    cases = assemble(frame, CaseKind.MATCH, views, wanted)
    begun = time.perf_counter()
    for row in cases.iter_rows(named=True):
        for rule in rules:
            judge_row(rule, row)
    return {"per_second": frame.height / (time.perf_counter() - begun)}


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
    database.register("frame", consents)
    database.execute("CREATE TABLE consents AS SELECT * FROM frame")
    _tables(database)
    counts = ", ".join(
        f"count(*) FILTER (WHERE {each.sql.replace('TIMESTAMP ', 'TIMESTAMPTZ ')})" for each in live_job.RULES
    )
    begun = time.perf_counter()
    row = database.execute(AS_OF.format(matches=parquet / "matches" / "**" / "*.parquet", counts=counts)).fetchone()
    seconds = time.perf_counter() - begun
    total = database.execute(f"SELECT count(*) FROM read_parquet('{parquet}/matches/**/*.parquet')").fetchone()
    assert row is not None, "a count has a row"
    assert total is not None, "a count has a row"
    return {"seconds": seconds, "per_second": total[0] / seconds, "violations": sum(row)}


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
        database.register("frame", frame)
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")


# -- the command ------------------------------------------------------------------------------------------------------


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, in one run."""
    whole = folder / "whole"
    if not whole.exists():
        say(f"writing {asked.events:,} events, {asked.subjects:,} persons")
        write_records(whole, asked.subjects)
        write_events(whole, asked.events, asked.subjects)
    peaks: dict[str, float] = {}
    for share in (4, 2, 1):
        source = folder / f"share-{share}"
        if share == 1:
            source = whole
        elif not source.exists():
            _part_of(whole, source, share)
        with tempfile.TemporaryDirectory() as out:
            found = apart("--replay", str(source), "--out", f"{out}/answer")
        peaks[str(int(found["events"]))] = round(found["peak_mib"])
    with tempfile.TemporaryDirectory() as out:
        sixty = apart("--replay", str(whole), "--out", f"{out}/answer", "--sixty")
    lines = folder / "ndjson"
    if not lines.exists():
        write_ndjson(lines, whole, asked.ndjson_events)
    with tempfile.TemporaryDirectory() as out:
        from_lines = apart("--replay", str(lines), "--out", f"{out}/answer")
    peer = apart("--duckdb", str(whole))
    plain = apart("--interpreter", str(whole), "--sample", str(asked.sample))
    assert peer["violations"] == sixty["violations"], (peer["violations"], sixty["violations"])
    return {
        "events": int(found["events"]),
        "subjects": asked.subjects,
        "parquet_per_second": round(found["events"] / found["seconds"]),
        "ndjson_per_second": round(from_lines["events"] / from_lines["seconds"]),
        "interpreter_per_second": round(plain["per_second"]),
        "duckdb_per_second": round(peer["per_second"]),
        "sixty_per_second": round(sixty["events"] / sixty["seconds"]),
        "records_per_second": round(2 * asked.subjects / found["records_seconds"]),
        "peak_mib": peaks,
    }


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
    parser.add_argument("--ndjson-events", type=int, default=1_000_000)
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
