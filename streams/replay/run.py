"""The run of a replay: records are read, then the events piece by piece, and all pieces make one answer.

Rules:
1. A replay reads logs and writes one folder. It touches no topic, no metric and no pager.
2. All records are read before the first event is judged; events are streamed, so the memory does not grow with them.
3. A finished piece is on the disk, whole. A run that was killed goes on after it, and its answer is that of an unkilled
   one, byte for byte. Pieces tell of persons: the answer comes to its place when they are gone.
4. Repeats that lie in different pieces are found at the end, by hashes that are kept beside the pieces and confirmed by
   what the records say; the pieces that hold one that does not count are judged again without it.
5. Deadlines and windows are looked at last, as of the end of the range.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from schemas.contract import Reason
from schemas.topics import EVENTS, TopicName
from streams.core.clock import ahead
from streams.core.facts import FACTS, CaseKind
from streams.errors import ConfigurationError
from streams.live.block import PART_BYTES
from streams.phase import Begin, Done, unseen
from streams.replay.answer import (
    ANSWER,
    BLIND_SPOTS,
    COVERAGE,
    TABLES,
    VERDICT_FOLDER,
    WITHDRAWALS,
    Answer,
    finish,
    read_answer,
    write_table,
    write_verdicts,
)
from streams.replay.judgement import ENTRIES, Bench, Judged, judged, summed_up, tables_of
from streams.replay.judgement import TABLES as PARTS
from streams.replay.marks import suspects, write_marks
from streams.replay.ndjson_source import BLOCK_BYTES, PACKED_PIECE_BYTES, PIECE_BYTES
from streams.replay.question import Question
from streams.replay.records import Records, read_records, withdrawals_before
from streams.replay.repeats import KEPT, all_count, candidates, fates, ids, repeated, settle
from streams.replay.source import PIECE_ROWS, PLACED, Events, LogSource, Piece, in_turn, read_ahead
from streams.replay.standing import settled
from streams.replay.telling import told_packs
from streams.replay.watch import watched
from streams.replay.whole_file import put_folder_in_place, put_in_place, write_whole

WORK = "work"
PLACES = ("partition", "offset")


class Replay:
    """One replay into one folder; `run` gives the answer."""

    def __init__(self, question: Question, source: LogSource, folder: Path) -> None:
        """Raises ConfigurationError where the folder holds another answer, or the source cannot tell what was known."""
        self.question, self.source, self.folder = question, source, folder
        if question.known.instant is not None and not source.dated:
            raise ConfigurationError("--known-at TIME needs a source that tells when records were recorded")
        self._work = folder / WORK
        self._open()

    def _open(self) -> None:
        asked = self._asked()
        file = self._work / "question.json"
        if (self.folder / ANSWER).exists() or (
            self.folder.exists() and not file.exists() and any(each != self._work for each in self.folder.iterdir())
        ):
            raise ConfigurationError(f"expected a new folder, or one whose replay was interrupted: {self.folder}")
        if file.exists():
            if file.read_text("utf-8") != asked:
                raise ConfigurationError(f"the interrupted replay in {self.folder} was asked something else")
            return
        self._work.mkdir(parents=True, exist_ok=True)
        write_whole(file, asked.encode())

    def _asked(self) -> str:
        """What two runs must have in common to be one replay: also how the source is cut, or rows would count twice,
        and its files, since the pieces that are done came from them.
        """
        asked = self.question
        source = [self.source.told.model_dump(), self.source.files, [each.model_dump() for each in self.source.holes]]
        exact = [*asked.span, asked.future_seconds, asked.skew_seconds, str(asked.rules_as_of)]
        cut = [PIECE_ROWS, PIECE_BYTES, PACKED_PIECE_BYTES, BLOCK_BYTES, PART_BYTES]
        known = asked.known.told(asked.known_at)  # the command names a file of offsets, not what stands in it
        known_then = None if known is None else known.model_dump(mode="json")
        said = [version("consentinel"), asked.command, asked.rulebook.digest, source, exact, known_then, cut]
        return json.dumps(said, sort_keys=True)

    def run(self, begin: Begin = unseen) -> Answer:
        """Judge what is not judged yet, and write the answer."""
        if not (self._work / ANSWER).exists():
            self._judge_all(begin)
        for each in [each for each in self._work.iterdir() if each.is_dir()]:
            shutil.rmtree(each)
        put_in_place(self._work / ANSWER, self.folder / ANSWER)
        shutil.rmtree(self._work)
        return read_answer(self.folder, verify=False)

    def _judge_all(self, begin: Begin) -> None:
        records = read_records(self.source, self.question, begin("reading records", "records", None))
        bench = Bench(self.question.rulebook, records.views, withdrawals_before(records, self.question.span[1]))
        names: list[str] = []
        done = begin("judging", "events", self.source.rows)
        pieces = read_ahead(self._left(names, done))
        for rows in in_turn((piece.rows, self._judge(piece, bench, pl.DataFrame())) for piece in pieces):
            done(rows)
        self._settle_repeats(names, bench, begin)
        self._finish(names, bench, records, begin)

    def _left(self, names: list[str], done: Done) -> Iterator[Piece]:
        """The pieces that are not judged yet; `names` becomes the names of all."""
        for piece in self.source.pieces():
            names.append(piece.name)
            if self._place(piece.name).exists():
                done(piece.rows)
            else:
                yield piece

    # -- one piece ----------------------------------------------------------------------------------------------------

    def _place(self, name: str) -> Path:
        return self._work / "pieces" / name

    def _judge(self, piece: Piece, bench: Bench, lost: pl.DataFrame) -> Callable[[], None]:
        """Judge a piece, without the rows that are `lost` to other pieces; whoever calls what it gives leaves what
        it says.
        """
        events, counts = self._events(piece, whole=False)
        again = any(repeated(frame) for frame in (events.matches, events.encounters))
        if again or lost.height:
            events, counts = self._events(piece, whole=True)
        said: list[Judged] = []
        marks: list[pl.DataFrame] = []
        for frame in (events.matches, events.encounters):
            if frame.is_empty():
                continue
            once = settle(frame) if again else all_count(frame)
            counts.update({f"lost {fate}": number for fate, number in once.lost.items()})
            marks.append(once.frame.select(ids(once.frame), *PLACES, "conflicting"))
            for kind, rows in _by_kind(_within(_without(once.frame, lost, counts))):
                counts[f"judged {kind}"] += rows.height
                said.append(judged(rows, kind, bench))
        refused, seen = _rejected(events.refused), _seen(said)

        def leave() -> None:
            parts: dict[str, list[pl.DataFrame]] = {name: [pl.DataFrame(schema=each)] for name, each in PARTS.items()}
            for name, table in chain.from_iterable(tables_of(each, bench).items() for each in said):
                parts[name].append(table)
            parts["coverage"].append(refused)
            self._leave(piece.name, parts, marks, counts, seen)

        return leave

    def _events(self, piece: Piece, *, whole: bool) -> tuple[Events, Counter[str]]:
        """The events of a piece that were known, each with whether it is `within` the range; the others are counted."""
        counts: Counter[str] = Counter()
        events = piece.load(whole)
        refused = [self._within(self._known(events.refused, piece.topic.value, counts))]
        frames: list[pl.DataFrame] = []
        for topic, frame in ((TopicName.MATCHES, events.matches), (TopicName.ENCOUNTERS, events.encounters)):
            known = self._known(frame, topic.value, counts)
            late = ahead(known["occurred_at"], known["recorded_at"], self.question.future_seconds)
            future = known.select("partition", "offset", "recorded_at").filter(late)
            refused.append(self._within(future.with_columns(reason=pl.lit(Reason.IN_FUTURE.value))))
            first, after = self.question.span
            instants = known["occurred_at"].dt.epoch("us")
            placed = known.with_columns(((instants >= first) & (instants < after)).alias("within"))
            frames.append(placed.filter(~late) if late.any() else placed)
        told = pl.concat([each.select("reason", "partition", "offset", "recorded_at") for each in refused])
        for reason, number in told["reason"].value_counts().iter_rows():
            counts[f"rejected {reason}"] += number
        return Events(frames[0], frames[1], told), counts

    def _within(self, refused: pl.DataFrame) -> pl.DataFrame:
        """What was refused within the range, by its append time: of its own instant nothing can be said."""
        first, after = self.question.span
        instant = pl.col("recorded_at").dt.epoch("us")
        return refused.filter(((instant >= first) & (instant < after)).fill_null(value=True))

    def _known(self, frame: pl.DataFrame, topic: str, counts: Counter[str]) -> pl.DataFrame:
        known = self.question.known
        if known.everything:
            return frame
        if known.frontier is not None:
            ends = known.frontier.get(topic, {})
            bound = pl.col("partition").cast(pl.Int64).replace_strict(dict(ends), default=0, return_dtype=pl.Int64)
            held = frame.filter(pl.col("offset") < bound)
        else:
            held = frame.filter((pl.col("recorded_at").dt.epoch("us") <= known.instant).fill_null(value=False))
        counts["unknown"] += frame.height - held.height
        return held

    def _leave(
        self,
        name: str,
        parts: Mapping[str, list[pl.DataFrame]],
        marks: list[pl.DataFrame],
        counts: Counter[str],
        seen: Sequence[int],
    ) -> None:
        place = self._place(name)
        partial = self._work / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for table, frames in parts.items():
            whole = summed_up(table, frames) if table in ("tallies", "coverage", "spots", "told") else pl.concat(frames)
            (write_verdicts if table == "verdicts" else write_table)(whole, partial / f"{table}.parquet")
        write_marks(marks, partial)
        (partial / "counts.json").write_text(json.dumps(counts, sort_keys=True), "utf-8")
        (partial / "seen.json").write_text(json.dumps(seen), "utf-8")
        # A piece is there whole or not at all, also when it is replaced: what is half removed would count as finished.
        replaced = self._work / f"{name}.replaced"
        shutil.rmtree(replaced, ignore_errors=True)
        if place.exists():
            place.replace(replaced)
        place.parent.mkdir(exist_ok=True)
        put_folder_in_place(partial, place)
        shutil.rmtree(replaced, ignore_errors=True)

    # -- repeats across pieces ----------------------------------------------------------------------------------------

    def _settle_repeats(self, names: list[str], bench: Bench, begin: Begin) -> None:
        """Judge the pieces again that hold a record which another piece replaces."""
        suspected = suspects({name: self._place(name) for name in names})
        if suspected.is_empty():
            return
        there = set(suspected["piece"])
        rows: list[pl.DataFrame] = []
        done = begin("looking for repeats", "pieces", len(there))
        for piece in self.source.pieces():
            if piece.name in there:
                wanted = suspected.filter(pl.col("piece") == piece.name)
                rows.append(self._candidates(piece, wanted))
                done(1)
        told = fates(pl.concat(rows))
        changed = told.filter((pl.col("fate") != KEPT) | (pl.col("conflicting") & ~pl.col("was_conflicting")))
        touched = set(changed["piece"])
        done = begin("judging without repeats", "pieces", len(touched))
        for piece in self.source.pieces():
            if piece.name in touched:
                self._judge(piece, bench, changed.filter(pl.col("piece") == piece.name))()
                done(1)

    def _candidates(self, piece: Piece, wanted: pl.DataFrame) -> pl.DataFrame:
        events, _ = self._events(piece, whole=True)
        held = [
            candidates(rows).with_columns(rows.select(*PLACES))
            for rows in (frame.join(wanted, on=PLACES, how="semi") for frame in (events.matches, events.encounters))
            if rows.height
        ]
        marks = wanted.select(*PLACES, was_conflicting=pl.col("conflicting"))
        whole = pl.concat(held).drop("conflicting").join(marks, on=PLACES, how="left")
        return whole.with_columns(piece=pl.lit(piece.name), conflicting=pl.col("was_conflicting"))

    # -- the answer ---------------------------------------------------------------------------------------------------

    def _finish(self, names: list[str], bench: Bench, records: Records, begin: Begin) -> None:
        verdicts = self.folder / VERDICT_FOLDER
        shutil.rmtree(verdicts, ignore_errors=True)
        verdicts.mkdir()
        for number, name in enumerate(names):
            shutil.copyfile(self._place(name) / "verdicts.parquet", verdicts / f"part-{number:06}.parquet")
        torn = any(hole.topic in EVENTS for hole in self.source.holes)
        entries = pl.concat([pl.DataFrame(schema=ENTRIES), *(self._read(name, "entries") for name in names)])
        settling = begin("settling duties", "cases", entries.height)
        standing = settled(bench, self.question, entries, settling, torn=torn)
        begin("writing the answer", "files", None)
        write_verdicts(standing.verdicts, verdicts / "standing.parquet")
        write_table(
            summed_up("tallies", [*(self._read(name, "tallies") for name in names), standing.tallies]),
            self.folder / "tallies.parquet",
        )
        covered = [pl.DataFrame(schema=COVERAGE), *(self._read(name, "coverage") for name in names)]
        coverage = summed_up("coverage", covered)
        write_table(coverage, self.folder / "coverage.parquet")
        told = [json.loads((self._place(name) / "seen.json").read_text("utf-8")) for name in names]
        seen = [instant for each in told for instant in each]
        write_table(watched(records.views.registry, coverage, seen), self.folder / "watch.parquet")
        write_table(self._blind_spots(names), self.folder / "blind_spots.parquet")
        write_table(self._withdrawn(names, bench.withdrawals), self.folder / "withdrawals.parquet")
        assert set(TABLES) == {"tallies", "coverage", "watch", "blind_spots", "withdrawals"}, "every table is written"
        finish(self.folder, self._manifest(self._counts(names, records)), self._work)

    def _read(self, name: str, table: str) -> pl.DataFrame:
        return pl.read_parquet(self._place(name) / f"{table}.parquet")

    def _blind_spots(self, names: list[str]) -> pl.DataFrame:
        """What no event of a device ever told."""
        if not names:
            return pl.DataFrame(schema=BLIND_SPOTS)
        spots = summed_up("spots", [self._read(name, "spots") for name in names])
        told = summed_up("told", [self._read(name, "told") for name in names])
        never = spots.join(told, on=["device_id", "fact"], how="anti", maintain_order="left")
        supply = {fact: FACTS[fact].supply for fact in never["fact"].unique()}
        return never.with_columns(
            supply=pl.col("fact").replace_strict(supply, return_dtype=pl.String) if supply else pl.lit(None, pl.String)
        ).select(*BLIND_SPOTS)

    def _withdrawn(self, names: list[str], withdrawals: pl.DataFrame) -> pl.DataFrame:
        found = [self._read(name, "withdrawn") for name in names] or [pl.DataFrame(schema=PARTS["withdrawn"])]
        after = pl.concat(found).group_by("number").agg(pl.col("matches_after").sum(), pl.col("last_match_at").max())
        whole = withdrawals.join(after, on="number", how="left").with_columns(
            pl.col("matches_after").fill_null(0)
        )
        return whole.select(*WITHDRAWALS).sort(*WITHDRAWALS)

    def _counts(self, names: list[str], records: Records) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        for name in names:
            counts.update(json.loads((self._place(name) / "counts.json").read_text("utf-8")))
        judged, rejected = (_named(counts, f"{what} ") for what in ("judged", "rejected"))
        lost = _named(counts, "lost ")
        return {
            "read": sum(judged.values()) + sum(rejected.values()) + sum(lost.values()),
            "judged": judged,
            "rejected": rejected,
            "duplicates": lost.get("duplicates", 0),
            "superseded": lost.get("superseded", 0),
            "conflicting": lost.get("conflicting", 0),
            "not_yet_known": counts["unknown"] + records.unknown,
            "records": records.taken,
            "refused_records": records.refused,
        }

    def _manifest(self, counts: Mapping[str, Any]) -> dict[str, Any]:
        asked = self.question
        return {
            "consentinel": version("consentinel"),
            "command": asked.command,
            "from": asked.since,
            "to": asked.until,
            "source": self.source.told,
            "known_at": asked.known.told(asked.known_at),
            "rules_as_of": asked.rules_as_of,
            "rulebook_digest": asked.rulebook.digest,
            "packs": told_packs(asked.rulebook, asked.titles),
            "counts": counts,
            "holes": self.source.holes,
        }


def _seen(said: Sequence[Judged]) -> Sequence[int]:
    """When the first and the last of what was judged happened, in microseconds; nothing where there is none."""
    nothing = pl.Series("occurred_at", [], PLACED["recorded_at"])
    instants = pl.concat([nothing, *(each.frame["occurred_at"] for each in said)]).dt.epoch("us")
    ends = instants.to_frame("at").select(first=pl.col("at").min(), last=pl.col("at").max())
    return [] if instants.is_empty() else ends.row(0)


def _without(frame: pl.DataFrame, lost: pl.DataFrame, counts: Counter[str]) -> pl.DataFrame:
    """A frame without the rows that other pieces replace, and with what is in conflict with them marked."""
    if lost.is_empty():
        return frame
    held = frame.join(lost.select(*PLACES, "fate", torn="conflicting"), on=PLACES, how="left", maintain_order="left")
    gone = held.filter(pl.col("fate") != KEPT)
    for fate, number in gone.filter("within")["fate"].value_counts().iter_rows():
        counts[f"lost {fate}"] += number
    kept = held.filter(pl.col("fate").is_null() | (pl.col("fate") == KEPT))
    return kept.with_columns(conflicting=pl.col("conflicting") | pl.col("torn").fill_null(value=False)).drop(
        "fate", "torn"
    )


def _within(frame: pl.DataFrame) -> pl.DataFrame:
    return (frame if frame["within"].all() else frame.filter("within")).drop("within")


def _by_kind(frame: pl.DataFrame) -> Iterator[tuple[CaseKind, pl.DataFrame]]:
    if frame.is_empty():
        return
    if "kind" not in frame.columns:
        yield CaseKind.MATCH, frame
        return
    for kind in frame["kind"].unique().sort().to_list():
        yield CaseKind(kind), frame.filter(pl.col("kind") == kind)


def _rejected(refused: pl.DataFrame) -> pl.DataFrame:
    hours = refused.select(hour=pl.col("recorded_at").dt.truncate("1h")).group_by("hour").agg(rejected=pl.len())
    return hours.select(
        (pl.col(name) if name in hours.columns else pl.lit(0 if name == "judged" else None)).cast(dtype).alias(name)
        for name, dtype in COVERAGE.items()
    )


def _named(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): number for name, number in sorted(counts.items()) if name.startswith(prefix)}
