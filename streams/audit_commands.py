"""The commands of an auditor: the archive of the logs, and what is made of the answers of replays.

Rules:
1. Nothing is written to a topic, unless a command is told to in so many words.
2. Exit code 1 means findings: offsets that are lost, answers that differ.
3. What a command needs is imported where it runs, for these modules are read at every start of the command line.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import time
from typing import Annotated

import typer
from rich.table import Table

from schemas.topic_name import TopicName
from streams.errors import ConfigurationError
from streams.replay.command import MOMENT, MOMENTS, SHAPE
from streams.screen import CLEAN, FINDINGS, say, show

HOLES_SHOWN = 20

Since = Annotated[
    datetime | None,
    typer.Option("--from", formats=MOMENTS, metavar=MOMENT, help=f"First instant of recording, {SHAPE}; else all."),
]
Until = Annotated[
    datetime | None,
    typer.Option("--to", formats=MOMENTS, metavar=MOMENT, help="Recorded before, UTC; else up to now."),
]


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
    from streams.progress import progress
    from streams.replay.archive import fill, opened, summary
    from streams.replay.log_range import Asked, offsets_in, ranges_of
    from streams.settings import load_settings

    if offsets is not None and (since or until):
        raise ConfigurationError("expected --offsets, or --from and --to")
    settings = load_settings()
    begin, end = _utc(since), _utc(until)
    if begin is not None:
        begin -= timedelta(seconds=settings.future_seconds)  # so that a replay of the same range finds all it needs
    if end is not None and end > datetime.now(UTC):
        end = None  # nothing is recorded there yet, and who replays that range must not take it for whole
    asked = Asked(begin, end, None if offsets is None else offsets_in(offsets))
    ranges = ranges_of(settings.brokers, settings.prefix, topics or list(TopicName), asked)
    with opened(out, settings.prefix, part_offsets=part_offsets) as archived:
        if mend and (torn := archived.forget_unsound()):
            say(f"{torn} parts are not what was written, and are fetched again")
        fetched = fill(
            archived,
            ranges,
            lambda topic, start: LogReader(settings.topic(topic), brokers=settings.brokers, start_at=start),
            partial(progress, "archiving", "offsets"),
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


MetricsFile = Annotated[
    Path | None, typer.Option(help="Also write the counts there, for node_exporter's textfile collector.")
]
CellSize = Annotated[int, typer.Option(min=1, help="Counts below it are not shown; 1 shows all.")]


def compare(
    old: Annotated[str, typer.Argument(help="The folder of an answer, or `live`: the log of violations as it stands.")],
    new: Annotated[Path, typer.Argument(help="The folder of the answer that is compared with it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    metrics: MetricsFile = None,
) -> None:
    """Tell where an answer differs from another, or from the log of violations; exit code 1 where it does."""
    from streams.metrics.replay_metric import write
    from streams.replay.answer import read_answer
    from streams.replay.audit import compared
    from streams.replay.comparison_page import as_object, page

    found = compared(old, read_answer(new))
    print(json.dumps(as_object(found)) if as_json else page(found))
    if metrics is not None:
        rows = found.rows.group_by("rule_id", "difference").len().iter_rows()
        changes = {(rule, change): count for rule, change, count in rows}
        write(metrics, "compare", changes, compared=found.compared, at=time())
    say(f"{found.compared} breaches compared, {found.rows.height} differ")
    raise typer.Exit(FINDINGS if found.differs else CLEAN)


def reconcile(
    answer: Annotated[Path, typer.Option(help="The folder of the answer that the log shall agree with.")],
    apply: Annotated[bool, typer.Option("--apply", help="Write the corrections; else they are only shown.")] = False,
    retract: Annotated[
        bool, typer.Option("--retract", help="Retract what else is contested: you vouch that the records came in time.")
    ] = False,
    metrics: MetricsFile = None,
) -> None:
    """Correct the log of violations by an answer; writes only with --apply; exit code 1 where they differ."""
    from streams.metrics.replay_metric import write
    from streams.replay.answer import read_answer
    from streams.replay.audit import log_for
    from streams.replay.reconciliation import check_whole
    from streams.replay.reconciliation import reconcile as corrections_of
    from streams.replay.violation_log import write_violations
    from streams.settings import load_settings

    said = read_answer(answer)
    check_whole(said, datetime.now(UTC))
    log = log_for(said)
    found = corrections_of(said, log, log.count, retract=retract)
    table = Table("rule", "on the log", "corrected", "breaches", box=None)
    for (rule_id, was, status), count in found.counts().items():
        table.add_row(rule_id, was, status, str(count))
    table.columns[3].justify = "right"
    if found.corrections:
        show(table)
    if found.not_judged:
        say(f"{found.not_judged} violations are of devices and hours that the answer did not judge: left as they are")
    if apply:
        write_violations(load_settings(), log.topic, [(each.partition, each.violation) for each in found.corrections])
    if metrics is not None:
        write(metrics, "reconcile", found.changes(), compared=found.compared, at=time())
    say(f"{len(found.corrections)} corrections " + ("written" if apply else "found; --apply writes them"))
    raise typer.Exit(FINDINGS if found.corrections else CLEAN)


def report(
    answer: Annotated[Path, typer.Argument(help="The folder of an answer.")],
    file: Annotated[Path, typer.Argument(help="The page that is written, HTML.")],
    old: Annotated[
        str | None, typer.Option("--compare", help="The folder of an older answer, or `live`: show what has changed.")
    ] = None,
    with_log: Annotated[
        bool, typer.Option("--log", help="Show what the log of violations contests and retracts.")
    ] = False,
    cell_size: CellSize = 5,
) -> None:
    """Write an answer as one page to read and to print, without a person and without small counts."""
    from streams.replay.answer import read_answer
    from streams.replay.audit import asides_of, write_report_of
    from streams.replay.report import check_report

    told = read_answer(answer)
    check_report(file, cell_size)
    write_report_of(told, file, asides_of(told, old, with_log=with_log), cell_size=cell_size)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (archive, compare, reconcile, report):
        app.command()(command)
