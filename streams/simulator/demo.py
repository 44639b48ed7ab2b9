"""The demo: a broker, the topics, a worker, a simulated estate and an auditor, started, shown and stopped together.

Rules:
1. The broker is the embedded one: in memory, gone at the end, never for production, and the demo says so.
2. After `seconds`, or at Ctrl-C, nothing new begins; what has begun is reported, judged and audited before the end.
3. Exit code 0 when the auditor agrees, 1 when not; a world that is not as it should be is a typed error.
4. With `as_json` stdout carries one JSON object and nothing else; everything else is said on stderr.
5. With `with_stack` Prometheus, Alertmanager and `consentinel alerts` run beside it; no verdict depends on them.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from schemas.topics import TopicName
from streams.core.rulebook import Rulebook
from streams.live.topic_admin import create
from streams.packs import rulebook as load_rulebook
from streams.settings import Settings, load_settings
from streams.simulator.auditor import Auditor
from streams.simulator.broker import NOTICE, EmbeddedBroker, free_port
from streams.simulator.child import HOST, ChildFailed
from streams.simulator.follower import Follower
from streams.simulator.pace import Pace
from streams.simulator.publisher import Publisher
from streams.simulator.scoreboard import Scoreboard
from streams.simulator.simulation import Simulation, Step
from streams.simulator.stack import Stack, find_programs, stack_beside
from streams.simulator.summary import EVENTS, Summary
from streams.simulator.worker_child import Series, WorkerChild, total

RATE = 2_000.0
"""Baseline events a second unless told otherwise; two cores carry broker, worker and simulator at this rate."""
READY_SECONDS = 60.0
SETTLE_SECONDS = 60.0
SHORTEST_SECONDS = 2.0
"""So long the estate is shown, however short the demo: every story is told once in it."""
QUIET_SECONDS = 1.0
"""So long nothing unexpected may come after the last expected verdict."""
METRICS_SECONDS = 0.5
OPTIONS = {
    "session_timeout_seconds": "6",  # the embedded broker lets a join take half of it
    "hold_seconds": "10",  # a machine that is busy with all of this at once may read heartbeats late
}
"""Settings of the demo's worker that differ from the defaults."""
READY = "the worker is ready"
FILE_COLUMNS = 100
"""So wide is what goes to a file or a pipe: the id of every rule fits beside its numbers."""


@dataclass(slots=True)
class Stop:
    """Whether somebody wants an end, by Ctrl-C, by SIGTERM or by the clock (a monotonic instant)."""

    at: float | None
    asked: bool = False

    def wanted(self) -> bool:
        """Whether the end has come."""
        return self.asked or (self.at is not None and time.monotonic() >= self.at)


@dataclass(slots=True)
class Stage:
    """Everything that runs together during a demo."""

    publisher: Publisher
    follower: Follower
    worker: WorkerChild
    stack: Stack
    board: Scoreboard
    auditor: Auditor
    series: Series = field(default_factory=dict)
    began: float = 0.0
    judged_last: float = 0.0
    _asked_at: float = 0.0

    def look(self, *, now: bool = False) -> None:
        """Read what came out and, now and then, the worker's metrics."""
        violations = self.follower.read()
        for violation in violations:
            self.auditor.see(violation)
        self.board.see(violations)
        clock = time.monotonic()
        if not now and clock - self._asked_at < METRICS_SECONDS:
            return
        self._asked_at = clock
        self.worker.check_alive()
        self.stack.check_alive()
        series = self.worker.series()
        if series is None:
            return
        if total(series, EVENTS) != total(self.series, EVENTS):
            self.judged_last = clock
        self.series = series
        self.board.judged(clock, total(series, EVENTS, outcome="judged"))
        self.board.rejected = total(series, EVENTS, outcome="rejected")
        self.board.forwarded = total(series, EVENTS, outcome="forwarded")

    @property
    def sent(self) -> int:
        """Events that the broker acknowledged."""
        return self.publisher.sent[TopicName.MATCHES] + self.publisher.sent[TopicName.ENCOUNTERS]

    @property
    def settled(self) -> bool:
        """Whether everything sent was judged or rejected."""
        done = sum(total(self.series, EVENTS, outcome=outcome) for outcome in ("judged", "rejected"))
        return done >= self.sent


