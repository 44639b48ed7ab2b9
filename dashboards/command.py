"""The commands about dashboards: `consentinel dashboards build|lint|preview|push`.

Rules:
1. `push` needs nothing beside the distribution; the others need the extra `dashboards`, and say so where it is missing.
2. The token of the service account comes from the environment or a file, never from the command line, where every
   process of the machine could read it.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from streams.errors import ConfigurationError, InputError, Place
from streams.screen import CLEAN, FINDINGS, say

FOLDER = Path(__file__).parent / "grafana"
RULES = Path(__file__).parent / "prometheus"
TOKEN = "GRAFANA_TOKEN"  # noqa: S105 -- the name of a variable, not its value
EXAMPLE_DOCS = "https://consentinel.example/"

app = typer.Typer(help="The dashboards for Grafana.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--from", help="The folder of dashboards; those of the distribution.")]


@app.command("build")
def dashboards_build(
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = FOLDER,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 where a file differs.")] = False,
) -> None:
    """Build the JSON of every dashboard; the same bytes each time."""
    _need_extra()
    from dashboards.collection import build

    built = build()
    stale = [name for name, text in built.items() if not _holds(out / name, text)]
    if not check:
        out.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (out / name).write_text(built[name], encoding="utf-8")
    for name in stale:
        print(name)
    say(f"{len(built)} dashboards, {len(stale)} {'differ' if check else 'written'}")
    raise typer.Exit(FINDINGS if check and stale else CLEAN)


@app.command("lint")
def dashboards_lint(folder: Folder = FOLDER) -> None:
    """Check dashboards and Prometheus rules against the catalogue of metrics; exit code 1 where something is wrong."""
    _need_extra()
    from dashboards.lint import faults

    found = faults(_folder(folder), RULES if RULES.is_dir() else None)
    for fault in found:
        print(fault)
    say(f"{len(list(folder.glob('*.json')))} dashboards, {len(found)} faults")
    raise typer.Exit(FINDINGS if found else CLEAN)


@app.command("preview")
def dashboards_preview(
    prometheus: Annotated[str, typer.Option(help="The address of a Prometheus.")],
    out: Annotated[Path, typer.Option(help="Where the pages are written.")],
    folder: Folder = FOLDER,
) -> None:
    """Write a page for each dashboard: its layout, with what its queries return just now."""
    _need_extra()
    from dashboards.preview import Prometheus, preview

    for page in preview(_texts(folder), Prometheus(prometheus), out):
        print(page)


@app.command("push")
def dashboards_push(
    url: Annotated[str, typer.Option(help="The address of Grafana, with its path if it has one.")],
    prometheus: Annotated[
        str | None, typer.Option(help="Also make a data source `consentinel-prometheus` that asks this address.")
    ] = None,
    docs: Annotated[str | None, typer.Option(help="Where the documents lie, for the links to the runbooks.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the token of a service account; else the variable {TOKEN}.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the folder in Grafana.")] = "Consentinel",
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Send the token over http:// to another machine, for all to read.")
    ] = False,
    folder: Folder = FOLDER,
) -> None:
    """Put folder, data source and dashboards into a Grafana, and an annotation; what is there is left as it is."""
    from dashboards.grafana import Grafana

    grafana = Grafana(url, _token(token_file), plain_http=plain_http)
    texts = _texts(folder)
    say(f"Grafana {grafana.health()}")
    uid = grafana.ensure_folder(title)
    if prometheus is not None:
        grafana.ensure_datasource("consentinel-prometheus", "Consentinel Prometheus", prometheus)
    ours = f"consentinel {version('consentinel')}"
    written = 0
    for text in texts.values():
        board = json.loads(text if docs is None else text.replace(EXAMPLE_DOCS, docs.rstrip("/") + "/"))
        is_new = grafana.put_dashboard(board, uid, ours)
        written += is_new
        print(f"{board['uid']} {'written' if is_new else 'unchanged'}")
    if written:
        grafana.annotate(f"Dashboards of {ours}", ["consentinel", "deployment"])
    say(f"{len(texts)} dashboards, {written} written")


def _need_extra() -> None:
    try:
        import grafana_foundation_sdk  # noqa: F401 -- asked whether it is there
        import promql_parser  # noqa: F401 -- asked whether it is there
    except ImportError as error:
        raise ConfigurationError(
            f"{error.name} is missing: install `consentinel[dashboards]`"
        ) from None


def _token(file: Path | None) -> str:
    if file is None:
        token = os.environ.get(TOKEN, "")
        where = f"the variable {TOKEN}"
    else:
        where = str(file)
        try:
            token = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the token file cannot be read: {where}") from error
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(f"{where} holds no token of a service account")
    return token


def _folder(folder: Path) -> Path:
    if not any(folder.glob("*.json")):
        raise InputError("no dashboards there", place=Place(str(folder)))
    return folder


def _texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(_folder(folder).glob("*.json"))}


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text
