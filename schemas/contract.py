"""What all messages share: frozen, closed to unknown fields, aware UTC times, bounded sizes, a version, no biometrics.

Rules:
1. `read` is the only way from bytes to a message; whatever it refuses is a `ContractError` with one reason.
2. A message of a *newer minor* version keeps the fields we know and loses the others; a newer major is refused.
3. A field that looks like an image, a template or an embedding, by name or by size, refuses the whole message,
   in every version and at every depth: such data must not even lie in our memory longer than it takes to say no.
4. No error text holds a value or the name of an unknown field: both may be a person's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, NoReturn, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.biometric import (
    bytes_look_biometric,
    field_looks_biometric,
    text_looks_biometric,
    value_looks_biometric,
)
from schemas.described import DescribedJsonSchema

MESSAGE_BYTES_MAX = 65_536
TEXT_LENGTH_MAX = 1_000
LIST_LENGTH_MAX = 64
DEPTH_MAX = 32
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

VERSION = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})", re.ASCII)
TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)",
    re.ASCII,
)


class Reason(StrEnum):
    """Why a message was refused; the values are labels of the rejection metric and words of the dead letters."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    INVALID_VALUE = "invalid_value"
    UNKNOWN_KIND = "unknown_kind"
    UNSUPPORTED_VERSION = "unsupported_version"
    BIOMETRIC_PAYLOAD = "biometric_payload"
    FORWARDED_TWICE = "forwarded_twice"
    IN_FUTURE = "in_future"


class ContractError(Exception):
    """Bytes that are no message of the contract; the producer is to blame and a retry cannot help."""

    blame: ClassVar[str] = "producer"
    retry: ClassVar[bool] = False

    def __init__(self, reason: Reason, expected: str) -> None:
        super().__init__(f"{reason.value}: {expected}")
        self.reason = reason
        self.expected = expected


def utc_time(value: object) -> datetime:
    """The instant that an RFC 3339 text with a zone names, in UTC; digits beyond the microsecond are cut off."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and (found := TIME.fullmatch(value)):
        fraction = (found[2] or "")[:6].ljust(6, "0")
        try:
            moment = datetime.fromisoformat(f"{found[1]}.{fraction}{found[3].replace('Z', '+00:00')}")
        except ValueError:
            _refuse_time()
    else:
        _refuse_time()
    if moment.tzinfo is None:
        _refuse_time()
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        _refuse_time()
    if not EARLIEST <= moment < LATEST:
        _refuse_time()
    return moment


def _refuse_time() -> NoReturn:
    raise PydanticCustomError("utc_time", "expected an RFC 3339 time with a zone, from 1970 to 2199")


def time_text(moment: datetime) -> str:
    """An instant as the contract writes it: RFC 3339, UTC, `Z`, microseconds always, so that texts sort as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain_text(value: object) -> object:
    if isinstance(value, str) and text_looks_biometric(value):
        raise PydanticCustomError("biometric_payload", "expected plain text")
    return value


