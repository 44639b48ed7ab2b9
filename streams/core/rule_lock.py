"""The lock of rules: a fingerprint of each revision, so that no rule changes what it says under the same number.

Rules:
1. A fingerprint covers what of a rule can change a verdict or its weight; not its prose, its tests or where it stands.
2. A revision that is locked keeps its fingerprint. Its end may be set once, because a later revision follows it; an end
   that was set stays.
3. A locked revision stays in its pack: events of its time are judged by it for ever. One that is off stays too, and
   keeps its fingerprint for the day on which it is switched on again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from streams.core.instant import NEVER
from streams.core.rule import AnyRule
from streams.core.rulebook import canonical
from streams.errors import Place, RulebookError


class Locked(NamedTuple):
    """What is locked of one revision; `until` is None where it has no end."""

    digest: str
    until: int | None


Lock = Mapping[tuple[str, int], Locked]


def fingerprint(rule: AnyRule, locked: Locked | None = None) -> Locked:
    """The fingerprint of a revision; days of a calendar are data of a library and no wording of ours.

    One that is off does not say whether it was in force or in shadow: it keeps the one `locked` that fits either.
    """
    standings = [rule, replace(rule, standing="what_if")] if rule.off else [rule]
    found = [_fingerprint(each) for each in standings]
    return next((each for each in found if locked is not None and each.digest == locked.digest), found[0])


def _fingerprint(rule: AnyRule) -> Locked:
    content = {name: value for name, value in canonical(rule).items() if name not in ("calendar", "in_force")}
    text = json.dumps(content | {"from": rule.from_instant}, sort_keys=True, separators=(",", ":"))
    until = None if rule.until_instant >= NEVER else rule.until_instant
    return Locked(hashlib.sha256(text.encode()).hexdigest(), until)


def lock_of(rules: Iterable[AnyRule], lock: Lock = MappingProxyType({})) -> dict[tuple[str, int], Locked]:
    """The lock of rules as they are; of one that is off as it was, where `lock` knows it."""
    return {place: fingerprint(rule, lock.get(place)) for rule in rules for place in [(rule.id, rule.revision)]}


def to_text(lock: Lock) -> str:
    """A lock as JSON, sorted, one revision a line, so that a change of it reads as one."""
    lines = [
        f" {json.dumps(f'{rule_id}@{revision}')}: {json.dumps(held._asdict())}"
        for (rule_id, revision), held in sorted(lock.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def from_text(text: str, file: str) -> Lock:
    """The lock that a text holds; raises RulebookError where it is none."""
    try:
        held: dict[str, dict[str, Any]] = json.loads(text)
        return {_name(name): Locked(each["digest"], each["until"]) for name, each in held.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RulebookError("expected a lock as `consentinel rules lock` writes it", place=Place(file)) from None


def _name(text: str) -> tuple[str, int]:
    rule_id, _, revision = text.rpartition("@")
    return rule_id, int(revision)


def broken(lock: Lock, rules: Iterable[AnyRule]) -> Iterator[RulebookError]:
    """Every locked revision that says something else now, or is gone."""
    held = {(rule.id, rule.revision): rule for rule in rules}
    for (rule_id, revision), locked in lock.items():
        rule = held.get((rule_id, revision))
        if rule is None:
            yield RulebookError(f"{rule_id} revision {revision} is locked and gone: a rule keeps its history")
            continue
        now = fingerprint(rule, locked)
        if now.digest != locked.digest or locked.until not in (None, now.until):
            said = f"{rule_id} says something else than its locked revision {revision}: give it revision {revision + 1}"
            yield RulebookError(said, place=rule.place)


def unlocked(lock: Lock, rules: Iterable[AnyRule]) -> Iterator[RulebookError]:
    """Every revision of which no lock is there, or whose end is not in it."""
    for rule in rules:
        locked = lock.get((rule.id, rule.revision))
        if locked != fingerprint(rule, locked):
            said = f"{rule.id} revision {rule.revision} is not locked: `consentinel rules lock` locks it"
            yield RulebookError(said, place=rule.place)
