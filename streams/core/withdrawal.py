"""How long after a withdrawal a person is still matched: the delay with which a withdrawal reaches the recogniser.

Rules:
1. A match counts where the consent to its purpose was withdrawn before it and not given again since, also where
   no record says that it was given: who says no is heard.
2. The withdrawal counts from its own instant, not from when its record came.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from streams.core.case import Views
from streams.core.instant import SECOND, micros


def since_withdrawal(cases: pl.DataFrame, views: Views) -> Iterator[tuple[str, float]]:
    """Controller and seconds since the withdrawal, a pair for each case of matches after one.

    Rulebooks that never ask `consent_withdrawn` leave the column out, and then nothing is said.
    """
    if not {"consent_withdrawn", "comparison_decision"} <= set(cases.columns):
        return
    after = cases.filter(
        pl.col("consent_withdrawn") & (pl.col("comparison_decision") == "match") & pl.col("subject_ref").is_not_null()
    )
    columns = after.select("controller_id", "subject_ref", "purpose_id", "occurred_at")
    for controller_id, subject_ref, purpose_id, occurred_at in columns.iter_rows():
        history = views.histories.history(subject_ref)
        instant = micros(occurred_at)
        at = None if history is None else history.withdrawn_at(controller_id, purpose_id, instant)
        if at is not None:
            yield controller_id, (instant - at) / SECOND
