"""The comparison of the log of violations with an answer: what a reconciliation would leave alone is no difference.

Rules:
1. A contested violation waits for a person, and an answer acquits nobody: that it does not find it is told apart.
2. So is what the answer cannot have seen: a deadline that an event before the range may have opened, and what happened
   at a device in an hour of which it judged nothing.
3. The same verdict on other grounds is a difference, though nothing has to be corrected.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from schemas.verdict import Violation
from streams.replay.answer import Answer
from streams.replay.comparison import Comparison, Difference, Left, compare, said_by_answer, said_by_log, within
from streams.replay.reconciliation import Judged, is_left_alone, judged_by


def compare_log(last: Mapping[str, Violation], answer: Answer) -> Comparison:
    """What an answer says otherwise than the log, whose last word on each breach is `last`, by violation id."""
    said = within(said_by_answer(answer), answer.manifest)
    found = compare(said_by_log(last.values()), said, old_tells_unknown=False)
    judged = judged_by(answer)
    left = [
        _left(last.get(violation_id), became, Difference(difference), judged)
        for violation_id, became, difference in found.rows.select("violation_id", "became", "difference").iter_rows()
    ]
    rows = found.rows.with_columns(left=pl.Series("left", left, dtype=pl.String))
    return Comparison(rows.filter(pl.col("left").is_null()).drop("left"), found.compared, rows.drop_nulls("left"))


def _left(known: Violation | None, became: str, difference: Difference, judged: Judged) -> str | None:
    """Why a difference is left alone; None where it is not."""
    if difference is Difference.OTHER_GROUNDS or known is None or not is_left_alone(known, became, judged):
        return None
    return Left.CONTESTED.value if known.status == "contested" else Left.NOT_SEEN.value
