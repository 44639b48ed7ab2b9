"""The mapping file: what a recogniser does not say of its cameras, stated once by the one who runs them.

Rules:
1. It is closed: an unknown key is an error with its line and the nearest known key, never a silent nothing.
2. All problems of a file are shown at once.
3. A camera that is not in it keeps its events; they go out under a derived device id that no register holds.
4. The defaults speak for mapped devices only: of a camera that nobody described nothing is claimed.
"""

from __future__ import annotations

import difflib
import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.contract import Identifier
from schemas.vocabulary import Attribute, Operation, StorageLocation, Timing
from streams.errors import ConfigurationError, Place
from streams.ingest.recogniser import Recogniser

MAPPING_BYTES_MAX = 4 * 1024 * 1024
NATIVE_NAME_MAX = 512


class MappingError(ConfigurationError):
    """A mapping file that cannot be used; its text lists every problem with file and line."""


class Circumstances(BaseModel):
    """What is so about the captures of a device; what is absent is not reported, and the judge takes it as unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    site_id: Identifier | None = None
    purpose_id: Identifier | None = None
    operation: Operation | None = None
    """Absent: identification, for both recognisers search one face among many."""
    timing: Timing | None = None
    active_involvement: bool | None = None
    reference_database_id: Identifier | None = None
    storage_location: StorageLocation | None = None
    internet_transfer: bool | None = None
    original_image_retained: bool | None = None
    inferred_attributes: Annotated[tuple[Attribute, ...], Field(strict=False, max_length=14)] | None = None


class MappedDevice(Circumstances):
    """A device under the id that the registry knows."""

    device_id: Identifier


NativeName = Annotated[str, Field(min_length=1, max_length=NATIVE_NAME_MAX)]


class DeviceMapping(BaseModel):
    """The content of a mapping file, for one installation of one recogniser."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    controller_id: Identifier
    system_id: Identifier
    """The installation; a part of every event id, so two installations of one controller never share one."""
    threshold: Annotated[float, Field(ge=0.0, le=100.0)]
    """The threshold that the recogniser is set to, on its own scale."""
    model_version: Identifier | None = None
    unnamed: Literal["inconclusive", "non_match"] = "inconclusive"
    """Frigate only: what an attempt without a name means (see `streams.ingest.frigate`)."""
    defaults: Circumstances = Circumstances()
    devices: dict[NativeName, MappedDevice] = Field(default_factory=dict)

    @property
    def exact_threshold(self) -> Decimal:
        """The threshold as it is written in the file."""
        return Decimal(str(self.threshold))

    def is_mapped(self, name: str) -> bool:
        """Whether the file names this camera or stream."""
        return name in self.devices

    def device_id(self, name: str) -> str:
        """The id for the registry: the mapped one, or one that no registry holds, so that the judge says so."""
        device = self.devices.get(name)
        return device.device_id if device else unmapped_device_id(name)

    def circumstances(self, name: str) -> dict[str, Any]:
        """The fields of a match event that the file states for a device, its own before the defaults."""
        device = self.devices.get(name)
        stated = {} if device is None else _stated(self.defaults) | _stated(device)
        stated.pop("device_id", None)
        return {"operation": "identification"} | stated


def _stated(circumstances: Circumstances) -> dict[str, Any]:
    return circumstances.model_dump(exclude_none=True)


