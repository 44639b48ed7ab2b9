"""The command `consentinel replay`: a range of the logs judged again, into a folder.

Rules:
1. The source is told apart by what it is: `kafka`, an address `s3://…`, a folder of Parquet, or a folder of JSON lines.
2. A range of a Kafka log is moved to an archive in the output first, by the same code as `consentinel archive`, and
   replayed from there: so a run that was killed reads no record twice. The command that the answer names replays that
   archive, since the log goes on.
3. Exit code 1 where a violation in force stands. What is asked besides the answer is refused before anything is judged.
4. How far an event may lie beyond its append time, and how far clocks may differ, are the settings of the workers,
   `CONSENTINEL_FUTURE_SECONDS` and `CONSENTINEL_SKEW_SECONDS`; where one is not the default, the command that the
   answer names says it.
5. What the command needs is imported where it runs, for this module is read at every start of the command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from streams.replay.suppression import CELL_SIZE
from streams.screen import CLEAN, FINDINGS, say, show

if TYPE_CHECKING:
    from streams.replay.answer import Answer
    from streams.replay.question import Question
    from streams.replay.source import LogSource
    from streams.settings import Settings

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"]
MOMENT, SHAPE = "DAY|INSTANT", "UTC: 2026-01-31, or with T08:00:00Z behind it"
"""How an instant may be written in an option, and how a person is told."""
NDJSON = ("*.ndjson", "*.ndjson.gz", "*.ndjson.zst")
KAFKA = "kafka"
LOG = "log"
"""The archive of a Kafka log beside the answer that was made of it."""


def replay(  # noqa: PLR0913, PLR0917 - the options of a command
    since: Annotated[
        datetime, typer.Option("--from", formats=MOMENTS, metavar=MOMENT, help=f"First instant of the range, {SHAPE}.")
    ],
    until: Annotated[
        datetime, typer.Option("--to", formats=MOMENTS, metavar=MOMENT, help="End of the range, UTC, exclusive.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the answer, or one whose replay was interrupted.")],
    source: Annotated[str, typer.Option(help="`kafka`, a folder of Parquet or NDJSON, or s3://…")] = KAFKA,
    packs: Annotated[list[Path] | None, typer.Option("--rules", help="Rule packs instead of ours.")] = None,
    rules_as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Judge all by the rules in force on this day."),
    ] = None,
    known: Annotated[
        str | None, typer.Option("--known-at", help="Only what was recorded by then: an instant, or a file of offsets.")
    ] = None,
    allow_holes: Annotated[bool, typer.Option(help="Replay an archive with holes, and name them.")] = False,
    old: Annotated[str | None, typer.Option("--compare", help="An older answer, or `live`: tell what differs.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the page of an auditor, HTML, too.")] = None,
    cell_size: Annotated[int, typer.Option(min=1, help="Counts below it are not shown in the report.")] = CELL_SIZE,
) -> None:
    """Judge a range of the logs again, as they were known and by the law that is asked; exit code 1 with violations."""
    from streams.packs import rulebook, titles
    from streams.progress import phases
    from streams.replay.audit import check_asides
    from streams.replay.question import Question, known_at
    from streams.replay.run import Replay
    from streams.settings import load_settings

    check_asides(old, report, cell_size, out)
    settings, day = load_settings(), None if rules_as_of is None else rules_as_of.date()
    frontier, moment = known_at(known)
    question = Question(
        since=since.replace(tzinfo=UTC),
        until=until.replace(tzinfo=UTC),
        rulebook=rulebook(packs or [], day),
        titles=titles(packs or []),
        known=frontier,
        known_at=moment,
        rules_as_of=day,
        future_seconds=settings.future_seconds,
        skew_seconds=settings.skew_seconds,
        command=_tolerance(settings) + _command(since, until, _kept(source, out), packs, day, known, holes=allow_holes),
    )
    opened = _source(source, question, out, allow_holes=allow_holes)
    with phases() as begin:
        answer = Replay(question, opened, out).run(begin)
    _audited(answer, old, report, cell_size)
    raise typer.Exit(_told(answer))


def _audited(answer: Answer, old: str | None, report: Path | None, cell_size: int) -> None:
    """The difference and the report, where they are asked for."""
    from streams.replay.audit import asides_of, compared, has_log, write_report_of
    from streams.replay.comparison_page import page

    if report is None:
        if old is not None:
            print(page(compared(old, answer)))
        return
    asides = asides_of(answer, old, with_log=answer.manifest.source.kind == KAFKA and has_log())
    if old is not None and asides.comparison is not None:
        print(page(asides.comparison))
    write_report_of(answer, report, asides, cell_size=cell_size)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(replay)


def _command(
    since: datetime,
    until: datetime,
    source: str,
    packs: Sequence[Path] | None,
    day: date | None,
    known: str | None,
    *,
    holes: bool,
) -> str:
    """The command line that gives this answer again, into a folder of one's choice."""
    words = ["consentinel", "replay", "--from", _text(since), "--to", _text(until), "--source", source]
    words += [word for pack in packs or () for word in ("--rules", str(pack))]
    words += [] if day is None else ["--rules-as-of", day.isoformat()]
    words += [] if known is None else ["--known-at", known]
    words += ["--allow-holes"] if holes else []
    return shlex.join(words)


