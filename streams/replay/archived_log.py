"""The log of violations as the archive holds it that an answer was made of.

Rules:
1. It is that archive, unchanged, or none: the same answer has the same corrections.
2. A log with a hole is none: what it lacks would look like what a worker never said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from streams.replay.answer import Answer
from streams.replay.comparison import in_the_say_of
from streams.replay.manifest import MANIFEST, read_manifest, unsound
from streams.replay.violation_log import ViolationLog


def archived_log(answer: Answer) -> ViolationLog | None:
    """The last word on each breach that the answer is about; None where its archive does not hold the whole log."""
    source, folder = answer.manifest.source, Path(answer.manifest.source.location)
    if source.kind != "parquet" or not (folder / MANIFEST).is_file():
        return None
    manifest, topic = read_manifest(folder), TopicName.VIOLATIONS
    held = [each for each in manifest.wanted if each.topic is topic]
    parts = list(manifest.of(topic))
    if manifest.digest() != source.manifest_digest or not held or manifest.holes(unsound(folder, parts), [topic]):
        return None
    log = ViolationLog(f"{manifest.prefix}{topic}", len(held), in_the_say_of(answer.manifest))
    for part in parts:
        for violation in _said(folder / part.accepted.path) if part.accepted else ():
            log.hear(violation, part.partition)
    return log


def _said(file: Path) -> Iterator[Violation]:
    """What a part says; a message of a newer minor version by its bytes, of which the columns lack something."""
    for row in pl.read_parquet(file).iter_rows(named=True):
        if row["value"] is not None:
            yield VIOLATION.read(row["value"])
        else:
            told = {name: value for name, value in row.items() if name in Violation.model_fields and value is not None}
            yield Violation(**told)
