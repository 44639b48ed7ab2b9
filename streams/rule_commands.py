"""The commands about rule packs: `consentinel rules ...`.

Rules:
1. Every command takes packs as files, and our own where none is given.
2. `rules diff` ends with 1 where the new rules catch less: that is the dangerous direction.
3. What a command needs is imported where it runs, for these modules are read at every start of the command line.
"""

from __future__ import annotations

import json
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from time import time
from typing import Annotated

import typer
from rich.table import Table

from streams.errors import InputError
from streams.screen import CLEAN, FINDINGS, INPUT_ERROR, say, say_bad_lines, show

rules = typer.Typer(help="The rule packs.", no_args_is_help=True)
Files = Annotated[list[Path] | None, typer.Argument(help="Rule packs; those of the distribution where none is given.")]


@rules.command("list")
def rules_list(files: Files = None) -> None:
    """List every rule with its level, its standing and its citation."""
    from streams.packs import rulebook

    book = rulebook(files or [])
    table = Table("rule", "level", "standing", "citation", box=None)
    for rule in book.written():
        table.add_row(rule.id, rule.level, "off" if rule.off else rule.standing, rule.citation)
    show(table)
    off = f", {len(book.off)} more off" if book.off else ""
    print(f"{len(book.every())} rules in {len(book.packs)} packs{off}, rulebook {book.digest[:12]}")


@rules.command("check")
def rules_check(files: Files = None) -> None:
    """Load rule packs and name every problem by file and line; exit code 2 where there is one."""
    from streams.packs import rulebook

    book = rulebook(files or [])
    print(f"{len(book.every())} rules in {len(book.packs)} packs are in order, rulebook {book.digest[:12]}")


@rules.command("test")
def rules_test(
    files: Files = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the tests inside the rules; exit code 1 where one fails or a rule lacks a shape of case."""
    from streams.core.rule_test import count, failures
    from streams.packs import rulebook

    book = rulebook(files or [])
    failed = list(failures(book.written()))
    said = {"rules": len(book.written()), "cases": count(book.written()), "failed": len(failed)}
    for each in failed:
        say(str(each))
    print(json.dumps(said) if as_json else f"{said['rules']} rules, {said['cases']} cases, {said['failed']} failed")
    raise typer.Exit(FINDINGS if failed else CLEAN)


@rules.command("show")
def rules_show(
    rule_id: Annotated[str, typer.Argument(help="Id of the rule.")],
    files: Files = None,
) -> None:
    """Show what a rule says, every revision of it: law, dates, condition, limits and cases."""
    from streams.packs import rulebook
    from streams.rule_page import section

    rules_of = rulebook(files or []).written()
    found = [rule for rule in rules_of if rule.id == rule_id]
    if not found:
        near = get_close_matches(rule_id, [rule.id for rule in rules_of], n=1)
        raise InputError(f"no rule {rule_id!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    print("\n\n".join(f"# {rule.id}\n\n{section(rule)}" for rule in found))


@rules.command("lock")
def rules_lock(
    files: Files = None,
    lock: Annotated[Path | None, typer.Option(help="The file of fingerprints; `rules.lock` beside the packs.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 where it is not in step.")] = False,
) -> None:
    """Lock the fingerprint of each new revision; exit code 1 where a locked one says something else now."""
    from streams.core.rule_lock import broken, from_text, lock_of, to_text, unlocked
    from streams.packs import lock_file, rulebook, write_text

    rules_of = rulebook(files or []).written()
    file = lock or lock_file(files or [])
    held = from_text(file.read_text("utf-8"), str(file)) if file.exists() else {}
    problems = [*broken(held, rules_of), *(unlocked(held, rules_of) if check else ())]
    for each in {str(each): each for each in problems}:
        say(each)
    if not problems and not check:
        write_text(file, to_text(lock_of(rules_of, held)))
    print(f"{len(rules_of)} revisions, {len(problems)} problems, {file}")
    raise typer.Exit(FINDINGS if problems else CLEAN)


@rules.command("docs")
def rules_docs(
    out: Annotated[Path, typer.Option(help="The folder of the pages.")],
    files: Files = None,
) -> None:
    """Write a page a pack, and an index."""
    from streams.packs import rulebook, write_text
    from streams.rule_page import pages

    written = pages(rulebook(files or []))
    for name, text in written.items():
        write_text(out / name, text)
    print(f"{len(written)} files in {out}")


@rules.command("schema")
def rules_schema() -> None:
    """Print the JSON Schema of rule packs, by which editors complete and check them."""
    from streams.packs import pack_schema

    print(pack_schema(), end="")


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
    from streams.packs import rulebook
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
