"""The command line: every command parses, calls its room and says the result; exit codes are a contract.

Rules:
1. Results go to stdout, everything said about them to stderr, so that `--json` is only JSON; `streams.screen` has both,
   and what each exit code means.
2. What a command needs is imported where it runs: `--help` must not wait for Faust, nor a worker for what replays.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn

import typer
from rich.table import Table
from typer.exceptions import TyperException

from dashboards.command import app as dashboards
from streams import audit_commands
from streams.errors import ConsentinelError, InputError, Place, RulebookError
from streams.ingest.recogniser import Recogniser
from streams.replay import command as replay_command
from streams.rule_commands import rules
from streams.screen import CLEAN, FINDINGS, INPUT_ERROR, RULE_ERROR, say, say_bad_lines, show

if TYPE_CHECKING:
    from streams.core.blind_spot import BlindSpots
    from streams.core.rulebook import Rulebook
    from streams.ingest.gateway import Gateway, Problem, Tally

BLIND_SPOTS_SHOWN = 20

app = typer.Typer(
    name="consentinel",
    help="Watches the watchers: judges face-recognition events against consent, purpose and law.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics = typer.Typer(help="The topics on the broker.", no_args_is_help=True)
vault = typer.Typer(help="The vault: which random token stands for whom.", no_args_is_help=True)
app.add_typer(topics, name="topics")
app.add_typer(rules, name="rules")
app.add_typer(vault, name="vault")
audit_commands.register(app)
replay_command.register(app)
app.add_typer(dashboards, name="dashboards")

Packs = Annotated[list[Path] | None, typer.Option("--rules", help="Rule packs to judge by, instead of ours.")]
RulesAsOf = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        metavar="DAY",
        help="Judge by the law of this day (2026-01-31; its noon, UTC), whenever an event was.",
    ),
]
VaultFile = Annotated[Path, typer.Option("--vault", help="The vault's database.")]
KeyFile = Annotated[Path, typer.Option("--key", help="The vault's key, kept apart from the database.")]
Controller = Annotated[str, typer.Option("--controller", help="Id of the controller.")]
Seed = Annotated[int, typer.Option(help="Seed of the simulated world.")]
Rate = Annotated[float | None, typer.Option(min=1, help="Match events a second.")]


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Watches the watchers: judges face-recognition events against consent, purpose and law."""
    if show_version:
        print(f"consentinel {version('consentinel')}")
        raise typer.Exit(CLEAN)
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(INPUT_ERROR)


@app.command()
def worker() -> None:
    """Judge match events from the broker of the settings (environment: CONSENTINEL_*) until told to stop."""
    from streams.live.worker import run_worker  # Faust patches the process; only the worker wants that
    from streams.settings import load_settings

    raise typer.Exit(run_worker(load_settings()))


