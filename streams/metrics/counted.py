"""What the recorder asks of a rule and of a rulebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.vocabulary import Level


class CountedRule(Protocol):
    """What is asked of a rule; a `streams.core.rulebook.Rule` is one."""

    @property
    def id(self) -> str:
        """The rule's id, as in its pack."""

    @property
    def level(self) -> Level:
        """How grave a violation is."""

    @property
    def standing(self) -> str:
        """`in_force` or `what_if`."""


class CountedRulebook(Protocol):
    """What is asked of a rulebook; a `streams.core.rulebook.Rulebook` is one."""

    @property
    def rules(self) -> Sequence[CountedRule]:
        """The rules that judge one case each."""

    @property
    def duties(self) -> Sequence[CountedRule]:
        """The rules that no single case decides."""

    @property
    def digest(self) -> str:
        """The digest over everything that can change a verdict."""

    @property
    def packs(self) -> tuple[str, ...]:
        """The names of the packs."""
