"""An answer: what a replay leaves in its folder, for the report, the comparison and the auditor.

    answer.json            what was asked, of which logs, by which law, and the counts; written last
    verdicts/*.parquet     one row a verdict that is not clear, deadlines and windows included
    tallies.parquet        how often each rule said what, by day, controller, site and purpose
    coverage.parquet       how many events were judged and rejected, by hour and device
    watch.parquet          how many events were to be expected, and for how long a device was silent, by day and device
    blind_spots.parquet    facts that a device never delivers, with what to supply
    withdrawals.parquet    each withdrawal of consent, and what was matched after it

Rules:
1. The same question about the same logs leaves the same bytes: no clock time, no speed, no host stands in an answer.
2. A folder without `answer.json` is no answer: it comes last, and names the digest of every other file.
3. Persons stand in `verdicts` alone, by their random token, and nowhere else.
4. `verdict_digest` is made of the verdicts alone: two answers with one digest say the same of every case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.contract import Digest, UtcTime
from schemas.vocabulary import Level
from streams.errors import InputError, Place
from streams.replay.verdict_digest import in_order, verdict_digest
from streams.replay.whole_file import digest_of, to_disk, write_whole

FORMAT: Literal[2] = 2
"""Raised when a reader of the old format would misread the new one."""
ANSWER = "answer.json"
VERDICT_FOLDER = "verdicts"
INSTANT = pl.Datetime("us", "UTC")
TEXTS = pl.List(pl.String())

VERDICTS: Mapping[str, pl.DataType] = {
    "event_id": pl.String(),
    "event_version": pl.Int64(),
    "event_kind": pl.String(),
    "occurred_at": INSTANT,
    "recorded_at": INSTANT,
    "controller_id": pl.String(),
    "site_id": pl.String(),
    "device_id": pl.String(),
    "purpose_id": pl.String(),
    "subject_ref": pl.String(),
    "rule_id": pl.String(),
    "revision": pl.Int64(),
    "level": pl.String(),
    "standing": pl.String(),
    "outcome": pl.String(),
    "reason": pl.String(),
    "deciding_records": TEXTS,
    "excused_by": TEXTS,
    "violation_id": pl.String(),
    "authority_id": pl.String(),
    "window_until": INSTANT,
    "bound": pl.Int64(),
    "boundary": pl.Boolean(),
}
"""`event_kind` is `match`, `access_outcome`, `human_review`, `disclosure`, `deadline` or `window`, the last two without
an event; `occurred_at` of a deadline is its last instant, of a window its first; `recorded_at` is null where the source
does not tell it; `outcome` is `violation`, `excused` or `undetermined`, the last with its `reason`; `violation_id` is
the id that the breach has or would have; `boundary` is true of a breach within the clocks' skew of the edge of a
consent, else null; `site_id` is where the device's record says it stands."""

TALLIES: Mapping[str, pl.DataType] = {
    "day": pl.Date(),
    "rule_id": pl.String(),
    "revision": pl.Int64(),
    "controller_id": pl.String(),
    "site_id": pl.String(),
    "purpose_id": pl.String(),
    "outcome": pl.String(),
    "n": pl.Int64(),
}
"""Cases by the UTC day of `occurred_at`. `clear` is here too; a case to which a rule does not apply is not, so that the
sum of a rule's row is its denominator. Deadlines and windows are counted where they are breached or undetermined."""

COVERAGE: Mapping[str, pl.DataType] = {
    "hour": INSTANT,
    "controller_id": pl.String(),
    "site_id": pl.String(),
    "device_id": pl.String(),
    "judged": pl.Int64(),
    "rejected": pl.Int64(),
}
"""Events by the hour of `occurred_at`; what cannot be read has no device, and the hour of `recorded_at` if it is known.
A repeat or a replaced version is counted in `Counts`, not here."""

WATCH: Mapping[str, pl.DataType] = {
    "day": pl.Date(),
    "controller_id": pl.String(),
    "site_id": pl.String(),
    "device_id": pl.String(),
    "promised_seconds": pl.Int64(),
    "expected": pl.Int64(),
    "unwatched_seconds": pl.Int64(),
}
"""Devices on record by UTC day, between the first and the last event of the range: for how long the record says how
often the device reports, how many events that makes at least, and for how long it was silent for longer, counted in
hours of the clock; null where no record says anything."""

BLIND_SPOTS: Mapping[str, pl.DataType] = {
    "rule_id": pl.String(),
    "device_id": pl.String(),
    "fact": pl.String(),
    "cases": pl.Int64(),
    "supply": pl.String(),
}

WITHDRAWALS: Mapping[str, pl.DataType] = {
    "controller_id": pl.String(),
    "withdrawn_at": INSTANT,
    "last_match_at": INSTANT,
    "matches_after": pl.Int64(),
}
"""One row a withdrawal within the range or before it: the matches after it and within the range, as the metric counts
them (`streams.core.withdrawal`), each for the latest withdrawal before it, and the last; 0 and null where is none."""

TABLES: Mapping[str, Mapping[str, pl.DataType]] = {
    "tallies": TALLIES,
    "coverage": COVERAGE,
    "watch": WATCH,
    "blind_spots": BLIND_SPOTS,
    "withdrawals": WITHDRAWALS,
}
"""The tables that are one file each, by name."""


