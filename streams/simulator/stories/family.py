"""A child whose guardian was never asked."""

from __future__ import annotations

from datetime import datetime

from streams.simulator.people import consent, enrolled
from streams.simulator.premises import Plan
from streams.simulator.probes import probe
from streams.simulator.story import Scene, Story, Told, after


class ChildWithoutGuardian(Story):
    """A club enrols a ten-year-old on the child's own word."""

    name = "child_without_guardian"
    plan = Plan(
        name="swim-club",
        title="Swimming Club",
        site_kind="office_building",
        province="JS",
        zone="entrance",
        public=False,
        purpose_text="Let members into the pool",
    )

    def tell(self, at: datetime) -> Scene:
        """The child agrees and is let in."""
        child = enrolled(self.clerk, self.premises, at, age_band="under_14")
        own_word = consent(self.clerk, self.premises, child, at)
        event = probe(self.clerk, self.premises, after(at, 0.3), child.subject_ref)
        expected = ("cn2025.art07.minor", "cnpipl.art31.minor", "cn2023.art13.minor")
        return Scene((Told(event, open=expected),), (*child.records, own_word))
