"""The persons of the partitions of one worker: what their records say, as a view a partition. For the judging thread.

Rules:
1. The subject in a record decides where it belongs, not the partition it was written to nor its Kafka key.
2. While a partition is read from the beginning its records are put in as columns: nobody asks what each of them did.
   Those that may still correct a case wait, and are taken one by one at the end, as all are that come after it.
3. An unreadable record makes its key unknown until a readable one of that key comes; one without a key is counted,
   and pages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from schemas.topics import TopicName
from streams.core.arrival import Arrival
from streams.core.case import Views
from streams.core.chamber import Chamber
from streams.core.claim import GIVEN, WITHDRAWN, Claims
from streams.core.consent_end import ConsentEnds
from streams.core.instant import NEVER
from streams.core.partition import partitions_of
from streams.core.plain_statement import statements
from streams.core.statement_table import owned
from streams.core.subject_history import Histories
from streams.core.timeline import Statement
from streams.live.run import LogRecord
from streams.metrics.recorder import Recorder
from streams.metrics.site_metric import ConsentChange

CONSENT_CHANGES: Mapping[str, ConsentChange] = {GIVEN: ConsentChange.GIVEN, WITHDRAWN: ConsentChange.WITHDRAWN}
KEPT_MAX = 120_000
"""So many persons of a small estate are objects at most, a kilobyte each, over however many partitions."""
WAITING_MAX = 5_000
"""So many records that waited are taken one by one in one go: a tenth of a second in which no batch is judged."""


class Unreadable(NamedTuple):
    """A record of a key that cannot be read: its place in its batch."""

    row: int
    key: str


class Told(NamedTuple):
    """Some records of the persons of one partition, in their order: `rows` are `STATEMENT_COLUMNS`, `row` and `at`."""

    rows: pl.DataFrame
    unreadable: Sequence[Unreadable]


class Persons:
    """The persons of some partitions; `of(partition)` is what a case of that partition is judged by."""

    def __init__(self, shared: Views, claims: Claims, *, partitions: int, recorder: Recorder) -> None:
        self._shared, self._claims = shared, claims
        self._count = partitions
        self._recorder = recorder
        self._views: dict[int, Views] = {}
        self._waiting: dict[int, deque[Told]] = {}
        """What waits for the end of a first reading, by the partitions that are read from the beginning."""
        self._ends: dict[int, ConsentEnds] = {}
        self._ends_told: set[int] = set()
        """The partitions whose past was passed over: what ran out before the worker was warm is not counted."""
        self._chambers: dict[int, list[Chamber]] = {}

    # -- life ---------------------------------------------------------------------------------------------------------

    def begin(self, partitions: set[int]) -> None:
        """Know the persons of some partitions, from the beginning of the log."""
        for partition in partitions:
            self._views[partition] = self._shared.beside(Histories(self._claims))
            self._waiting[partition] = deque()

    def forget(self, partition: int) -> None:
        """Know the persons of a partition no more."""
        self._views.pop(partition, None)
        self._waiting.pop(partition, None)
        self._ends.pop(partition, None)

    def settle(self, partition: int) -> bool:
        """End the first reading of a partition as far as fits one go; true where more is waiting."""
        views, waiting = self._views.get(partition), self._waiting.get(partition)
        if views is None or waiting is None:
            return False
        if waiting:
            self._take_each(partition, views, waiting.popleft(), live=False)
            return True
        views.histories.settle()
        del self._waiting[partition]
        self._ends[partition] = ConsentEnds()
        self._ends[partition].begin(views.histories)
        kept = sum(len(each.histories.objects) for each in self._views.values())
        views.histories.keep_few(KEPT_MAX - kept)  # last: the ends of those who are columns are found in columns
        return False

    def of(self, partition: int) -> Views | None:
        """What is known for cases of a partition; None once it was given away."""
        return self._views.get(partition)

    def attach(self, partition: int, chamber: Chamber) -> None:
        """Tell a chamber what changes for its cases."""
        self._chambers.setdefault(partition, []).append(chamber)

    def detach(self, partition: int, chamber: Chamber) -> None:
        """Tell a chamber nothing more."""
        kept = [each for each in self._chambers.get(partition, ()) if each is not chamber]
        self._chambers[partition] = kept

    def chambers(self) -> Iterator[Chamber]:
        """Every chamber that is told of changes."""
        for chambers in self._chambers.values():
            yield from chambers

    def count_expired(self, warm: set[int], now: int) -> None:
        """Count the consents that ran out since this was asked, of the partitions that are known to their end."""
        for partition in warm & self._ends.keys():
            passed = self._ends[partition].passed(now)
            if partition in self._ends_told:
                self._recorder.consent(ConsentChange.EXPIRED, passed)
        self._ends_told = warm

    # -- records ------------------------------------------------------------------------------------------------------

    def take(self, kept: set[int], records: Sequence[LogRecord], *, live: bool) -> None:
        """Take some records of one log in, those of the partitions that are kept; `live` ones are counted."""
        rows, refused = statements([record.value for record in records], self._claims)
        unreadable: dict[int, list[Unreadable]] = {}
        for row, _ in refused:
            key = text_of(records[row].key)
            self._recorder.unreadable(TopicName.SUBJECTS, keyed=key is not None)
            if key is not None:
                place = int(partitions_of(pl.Series([key]), self._count)[0])
                unreadable.setdefault(place, []).append(Unreadable(row, key))
        came = pl.Series([record.timestamp for record in records], dtype=pl.Int64) * 1_000
        rows = rows.with_columns(
            partitions_of(rows["subject_ref"], self._count).alias("partition"), came.gather(rows["row"]).alias("at")
        )
        parts = rows.partition_by("partition", as_dict=True)
        places = {int(place) for (place,) in parts} | unreadable.keys()
        for partition in sorted(places & kept & self._views.keys()):
            own = parts.get((partition,), rows.clear())
            self._take(partition, Told(own, unreadable.get(partition, ())), live=live)

    def _take(self, partition: int, told: Told, *, live: bool) -> None:
        views, waiting = self._views[partition], self._waiting.get(partition)
        if waiting is None:
            self._take_each(partition, views, told, live=live)
            return
        late = told.rows["at"] >= self._shared.arrivals.since
        # Whether a key can be read hangs on the order of its records, so behind one that cannot everything waits.
        if (told.unreadable and (waiting or late.any())) or any(each.unreadable for each in waiting):
            waiting.extend(_pieces(told))
            return
        if late.any():
            waiting.extend(_pieces(Told(told.rows.filter(late), ())))
            told = Told(told.rows.filter(~late), told.unreadable)
        self._take_all(views, told)

    @staticmethod
    def _take_all(views: Views, told: Told) -> None:
        views.histories.put_all(told.rows)
        last = dict(told.rows.group_by("subject_ref").agg(pl.col("row").max()).iter_rows()) if told.unreadable else {}
        for row, key in told.unreadable:
            if last.get(key, -1) < row:
                views.histories.mark_unreadable(key)

    def _take_each(self, partition: int, views: Views, told: Told, *, live: bool) -> None:
        histories, ends, made = views.histories, self._ends.get(partition), self._claims.made
        histories.fetch(told.rows["subject_ref"])
        unreadable = list(reversed(told.unreadable))
        columns = told.rows.select("row", "subject_ref", "record_id", "version", "claim", "since", "until", "at")
        for row, ref, record_id, version, number, since, until, at in columns.iter_rows():
            while unreadable and unreadable[-1].row < row:
                self._take_unreadable(partition, views, unreadable.pop().key)
            before = histories.consent_ends(ref) if ends is not None else ()
            statement = Statement(record_id, version, since, made[number], until)
            changed = histories.put(ref, statement)
            if changed is not None and (at >= self._shared.arrivals.since or self._chambers.get(partition)):
                arrival = Arrival(record_id, made[number].kind, made[number].controller_id, since, at)
                self._tell(partition, ref, changed, self.arrived(arrival))
            if ends is not None:
                ends.change(before, histories.consent_ends(ref))
            # What was written before the worker was warm happened before its counters began.
            if live and (change := CONSENT_CHANGES.get(made[number].kind)) is not None:
                self._recorder.consent(change)
        for each in reversed(unreadable):
            self._take_unreadable(partition, views, each.key)

    def _take_unreadable(self, partition: int, views: Views, key: str) -> None:
        views.histories.mark_unreadable(key)
        self._tell(partition, key, -NEVER, None)

    def arrived(self, arrival: Arrival) -> Arrival:
        """Note when a record came; what came long ago cannot correct a case that is remembered."""
        if arrival.recorded_at >= self._shared.arrivals.since:
            self._shared.arrivals.note(arrival)
        return arrival

    def _tell(self, partition: int, subject_ref: str, since: int, arrival: Arrival | None) -> None:
        chambers = self._chambers.get(partition, ())
        beyond = [chamber.person_changed(subject_ref, since, arrival) for chamber in chambers]
        self._recorder.deferred(any(beyond))


def _pieces(told: Told) -> Iterator[Told]:
    """The same records in pieces of a size to be taken one by one in one go, whose texts are their own."""
    rows, unreadable = owned(told.rows), deque(told.unreadable)
    for begin in range(0, max(rows.height, 1), WAITING_MAX):
        piece, following = rows[begin : begin + WAITING_MAX], rows[begin + WAITING_MAX :]
        end = following.item(0, "row") if following.height else None
        before = []
        while unreadable and (end is None or unreadable[0].row < end):
            before.append(unreadable.popleft())
        yield Told(piece, before)


def text_of(key: bytes | None) -> str | None:
    """A Kafka key as text; one that is no UTF-8 is the key of nothing we know."""
    try:
        return None if not key else key.decode()
    except UnicodeDecodeError:
        return None
