"""Judging files: match events, encounters and records as NDJSON in, verdicts out, no broker.

Rules:
1. The same decoder, case assembly and judge as in the live worker; a file is one long batch cut into pieces.
2. All records are read before the first event is judged: the verdicts say what is known now.
3. Deadlines and windows are looked at last, up to `until`: the latest instant that the files tell of, if none is given.
4. A line that is no contract is told by file, line and reason, never by content, and stops nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from schemas.contract import ContractError, Interval, parse, time_text
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT
from streams.core.blind_spot import BlindSpots
from streams.core.case import Views, assemble
from streams.core.decode import Decoded, decode_encounters
from streams.core.docket import Docket
from streams.core.entry import entries
from streams.core.facts import CaseKind
from streams.core.holder import Standing
from streams.core.instant import micros, moment_of
from streams.core.judge import Outcome, Verdicts, judge
from streams.core.obligation import Status
from streams.core.rule import Rule
from streams.core.rulebook import Rulebook
from streams.core.subject_history import Histories
from streams.core.violation import deciding_records
from streams.core.window import Window, bound_of
from streams.errors import InputError, Place
from streams.live.layout_lane import decode_alike

PIECE_LINES = 50_000
"""Lines judged at once: enough to keep the columns busy, few enough to keep the memory small."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no contract; `line` counts from 1."""

    file: str
    line: int
    reason: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}: {self.expected}"


