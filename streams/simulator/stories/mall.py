"""Two things a mall should not do: read ethnicity from faces, and search everybody who walks in."""

from __future__ import annotations

from datetime import datetime

from streams.simulator.people import member
from streams.simulator.premises import Plan
from streams.simulator.probes import probe
from streams.simulator.story import Scene, Story, Told, after


class EthnicityInferred(Story):
    """Members agreed to be greeted; the camera also notes their ethnicity, which no record allows."""

    name = "ethnicity_inferred"
    plan = Plan(
        name="north-mall",
        title="North Gate Mall",
        site_kind="mall",
        province="XJ",
        zone="shop_floor",
        operation="identification",
        category="marketing",
        purpose_text="Greet members at the service desk",
    )

    def tell(self, at: datetime) -> Scene:
        """One member is matched, and more is inferred than was agreed."""
        shopper = member(self.clerk, self.premises, at)
        event = probe(
            self.clerk, self.premises, after(at, 0.3), shopper.subject_ref, inferred_attributes=("ethnicity", "age")
        )
        expected = ("cnpipl.art28.sensitive-inference", "cn2023.art11.sensitive", "core.purpose.drift")
        return Scene((Told(event, open=expected),), shopper.records)


class StrangerSearched(Story):
    """An open search against a gallery of members: whoever is not in it agreed to nothing."""

    name = "stranger_searched"
    plan = Plan(
        name="open-mall",
        title="Open Square Mall",
        site_kind="mall",
        province="SH",
        zone="entrance",
        operation="identification",
        active=False,
        category="marketing",
        purpose_text="Recognise members as they walk in",
    )

    def tell(self, at: datetime) -> Scene:
        """A passer-by is searched and not found."""
        event = probe(self.clerk, self.premises, after(at, 0.3))
        expected = (
            "cn2025.art06.consent",
            "cn2025.art13.public-security",
            "cnpipl.art13.consent",
            "cnpipl.art26.public-security",
            "cn2023.art05.consent",
            "cn2023.art07.purpose-lock",
            "cn2023.art10.remote",
        )
        return Scene((Told(event, open=expected),))
