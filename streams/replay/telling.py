"""How an answer names the law by which it was made: packs, their rules, and a digest of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from streams.core.rule import AnyRule
from streams.core.rulebook import Rulebook, canonical
from streams.replay.answer import PackNamed, RuleNamed


def told_packs(rulebook: Rulebook, titles: Mapping[str, tuple[str, str]]) -> list[PackNamed]:
    """Every pack of a rulebook, by name; `titles` gives the title and the status of each that is known."""
    by_pack: dict[str, list[AnyRule]] = {pack: [] for pack in sorted(rulebook.packs)}
    for rule in rulebook.every():
        by_pack.setdefault(rule.pack, []).append(rule)
    return [_told(pack, rules, *titles.get(pack, (pack, "in_force"))) for pack, rules in by_pack.items()]


def _told(pack: str, rules: list[AnyRule], title: str, standing: str) -> PackNamed:
    content = json.dumps([canonical(rule) for rule in rules], sort_keys=True, separators=(",", ":"))
    named = [
        RuleNamed(
            id=rule.id,
            revision=rule.revision,
            title=rule.title,
            citation=rule.citation,
            level=rule.level,
            standing=rule.standing,
            kind=rule.rule_kind.value,
        )
        for rule in rules
    ]
    digest = hashlib.sha256(content.encode()).hexdigest()
    return PackNamed.model_validate(
        {"id": pack, "title": title, "standing": standing, "digest": digest, "rules": named}
    )
