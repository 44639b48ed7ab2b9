"""The journal: what a worker writes about its own life, one line an event, to standard error.

Rules:
1. No person and no payload: values under a name that may hold one are dropped, bytes are never shown, a long run of
   base64 becomes `…`, and whatever looks like a subject reference becomes `s_…`, wherever it stands.
2. The text of an exception is shown only where its author promises that it holds no payload: our own errors, the
   operating system's and those of the Kafka clients. Of any other only type and places in the code are shown.
3. Lines of the libraries pass the same gate; below INFO they are silent, because they would print records.
4. Time is UTC. An event is a word or a short sentence; what varies goes into named values.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from typing import IO, Any, Protocol

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from schemas.biometric import ENCODED_LENGTH_MIN, WORD, name_looks_biometric
from schemas.contract import ContractError
from streams.core.discretion import discreet
from streams.errors import ConsentinelError

DROPPED = "…"
"""What stands for a value that is not told."""

# fmt: off
PERSONAL_WORDS = frozenset((
    "subject", "subjects", "person", "persons", "native", "payload", "key", "keys", "value", "values", "raw", "body",
    "content", "headers", "ref", "refs", "token", "password", "passwd", "secret", "credentials", "authorization",
    "face", "faces", "candidate", "candidates",
))
# fmt: on
"""Words in a name whose value may be a person, a payload or a secret."""

ENCODED = re.compile(rf"[A-Za-z0-9+/_=-]{{{ENCODED_LENGTH_MIN},}}")
"""A run of characters that may be a picture; dropped whole."""

OUTSPOKEN = (ConsentinelError, ContractError, OSError, AssertionError)
"""Exceptions whose text holds no payload."""
OUTSPOKEN_MODULES = ("aiokafka.", "kafka.")

DEPTH_MAX = 6
"""What is nested deeper in a value is dropped."""
CHAIN_MAX = 10
"""So many exceptions of a chain are told."""
OURS = ("streams", "schemas", "dashboards")
CHATTY = ("kafka",)
"""Libraries that tell of each connection as if it were news; only their warnings are written."""


class JournalSettings(Protocol):
    """What is asked of the settings."""

    @property
    def log_format(self) -> str:
        """`json` or `console`."""

    @property
    def log_level(self) -> str:
        """The least grave level that is written."""


def set_up_journal(settings: JournalSettings, stream: IO[str] | None = None) -> None:
    """Send everything that anybody in the process logs through the gate, to `stream` (standard error)."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(quieten)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                tell_exception,
                redact,
                *_renderers(settings.log_format),
            ],
        )
    )
    _take_over(handler, logging.getLevelNamesMapping()[settings.log_level])


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [_in_order, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [structlog.dev.ConsoleRenderer(colors=False, timestamp_key="time")]


def _take_over(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = {name: event.pop(name) for name in ("time", "level", "logger", "event") if name in event}
    return {**first, **event}


# -- the libraries' lines ---------------------------------------------------------------------------------------------


def quieten(record: logging.LogRecord) -> bool:
    """Take payloads out of a line before it is put together: exceptions and bytes among its arguments, quoted tasks."""
    if isinstance(record.args, tuple):
        record.args = tuple(_argument(each) for each in record.args)
    if record.name == "asyncio":
        # Its further lines quote tasks and futures, and these quote the exception they hold.
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def _argument(value: object) -> object:
    if isinstance(value, BaseException):
        told = _told(value)
        return f"{told['type']}({told.get('text', DROPPED)})"
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray | memoryview) else value


# -- exceptions -------------------------------------------------------------------------------------------------------


def tell_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by types, places in the code, and the texts that may be told."""
    given = event.pop("exc_info", None)
    event.pop("exception", None)
    event.pop("stack", None)
    event.pop("stack_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["raised"] = [_told(each) for each in _chain(error)]
    return event


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(CHAIN_MAX):
        if found is None:
            return
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _told(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    told: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")}
    if isinstance(error, OUTSPOKEN) or kind.__module__.startswith(OUTSPOKEN_MODULES):
        told["text"] = _os_text(error) if isinstance(error, OSError) else str(error)
    frames = traceback.extract_tb(error.__traceback__)
    told["at"] = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return told


def _os_text(error: OSError) -> str:
    # Without the file's name: it is the operator's, and may be anybody's.
    return error.strerror or ""


# -- the gate ---------------------------------------------------------------------------------------------------------


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Take persons, payloads and secrets out of an event; the last step before it is written."""
    return {_discreet(name): _plain(name, value, DEPTH_MAX) for name, value in event.items()}


def _plain(name: str, value: object, depth: int) -> object:
    if _personal(name) or depth == 0:
        return DROPPED
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return {_discreet(str(inner)): _plain(str(inner), each, depth - 1) for inner, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain("", each, depth - 1) for each in value]
    if isinstance(value, BaseException):
        return _told(value) | {"at": []}
    return _discreet(str(value))


def _discreet(text: str) -> str:
    return ENCODED.sub(DROPPED, discreet(text))


def _personal(name: str) -> bool:
    words = {word.lower() for word in WORD.findall(name)}
    return bool(words & PERSONAL_WORDS) or name_looks_biometric(name)
