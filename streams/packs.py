"""The rule packs on disk: those that come with the distribution, or the files that the settings name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path

from schemas.described import DescribedJsonSchema
from streams.core.document import fit, read_document
from streams.core.pack import PackShape
from streams.core.rulebook import Rulebook, as_of, load
from streams.errors import InputError, Place

SCHEMA = "pack.schema.json"
"""The JSON Schema of packs; the first line of a pack names it, and an editor completes its keys."""
LOCK = "rules.lock"


def distributed() -> list[tuple[str, str]]:
    """Name and text of every pack that comes with the distribution, in the order of their names."""
    folder = files("streams") / "law"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".yaml")), key=lambda each: each.name)
    return [(each.name, each.read_text("utf-8")) for each in found]


def from_files(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Name and text of each file; a folder stands for the packs in it."""
    texts: list[tuple[str, str]] = []
    for path in paths:
        for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
            try:
                texts.append((str(file), file.read_text("utf-8")))
            except (OSError, UnicodeDecodeError):
                raise InputError("expected a readable rule pack in UTF-8", place=Place(str(file))) from None
    return texts


def rulebook(paths: Sequence[Path] = (), day: date | None = None) -> Rulebook:
    """The rulebook of the files given, or of the distribution where none are; or what of it was in force on a day."""
    book = load(from_files(paths) if paths else distributed())
    return book if day is None else as_of(book, day)


def lock_file(paths: Sequence[Path]) -> Path:
    """Where the lock of packs is: beside the first file or in the first folder, or in the distribution."""
    first = paths[0] if paths else Path(str(files("streams") / "law"))
    return (first if first.is_dir() else first.parent) / LOCK


def pack_schema() -> str:
    """The JSON Schema of a rule pack, sorted, with a newline at its end."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:consentinel:schema:rule-pack:1.0"}
    shape = PackShape.model_json_schema(schema_generator=DescribedJsonSchema)
    return json.dumps(head | shape, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_text(file: Path, text: str) -> None:
    """Write a file, and the folder that it lies in; raises InputError where that cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=Place(str(file))) from None


def titles(paths: Sequence[Path] = ()) -> dict[str, tuple[str, str]]:
    """By pack its title and status, of the files given or of the distribution."""
    shapes = [
        fit(PackShape, read_document(text, file)) for file, text in (from_files(paths) if paths else distributed())
    ]
    return {shape.pack: (shape.title, shape.status) for shape in shapes}
