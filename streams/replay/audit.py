"""What an auditor makes of an answer: its comparison with an older one or with the log of violations, and its report.

Rules:
1. The word `live` in place of a folder is the log of violations on the broker of the settings, as it stands.
2. A report calls the other side of a comparison by its digest: a path says nothing, or too much.
3. A report tells corrections by the log of violations that is at hand: the broker's where it is asked for or was the
   source, else that of the archive that was replayed. Where there is none, it says so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from streams.errors import ConfigurationError
from streams.replay.answer import Answer, read_answer
from streams.replay.archived_log import archived_log
from streams.replay.comparison import LIVE, Comparison, compare, in_the_say_of, said_by_answer, unlike
from streams.replay.comparison_log import compare_log
from streams.replay.report import Asides, check_report, report, write_report
from streams.replay.suppression import CELL_SIZE
from streams.replay.violation_log import ViolationLog, partitions_of_log, read_violations
from streams.screen import say
from streams.settings import load_settings


def check_asides(old: str | None, file: Path | None, cell_size: int, out: Path) -> None:
    """Raise now what would keep an answer's difference to `old`, or its report, from being made after a long replay.

    `out` is the folder that the answer will be in.
    """
    if file is not None:
        check_report(file, cell_size, made=out)
    if old == LIVE:
        partitions_of_log(load_settings())
    elif old is not None:
        read_answer(Path(old))


def compared(old: str, answer: Answer) -> Comparison:
    """What an answer says otherwise than the one in the folder `old`, or than the log of violations."""
    if old != LIVE:
        older = read_answer(Path(old))
        for difference in unlike(older.manifest, answer.manifest):
            say(difference)
        return compare(said_by_answer(older), said_by_answer(answer))
    return compare_log(log_for(answer).last, answer)


def log_for(answer: Answer) -> ViolationLog:
    """The log of violations, as far as an answer has a say."""
    log = read_violations(load_settings(), in_the_say_of(answer.manifest))
    if log.unreadable:
        say(f"{log.unreadable} messages on {log.topic} are no violations, and are passed over")
    return log


def write_report_of(
    answer: Answer, file: Path, *, old: str | None = None, with_log: bool = False, cell_size: int = CELL_SIZE
) -> None:
    """Write the report of an answer, with its difference to `old`, or else to the log of violations that is at hand.

    The log on the broker is read where `old` is the word for it, or `with_log` asks for it.
    """
    check_report(file, cell_size)
    live = with_log or old == LIVE
    log = log_for(answer) if live else archived_log(answer)
    asides = Asides(log=None if log is None else list(log.last.values()))
    if old not in (None, LIVE):
        asides = replace(asides, comparison=compared(str(old), answer), compared_with=_named(str(old)))
    elif log is not None:
        where = "as it stands" if live else "in the archive"
        found = compare_log(log.last, answer)
        asides = replace(asides, comparison=found, compared_with=f"the log of violations {where}")
    write_report(report(answer, asides, cell_size=cell_size), file)
    say(f"{answer.manifest.verdicts} verdicts reported in {file}")


def _named(old: str) -> str:
    return f"the answer whose verdicts digest to {read_answer(Path(old)).manifest.verdict_digest[:16]}"


def has_log() -> bool:
    """Whether the broker of the settings has a log of violations."""
    try:
        partitions_of_log(load_settings())
    except ConfigurationError:
        return False
    return True
