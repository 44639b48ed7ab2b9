"""The check of a built wheel: what it holds, and that it works in an environment that never saw the sources.

Rules:
1. Pins come from `requirements.lock`, as in production; the wheel itself is installed without dependencies.
2. Everything runs from an empty directory and isolated (`-I`), so that no source can stand in for what the wheel lacks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("dashboards", "schemas", "streams")
COMMANDS = (("--help",), ("rules", "list"))

# Runs in the new environment: imports every module, and asks who owns the top-level names.
PROBE = f"""
import importlib, pkgutil, sys
from importlib.metadata import entry_points, packages_distributions
owners = packages_distributions()
for package in {PACKAGES!r}:
    assert owners.get(package) == ["consentinel"], f"{{package}} belongs to {{owners.get(package)}}"
    module = importlib.import_module(package)
    assert "site-packages" in module.__path__[0], f"{{package}} is imported from {{module.__path__[0]}}"
    for each in pkgutil.walk_packages(module.__path__, package + "."):
        importlib.import_module(each.name)
transport, = (each for each in entry_points(group="faust.transports") if each.name == "runs")
transport.load()
"""


def strays(wheel: Path) -> list[str]:
    """Compare the wheel's files with the tracked or new files of our packages; name what is too much or missing."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    too_much, missing = sorted(held - ours), sorted(ours - held)
    return [*(f"too much: {name}" for name in too_much), *(f"missing: {name}" for name in missing)]


def install(wheel: Path, environment: Path) -> Path:
    """Make an environment with the wheel and its locked dependencies; return its directory of commands."""
    venv.create(environment, with_pip=False)
    commands = environment / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "--disable-pip-version-check", "--quiet"]
    # Each module is imported once or never here: compiling all of them is half of the time.
    locked = ["--no-compile", "--require-hashes", "-r", str(ROOT / "requirements.lock")]
    subprocess.run([*pip, "install", *locked], check=True)
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel.resolve())], check=True)
    return commands


def main(wheel: Path) -> int:
    """Check a wheel; print what is wrong with it and return the exit code."""
    wrong = strays(wheel)
    if wrong:
        print(f"{wheel.name} does not hold exactly our packages:", *wrong, sep="\n  ")
        return 1
    with tempfile.TemporaryDirectory() as away:
        commands = install(wheel, Path(away) / "environment")
        empty = Path(away) / "empty"
        empty.mkdir()
        checks = [("python", "-I", "-c", PROBE), *(("consentinel", *arguments) for arguments in COMMANDS)]
        for command, *arguments in checks:
            line = [commands / command, *arguments]
            done = subprocess.run(line, cwd=empty, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                print(f"{wheel.name}: {command} {arguments[0]} fails away from the sources:", done.stderr, sep="\n")
                return 1
    print(f"{wheel.name} works away from its sources")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
