"""A comparison as lines of text, and as an object for programs: what is no longer a violation comes first.

Rules:
1. What is left as it is, though it is not the same, comes last, where there is any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.replay.comparison import Comparison, Difference, Left

TITLES: Mapping[Difference, str] = {
    Difference.NO_LONGER_VIOLATING: "No longer violating",
    Difference.NEWLY_VIOLATING: "Newly violating",
    Difference.NEWLY_UNDETERMINED: "Newly undetermined",
    Difference.OTHERWISE: "Otherwise",
    Difference.OTHER_GROUNDS: "The same verdict on other grounds",
}
LEFT_TITLES: Mapping[Left, str] = {
    Left.CONTESTED: "Contested, left to a person",
    Left.NOT_SEEN: "Not within what the answer has seen",
}


def page(found: Comparison) -> str:
    """The whole comparison: for each kind of difference the rules, then places and purposes, with examples."""
    counts, left = found.counts().to_dicts(), found.left_counts().to_dicts()
    lines = [line for each in Difference for line in _section(TITLES[each], _of(counts, "difference", each))]
    told = [(LEFT_TITLES[each], _of(left, "left", each)) for each in Left]
    return "\n".join([*lines, *(line for title, rows in told if rows for line in _section(title, rows))])


def _of(counts: list[dict[str, Any]], column: str, value: str) -> list[dict[str, Any]]:
    return [row for row in counts if row[column] == value]


def _section(title: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{title}: {sum(row['n'] for row in rows)}"
    for rule_id in dict.fromkeys(row["rule_id"] for row in rows):
        of_rule = [row for row in rows if row["rule_id"] == rule_id]
        yield f"  {rule_id}, for example {', '.join(of_rule[0]['examples'])}"
        for row in of_rule:
            where = ", ".join(f"{part} {row[f'{part}_id'] or '?'}" for part in ("controller", "site", "purpose"))
            yield f"    {row['n']:>8}  {row['was']} -> {row['became']}; {where}"


def as_object(found: Comparison) -> dict[str, object]:
    """The same for programs: totals, and a list of counts a difference, and a reason why it is left."""
    said: dict[str, object] = {"compared": found.compared, "differs": found.differs}
    counts, left = found.counts().to_dicts(), found.left_counts().to_dicts()
    for each in Difference:
        said[each.value] = _totalled(_of(counts, "difference", each))
    for why in Left:
        said[why.value] = _totalled(_of(left, "left", why))
    return said


def _totalled(rows: list[dict[str, Any]]) -> dict[str, object]:
    told = [{name: value for name, value in row.items() if name not in ("difference", "left")} for row in rows]
    return {"total": sum(row["n"] for row in rows), "counts": told}
