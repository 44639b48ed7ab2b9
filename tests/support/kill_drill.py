"""The kill drill: two workers on one log are killed, ended, frozen and thawed while an estate writes; then we compare.

Rules:
1. One seed is one drill: the world, the order of the blows, their victims and pauses. The outcome names it.
2. The workers are the product's own command, as processes; the drill knows them by their signals, their pages and the
   topics alone.
3. What must come out is computed by the pure core from what was written, with all records known: ids and bytes.
4. Nothing is timed: whoever waits, waits for something to happen, with a patience that only guards against for ever.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self
from uuid import uuid4

from drill_estate import PARTITIONS, Estate, Heard, Listener, Place, committed, event_ids
from drill_oracle import expected_messages
from forked import ForkedWorker
from schemas.topics import TopicName
from schemas.verdict import VIOLATION, Violation
from shuffled_log import plain
from streams.live.topic_admin import create
from streams.settings import Settings, load_settings
from streams.simulator.broker import free_port

SESSION_SECONDS = 6
FROZEN_SECONDS = SESSION_SECONDS + 3.0
RATE = 18.0
READY_SECONDS = 120.0
SETTLE_SECONDS = 300.0
QUIET_SECONDS = 2.0
SOURCES = (TopicName.MATCHES, TopicName.ENCOUNTERS)

How = Literal["kill", "term", "kill warming", "term warming", "freeze"]


class Blow(NamedTuple):
    """One thing done to one worker: how, to whom, how long it stays down, and how long the drill goes on before it."""

    how: How
    victim: int
    down_seconds: float
    pause_seconds: float


def blows_of(seed: int) -> tuple[Blow, ...]:
    """The blows of a drill: six kills, the one of `warming` being two, and one freeze, in an order by seed."""
    chance = random.Random(f"blows/{seed}")
    warming: How = chance.choice(("kill warming", "term warming"))
    order: list[How] = ["kill", "kill", "term", "term", warming, "freeze"]
    chance.shuffle(order)
    victims = [chance.randrange(2)]
    while len(victims) < len(order):
        # Mostly in turn, so that a blow rarely waits for its victim to be back.
        victims.append(1 - victims[-1] if chance.random() < 0.75 else victims[-1])
    return tuple(
        Blow(how, victim, chance.choice((0.0, 0.0, 1.5)), chance.uniform(0.5, 3.0))
        for how, victim in zip(order, victims, strict=True)
    )


class Worker(ForkedWorker):
    """A worker that can be hit."""

    def hit(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process is not None, "a worker is hit while it runs"
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        assert self._process is not None, "a worker ends after it began"
        return self._process.wait(READY_SECONDS)

    def wait_warming(self) -> None:
        """Wait until it answers that it is not ready yet."""
        deadline = time.monotonic() + READY_SECONDS
        while (answer := self._get("/readyz")) is None:
            self.check_alive()
            assert time.monotonic() < deadline, "the worker has no pages"
            time.sleep(0.01)
        assert answer[0] == 503, "the worker was ready before it could be hit"


class Team:
    """Workers on topics and a group of their own; `folder` takes their logs, `options` are settings for all of them."""

    def __init__(self, broker: str, folder: Path, **options: str) -> None:
        name = f"drill-{uuid4().hex}"
        self._options = {
            "broker": broker,
            "prefix": f"{name}.",
            "group": name,
            "session_timeout_seconds": str(SESSION_SECONDS),
        } | options
        self._folder = folder
        self.workers: dict[int, Worker] = {}
        self.settings: Settings = load_settings(partitions=PARTITIONS, **self._options)
        create(self.settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers.values():
            worker.__exit__(kind, error, trace)

    def start(self, number: int) -> Worker:
        """Start a worker, or start it again; on a new port, for somebody else may have taken the old one meanwhile."""
        worker = Worker(self._options, port=free_port(), log=self._folder / f"worker-{number}.log")
        self.workers[number] = worker.__enter__()
        return worker

    def settle(self, listener: Listener, expected: Mapping[str, bytes]) -> tuple[dict[Place, int], dict[Place, int]]:
        """Wait until everything expected is heard and committed and nothing more comes; returns commits and ends.

        Returns too when patience runs out: the comparison then says what is missing. Raises when a worker ends.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        quiet_since, count = time.monotonic(), -1
        while True:
            for worker in self.workers.values():
                worker.check_alive()
            if len(listener.heard) != count:
                quiet_since, count = time.monotonic(), len(listener.heard)
            late = time.monotonic() > deadline
            quiet = time.monotonic() - quiet_since > QUIET_SECONDS and not expected.keys() - listener.ids
            if quiet or late:
                commits = committed(self.settings, SOURCES)
                ends = {place: len(ids) for place, ids in event_ids(self.settings, SOURCES).items()}
                if commits == ends or late:
                    return commits, ends
            time.sleep(0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What was heard against what the core expects; the identities are violation ids."""

    expected: int
    lost: frozenset[str]
    unexpected: frozenset[str]
    under_two_ids: int
    repeats: int
    taken_back: int
    """Violations that were said and that what came late has retracted or contested."""
    differing: frozenset[str]
    """Violations whose last message is not what the core says, or that were repeated in other bytes uncorrected."""


def compare(heard: Sequence[Heard], expected: Mapping[str, bytes]) -> Books:
    """Compare what stands at the end on the violations topic with what the core says.

    Before a feed has caught up a case may be undetermined, and a correction tells of it later; so messages are folded
    as every consumer folds them, and what a correction adds to one is left aside. Of a violation that nothing corrected
    every message is the same, byte for byte.
    """
    messages = Counter(each.value for each in heard)
    last: dict[str, Violation] = {}
    for each in map(VIOLATION.read, (one.value for one in heard)):
        known = last.get(each.violation_id)
        if known is None or not each.is_overtaken(version=known.event_version, corrected=known.corrects):
            last[each.violation_id] = each
    standing = {each.violation_id: plain(each) for each in last.values() if each.status in ("open", "excused")}
    said = [VIOLATION.read(message) for message in messages]
    breaches = {
        (each.violation_id, each.rule_id, each.revision, each.controller_id, each.event_id, each.subject_ref)
        for each in said
    }
    ids = standing.keys()
    differing = {each for each, value in standing.items() if expected.get(each, value) != value}
    corrected = {each.violation_id for each in said if each.cause != "judged"}
    differing |= {each for each, count in Counter(one.violation_id for one in said).items() if count > 1} - corrected
    return Books(
        expected=len(expected),
        lost=frozenset(expected.keys() - ids),
        unexpected=frozenset(ids - expected.keys()),
        under_two_ids=len(breaches) - len({breach[1:] for breach in breaches}),
        repeats=len(heard) - len(messages),
        taken_back=sum(each.status in ("retracted", "contested") for each in last.values()),
        differing=frozenset(differing),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a drill showed."""

    seed: int
    events: int
    books: Books
    committed: Mapping[Place, int]
    ends: Mapping[Place, int]
    exits: tuple[tuple[str, int], ...]
    """How each worker was asked to end, and its exit code."""
    judging_again: tuple[tuple[str, float], ...]
    """Seconds after each blow until every partition had a verdict on something written after it."""

    def lines(self) -> Iterator[str]:
        """The outcome in words, the seed first, so that a failure can be repeated."""
        books = self.books
        yield f"seed {self.seed}: {', '.join(f'{blow.how} {blow.victim}' for blow in blows_of(self.seed))}"
        yield f"{self.events} events, {books.expected} violations expected"
        yield f"lost {len(books.lost)}, unexpected {len(books.unexpected)}, under two ids {books.under_two_ids}"
        yield f"taken back {books.taken_back}"
        yield f"repeats {books.repeats}, of which differing {len(books.differing)}"
        yield f"judging again after (s): {', '.join(f'{how} {seconds:.1f}' for how, seconds in self.judging_again)}"
        yield f"exits: {', '.join(f'{how} {code}' for how, code in self.exits)}"


class Drill(Team):
    """One drill on one broker."""

    def __init__(self, broker: str, seed: int, folder: Path) -> None:
        super().__init__(broker, folder)
        self.seed = seed
        self._exits: list[tuple[str, int]] = []
        self._struck: list[tuple[str, float]] = []

    def run(self) -> Outcome:
        """Start, strike, let it settle, compare."""
        listener = Listener(self.settings)
        listener.start()
        estate = Estate(self.settings, self.seed, rate=RATE, late=True)
        for worker in [self.start(number) for number in range(2)]:
            worker.wait_ready(READY_SECONDS)
        estate.start()
        for blow in blows_of(self.seed):
            self._strike(blow, estate)
        estate.go_on()
        estate.stop()
        expected = expected_messages(estate.opening, estate.steps, estate.opened_at)
        commits, ends = self.settle(listener, expected)
        for worker in self.workers.values():
            worker.hit(signal.SIGTERM)
        self._exits += [("term at the end", worker.end()) for worker in self.workers.values()]
        listener.stop()
        return Outcome(
            seed=self.seed,
            events=estate.events,
            books=compare(listener.heard, expected),
            committed=commits,
            ends=ends,
            exits=tuple(self._exits),
            judging_again=tuple((how, _again(at, estate, listener.heard)) for how, at in self._struck),
        )

    def _strike(self, blow: Blow, estate: Estate) -> None:
        worker = self.workers[blow.victim]
        worker.wait_ready(READY_SECONDS)
        if blow.how == "term":
            # The embedded broker never elects again when a leader leaves a group that is just forming.
            self.workers[1 - blow.victim].wait_ready(READY_SECONDS)
        estate.go_on()
        time.sleep(blow.pause_seconds)
        self._struck.append((blow.how, time.monotonic()))
        if blow.how == "freeze":
            worker.hit(signal.SIGSTOP)
            time.sleep(FROZEN_SECONDS)
            worker.hit(signal.SIGCONT)
            return
        if blow.how.endswith("warming"):
            worker.hit(signal.SIGKILL)
            worker.end()
            worker = self.start(blow.victim)
            worker.wait_warming()
        gentle = blow.how.startswith("term")
        worker.hit(signal.SIGTERM if gentle else signal.SIGKILL)
        code = worker.end()
        if gentle:
            self._exits.append((blow.how, code))
        time.sleep(blow.down_seconds)
        self.start(blow.victim)


def _again(struck_at: float, estate: Estate, heard: Sequence[Heard]) -> float:
    first: dict[int, float] = {}
    for each in heard:
        if each.partition not in first and each.at > struck_at and estate.written_at[each.event_id] > struck_at:
            first[each.partition] = each.at
    return max(first.values(), default=float("nan")) - struck_at
