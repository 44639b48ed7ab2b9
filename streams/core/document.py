"""A YAML document that knows its lines: read, checked against a pydantic shape, every problem named by line and key.

Rules:
1. A key said twice in one mapping is a problem, not a choice.
2. An unknown key is a problem that names the nearest known one.
3. All problems of a document are gathered; nobody mends a file one error at a time.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs do not name it there
from yaml.resolver import Resolver

from streams.errors import Place, RulebookError, RulebookErrors

PLAIN_TAGS = frozenset({yaml.SafeLoader.DEFAULT_MAPPING_TAG, yaml.SafeLoader.DEFAULT_SEQUENCE_TAG})
TEXT_TAG = yaml.SafeLoader.DEFAULT_SCALAR_TAG

Shape = TypeVar("Shape", bound=BaseModel)
Path = tuple[Hashable, ...]


class Loader(Composer, CParser, SafeConstructor, Resolver):
    """libyaml's parser, which takes a seventh of the time, under the composer in Python.

    The composer of libyaml's own binding overflows the stack of the process where brackets are nested deep enough.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and, for every path of keys and indices in it, the line (from 1) where it stands."""

    file: str
    data: Any
    lines: Mapping[Path, int] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Where the value at `path` stands, or its nearest ancestor that has a line."""
        while path and path not in self.lines:
            path = path[:-1]
        return Place(self.file, self.lines.get(path, 1))


def read_document(text: str, file: str) -> Document:
    """The document that a YAML text holds; raises `RulebookErrors` naming each line that is wrong."""
    loader: Loader | None = None
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise RulebookErrors((RulebookError("expected a document, got nothing", place=Place(file, 1)),))
        lines: dict[Path, int] = {}
        problems: list[RulebookError] = []
        data = _construct(loader, node, (), lines, problems, file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise RulebookErrors((RulebookError(f"expected YAML: {error.problem}", place=Place(file, line)),)) from None
    except (yaml.YAMLError, RecursionError):
        raise RulebookErrors((RulebookError("expected YAML", place=Place(file, 1)),)) from None
    finally:
        if loader is not None:
            loader.dispose()
    if problems:
        raise RulebookErrors(tuple(problems))
    return Document(file, data, lines)


def _construct(
    loader: Loader,
    node: yaml.Node,
    path: Path,
    lines: dict[Path, int],
    problems: list[RulebookError],
    file: str,
) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN_TAGS:
        place = Place(file, node.start_mark.line + 1)
        problems.append(RulebookError("expected a plain mapping or list, without a tag", place=place))
        return None
    if isinstance(node, yaml.MappingNode):
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = _value(loader, key_node, problems, file)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable) or key in found:
                problems.append(RulebookError(f"expected the key {key!r} once", place=Place(file, line)))
                continue
            lines[*path, key] = line
            found[key] = _construct(loader, value_node, (*path, key), lines, problems, file)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, inner, (*path, index), lines, problems, file) for index, inner in enumerate(node.value)
        ]
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        lines[*path, BODY] = node.start_mark.line + 2
    return _value(loader, node, problems, file)


def _value(loader: Loader, node: yaml.Node, problems: list[RulebookError], file: str) -> Any:
    """The plain value of a node; one that looks like a date or a number and is none becomes a problem."""
    if node.tag == TEXT_TAG and isinstance(node, yaml.ScalarNode):
        return node.value  # as the constructor says, which goes a long way for each of ten thousand texts
    try:
        return loader.construct_object(node, deep=True)
    except ValueError:
        place = Place(file, node.start_mark.line + 1)
        problems.append(RulebookError(f"expected a value of the type {node.tag.rpartition(':')[2]}", place=place))
        return None


BODY = "\x00body"
"""Last step of the path to the first line inside a block text, which starts below its `|`."""


def fit(shape: type[Shape], document: Document) -> Shape:
    """The document as `shape`; raises `RulebookErrors` with every problem, by line."""
    try:
        return shape.model_validate(document.data)
    except ValidationError as error:
        details = error.errors()
        raise RulebookErrors(
            tuple(_problem(shape, document, detail) for detail in details if not _follows(detail, details))
        ) from None


def _follows(detail: Any, details: Sequence[Any]) -> bool:
    """Whether a list is called too short only because its items are wrong; they have problems of their own."""
    path = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in details
    )


def _problem(shape: type[BaseModel], document: Document, detail: Any) -> RulebookError:
    path: Path = tuple(detail["loc"])
    place = document.place(path)
    name = ".".join(str(step) for step in path)
    if detail["type"] == "extra_forbidden":
        known = _keys_at(shape, path[:-1])
        nearest = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(sorted(known))}"
        return RulebookError(f"unknown key {name!r}; {hint}", place=place)
    return RulebookError(f"{name or 'document'}: {detail['msg']}", place=place)


def _keys_at(shape: type[BaseModel], path: Path) -> set[str]:
    """The keys that the mapping at `path` may have, by the fields of the shapes on the way."""
    current: type[BaseModel] | None = shape
    for step in path:
        if isinstance(step, str) and current is not None:
            named = current.model_fields.get(step)
            current = None if named is None else _model_in(named.annotation)
    return set() if current is None else {each.alias or name for name, each in current.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
