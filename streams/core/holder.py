"""Holders: who holds the key of a duty or of what stands, a person or a controller."""

from __future__ import annotations

from typing import NamedTuple

from streams.core.obligation import Happening, Obligation
from streams.core.rule import DeadlineRule, Duty
from streams.core.window import Window

Standing = Obligation | Window


class Holder(NamedTuple):
    """Who holds the key of a duty: a person or a controller."""

    kind: str
    id: str


def holder_of(duty: Duty, case: Happening) -> Holder:
    """Who holds the key of a case: the person where the duty is about one, else the controller."""
    subject = case.parts.get("subject")
    if about_subject(duty) and subject is not None:
        return Holder("subject", subject)
    return Holder("controller", str(case.parts["controller"]))


def holder_of_standing(standing: Standing) -> Holder:
    """Who holds the key of something that was said."""
    if isinstance(standing, Window):
        part, _, value = standing.key.partition("/")
        return Holder("subject", value) if part == "subject" else Holder("controller", standing.controller)
    part = "subject" if standing.rule.of_subject else "controller"
    return Holder(part, str(standing.parts[part]))


def about_subject(duty: Duty) -> bool:
    """Whether a duty is kept, or a window counted, for each person."""
    return duty.of_subject if isinstance(duty, DeadlineRule) else duty.key == "subject"
