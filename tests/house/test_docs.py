"""The documents are in step with the code: settings, topics, metrics, rules, links, commands and examples."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer

from schemas.contract import Contract
from schemas.topics import DAY_MS, TOPICS, Topic, TopicName
from small_world import the_law
from streams.cli import app
from streams.core.rule import AnyRule
from streams.core.rulebook import Rulebook
from streams.live.worker import EXIT_FAILED
from streams.metrics import catalogue
from streams.replay.case_file import case_files
from streams.replay.case_page import page as page_of
from streams.replay.offline import Offline
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
BOOK: Rulebook = the_law()
COMMANDS = typer.main.get_command(app)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([^"]+)">')
EXAMPLE = re.compile(r"<!-- contract: (\w+) -->\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """A page without its fenced blocks, whose brackets are no links and whose hashes are no headings."""
    return FENCE.sub("", text_of(page))


def rows_of(page: Path, first: str) -> dict[str, list[str]]:
    """The cells of the table rows whose first cell is in backquotes, by it; of the table that is headed `first`."""
    table = text_of(page).split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {cells[0].strip("`"): cells[1:] for cells in lines if cells[0].startswith("`")}


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page: the explicit ones, and those a reader's software makes of headings."""
    made: set[str] = set()
    for heading in HEADING.findall(prose_of(page)):
        bare = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        made.add(bare)
    return made | set(ANCHOR.findall(text_of(page)))