UtcTime = Annotated[
    datetime,
    BeforeValidator(utc_time, json_schema_input_type=str),
    PlainSerializer(time_text, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
SubjectRef = Annotated[str, Field(pattern=r"^s_[A-Za-z0-9_-]{16,64}$")]
Text = Annotated[str, BeforeValidator(_plain_text), Field(min_length=1, max_length=TEXT_LENGTH_MAX)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifiers = Annotated[tuple[Identifier, ...], Field(strict=False, max_length=LIST_LENGTH_MAX)]


class Message(BaseModel):
    """A message of a contract; `MINOR` is the newest minor version of major 1 that this code knows."""

    # Built when first used: a process needs few of the contracts, and each start would pay for all.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    MAJOR: ClassVar[int] = 1
    MINOR: ClassVar[int] = 0

    schema_version: str = "1.0"
    """Version of the contract, `major.minor` (ISO/IEC TS 27560: schema_version)."""

    @model_validator(mode="before")
    @classmethod
    def _fit_version(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        version = data.get("schema_version", f"{cls.MAJOR}.{cls.MINOR}")
        found = VERSION.fullmatch(version) if isinstance(version, str) else None
        if found is None or int(found[1]) != cls.MAJOR:
            raise PydanticCustomError("unsupported_version", "expected schema_version 1.x")
        known = cls.model_fields
        unknown = [name for name in data if name not in known]
        if any(field_looks_biometric(str(name), data[name]) for name in unknown):
            raise PydanticCustomError("biometric_payload", "expected no image, template or embedding")
        if int(found[2]) > cls.MINOR:
            return {name: value for name, value in data.items() if name in known}
        return data

    def to_json(self) -> bytes:
        """The message as compact JSON, fields in the order of the contract, absent ones left out: same in, same out."""
        return self.model_dump_json(exclude_none=True).encode()


def parse(raw: bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> dict[str, Any]:
    """The JSON object that `raw` holds; refuses what is too large, too deep, no UTF-8 JSON, or says a key twice."""
    if not raw:
        raise ContractError(Reason.EMPTY, "expected a JSON object, got no bytes")
    if len(raw) > bytes_max:
        raise ContractError(Reason.TOO_LARGE, f"expected at most {bytes_max} bytes, got {len(raw)}")
    try:
        data = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        data = None  # the parser's error holds the payload, so nothing may be chained to it
    if not isinstance(data, dict) or _deeper_than_allowed(raw, data):
        raise ContractError(Reason.NOT_JSON, f"expected one JSON object in UTF-8, at most {DEPTH_MAX} levels deep")
    return data


def _deeper_than_allowed(raw: bytes, data: object) -> bool:
    # How deep Python's own parser goes depends on its version and on the caller's stack; a contract must not.
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return False
    level = [data]
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level for inner in _children(outer)]
    return any(isinstance(inner, dict | list) for inner in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ContractError(Reason.DUPLICATE_KEY, "expected each key once")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("JSON has no NaN and no Infinity")


T = TypeVar("T", bound="Message")


class Contract(Generic[T]):
    """One or several kinds of message behind one door: `read` turns bytes into exactly one of them or says why not."""

    def __init__(self, shape: Any, *, bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._shape = shape
        self._bytes_max = bytes_max

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        """What validates, made for the first message."""
        return TypeAdapter(self._shape)

    def read(self, raw: bytes) -> T:
        """The message that `raw` holds, or a `ContractError`."""
        return self.fit(parse(raw, self._bytes_max))

    def fit(self, data: Mapping[str, Any]) -> T:
        """The message that parsed JSON holds, or a `ContractError`."""
        try:
            return self._adapter.validate_python(dict(data))
        except ValidationError as error:
            raise self._refusal(error, data) from None

    def withholds(self, raw: bytes) -> bool:
        """Whether bytes that were refused must not be stored with the refusal: too many, or perhaps biometric."""
        return len(raw) > self._bytes_max or bytes_look_biometric(raw, self._names)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the contract, for producers, with the texts that stand in the source."""
        return self._adapter.json_schema(mode="validation", schema_generator=DescribedJsonSchema)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The names of all fields of all kinds."""
        schema = self._adapter.json_schema(mode="validation")
        return frozenset(
            name for shape in (schema, *schema.get("$defs", {}).values()) for name in shape.get("properties", ())
        )

    def _refusal(self, error: ValidationError, data: Mapping[str, Any]) -> ContractError:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        refused = {part for detail in details for part in detail["loc"][:2]}
        if any(
            value_looks_biometric(value) if name in self._names else field_looks_biometric(name, value)
            for name, value in data.items()
            if name not in self._names or name in refused
        ):
            return ContractError(Reason.BIOMETRIC_PAYLOAD, "expected no image, template or embedding")
        return refusal(details, self._names)


REASONS: Mapping[str, Reason] = {
    "biometric_payload": Reason.BIOMETRIC_PAYLOAD,
    "unsupported_version": Reason.UNSUPPORTED_VERSION,
    "union_tag_invalid": Reason.UNKNOWN_KIND,
    "union_tag_not_found": Reason.UNKNOWN_KIND,
    "extra_forbidden": Reason.UNKNOWN_FIELD,
    "missing": Reason.MISSING_FIELD,
}
"""From the type of a validation error to our reason, the gravest first; any other type is an invalid value."""


def refusal(details: Sequence[ErrorDetails], names: Collection[str]) -> ContractError:
    """The gravest of all validation errors as one `ContractError`, without a value and without an unknown name."""
    ranks = list(REASONS)
    first = min(details, key=lambda detail: ranks.index(detail["type"]) if detail["type"] in REASONS else len(ranks))
    reason = REASONS.get(first["type"], Reason.INVALID_VALUE)
    if reason is Reason.UNKNOWN_FIELD:
        return ContractError(reason, "expected only the fields of the contract")
    if reason is Reason.UNKNOWN_KIND:
        return ContractError(reason, "expected a known kind of message")
    # A part that is no name of ours is a key that the producer chose, or pydantic's name of a branch.
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in names)
    return ContractError(reason, f"{place or 'message'}: {first['msg']}")


class Interval(Message):
    """A message about something that holds from `valid_from` up to, and without, `valid_until`."""

    valid_from: UtcTime
    """First instant at which it holds."""
    valid_until: UtcTime | None = None
    """First instant at which it no longer holds; absent: no end is known."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise PydanticCustomError("interval", "expected valid_until after valid_from")
        return self
