"""The typed errors of a bad world: each says who is to blame, where it happened and whether trying again can help.

Rules:
1. A breach of law is never an error: it is a verdict. A bug is never one of these: it is an assertion.
2. A message says what was expected and what came, and never shows a payload, a person or a secret.
3. `retry` is a property of the kind of error, so that a caller decides without reading the text.
4. What a message on a topic does wrong is `schemas.contract.ContractError`; it becomes a rejection, not an exit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Blame(StrEnum):
    """Who has to act on an error."""

    OPERATOR = "operator"
    RULE_AUTHOR = "rule_author"
    BROKER = "broker"
    SOURCE = "source"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file or a topic by name, and a line (from 1) where there is one."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class ConsentinelError(Exception):
    """The world is not as it should be; subclasses fix the blame and whether a retry can help."""

    blame: ClassVar[Blame] = Blame.OPERATOR
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, place: Place | None = None) -> None:
        super().__init__(message if place is None else f"{place}: {message}")
        self.message = message
        self.place = place


class ConfigurationError(ConsentinelError):
    """A setting, an option or the environment is not usable as it stands."""


class InputError(ConsentinelError):
    """A file handed to a command cannot be read as what it should be."""

    blame = Blame.SOURCE


class RulebookError(ConsentinelError):
    """A rule pack cannot be loaded."""

    blame = Blame.RULE_AUTHOR


class RulebookErrors(RulebookError):
    """All problems of a set of rule packs at once, so that an author mends them in one go."""

    def __init__(self, problems: tuple[RulebookError, ...]) -> None:
        assert problems, "a collection of problems has at least one"
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class DeliveryError(ConsentinelError):
    """The broker did not take or give a record; the same call may succeed later."""

    blame = Blame.BROKER
    retry = True


class LogError(ConsentinelError):
    """A log is not the one that was read before: truncated, recreated, or with a hole; only a restart is safe."""

    blame = Blame.BROKER