@dataclass(slots=True)
class Offline:
    """A judgement of files: the views that its records make, and what was said of the events so far."""

    rulebook: Rulebook
    views: Views = field(init=False)
    docket: Docket = field(init=False)
    bad_lines: list[BadLine] = field(default_factory=list)
    judged: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each rule id said which outcome."""
    blind_spots: BlindSpots = field(default_factory=BlindSpots)
    latest: int = 0
    """The latest instant that the files tell of."""

    def __post_init__(self) -> None:
        self.views = Views(histories=Histories(self.rulebook.asked()))
        self.docket = Docket(self.rulebook, self.views.registry, self.views.histories)

    def read_records(self, subjects: Sequence[Path], registry: Sequence[Path]) -> None:
        """Read every record of the files into the views."""
        self._read(registry, REGISTRY.read, self.views.registry.add)
        self._read(subjects, SUBJECT.read, self.views.histories.add)

    def _read(self, files: Sequence[Path], read: Callable[[bytes], Interval], add: Callable[[Any], object]) -> None:
        for file in files:
            for number, line in enumerate(lines_of(file), start=1):
                try:
                    record = read(line)
                except ContractError as error:
                    self.bad_lines.append(BadLine(str(file), number, error.reason, error.expected))
                    continue
                add(record)
                self.latest = max(self.latest, micros(record.valid_from))

    def settle(self, until: int | None = None) -> Iterator[dict[str, Any]]:
        """Look at deadlines and windows up to an instant; yields breaches and what is undetermined, by rule and id."""
        found = said_of(self.docket, self.latest if until is None else until)
        for standing in sorted(found.values(), key=lambda each: (each.rule.id, each.id)):
            if (word := WORD.get(standing.status)) is not None:
                self.outcomes[standing.rule.id, word] += 1
                yield pending(standing, word)

    def judge_files(self, events: Sequence[Path]) -> Iterator[dict[str, Any]]:
        """Judge match events and encounters; yields what is not clear, a verdict at a time, in the order of lines."""
        for file in events:
            for piece in pieces_of(file):
                yield from self._judge_piece(str(file), piece)

    def _judge_piece(self, file: str, piece: DecodedLines) -> Iterator[dict[str, Any]]:
        said: list[tuple[int, dict[str, Any]]] = []
        for kind, frame in frames(piece.matches, piece.others):
            verdicts = self.judge(kind, frame)
            self._count(verdicts)
            rows = verdicts.cases["row"]
            said.extend((rows[index], line) for index, line in not_clear(verdicts, self.views))
        self.bad_lines.extend(bad_lines(file, piece))
        said.sort(key=lambda each: (each[0], each[1]["rule_id"], each[1]["revision"]))
        yield from (line for _, line in said)

    def judge(self, kind: CaseKind, frame: pl.DataFrame) -> Verdicts:
        """What the rules say of messages of one kind, which are entered for deadlines and windows too."""
        cases = assemble(frame, kind, self.views, self.rulebook.facts_of(kind))
        verdicts = judge(cases, kind, self.rulebook)
        for entry in entries(cases, kind, self.rulebook, verdicts.places):
            self.docket.enter(entry.role.duty.column, entry.case)
        self.latest = max(self.latest, cases.select(pl.col("occurred_at").dt.epoch("us").max()).item())
        return verdicts

    def _count(self, verdicts: Verdicts) -> None:
        self.judged += verdicts.cases.height
        self.blind_spots.see(verdicts)
        for rule, counts in verdicts.counts().items():
            for outcome, count in counts.items():
                self.outcomes[rule.id, outcome.word] += count


class DecodedLines(NamedTuple):
    """Some lines of a file, decoded: the number of the first one, match events, encounters and what is neither."""

    start: int
    matches: Decoded
    others: Decoded


def pieces_of(file: Path) -> Iterator[DecodedLines]:
    """A file of events, decoded a piece at a time; raises InputError where it cannot be read."""
    start = 1
    for lines in _pieces(lines_of(file)):
        yield DecodedLines(start, *decode_lines(lines))
        start += len(lines)


def bad_lines(file: str, piece: DecodedLines) -> Iterator[BadLine]:
    """The lines of a piece that are no events."""
    for each in piece.others.refused:
        yield BadLine(file, piece.start + each.row, each.error.reason, each.error.expected)


def decode_lines(lines: Sequence[bytes], unread: Collection[str] = ()) -> tuple[Decoded, Decoded]:
    """Lines of match events and of encounters, apart; what is neither is refused in the second.

    Columns of match events may be left `unread`.
    """
    matches = decode_alike(lines, unread)
    rest = [each.row for each in matches.refused]
    encounters = [row for row in rest if _is_encounter(lines[row])]
    taken = set(encounters)
    others = decode_encounters([lines[row] for row in encounters])
    back = pl.Series("row", encounters, dtype=others.frame.schema["row"])
    frame = others.frame.with_columns(row=back.gather(others.frame["row"])) if encounters else others.frame
    refused = [each for each in matches.refused if each.row not in taken]
    refused += [type(each)(encounters[each.row], each.error) for each in others.refused]
    return matches, Decoded(frame, tuple(sorted(refused, key=lambda each: each.row)), others.fast, others.contract)


def frames(matches: Decoded, others: Decoded) -> Iterator[tuple[CaseKind, pl.DataFrame]]:
    """The frames to judge, one a kind that is there."""
    if not matches.frame.is_empty():
        yield CaseKind.MATCH, matches.frame
    for kind in () if others.frame.is_empty() else others.frame["kind"].unique(maintain_order=True).to_list():
        yield CaseKind(kind), others.frame.filter(pl.col("kind") == kind)


def _is_encounter(line: bytes) -> bool:
    try:
        return bool(parse(line).get("kind", "match") != "match")
    except ContractError:
        return False


def not_clear(verdicts: Verdicts, views: Views) -> Iterator[tuple[int, dict[str, Any]]]:
    """Index and verdict of every violation, excused or undetermined case."""
    found = list(verdicts.found(Outcome.VIOLATION, Outcome.EXCUSED, Outcome.UNDETERMINED))
    wanted = sorted({index for index, _, _ in found})
    rows = dict(zip(wanted, verdicts.cases[wanted].iter_rows(named=True), strict=True))
    for index, rule, outcome in found:
        yield index, _verdict(verdicts, rule, outcome, rows[index], views)


def _verdict(verdicts: Verdicts, rule: Rule, outcome: Outcome, row: dict[str, Any], views: Views) -> dict[str, Any]:
    said = {
        "event_id": row["event_id"],
        "event_version": row["event_version"],
        "subject_ref": row["subject_ref"],
        "rule_id": rule.id,
        "revision": rule.revision,
        "standing": rule.standing,
        "level": rule.level,
        "verdict": outcome.word,
    }
    if outcome is Outcome.UNDETERMINED:
        return said | {"reason": verdicts.reason(rule, row)}
    return said | {"deciding_records": list(deciding_records(rule, row, views))}


WORD = {Status.BREACHED: Outcome.VIOLATION.word, Status.UNDETERMINED: Outcome.UNDETERMINED.word}
"""What is said of a deadline or a window; of one that is open, fulfilled or void nothing is."""


def said_of(docket: Docket, until: int) -> dict[str, Standing]:
    """What changed by id, and what is undetermined, up to an instant: looked at until one look brings no other."""
    found = {each.id: each for each in docket.settle(until)}
    while docket.busy:
        found |= {each.id: each for each in docket.settle(until)}
    return found | {each.id: each for each in docket.undetermined()}


def pending(standing: Standing, word: str) -> dict[str, Any]:
    """What is said of a deadline or a window that is breached or undetermined."""
    rule = standing.rule
    said = {"rule_id": rule.id, "revision": rule.revision, "standing": rule.standing, "level": rule.level}
    if isinstance(standing, Window):
        where = {"controller_id": standing.controller, "key": standing.key}
        times = {"window_from": moment_of(standing.first), "window_until": moment_of(standing.last)}
        said |= where | {name: time_text(moment) for name, moment in times.items()} | {"bound": bound_of(standing)}
    else:
        said |= {f"{part}_id": value for part in standing.rule.key if (value := standing.parts.get(part)) is not None}
        said |= {"opened_by": standing.opened_by, "opened_at": time_text(moment_of(standing.opened_at))}
        said |= {} if standing.due is None else {"due_at": time_text(moment_of(standing.due))}
    reason = {} if standing.why is None else {"reason": standing.why.value}
    return {"standing_id": standing.id, **said, "verdict": word, **reason}


def lines_of(file: Path) -> Iterator[bytes]:
    """Every line of a file without its end; raises InputError where the file cannot be read."""
    try:
        with file.open("rb") as opened:
            for line in opened:
                yield line.rstrip(b"\r\n")
    except OSError:
        raise InputError("expected a readable file of NDJSON", place=Place(str(file))) from None


def _pieces(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while piece := list(islice(lines, PIECE_LINES)):
        yield piece
