"""What is known of all persons, as states over time: consent per controller and purpose, age, restriction.

Rules:
1. A history is a pure fold over subject records, indifferent to their order and to duplicates.
2. Consent counts from its own instant up to its end; a withdrawal ends, at its own instant, every consent that it
   covers and that began then or before (PIPL Art. 15; at one instant withdrawal wins).
3. A state holds on a half-open stretch of time; states are interned, so a case carries a small integer.
4. Of a record only its claim is kept. What comes by the million is kept as columns, and becomes the history of a
   person when somebody first asks for it; of what was not changed since, only so much is kept as objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import polars as pl

from schemas.subject import SubjectRecord
from streams.core.claim import Asked, Claim, Claims
from streams.core.history import NOTHING_KNOWN, History
from streams.core.instant import NEVER, micros
from streams.core.statement_table import STATEMENT_COLUMNS, Row, StatementTable
from streams.core.subject_state import InForce, State, in_force, state_in_force, towards_no_purpose
from streams.core.timeline import Statement

ONES_MAX = 100_000
STORED_MAX = 200_000
"""Histories kept as objects although columns say the same: those that were asked last, about a kilobyte each."""
FEW = 30_000
"""So many persons are made objects of at once, in less than half a second; no match has to look for them then."""
ABSENT_MAX = 50_000
"""So many persons of whom nothing is known are remembered, not to be looked for again."""
SLICE = 10_000
"""So many persons are made objects of at once where all are looked at."""
UNNAMED = -1
"""No state: a case that names nobody."""


class Histories:
    """The histories of all persons of a view, and the claims and states they share.

    A person is either an object or in the table; where both speak of one the object is newer.
    """

    __slots__ = (
        "_absent", "_changes", "_filled", "_ids", "_in_force", "_marked", "_ones", "_stored", "_whole",
        "claims", "objects", "states", "table",
    )  # fmt: skip

    def __init__(self, claims: Claims | Asked | None = None) -> None:
        """`claims` may be shared with other histories; else the fields that duties ask are enough."""
        self.claims = claims if isinstance(claims, Claims) else Claims(claims)
        self._changes: dict[str, None] = {}
        self._filled = False
        """Whether anybody in the table may have changed."""
        self.objects: dict[str, History] = {}
        """The persons who are objects."""
        self.table = StatementTable()
        """What is said of persons who are no objects; of the others it may be old."""
        self._marked: set[str] = set()
        """Persons of whom the newest record cannot be read, and who are no objects yet."""
        self._absent: set[str] = set()
        """Persons who were looked for in the table and are not there: one alone takes as long as thousands."""
        self._stored = 0
        self._whole = False
        """Whether all persons are objects, so that nobody need be looked for in the table."""
        self._in_force: dict[InForce, int] = {}
        self._ones: dict[tuple[int, str | None, bool], int] = {}
        self.states: list[State] = [State()]
        self._ids: dict[State, int] = {self.states[NOTHING_KNOWN]: NOTHING_KNOWN}

    def add(self, record: SubjectRecord) -> int | None:
        """Take a record in; a readable record of a person ends an unreadable one.

        Gives the first instant at which an answer about the person may differ now; None where none does.
        """
        until = NEVER if record.valid_until is None else micros(record.valid_until)
        since, claim = micros(record.valid_from), self.claims.of(record)
        return self.put(record.subject_ref, Statement(record.record_id, record.record_version, since, claim, until))

    def put(self, subject_ref: str, statement: Statement[Claim]) -> int | None:
        """Take a statement in as `add` does, of a claim that these histories keep."""
        history = self.history(subject_ref)
        if history is None:
            history = self.objects[subject_ref] = History()
        since = history.change(statement)
        if history.unreadable:
            history.unreadable, since = False, -NEVER
        if since is not None:
            self._changed(subject_ref, history, asked=statement.content.kind in self.claims.asked)
        return since

    def put_all(self, rows: pl.DataFrame) -> None:
        """Take many statements in at once, as columns (`STATEMENT_COLUMNS`), where nobody asks what they change."""
        known = [ref for ref in rows["subject_ref"].unique() if ref in self.objects] if self.objects else []
        if known:
            here = pl.col("subject_ref").is_in(pl.Series(known).implode())
            for ref, *row in rows.filter(here).select(*STATEMENT_COLUMNS).iter_rows():
                self.put(ref, self._statement(tuple(row)))
            rows = rows.filter(~here)
        if self._marked:
            self._marked.difference_update(rows["subject_ref"])
        self.table.put(rows)
        self._absent.clear()
        self._filled, self._whole = True, False

    def mark_unreadable(self, subject_ref: str) -> None:
        """Remember that the newest record of a person cannot be read."""
        history = self.objects.get(subject_ref)
        if history is None:
            self._marked.add(subject_ref)
            self._absent.discard(subject_ref)
            self._whole = False
        else:
            history.unreadable = True
        self._changed(subject_ref, history, asked=bool(self.claims.asked))

    def settle(self) -> None:
        """Make columns of what can be said in columns: of all but those whose records conflict or cannot be read."""
        plain = {ref: each for ref, each in self.objects.items() if not (each.unreadable or each.conflicting)}
        numbers = {id(claim): number for number, claim in enumerate(self.claims.made)}
        rows = [
            (ref, each.record_id, each.record_version, numbers[id(each.content)], each.valid_from, each.valid_until)
            for ref, history in plain.items()
            if not history.stored
            for each in history
        ]
        self.table.put(pl.DataFrame(rows, schema=STATEMENT_COLUMNS, orient="row"))
        self.table.settle()
        self._absent.clear()
        self.objects = {ref: each for ref, each in self.objects.items() if ref not in plain}
        self._stored, self._whole = 0, False

    def keep_few(self, most: int = FEW) -> None:
        """Make objects of all persons where they are few, and no more than `most`: nobody waits for their columns."""
        if self.table.persons <= min(FEW, most):
            self.fetch(self._others())
            self._whole = True

    def _changed(self, subject_ref: str, history: History | None, *, asked: bool) -> None:
        if history is not None:
            self._stored -= history.stored
            history.changed()
        if asked:
            self._changes[subject_ref] = None

    def history(self, subject_ref: str) -> History | None:
        """The history of one person, if any record is known."""
        if subject_ref not in self.objects and not self._whole:
            self.fetch((subject_ref,))
        return self.objects.get(subject_ref)

    def fetch(self, refs: Iterable[str | None]) -> None:
        """Make objects of some persons at once; one by one it costs ten times as much."""
        if self._whole or not (self.table or self._marked):
            return
        wanted = {ref for ref in refs if ref is not None}
        wanted -= self._absent
        missing = wanted.difference(self.objects)
        found = list(self._made(missing))
        if len(self._absent) > ABSENT_MAX:
            self._absent.clear()
        self._absent |= missing.difference(ref for ref, _ in found)
        if self._stored + len(found) > STORED_MAX:
            left = {ref: each for ref, each in self.objects.items() if not each.stored or ref in wanted}
            self._whole = False
            self.objects, self._stored = left, sum(each.stored for each in left.values())
        for ref, history in found:
            self.objects[ref] = history
            self._stored += history.stored
            if history.unreadable:
                self._marked.discard(ref)

    def _made(self, refs: Collection[str]) -> Iterator[tuple[str, History]]:
        """The histories of persons who are no objects, of whom anything is known."""
        if not refs:
            return
        marked = self._marked.intersection(refs)
        for ref, rows in self.table.of(refs):
            history = History()
            for row in rows:
                history.add(self._statement(row))
            history.unreadable = ref in marked
            history.changed()
            history.stored = not history.unreadable
            marked.discard(ref)
            yield ref, history
        for ref in marked:
            history = History()
            history.unreadable = True
            yield ref, history

    def _statement(self, row: Row) -> Statement[Claim]:
        record_id, version, claim, since, until = row
        return Statement(record_id, version, since, self.claims.made[claim], until)

    def _others(self) -> list[str]:
        """The persons who are no objects."""
        known = [ref for ref in self.table.refs if ref not in self.objects]
        return known + list(self._marked.difference(known))

    def states_at(self, asked: Iterable[tuple[str | None, str, str | None, int]]) -> list[int]:
        """For each person, controller, purpose and instant the index into `states` that holds.

        NOTHING_KNOWN where no record is known, UNNAMED where nobody is. One loop without a call a row: it is run
        for every event, and calls took more than half of it.
        """
        if not self._whole and (self.table or self._marked):
            asked = list(asked)
            self.fetch(subject_ref for subject_ref, _, _, _ in asked)
        found: list[int] = []
        add, history_of, one_of = found.append, self.objects.get, self._ones.get
        for subject_ref, controller_id, purpose_id, instant in asked:
            if subject_ref is None:
                add(UNNAMED)
                continue
            history = history_of(subject_ref)
            if history is None:
                add(NOTHING_KNOWN)
                continue
            only = history.only
            if only is None:
                add(history.state_at(self, controller_id, purpose_id, instant))
                continue
            content = only.content
            if instant < only.valid_from or content.controller_id != controller_id:
                add(NOTHING_KNOWN)
                continue
            # A claim is kept for ever, so its identity names it; hashing its words would cost more than all the rest.
            state = one_of((id(content), purpose_id, instant < only.valid_until))
            add(self._state_of_one(only, purpose_id, instant) if state is None else state)
        return found

    def consent_ends(self, subject_ref: str) -> list[int]:
        """The ends of a person's consents that run out, in microseconds."""
        history = self.history(subject_ref)
        return [] if history is None else history.consent_ends()

    def take_changes(self) -> list[str]:
        """The persons of whom a kind of record that duties ask has, or may have, changed since this was asked."""
        changes, self._changes = self._changes, {}
        if self._filled:
            changes |= dict.fromkeys(self._named_by(lambda claim: claim.kind in self.claims.asked))
            self._filled = False
        return list(changes)

    def towards(self, controllers: Collection[str]) -> list[str]:
        """The persons of whom a record towards one of some controllers speaks."""
        return self._named_by(lambda claim: claim.controller_id in controllers)

    def _named_by(self, wanted: Callable[[Claim], bool]) -> list[str]:
        """The persons with a statement of which the claim is wanted, or of whom nothing can be read."""
        made = [number for number, claim in enumerate(self.claims.made) if wanted(claim)]
        persons = self.table.rows().filter(pl.col("claim").is_in(made))["person"].unique(maintain_order=True)
        found = dict.fromkeys(ref for ref in self.table.named(persons) if ref not in self.objects)
        own = self.objects.items()
        found |= dict.fromkeys(ref for ref, each in own if each.unreadable or any(wanted(one.content) for one in each))
        return [*found, *self._marked.difference(found)]

    def state_of(self, found: InForce) -> int:
        """The index of the state that follows from what is in force; computed once for all persons."""
        known = self._in_force.get(found)
        if known is None:
            known = self._in_force[found] = self.intern(state_in_force(found))
        return known

    def _state_of_one(self, only: Statement[Claim], purpose_id: str | None, instant: int) -> int:
        """The index of the state that follows from a statement that has begun and stands alone; computed once."""
        if len(self._ones) >= ONES_MAX:
            self._ones.clear()
        if purpose_id is None:
            state = self.intern(towards_no_purpose([only], instant))
        else:
            state = self.state_of(in_force([only], purpose_id, instant))
        self._ones[id(only.content), purpose_id, instant < only.valid_until] = state
        return state

    def intern(self, state: State) -> int:
        """The index of a state, given once and kept."""
        if state not in self._ids:
            self._ids[state] = len(self.states)
            self.states.append(state)
        return self._ids[state]

    def each(self, refs: Sequence[str]) -> Iterator[tuple[str, History]]:
        """The histories of those persons of whom a record speaks, each named once; none is kept."""
        for begin in range(0, len(refs), SLICE):
            some = refs[begin : begin + SLICE]
            yield from [(ref, self.objects[ref]) for ref in some if ref in self.objects]
            yield from self._made([ref for ref in some if ref not in self.objects])

    def items(self) -> Iterator[tuple[str, History]]:
        """Every person of whom a record speaks, with their history."""
        others = self._others()
        yield from list(self.objects.items())
        yield from self.each(others)

    def __iter__(self) -> Iterator[str]:
        yield from list(self.objects)
        yield from self._others()

    def __len__(self) -> int:
        return len(self.objects) + len(self._others())