def _tolerance(settings: Settings) -> str:
    """What the environment said of clocks, where it was not the default: the answer depends on it."""
    said = {name: getattr(settings, name) for name in ("future_seconds", "skew_seconds")}
    other = {name: value for name, value in said.items() if value != type(settings).model_fields[name].default}
    return "".join(f"CONSENTINEL_{name.upper()}={value:g} " for name, value in other.items())


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds") + "Z" if moment.microsecond else moment.isoformat() + "Z"


def _kept(source: str, out: Path) -> str:
    """Where what a replay reads is kept."""
    return str(out.with_name(f"{out.name}.{LOG}")) if source == KAFKA else source


def _source(name: str, question: Question, out: Path, *, allow_holes: bool) -> LogSource:
    if name == KAFKA:
        from streams.replay.kafka_source import KafkaSource
        from streams.settings import load_settings

        return KafkaSource(load_settings(), question, Path(_kept(name, out)), allow_holes=allow_holes)
    folder = Path(name)
    if not name.startswith("s3://") and any(file for pattern in NDJSON for file in folder.glob(pattern)):
        from streams.replay.ndjson_source import NdjsonSource

        return NdjsonSource(folder)
    from streams.progress import progress
    from streams.replay.parquet_source import ParquetSource

    with progress("looking through the archive", "files", None):
        return ParquetSource(name, question.need, allow_holes=allow_holes)


def _told(answer: Answer) -> int:
    """Say what came out; the exit code."""
    import polars as pl

    from streams.replay.manifest import offsets_text

    table = Table("rule", "standing", "violation", "excused", "undetermined", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    counted = answer.verdicts.group_by("rule_id", "standing", "outcome").agg(n=pl.len()).collect()
    found = {(rule, standing, outcome): n for rule, standing, outcome, n in counted.iter_rows()}
    for rule, standing in sorted({(rule, standing) for rule, standing, _ in found}):
        numbers = [found.get((rule, standing, outcome), 0) for outcome in ("violation", "excused", "undetermined")]
        table.add_row(rule, standing, *map(str, numbers))
    show(table)
    manifest, counts = answer.manifest, answer.manifest.counts
    say(f"{counts.read} events read, {sum(counts.judged.values())} judged, {sum(counts.rejected.values())} rejected")
    say(f"{counts.duplicates} duplicates, {counts.superseded} superseded, {counts.not_yet_known} not yet known")
    for hole in manifest.holes:
        offsets = offsets_text(hole.first_offset, None if hole.last_offset is None else hole.last_offset + 1)
        say(f"not replayable: {hole.topic}/{hole.partition}: {offsets}: {hole.reason}")
    say(f"verdicts {manifest.verdict_digest[:12]}, rulebook {manifest.rulebook_digest[:12]}, in {answer.folder}")
    standing = any(each[1] == "in_force" and each[2] == "violation" for each in found)
    return FINDINGS if standing else CLEAN