class Closed(BaseModel):
    """A part of an answer's manifest: fixed, and with nothing that the format does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class RuleNamed(Closed):
    """One rule by which was judged."""

    id: str
    revision: int
    title: str
    citation: str
    level: Level
    standing: Literal["in_force", "what_if"]
    kind: Literal["condition", "window", "deadline"]


class PackNamed(Closed):
    """One pack of rules; the digest covers its rules in canonical form."""

    id: str
    title: str
    standing: Literal["in_force", "draft"]
    digest: Digest
    rules: tuple[RuleNamed, ...]


class Source(Closed):
    """From where the logs were read: one of `parquet`, `ndjson`, `kafka`."""

    kind: Literal["parquet", "ndjson", "kafka"]
    location: str
    """A path, an `s3://` address, or the names of the topics; never a credential."""
    manifest_digest: Digest | None = None
    """Of the archive's manifest, where there is one."""
    frontier: dict[str, dict[str, int]] = {}
    """Of a Kafka log: by topic and partition the next offset that was not read."""


class KnownAt(Closed):
    """Up to where the logs were known: what was recorded later does not count."""

    instant: UtcTime | None = None
    frontier: dict[str, dict[str, int]] | None = None
    """By topic and partition the first offset that was not known."""


class Counts(Closed):
    """What became of every line or record that was read; their sum is `read`."""

    read: int
    """Lines or records of events within the range, holes left out."""
    judged: dict[str, int]
    """By kind of event."""
    rejected: dict[str, int]
    """By reason."""
    duplicates: int
    """Repeats of an event that was judged: they change nothing."""
    superseded: int
    """Lower versions of an event that a higher one replaces."""
    conflicting: int = 0
    """Records that contradict another of the same event and version; the one that stands for it is undetermined."""
    not_yet_known: int
    """Recorded after `known_at`."""
    records: int
    """Registry and subject records that were taken in."""
    refused_records: int
    """Records that are no contract."""


class Hole(Closed):
    """A stretch of a log that the source does not hold; nothing is said of it: not replayable."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int | None
    """Absent where nobody knows up to where the log goes."""
    reason: str


class Manifest(Closed):
    """`answer.json`: what was asked, of which logs, by which law, and what came of it."""

    format: Literal[2] = FORMAT
    consentinel: str
    command: str
    """The command line that gives this answer again."""
    from_: Annotated[UtcTime, Field(alias="from")]
    until: Annotated[UtcTime, Field(alias="to")]
    """Exclusive; deadlines and windows are looked at as of then."""
    source: Source
    known_at: KnownAt | None = None
    rules_as_of: date | None = None
    rulebook_digest: Digest
    packs: tuple[PackNamed, ...]
    counts: Counts
    holes: tuple[Hole, ...] = ()
    verdicts: int
    """Rows in `verdicts`."""
    verdict_digest: Digest
    """SHA-256 over the verdicts that are not clear, a JSON array a line, sorted by `CANONICAL`."""
    files: dict[str, Digest]
    """SHA-256 of every other file of the answer, by its path in the folder."""

    def to_json(self) -> str:
        """The text of `answer.json`."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that lies in a folder."""

    folder: Path
    manifest: Manifest

    @property
    def verdicts(self) -> pl.LazyFrame:
        """Every verdict that is not clear, with the columns of `VERDICTS`; there may be more than fit the memory.

        They are those of the files that the manifest names; whatever else lies there is nobody's word.
        """
        parts = [self.folder / name for name in sorted(self.manifest.files) if name.startswith(f"{VERDICT_FOLDER}/")]
        return pl.scan_parquet(parts) if parts else pl.LazyFrame(schema=VERDICTS)

    def table(self, name: str) -> pl.DataFrame:
        """One of `TABLES`."""
        return pl.read_parquet(self.folder / f"{name}.parquet")


def read_answer(folder: Path, *, verify: bool = True) -> Answer:
    """The answer in a folder; raises InputError where there is none or, if asked to verify, a file is another one."""
    file = folder / ANSWER
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except OSError:
        raise InputError("expected the answer of a replay that came to its end", place=Place(str(file))) from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"expected an answer of format {FORMAT}; see {where}", place=Place(str(file))) from None
    for name, digest in manifest.files.items() if verify else ():
        path = folder / name
        if not path.is_file() or digest_of(path) != digest:
            raise InputError("expected the file that the replay wrote: its digest differs", place=Place(str(path)))
    return Answer(folder, manifest)


def write_verdicts(verdicts: pl.DataFrame, file: Path) -> None:
    """Write one file of verdicts, in canonical order; the file is whole or not there."""
    write_table(in_order(verdicts.select(*VERDICTS)), file)


def write_table(table: pl.DataFrame, file: Path) -> None:
    """Write a table; the file is whole or not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    table.write_parquet(partial, compression="zstd")
    partial.replace(file)


def finish(folder: Path, manifest: Mapping[str, object], into: Path | None = None) -> Answer:
    """Write `answer.json` over the tables that are there, once they are on the disk.

    `manifest` has all but what follows from the files. It may be written `into` another folder, until nothing else is
    left to do.
    """
    parts = sorted((folder / VERDICT_FOLDER).glob("*.parquet"))
    files = [*(folder / f"{name}.parquet" for name in TABLES), *parts]
    for each in (*files, *{file.parent for file in files}):
        to_disk(each)
    lines, digest = verdict_digest(parts)
    found = Manifest.model_validate(
        {
            **manifest,
            "verdicts": lines,
            "verdict_digest": digest,
            "files": {str(file.relative_to(folder)): digest_of(file) for file in sorted(files)},
        }
    )
    write_whole((into or folder) / ANSWER, found.to_json().encode())
    return Answer(folder, found)
