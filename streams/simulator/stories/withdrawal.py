"""Consent taken back: before the match, in its very instant, after it, and on a partition where it does not belong."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from streams.simulator.people import member, withdrawal
from streams.simulator.premises import Plan
from streams.simulator.probes import probe
from streams.simulator.story import Scene, Story, Told, after

WITHDRAWN = ("cn2025.art06.after-withdrawal", "cnpipl.art15.after-withdrawal", "cn2023.art05.consent")
WITHDRAWN_AFTER_SECONDS = 0.4


def _office(name: str, title: str) -> Plan:
    return Plan(
        name=name,
        title=title,
        site_kind="office_building",
        province="GD",
        zone="entrance",
        public=False,
        controller_type="employer",
    )


class _Withdrawal(Story):
    """A person agrees, takes it back 0.4 s later, and is matched `matched_after` seconds after agreeing."""

    matched_after: ClassVar[float]
    expected: ClassVar[tuple[str, ...]] = WITHDRAWN
    misplaced: ClassVar[bool] = False

    def tell(self, at: datetime) -> Scene:
        """One person, one change of mind, one match."""
        person = member(self.clerk, self.premises, at)
        taken_back = withdrawal(self.clerk, self.premises, person, after(at, WITHDRAWN_AFTER_SECONDS))
        event = probe(self.clerk, self.premises, after(at, self.matched_after), person.subject_ref)
        told = (Told(event, open=self.expected),)
        if self.misplaced:
            return Scene(told, person.records, (taken_back,))
        return Scene(told, (*person.records, taken_back))


class WithdrawnBefore(_Withdrawal):
    """The match comes after the withdrawal."""

    name = "withdrawn_before"
    plan = _office("office-before", "Tower One")
    matched_after = 0.6


class WithdrawnAt(_Withdrawal):
    """Match and withdrawal share one instant: the withdrawal wins."""

    name = "withdrawn_at"
    plan = _office("office-at", "Tower Two")
    matched_after = WITHDRAWN_AFTER_SECONDS


class WithdrawnAfter(_Withdrawal):
    """The match comes first and stays lawful: withdrawal is not retroactive."""

    name = "withdrawn_after"
    plan = _office("office-after", "Tower Three")
    matched_after = 0.2
    expected = ()


class MisplacedWithdrawal(_Withdrawal):
    """The withdrawal was written to a partition that is not its key's; it counts all the same."""

    name = "misplaced_withdrawal"
    plan = _office("office-misplaced", "Tower Four")
    matched_after = 0.6
    misplaced = True