def run_demo(
    *, seconds: float | None, seed: int, rate: float | None = None, as_json: bool = False, with_stack: bool = False
) -> int:
    """Run a demo and return its exit code; raises a ConsentinelError when a program that it needs cannot be had."""
    said = Console(stderr=as_json)
    if not said.is_terminal:
        said.width = max(said.width, FILE_COLUMNS)
    stop = Stop(None if seconds is None else time.monotonic() + seconds)
    book = load_rulebook(load_settings().rules)
    programs = find_programs() if with_stack else None
    with ExitStack() as opened:
        opened.enter_context(_stopping(stop))
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="consentinel-demo-")))
        broker = opened.enter_context(EmbeddedBroker())
        options = {"broker": broker.bootstrap, **OPTIONS}
        settings = load_settings(**options)
        create(settings)
        worker = opened.enter_context(WorkerChild(options, port=(port := free_port()), log=folder / "worker.log"))
        stack = Stack()
        if programs is not None:
            stack = opened.enter_context(stack_beside(f"{HOST}:{port}", programs, folder, options))
        simulation = Simulation(seed, datetime.now(UTC), RATE if rate is None else rate)
        try:
            summary = _show(settings, worker, stack, simulation, book, stop, said)
        except ChildFailed as error:
            sys.stderr.write(error.last_words + "\n")
            raise
    if as_json:
        sys.stdout.write(json.dumps(summary.as_json()) + "\n")
    else:
        said.print(summary.table(book))
        for line in summary.lines():
            said.print(line, highlight=False, soft_wrap=True)
    return 0 if summary.agrees else 1


def _show(
    settings: Settings,
    worker: WorkerChild,
    stack: Stack,
    simulation: Simulation,
    book: Rulebook,
    stop: Stop,
    said: Console,
) -> Summary:
    """Everything between the start of the worker and the summary."""
    notes = (
        NOTICE,
        f"worker: {worker.address}/metrics  {worker.address}/healthz  {worker.address}/readyz",
        *stack.notes,
        f"rulebook {book.digest[:12]}: {len(book.rules)} rules of {', '.join(book.packs)}",
        f"seed {simulation.clerk.seed}, {simulation.rate:g} events a second and {len(simulation.stories)} stories",
    )
    for note in notes[1:]:  # the broker has said its own already
        said.print(note, highlight=False, soft_wrap=True)
    with (
        Publisher(settings.brokers, settings.prefix) as publisher,
        Follower(settings.brokers, settings.topic(TopicName.VIOLATIONS)) as follower,
    ):
        publisher.publish_opening(simulation.opening())
        stage = Stage(publisher, follower, worker, stack, Scoreboard(book, notes), Auditor(simulation.foreseen()))
        if all(child.wait_ready(READY_SECONDS, stopped=lambda: stop.asked) for child in (worker, *stack.children)):
            said.print(READY)
            with Live(console=said, auto_refresh=False, transient=True) as live:
                _perform(stage, simulation, stop, live)
                _settle(stage, live)
    return Summary(
        seed=simulation.clerk.seed,
        events=stage.sent,
        series=stage.series,
        audit=stage.auditor.audit(),
        seconds=max(0.0, stage.judged_last - stage.began),
    )


def _perform(stage: Stage, simulation: Simulation, stop: Stop, live: Live) -> None:
    """Write step after step at the pace of the wall clock, until the end, and what has begun by then."""
    stage.look(now=True)
    stage.began = time.monotonic()
    pace = Pace()
    if stop.at is not None:
        stop.at = max(stop.at, stage.began + SHORTEST_SECONDS)
    for step in _until(stop, simulation):
        pace.wait(step)
        stage.publisher.publish(step)
        stage.auditor.expect(step.expectations)
        stage.board.sent = stage.sent
        stage.look()
        live.update(stage.board.render(), refresh=True)


def _until(stop: Stop, simulation: Simulation) -> Iterator[Step]:
    for step in simulation.steps(datetime.now(UTC)):
        yield step
        if stop.wanted():
            break
    yield from simulation.drain()


def _settle(stage: Stage, live: Live) -> None:
    """Wait until everything sent was judged and what came of it was read, or until patience runs out."""
    deadline = time.monotonic() + SETTLE_SECONDS
    quiet_since: float | None = None
    while time.monotonic() < deadline:
        stage.look(now=True)
        live.update(stage.board.render(), refresh=True)
        done = stage.settled and stage.follower.at_end() and not stage.auditor.audit().missing
        if not done:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= QUIET_SECONDS:
            return
        time.sleep(0.1)


@contextmanager
def _stopping(stop: Stop) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM ask for the end, and the second one insist."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
