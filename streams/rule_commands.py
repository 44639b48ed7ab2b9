"""The commands about rule packs: `consentinel rules ...`.

Rules:
1. Every command takes packs as files, and our own where none is given.
2. `rules diff` ends with 1 where the new rules catch less: that is the dangerous direction.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from time import time
from typing import Annotated

import typer
from rich.table import Table

from streams.core.rule_test import count, failures
from streams.packs import rulebook
from streams.screen import CLEAN, FINDINGS, INPUT_ERROR, say, say_bad_lines, show

rules = typer.Typer(help="The rule packs.", no_args_is_help=True)
Files = Annotated[list[Path] | None, typer.Argument(help="Rule packs; those of the distribution where none is given.")]


@rules.command("list")
def rules_list(files: Files = None) -> None:
    """List every rule with its level, its standing and its citation."""
    book = rulebook(files or [])
    table = Table("rule", "level", "standing", "citation", box=None)
    for rule in book.every():
        table.add_row(rule.id, rule.level, rule.standing, rule.citation)
    show(table)
    print(f"{len(book.every())} rules in {len(book.packs)} packs, rulebook {book.digest[:12]}")


@rules.command("check")
def rules_check(files: Files = None) -> None:
    """Load rule packs and name every problem by file and line; exit code 2 where there is one."""
    book = rulebook(files or [])
    print(f"{len(book.every())} rules in {len(book.packs)} packs are in order, rulebook {book.digest[:12]}")


@rules.command("test")
def rules_test(
    files: Files = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the tests inside the rules; exit code 1 where one fails or a rule lacks a shape of case."""
    book = rulebook(files or [])
    failed = list(failures(book.every()))
    said = {"rules": len(book.every()), "cases": count(book.every()), "failed": len(failed)}
    for each in failed:
        say(str(each))
    print(json.dumps(said) if as_json else f"{said['rules']} rules, {said['cases']} cases, {said['failed']} failed")
    raise typer.Exit(FINDINGS if failed else CLEAN)


@rules.command("diff")
def rules_diff(
    old: Annotated[Path, typer.Argument(help="The rules as they are: a pack, or a folder of packs.")],
    new: Annotated[Path, typer.Argument(help="The rules as they shall be.")],
    events: Annotated[list[Path], typer.Option(help="Match events and encounters, NDJSON.")],
    subjects: Annotated[list[Path], typer.Option(help="Subject records, NDJSON.")],
    registry: Annotated[list[Path], typer.Option(help="Registry records, NDJSON.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="Also write the counts there, for node_exporter's textfile collector.")
    ] = None,
) -> None:
    """Judge the same files by two rulebooks and tell the difference; exit code 1 where less is caught."""
    from streams.metrics.replay_metric import write
    from streams.replay.rule_diff import diff
    from streams.replay.rule_diff_page import as_object, page

    found = diff(rulebook([old]), rulebook([new]), events, subjects, registry)
    print(json.dumps(as_object(found)) if as_json else page(found))
    if metrics is not None:
        changes: Counter[tuple[str, str]] = Counter()
        for where, count in found.counts.items():
            changes[where.rule_id, where.change.value] += count
        write(metrics, "rules diff", changes, compared=found.judged, at=time())
    say(f"{found.judged} events judged twice")
    say_bad_lines(found.bad_lines)
    raise typer.Exit(INPUT_ERROR if found.bad_lines else FINDINGS if found.catches_less else CLEAN)
