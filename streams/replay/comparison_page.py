"""A comparison as lines of text, and as an object for programs: what is no longer a violation comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.replay.comparison import Comparison, Difference

TITLES: Mapping[Difference, str] = {
    Difference.NO_LONGER_VIOLATING: "No longer violating",
    Difference.NEWLY_VIOLATING: "Newly violating",
    Difference.NEWLY_UNDETERMINED: "Newly undetermined",
    Difference.OTHERWISE: "Otherwise",
    Difference.OTHER_GROUNDS: "The same verdict on other grounds",
}


def page(found: Comparison) -> str:
    """The whole comparison: for each kind of difference the rules, then places and purposes, with examples."""
    counts = found.counts().to_dicts()
    return "\n".join(line for each in Difference for line in _section(found, each, counts))


def _section(found: Comparison, difference: Difference, counts: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{TITLES[difference]}: {found.total(difference)}"
    rows = [row for row in counts if row["difference"] == difference]
    for rule_id in dict.fromkeys(row["rule_id"] for row in rows):
        of_rule = [row for row in rows if row["rule_id"] == rule_id]
        yield f"  {rule_id}, for example {', '.join(of_rule[0]['examples'])}"
        for row in of_rule:
            where = ", ".join(f"{part} {row[f'{part}_id'] or '?'}" for part in ("controller", "site", "purpose"))
            yield f"    {row['n']:>8}  {row['was']} -> {row['became']}; {where}"


def as_object(found: Comparison) -> dict[str, object]:
    """The same for programs: totals, and a list of counts a difference."""
    said: dict[str, object] = {"compared": found.compared, "differs": found.differs}
    counts = found.counts().to_dicts()
    for difference in Difference:
        rows = [{name: row[name] for name in row if name != "difference"} for row in counts
                if row["difference"] == difference]  # fmt: skip
        said[difference.value] = {"total": found.total(difference), "counts": rows}
    return said
