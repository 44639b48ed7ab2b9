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
    return compare_log(log_for(answer).last, answer) if old == LIVE else _compared(read_answer(Path(old)), answer)


def _compared(older: Answer, answer: Answer) -> Comparison:
    for difference in unlike(older.manifest, answer.manifest):
        say(difference)
    return compare(said_by_answer(older), said_by_answer(answer))


def log_for(answer: Answer) -> ViolationLog:
    """The log of violations, as far as an answer has a say."""
    log = read_violations(load_settings(), in_the_say_of(answer.manifest))
    if log.unreadable:
        say(f"{log.unreadable} messages on {log.topic} are no violations, and are passed over")
    return log


def asides_of(answer: Answer, old: str | None, *, with_log: bool) -> Asides:
    """What a report tells beside an answer: its difference to `old`, or else to the log of violations that is at hand.

    The log on the broker is read where `old` is the word for it, or `with_log` asks for it.
    """
    live = with_log or old == LIVE
    log = log_for(answer) if live else archived_log(answer)
    asides = Asides(log=None if log is None else list(log.last.values()))
    if old is not None and old != LIVE:
        older = read_answer(Path(old))
        named = f"the answer whose verdicts digest to {older.manifest.verdict_digest[:16]}"
        return replace(asides, comparison=_compared(older, answer), compared_with=named)
    if log is None:
        return asides
    named = f"the log of violations {'as it stands' if live else 'in the archive'}"
    return replace(asides, comparison=compare_log(log.last, answer), compared_with=named)


def write_report_of(answer: Answer, file: Path, asides: Asides, *, cell_size: int = CELL_SIZE) -> None:
    """Write the report of an answer, with what is told beside it."""
    write_report(report(answer, asides, cell_size=cell_size), file)
    say(f"{answer.manifest.verdicts} verdicts reported in {file}")


def has_log() -> bool:
    """Whether the broker of the settings has a log of violations."""
    try:
        partitions_of_log(load_settings())
    except ConfigurationError:
        return False
    return True
