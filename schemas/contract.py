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
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
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
from pydantic_core import PydanticCustomError

MESSAGE_BYTES_MAX = 65_536
TEXT_LENGTH_MAX = 1_000
LIST_LENGTH_MAX = 64
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

VECTOR_LENGTH_MIN = 16
"""So many numbers in a row are taken for an embedding; the smallest face models in use give 64."""
ENCODED_LENGTH_MIN = 128
"""So many base64 characters in a row are taken for an encoded image or template (96 bytes and more)."""

BIOMETRIC_WORDS = frozenset(
    """image images img photo picture jpeg jpg png bmp webp bitmap pixels snapshot thumbnail crop base64 b64 video clip
    template templates embedding embeddings vector vectors vec feature features descriptor descriptors faceprint
    encoding encodings landmark landmarks facedata iris fingerprint voiceprint""".split()
)
ENCODED = re.compile(r"[A-Za-z0-9+/_=-]{%d,}|data:(?:image|video)/" % ENCODED_LENGTH_MIN)
WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
VERSION = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})", re.ASCII)
TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)",
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
    if isinstance(value, str) and ENCODED.search(value):
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

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

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
        unknown = [name for name in data if name not in cls.model_fields]
        if any(_looks_biometric(name, data[name]) for name in unknown):
            raise PydanticCustomError("biometric_payload", "expected no image, template or embedding")
        if int(found[2]) > cls.MINOR:
            return {name: value for name, value in data.items() if name in cls.model_fields}
        return data

    def to_json(self) -> bytes:
        """The message as compact JSON, fields in the order of the contract, absent ones left out: same in, same out."""
        return self.model_dump_json(exclude_none=True).encode()


def _looks_biometric(name: object, value: object) -> bool:
    words = {word.lower() for word in WORD.findall(str(name))}
    return bool(words & BIOMETRIC_WORDS) or _looks_encoded(value)


def _looks_encoded(value: object) -> bool:
    if isinstance(value, str):
        return ENCODED.search(value) is not None
    if isinstance(value, Mapping):
        return any(_looks_biometric(name, inner) for name, inner in value.items())
    if isinstance(value, Sequence):
        numbers = sum(isinstance(inner, int | float) and not isinstance(inner, bool) for inner in value)
        return numbers >= VECTOR_LENGTH_MIN or any(_looks_encoded(inner) for inner in value)
    return False


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` holds; refuses what is too large, no UTF-8 JSON object, or says a key twice."""
    if not raw:
        raise ContractError(Reason.EMPTY, "expected a JSON object, got no bytes")
    if len(raw) > MESSAGE_BYTES_MAX:
        raise ContractError(Reason.TOO_LARGE, f"expected at most {MESSAGE_BYTES_MAX} bytes, got {len(raw)}")
    try:
        data = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ContractError(Reason.NOT_JSON, "expected one JSON object in UTF-8") from error.with_traceback(None)
    if not isinstance(data, dict):
        raise ContractError(Reason.NOT_JSON, "expected a JSON object")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ContractError(Reason.DUPLICATE_KEY, "expected each key once")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError("JSON has no NaN and no Infinity")


T = TypeVar("T", bound="Message")


class Contract(Generic[T]):
    """One or several kinds of message behind one door: `read` turns bytes into exactly one of them or says why not."""

    def __init__(self, shape: Any) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(shape)

    def read(self, raw: bytes) -> T:
        """The message that `raw` holds, or a `ContractError`."""
        return self.fit(parse(raw))

    def fit(self, data: Mapping[str, Any]) -> T:
        """The message that parsed JSON holds, or a `ContractError`."""
        try:
            return self._adapter.validate_python(dict(data))
        except ValidationError as error:
            raise refusal(error) from None

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the contract, for producers."""
        return self._adapter.json_schema(mode="validation")


REASONS: Mapping[str, Reason] = {
    "biometric_payload": Reason.BIOMETRIC_PAYLOAD,
    "unsupported_version": Reason.UNSUPPORTED_VERSION,
    "union_tag_invalid": Reason.UNKNOWN_KIND,
    "union_tag_not_found": Reason.UNKNOWN_KIND,
    "extra_forbidden": Reason.UNKNOWN_FIELD,
    "missing": Reason.MISSING_FIELD,
}
"""From the type of a validation error to our reason, the gravest first; any other type is an invalid value."""


def refusal(error: ValidationError) -> ContractError:
    """The gravest of all validation errors as one `ContractError`, without a value and without an unknown name."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    ranks = list(REASONS)
    details.sort(key=lambda detail: ranks.index(detail["type"]) if detail["type"] in REASONS else len(ranks))
    first = details[0]
    reason = REASONS.get(first["type"], Reason.INVALID_VALUE)
    if reason is Reason.UNKNOWN_FIELD:
        return ContractError(reason, "expected only the fields of the contract")
    if reason is Reason.UNKNOWN_KIND:
        return ContractError(reason, "expected a known kind of message")
    place = ".".join(str(part) for part in first["loc"])
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
