"""The difference between two rulebooks as lines of text: what is caught no longer comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.replay.rule_diff import Change, RuleDiff

TITLES: Mapping[Change, str] = {
    Change.NO_LONGER_VIOLATING: "No longer violating",
    Change.NEWLY_VIOLATING: "Newly violating",
    Change.NEWLY_UNDETERMINED: "Newly undetermined",
}


def page(found: RuleDiff) -> str:
    """The whole difference: for each kind of change the rules, then sites and purposes, with examples."""
    return "\n".join(line for change in Change for line in _section(found, change))


def _section(found: RuleDiff, change: Change) -> Iterator[str]:
    yield f"{TITLES[change]}: {found.total(change)}"
    rules = dict.fromkeys(where.rule_id for where, _ in found.by(change))
    for rule_id in rules:
        yield f"  {rule_id}, for example {', '.join(found.examples[change, rule_id])}"
        for where, count in found.by(change):
            if where.rule_id == rule_id:
                place = f"site {where.site_id or '?'}, purpose {where.purpose_id or '?'}"
                yield f"    {count:>8}  now {where.became}; {place}"


def as_object(found: RuleDiff) -> dict[str, object]:
    """The same for programs: totals, and a list of counts a change."""
    said: dict[str, object] = {"judged": found.judged, "catches_less": found.catches_less}
    for change in Change:
        said[change.value] = {
            "total": found.total(change),
            "counts": [
                {
                    "rule_id": where.rule_id,
                    "became": where.became,
                    "site_id": where.site_id,
                    "purpose_id": where.purpose_id,
                    "count": count,
                    "examples": found.examples[change, where.rule_id],
                }
                for where, count in found.by(change)
            ],
        }
    return said
