"""The image is made as we say: pinned, checked by hashes, nobody is root, and nothing secret reaches the builder."""

from __future__ import annotations

import fnmatch
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from program import said_by

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
SECRET = re.compile(r"password|secret|token|credential|(?<!_)key", re.IGNORECASE)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments; comments and line breaks are gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def wrongs(text: str) -> list[str]:
    """What a Dockerfile does against the rules of the house, a line each."""
    found = instructions(text)
    stages = {rest.split()[-1] for word, rest in found if word == "FROM" and " AS " in rest}
    bases = [rest.split()[0] for word, rest in found if word == "FROM"]
    last = found[max(place for place, (word, _) in enumerate(found) if word == "FROM") :]
    named = [*(f"{word} {rest}" for word, rest in found if word in {"ARG", "ENV"} and SECRET.search(rest))]
    users = [rest for word, rest in last if word == "USER"]
    return [
        *(f"not pinned: {base}" for base in bases if base not in stages and not re.search(r":v?\d+\.\d+\.\d+", base)),
        *(f"a secret by name: {each}" for each in named),
        *("ADD fetches and unpacks unseen: use COPY" for word, _ in found if word == "ADD"),
        *([] if users and re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]) else ["the last stage runs as root"]),
        *([] if any(word == "HEALTHCHECK" for word, _ in last) else ["no health check"]),
        *("the last stage installs" for word, rest in last if word == "RUN" and re.search(r"apt|pip|uv ", rest)),
        *([] if len(bases) > 1 else ["what builds is in the image"]),
    ]


def test_the_dockerfile_keeps_the_rules_of_the_house() -> None:
    assert wrongs(DOCKERFILE.read_text()) == []


def test_a_careless_dockerfile_is_seen() -> None:
    careless = "FROM python:latest\nARG API_TOKEN\nADD . /app\nRUN pip install x\nCMD x\n"
    assert wrongs(careless) == [
        "not pinned: python:latest",
        "a secret by name: ARG API_TOKEN",
        "ADD fetches and unpacks unseen: use COPY",
        "the last stage runs as root",
        "no health check",
        "the last stage installs",
        "what builds is in the image",
    ]


def test_hadolint_has_nothing_to_say() -> None:
    # Its binary comes with the development lock, and asks no network.
    assert said_by(Path(sys.executable).with_name("hadolint"), "--no-color", DOCKERFILE) == (0, "")


def test_hadolint_speaks_when_there_is_something_to_say(tmp_path: Path) -> None:
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM python:latest\nRUN cd /srv\n")
    code, said = said_by(Path(sys.executable).with_name("hadolint"), "--no-color", careless)
    assert code == 1
    assert {"DL3007", "DL3003"} <= set(re.findall(r"DL\d+", said))


def test_both_stages_with_python_have_the_same_one() -> None:
    # An environment points to the interpreter it was made with.
    bases = [rest.split()[0] for word, rest in instructions(DOCKERFILE.read_text()) if word == "FROM"]
    pythons = {base for base in bases if base.startswith("python:")}
    assert len(pythons) == 1
    version = re.search(r":(\d+\.\d+)", next(iter(pythons)))
    assert version
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: {version[1]}" in classifiers


def test_everything_installed_is_checked_against_a_hash() -> None:
    runs = " && ".join(rest for word, rest in instructions(DOCKERFILE.read_text()) if word == "RUN")
    steps = [shlex.split(step) for step in runs.split("&&")]
    installs = [step for step in steps if step[:3] == ["uv", "pip", "install"] or step[:2] == ["uv", "build"]]
    assert len(installs) == 3
    for step in installs:
        assert {"--verify-hashes", "--require-hashes", "--no-index"} & set(step), step


def test_the_lock_that_constrains_the_image_pins_all_that_is_asked_for() -> None:
    # Only pins of the lock carry hashes: a dependency that is not in it would come unchecked.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.split("==")[0].split("[")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert {Requirement(each).name for each in project["dependencies"]} <= pinned


# -- what reaches the builder ------------------------------------------------------------------------------------------


def let_through(path: str, rules: list[str]) -> bool:
    """Whether a path passes a .dockerignore: the last rule that fits it, or a folder above it, decides."""
    through = True
    above = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = [*above, *Path(path).parts] if "**/" in rule else above
        if any(fnmatch.fnmatch(name, pattern) for name in names):
            through = rule.startswith("!")
    return through


def ignore_rules() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_what_is_copied_reaches_the_builder() -> None:
    copies = [rest.split() for word, rest in instructions(DOCKERFILE.read_text()) if word == "COPY"]
    sources = {source for words in copies if not words[0].startswith("--from") for source in words[:-1]}
    assert len(sources) > 5
    for source in sources:
        assert (ROOT / source).exists(), source
        assert let_through(source, ignore_rules()), source


@pytest.mark.parametrize(
    "path", [".git/config", ".env", "docker/.env", "vault.sqlite", "vault.key", ".venv/bin/python", "tests/conftest.py"]
)
def test_secrets_and_working_copies_do_not_reach_the_builder(path: str) -> None:
    assert not let_through(path, ignore_rules())


def test_all_that_the_wheel_holds_reaches_the_builder() -> None:
    listed = said_by("git", "ls-files", "-z", "schemas", "streams", "dashboards", cwd=ROOT)[1]
    files = [name for name in listed.split("\0") if (ROOT / name).is_file() and name]
    if not files:
        pytest.skip("not a git checkout")
    assert [file for file in files if not let_through(file, ignore_rules())] == []
