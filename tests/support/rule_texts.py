"""Rule packs as texts: the smallest that load, with what a test wants changed.

Rules:
1. `a_rule` gives the YAML of one rule, `a_pack` that of a file; both are plain text, as a lawyer would write them.
2. A value of None leaves its key out, so that a test can show what is missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

RULE: Mapping[str, Any] = {
    "id": "test.rule",
    "title": "A rule",
    "description": "What it says.",
    "citation": "A law, Art. 1",
    "level": "high",
    "judges": "match",
    "condition": "NOT purpose_named",
    "per": "purpose",
    "annotations": {"summary": "Something is missing", "description": "No record.", "runbook": "docs/runbooks.md"},
}
PACK: Mapping[str, Any] = {
    "pack": "test",
    "title": "A pack",
    "status": "in_force",
    "description": "A pack of a test.",
    "source": "A law.",
    "in_force": {"from": "2020-01-01"},
}


def a_rule(rule_id: str = "test.rule", *, exceptions: Mapping[str, str] | None = None, **changes: Any) -> str:
    """The YAML of one rule; `exceptions` gives their conditions by name."""
    clauses = [
        {"name": name, "citation": "A law, Art. 2", "condition": condition}
        for name, condition in (exceptions or {}).items()
    ]
    whole = dict(RULE) | {"id": rule_id} | ({"exceptions": clauses} if clauses else {}) | changes
    return yaml.safe_dump([_said(whole)], sort_keys=False, allow_unicode=True)


def a_pack(*rules: str, **changes: Any) -> str:
    """The YAML of a pack with these rules, or with one where none is given."""
    head = yaml.safe_dump(_said(dict(PACK) | changes), sort_keys=False, allow_unicode=True)
    return head + "rules:\n" + "".join(rules or (a_rule(),))


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