def unmapped_device_id(name: str) -> str:
    """`unmapped:` and the first 16 digits of the SHA-256 of the name, to be found again with `sha256sum`."""
    return f"unmapped:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def load_mapping(path: Path, recogniser: Recogniser) -> DeviceMapping:
    """The mapping in a YAML file, or a `MappingError` with every problem of the file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAPPING_BYTES_MAX + 1)
    except OSError as error:
        raise MappingError(f"cannot be read: {error.strerror}", place=Place(str(path))) from None
    if len(raw) > MAPPING_BYTES_MAX:
        raise MappingError(f"expected at most {MAPPING_BYTES_MAX} bytes", place=Place(str(path)))
    return read_mapping(raw, recogniser, file=str(path))


def read_mapping(raw: bytes, recogniser: Recogniser, *, file: str) -> DeviceMapping:
    """The mapping that YAML text holds; `file` is its name in errors."""
    data, lines = _parse(raw, file)
    try:
        mapping = DeviceMapping.model_validate(data)
    except ValidationError as error:
        problems = [_problem(detail, lines, file) for detail in error.errors(include_url=False, include_input=False)]
        raise MappingError("\n".join(problems)) from None
    _fit(mapping, recogniser, lines, file)
    return mapping


def _fit(mapping: DeviceMapping, recogniser: Recogniser, lines: Lines, file: str) -> None:
    """What depends on the recogniser: the scale of its threshold and the keys that only one of them has."""
    problems = []
    low = 1 if recogniser is Recogniser.REKOGNITION else 0
    if not low <= mapping.threshold <= recogniser.scale:
        # 0.8 on a scale to 100 would let every face pass as a match.
        text = f"threshold: expected {low} to {recogniser.scale}, the scale of {recogniser.value}"
        problems.append(f"{Place(file, lines.get(('threshold',)))}: {text}")
    if recogniser is not Recogniser.FRIGATE and "unnamed" in mapping.model_fields_set:
        problems.append(f"{Place(file, lines.get(('unnamed',)))}: unnamed: a key of frigate only")
    if problems:
        raise MappingError("\n".join(problems))


Path_ = tuple[Any, ...]
Lines = dict[Path_, int]


def _parse(raw: bytes, file: str) -> tuple[Any, Lines]:
    """The data of one YAML document and the line of every key, by its path."""
    try:
        loader = yaml.SafeLoader(raw)
        node = loader.get_single_node()
        if node is None:
            raise MappingError("expected a mapping, got an empty file", place=Place(file))
        lines: Lines = {}
        problems = _walk(node, (), lines, set(), file)
        if problems:
            raise MappingError("\n".join(problems))
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise MappingError(f"no YAML: {error.problem}", place=Place(file, mark.line + 1 if mark else None)) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise MappingError("expected one YAML document in UTF-8", place=Place(file)) from None


def _walk(node: yaml.Node, path: Path_, lines: Lines, seen: set[int], file: str) -> list[str]:
    if id(node) in seen:
        return [f"{Place(file, node.start_mark.line + 1)}: expected no anchors and aliases; use defaults"]
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [found for i, item in enumerate(node.value) for found in _walk(item, (*path, i), lines, seen, file)]
    if not isinstance(node, yaml.MappingNode):
        return []
    problems = []
    for key, value in node.value:
        here, line = (*path, key.value), key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            problems.append(f"{Place(file, line)}: expected a key that is text; put it in quotes")
            continue
        if here in lines:
            problems.append(f"{Place(file, line)}: {key.value}: stands twice, first in line {lines[here]}")
            continue
        lines[here] = line
        problems += _walk(value, here, lines, seen, file)
    return problems


def _problem(detail: Any, lines: Lines, file: str) -> str:
    """One validation error as a line of text: place, key, what was expected, and the nearest key if there is one."""
    path = tuple(part for part in detail["loc"] if part != "[key]")
    known = path
    while known and known not in lines:
        known = known[:-1]
    place, name = Place(file, lines.get(known)), ".".join(str(part) for part in path)
    if detail["type"] != "extra_forbidden":
        return f"{place}: {name or 'file'}: {detail['msg']}"
    nearest = difflib.get_close_matches(str(path[-1]), _fields(path), n=1)
    return f"{place}: {name}: unknown key" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _fields(path: Path_) -> list[str]:
    models: dict[int, type[BaseModel]] = {1: DeviceMapping, 2: Circumstances, 3: MappedDevice}
    return list(models[len(path)].model_fields) if len(path) in models else []
