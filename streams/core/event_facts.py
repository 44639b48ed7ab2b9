"""Facts computed from a message itself, or from it and what its purpose and its authority say.

Rules:
1. A row's facts depend on the columns of that row alone.
2. What the message does not report stays NULL; nothing is inferred from silence.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from schemas.vocabulary import SENSITIVE_ATTRIBUTES
from streams.core.facts import CaseKind


def event_facts(kind: CaseKind) -> Mapping[str, pl.Expr]:
    """The facts that are computed from a message, or from it and what its purpose allows."""
    claims = pl.any_horizontal(pl.col(name).is_not_null() for name in ("claimed_basis", "authority_id", "exception_id"))
    every = {
        "purpose_named": pl.col("purpose_id").is_not_null(),
        "exception_claimed": claims,
        "claimed_basis": pl.col("claimed_basis").fill_null("none"),
    }
    if kind is CaseKind.DISCLOSURE:
        return every | {"disclosure_evidenced": pl.col("evidence_ref").is_not_null()}
    if kind is not CaseKind.MATCH:
        return every
    attributes = pl.col("inferred_attributes")
    return every | {
        "stranger": STRANGER,
        "sensitive_attributes": attributes.list.eval(
            pl.element().filter(pl.element().is_in(list(SENSITIVE_ATTRIBUTES)))
        ),
        "operation_allowed": pl.col("purpose_operations").list.contains(pl.col("operation")),
        "attributes_allowed": attributes.list.set_difference(pl.col("purpose_attributes")).list.len() == 0,
        "authority_targets_subject": TARGETED,
    }


ABOUT_ANYBODY = ("categorisation", "emotion_recognition", "detection")
"""Operations that look at a face and at no reference, so that nobody need be known."""

STRANGER = pl.col("subject_ref").is_null() & (
    ((pl.col("operation") == "identification") & (pl.col("comparison_decision") == "non_match"))
    | (pl.col("operation").is_in(ABOUT_ANYBODY) & (pl.col("comparison_decision") != "match"))
)
"""Nobody we know; a match of an id that nobody linked is somebody, whatever else was done with the face."""


TARGETED = (
    pl.when(pl.col("authority_targets").list.len() == 0)
    .then(pl.lit(value=False))
    .when(pl.col("subject_ref").is_not_null())
    .then(pl.col("authority_targets").list.contains(pl.col("subject_ref")))
    .when(STRANGER & pl.col("authority_targets").is_not_null())
    .then(pl.lit(value=False))
)
"""Whether the authority names the person: nobody where it names none, and no stranger; unknown of an unlinked id."""