# -- links ------------------------------------------------------------------------------------------------------------


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and (found.suffix != ".md" or anchor not in anchors_of(found))):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One word\n[a](#one-word) [b](#another) [c](missing.md) [d](https://example.org/x)\n")
    assert broken_links(page) == ["#another", "missing.md"]


def test_every_page_of_the_documents_is_reached_from_the_readme() -> None:
    reached, left = set[Path](), [README]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [target.partition("#")[0] for target in LINK.findall(prose_of(page)) if ":" not in target]
        left += [(page.parent / target).resolve() for target in targets if target.endswith(".md")]
    assert {_name(page) for page in DOCS.rglob("*.md")} - {_name(page) for page in reached} == set()


# -- settings, topics, metrics, rules ---------------------------------------------------------------------------------


def test_the_table_of_settings_is_the_settings() -> None:
    rows = rows_of(DOCS / "operations.md", "variable")
    assert list(rows) == [f"{PREFIX}{name}".upper() for name in Settings.model_fields]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_default_of_a_setting_is_the_one_in_the_table(name: str) -> None:
    told = rows_of(DOCS / "operations.md", "variable")[f"{PREFIX}{name}".upper()][0].strip("`")
    default = Settings.model_fields[name].get_default()
    if isinstance(default, tuple):
        default = ",".join(map(str, default)) or "none"
    assert told == (f"{default:g}" if isinstance(default, float) else str(default))


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_the_table_of_topics_is_the_catalogue(topic: Topic) -> None:
    rows = rows_of(DOCS / "contracts.md", "topic")
    assert list(rows) == [str(name) for name in TOPICS]
    milliseconds = topic.retention.retention_ms
    kept = "for ever" if milliseconds < 0 else f"{milliseconds // DAY_MS} days"
    assert rows[topic.name][:4] == [topic.key, topic.purpose, kept, topic.personal_data]


def test_every_metric_has_a_section_and_no_page_names_one_that_is_not_there() -> None:
    known = {metric.full_name for metric in catalogue.CATALOGUE}
    assert known <= {heading.strip() for heading in HEADING.findall(text_of(DOCS / "metrics.md"))}
    named = {name for page in PAGES for name in re.findall(r"\bconsentinel_[a-z_]+[a-z]\b", text_of(page))}
    assert named - known == set()


@pytest.mark.parametrize("rule", BOOK.every(), ids=lambda rule: rule.id)
def test_every_rule_has_its_anchor_in_the_runbooks(rule: AnyRule) -> None:
    assert rule.id.replace(".", "-") in anchors_of(DOCS / "runbooks.md")


def test_no_page_names_a_rule_that_is_not_there() -> None:
    pattern = re.compile(rf"\b(?:{'|'.join(BOOK.packs)})\.[a-z0-9]+\.[a-z-]+[a-z]\b")
    named = {rule for page in PAGES for rule in pattern.findall(text_of(page))}
    assert named - {rule.id for rule in BOOK.every()} == set()


@pytest.mark.parametrize("page", [README, DOCS / "law.md"], ids=_name)
def test_the_packs_have_as_many_rules_as_a_page_says(page: Path) -> None:
    counted = {pack: sum(rule.pack == pack for rule in BOOK.every()) for pack in BOOK.packs}
    assert {pack: int(cells[-1]) for pack, cells in rows_of(page, "pack").items()} == counted


def test_the_exit_code_of_a_failed_worker_is_the_one_in_the_table() -> None:
    assert re.search(rf"^\| {EXIT_FAILED} \|", text_of(DOCS / "operations.md"), re.MULTILINE)


# -- commands ---------------------------------------------------------------------------------------------------------


def commands_of(page: Path) -> list[str]:
    """Every command line of ours that a page names, in a block or in backquotes."""
    blocks = "\n".join(block for _, block in FENCE.findall(text_of(page))).replace("\\\n", " ")
    lines = [*blocks.splitlines(), *CODE.findall(prose_of(page))]
    return [found for line in lines for found in re.findall(r"(?:^|[|;] *|&& *)(consentinel [^|;&<>#]*)", line)]


def why_not(command: str) -> str | None:
    """Why a command line would be refused before it does anything, as far as its words tell."""
    here: Any = COMMANDS
    for word in shlex.split(command.replace("…", "").replace("...", ""))[1:]:
        if word.startswith("--"):
            options = {option for parameter in here.params for option in parameter.opts}
            if word.partition("=")[0] not in options | {"--help"}:
                return f"no option {word}"
        elif hasattr(here, "commands"):
            for choice in word.split("|"):
                if choice not in here.commands:
                    return f"no command {choice}"
            here = here.commands[word.split("|")[0]]
    return None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_that_a_page_names_is_one_of_ours(page: Path) -> None:
    refused = {command: reason for command in commands_of(page) if (reason := why_not(command))}
    assert refused == {}


def test_the_check_of_commands_sees_a_wrong_one() -> None:
    assert why_not("consentinel jugde --events x") == "no command jugde"
    assert why_not("consentinel judge --event x") == "no option --event"
    assert why_not("consentinel rules list") is None
    assert len(commands_of(DOCS / "quickstart.md")) > 5


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    blocks = "\n".join(block for _, block in FENCE.findall(text_of(page)))
    words = [*blocks.splitlines(), *CODE.findall(prose_of(page))]
    named = {target for line in words for target in re.findall(r"(?:^|&& )make ([a-z-]+)", line)}
    assert named - targets == set()


# -- examples ---------------------------------------------------------------------------------------------------------

EXAMPLES = [
    (TopicName(topic), example)
    for page in PAGES
    for topic, examples in EXAMPLE.findall(text_of(page))
    for example in ([examples] if examples.startswith("{\n") else examples.splitlines())
]


@pytest.mark.parametrize(("topic", "example"), EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_every_example_is_accepted_by_its_contract(topic: TopicName, example: str) -> None:
    contract: Contract[Any] | None = TOPICS[topic].contract
    assert contract is not None, "a page shows a message of a topic that has none"
    contract.read(example.encode())


def test_there_is_an_example_for_every_topic_that_others_write_to() -> None:
    told = {topic for topic, _ in EXAMPLES}
    assert told >= {TopicName.MATCHES, TopicName.ENCOUNTERS, TopicName.SUBJECTS, TopicName.REGISTRY}


def judged(folder: Path, registry: list[str] | None = None) -> list[dict[str, Any]]:
    offline = Offline(BOOK)
    kept = folder / "registry.ndjson"
    if registry is not None:
        kept.write_text("".join(registry))
    offline.read_records([DOCS / "examples" / "subjects.ndjson"], [kept])
    events = [DOCS / "examples" / "events.ndjson", DOCS / "examples" / "encounters.ndjson"]
    said = list(offline.judge_files(events))
    assert offline.bad_lines == []
    return said


def test_the_examples_are_judged_as_the_quickstart_shows() -> None:
    page = text_of(DOCS / "quickstart.md")
    shown = page.split("<!-- judged: docs/examples -->\n```\n", 1)[1].split("```", 1)[0]
    assert judged(DOCS / "examples") == [json.loads(line) for line in shown.splitlines()]


def test_the_examples_are_explained_as_the_quickstart_shows() -> None:
    block = text_of(DOCS / "quickstart.md").split("```\nmatch gate-7-000002", 1)[1].split("```", 1)[0]
    shown = [line for line in f"match gate-7-000002{block}".splitlines() if line != "…"]
    examples = {name: [DOCS / "examples" / f"{name}.ndjson"] for name in ("events", "subjects", "registry")}
    ((case,), _) = case_files("gate-7-000002", the_law(), **examples)
    lines = iter(page_of(case).splitlines())
    assert [line for line in shown if line not in lines] == []


def test_the_examples_accuse_nobody_without_their_heartbeats(tmp_path: Path) -> None:
    lines = (DOCS / "examples" / "registry.ndjson").read_text(encoding="utf-8").splitlines(keepends=True)
    said = judged(tmp_path, [line for line in lines if '"kind":"feed"' not in line])
    assert {(each["verdict"], each["reason"]) for each in said} == {("undetermined", "feed_missing")}


@pytest.mark.parametrize(
    "block", [block for language, block in FENCE.findall(text_of(DOCS / "quickstart.md")) if language == "python"]
)
def test_the_python_of_the_quickstart_compiles(block: str) -> None:
    compile(block, "quickstart.md", "exec")
