"""The job of the replay benchmark: an estate in which the packs leave nothing open, and the log of its match events.

Rules:
1. Every field is filled that a pack asks, so that a case is clear or a violation.
2. One person in a hundred consented to something else; of them every match is a violation.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import live_job
import polars as pl

from schemas.registry import AuthorityRecord, GalleryRecord
from streams.core.frame import MATCH_COLUMNS

DAYS = 20
"""The days of the longest log."""
EVENTS_A_DAY = 1_000_000
"""A shorter log has fewer days, not fewer events a day."""
START = datetime(2026, 11, 1, tzinfo=UTC)
PART_ROWS = 1_000_000
INSTANT = pl.Datetime("us", "UTC")


def registry() -> list[Any]:
    """The estate of the live benchmark, with whatever else the packs ask, so that nothing stays unknown."""
    found: list[Any] = []
    each: Any
    for each in live_job.registry():
        match each.kind:
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
                changes = {"covers": (*each.covers, "gallery", "deletion", "filing")}
            case _:
                changes = {}
        found.append(each.model_copy(update=changes))
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
    days = min(DAYS, max(total // EVENTS_A_DAY, 1))
    gap = days * 86_400_000_000 // total
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
    """The log of match events, in four files at least, so that a quarter of it is a log too."""
    rows = min(PART_ROWS, max(total // 4, 1))
    for first in range(0, total, rows):
        frame = events(first, min(rows, total - first), total, persons)
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