@app.command()
def alerts() -> None:
    """Tell Alertmanagers and webhooks of the settings what is on the log of violations, until told to stop."""
    from streams.live.alerts import run_alerts
    from streams.settings import load_settings

    raise typer.Exit(run_alerts(load_settings()))


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    seed: Seed = 1,
    rate: Rate = None,
    with_stack: Annotated[
        bool, typer.Option("--stack", help="Run Prometheus and Alertmanager beside it; both must be installed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Show the monitor at work: an embedded broker, a worker, a simulated estate and an auditor."""
    from streams.simulator.demo import run_demo

    raise typer.Exit(run_demo(seconds=seconds, seed=seed, rate=rate, as_json=as_json, with_stack=with_stack))


@app.command()
def simulate(
    out: Annotated[str, typer.Option(help="`kafka`, or a folder for NDJSON files.")],
    seconds: Annotated[float, typer.Option(min=0, help="Simulated seconds.")] = 60.0,
    seed: Seed = 1,
    rate: Rate = None,
) -> None:
    """Write a simulated estate's events, records and expectations to the broker of the settings or to files."""
    from streams.simulator.command import run_simulate

    raise typer.Exit(run_simulate(out, seconds=seconds, seed=seed, rate=rate, say=say))


@topics.command("create")
def topics_create() -> None:
    """Create the topics that are missing; existing ones are never changed."""
    from streams.live.topic_admin import create
    from streams.settings import load_settings

    made = create(load_settings())
    for name in made:
        print(name)
    say(f"{len(made)} topics made" if made else "every topic was there already: nothing was changed")


@topics.command("check")
def topics_check() -> None:
    """Compare the broker's topics with the catalogue; exit code 1 where something is wrong."""
    from schemas.topic_name import TopicName
    from streams.live.topic_admin import check
    from streams.settings import load_settings

    problems = check(load_settings())
    for problem in problems:
        print(problem)
    faults = sum(problem.grave for problem in problems)
    say(f"{len(TopicName)} topics, {faults} faults")
    raise typer.Exit(FINDINGS if faults else CLEAN)


@app.command()
def judge(
    events: Annotated[list[Path], typer.Option(help="Match events and encounters, NDJSON.")],
    subjects: Annotated[list[Path], typer.Option(help="Subject records, NDJSON.")],
    registry: Annotated[list[Path], typer.Option(help="Registry records, NDJSON.")],
    packs: Packs = None,
    until: Annotated[
        datetime | None, typer.Option(help="Look at deadlines and windows up to then, UTC; else to the latest event.")
    ] = None,
    rules_as_of: RulesAsOf = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each verdict that is not clear as a JSON line.")
    ] = False,
) -> None:
    """Judge files without a broker, by the same core as the worker; exit code 1 where a violation stands."""
    from streams.core.instant import micros
    from streams.replay.offline import Offline

    book = _law_of(packs, rules_as_of)
    offline = Offline(book)
    offline.read_records(subjects, registry)
    reasons: Counter[str] = Counter()
    open_violations = 0
    watched_until = None if until is None else micros(until.replace(tzinfo=UTC))
    for verdict in chain(offline.judge_files(events), offline.settle(watched_until)):
        open_violations += verdict["verdict"] == "violation" and verdict["standing"] == "in_force"
        reasons.update([verdict["reason"]] if "reason" in verdict else [])
        if as_json:
            print(json.dumps(verdict))
    if not as_json:
        show(_summary(book, offline.outcomes))
    say(f"{offline.judged} events judged by rulebook {book.digest[:12]}, {open_violations} violations in force")
    if reasons:
        say("undetermined: " + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    _say_blind_spots(offline.blind_spots)
    say_bad_lines(offline.bad_lines)
    raise typer.Exit(INPUT_ERROR if offline.bad_lines else FINDINGS if open_violations else CLEAN)


def _law_of(packs: list[Path] | None, day: datetime | None) -> Rulebook:
    """The rulebook of the packs, or of what of them was in force on a day."""
    from streams.packs import rulebook

    return rulebook(packs or [], None if day is None else day.date())


@app.command()
def explain(
    events: Annotated[list[Path], typer.Option(help="Match events and encounters, NDJSON.")],
    subjects: Annotated[list[Path], typer.Option(help="Subject records, NDJSON.")],
    registry: Annotated[list[Path], typer.Option(help="Registry records, NDJSON.")],
    case: Annotated[str, typer.Option("--case", help="Id of the event.")],
    packs: Packs = None,
    rules_as_of: RulesAsOf = None,
) -> None:
    """Explain one case: its records by time, each clause of each rule, and what would have made it clear."""
    from streams.replay.case_file import case_files
    from streams.replay.case_page import page

    book = _law_of(packs, rules_as_of)
    cases, offline = case_files(case, book, events, subjects, registry)
    print("\n\n".join(page(each) for each in cases))
    say(f"explained by rulebook {book.digest[:12]}")
    say_bad_lines(offline.bad_lines)
    raise typer.Exit(INPUT_ERROR if offline.bad_lines else CLEAN)


def _say_blind_spots(spots: BlindSpots) -> None:
    """What devices never deliver, and what to supply: a line for each device and fact, with the rules that ask it."""
    asking: dict[tuple[str, str, str], list[str]] = {}
    for spot, _ in spots:
        asking.setdefault((spot.device_id, spot.fact, spot.supply), []).append(spot.rule_id)
    for device, fact, supply in list(asking)[:BLIND_SPOTS_SHOWN]:
        say(f"blind spot: {device} never tells {fact} to {', '.join(asking[device, fact, supply])}. {supply}")
    if len(asking) > BLIND_SPOTS_SHOWN:
        say(f"and {len(asking) - BLIND_SPOTS_SHOWN} more blind spots")


def _summary(book: Rulebook, outcomes: Counter[tuple[str, str]]) -> Table:
    """The rules of which something is to be said, with how often they said what."""
    columns = ("violation", "excused", "undetermined", "clear")
    table = Table("rule", "standing", *columns, box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for rule in book.every():
        counts = [outcomes[rule.id, column] for column in columns]
        if any(counts[:3]):
            table.add_row(rule.id, rule.standing, *map(str, counts))
    return table


@app.command("ingest")
def ingest_command(
    file: Annotated[str, typer.Argument(help="A file of JSON lines, or - for standard input.")],
    source: Annotated[Recogniser, typer.Option("--from", help="The recogniser that wrote them.")],
    mapping: Annotated[Path, typer.Option(help="Which device, site and purpose stands behind each camera.")],
    vault_file: VaultFile,
    key: KeyFile,
    out: Annotated[str, typer.Option(help="`kafka`, or a file for NDJSON, or - for standard output.")] = "-",
) -> None:
    """Turn a recogniser's output into match events; exit code 3 where a line could not be used."""
    from streams.ingest.gateway import Gateway
    from streams.ingest.mapping import load_mapping
    from streams.ingest.vault import Vault, VaultKey

    gateway_mapping = load_mapping(mapping, source)
    with Vault(vault_file, VaultKey.from_file(key)) as opened:
        gateway = Gateway(source, gateway_mapping, opened.resolve)
        tally = _ingest(gateway, file, out)
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.skipped.items()))
    say(
        f"{tally.lines} lines, {tally.probes} probes, {tally.events} events"
        + (f"; skipped: {skipped}" if skipped else "")
    )
    raise typer.Exit(CLEAN if tally.is_clean else INPUT_ERROR)


def _ingest(gateway: Gateway, file: str, out: str) -> Tally:
    from schemas.topic_name import TopicName
    from streams.ingest.gateway import ingest
    from streams.ingest.native import native_lines
    from streams.ingest.sink import KafkaSink, NdjsonSink
    from streams.settings import load_settings

    def report(problem: Problem) -> None:
        say(str(problem))

    with _input(file) as lines:
        if out == "kafka":
            settings = load_settings()
            with KafkaSink(",".join(settings.broker), settings.topic(TopicName.MATCHES)) as sink:
                return ingest(gateway, native_lines(lines), sink, report)
        with _output(out) as written:
            return ingest(gateway, native_lines(lines), NdjsonSink(written, name=out), report)


@contextmanager
def _input(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 -- closed below
    except OSError:
        raise InputError("expected a readable file", place=Place(file)) from None
    with opened:
        yield opened


@contextmanager
def _output(out: str) -> Iterator[BinaryIO]:
    if out == "-":
        yield sys.stdout.buffer
        return
    try:
        opened = Path(out).open("xb")  # noqa: SIM115 -- closed below
    except OSError:
        raise InputError("expected a new file that can be written", place=Place(out)) from None
    with opened:
        yield opened


NativeId = Annotated[str, typer.Argument(help="The recogniser's own id of a person; - reads one a line from stdin.")]


def _native_ids(native_id: str) -> list[str]:
    """The ids meant; from standard input they leave no trace in the shell's history."""
    from streams.ingest.vault import native_ids

    return list(native_ids(sys.stdin.buffer, name="stdin")) if native_id == "-" else [native_id]


@vault.command("link")
def vault_link(native_id: NativeId, controller: Controller, vault_file: VaultFile, key: KeyFile) -> None:
    """Give a person a random token, or print the one there is; makes vault and key where there are none."""
    from streams.ingest.vault import Vault, VaultKey

    secret = VaultKey.from_file(key) if key.exists() else VaultKey.create(key)
    with Vault.create(vault_file, secret) as opened:
        for each in _native_ids(native_id):
            print(opened.link(controller, each))


@vault.command("unlink")
def vault_unlink(native_id: NativeId, controller: Controller, vault_file: VaultFile, key: KeyFile) -> None:
    """Forget a person for ever; exit code 1 where there was none to forget."""
    from streams.ingest.vault import Vault, VaultKey

    meant = _native_ids(native_id)
    with Vault(vault_file, VaultKey.from_file(key)) as opened:
        gone = opened.unlink(controller, *meant)
    say(f"{gone} unlinked")
    raise typer.Exit(CLEAN if gone == len(meant) else FINDINGS)


@vault.command("count")
def vault_count(controller: Controller, vault_file: VaultFile, key: KeyFile) -> None:
    """Print how many persons of a controller are linked."""
    from streams.ingest.vault import Vault, VaultKey

    with Vault(vault_file, VaultKey.from_file(key)) as opened:
        print(opened.count(controller))


def main() -> NoReturn:
    """The entry point: runs a command and turns errors into the exit codes of the contract."""
    try:
        code = app(prog_name="consentinel", standalone_mode=False)
    except RulebookError as error:
        say(str(error))
        sys.exit(RULE_ERROR)
    except ConsentinelError as error:
        say(str(error))
        sys.exit(INPUT_ERROR)
    except TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", None)
        if error.format_message():  # a group without a command has shown its help instead
            say(error.format_message() + (f" Try `{command} --help`." if command else ""))
        sys.exit(INPUT_ERROR)
    except typer.Abort:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else CLEAN)


if __name__ == "__main__":
    main()
