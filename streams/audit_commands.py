"""The commands of an auditor: `consentinel archive`, and what is made of archives and answers.

Rules:
1. Nothing is written to a topic, unless a command is told to in so many words.
2. Exit code 1 means findings: offsets that are lost, answers that differ.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from schemas.topics import TopicName
from streams.errors import ConfigurationError
from streams.screen import CLEAN, FINDINGS, say, show
from streams.settings import load_settings

HOLES_SHOWN = 20
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"]

Since = Annotated[
    datetime | None, typer.Option("--from", formats=MOMENTS, help="Recorded at or after, UTC; else all there is.")
]
Until = Annotated[datetime | None, typer.Option("--to", formats=MOMENTS, help="Recorded before, UTC; else up to now.")]


def archive(
    out: Annotated[Path, typer.Option(help="The archive: a new folder, or one that is to be extended.")],
    since: Since = None,
    until: Until = None,
    offsets: Annotated[Path | None, typer.Option(help="A file of offsets to hold, by topic and partition.")] = None,
    topics: Annotated[list[TopicName] | None, typer.Option("--topics", help="Only these logs.")] = None,
    part_offsets: Annotated[int, typer.Option(min=1, help="Offsets of a partition that share a file.")] = 131_072,
    mend: Annotated[bool, typer.Option(help="Look through every file first, and fetch what is altered again.")] = False,
) -> None:
    """Move a range of the logs to Parquet, each offset once; go on where a killed run was; exit code 1 with holes."""
    from streams.live.log_reader import LogReader
    from streams.replay.archive import fill, opened, summary
    from streams.replay.log_range import Asked, offsets_in, ranges_of

    if offsets is not None and (since or until):
        raise ConfigurationError("expected --offsets, or --from and --to")
    settings = load_settings()
    asked = Asked(_utc(since), _utc(until), None if offsets is None else offsets_in(offsets))
    ranges = ranges_of(settings.brokers, settings.prefix, topics or list(TopicName), asked)
    with opened(out, settings.prefix, part_offsets=part_offsets) as archived:
        if mend and (torn := archived.forget_unsound()):
            say(f"{torn} parts are not what was written, and are fetched again")
        fetched = fill(
            archived,
            ranges,
            lambda topic, start: LogReader(settings.topic(topic), brokers=settings.brokers, start_at=start),
        )
        manifest = archived.manifest
    table = Table("topic", "parts", "accepted", "refused", box=None)
    for topic, *counts in summary(manifest):
        table.add_row(topic, *(f"{count:,}".replace(",", " ") for count in counts))
    for column in table.columns[1:]:
        column.justify = "right"
    show(table)
    holes = manifest.holes()
    say(f"{fetched} offsets fetched, {len(holes)} holes, manifest {manifest.digest()[:12]}")
    for hole in holes[:HOLES_SHOWN]:
        say(f"hole: {hole}")
    raise typer.Exit(FINDINGS if holes else CLEAN)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(archive)
