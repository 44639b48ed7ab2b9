"""The zoo that makes its members enter by face and bars the one who declines, as in Guo Bing's case."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.registry import RegistryRecord, SiteRecord
from streams.simulator.people import member
from streams.simulator.premises import Plan
from streams.simulator.probes import entry, probe
from streams.simulator.story import Scene, Story, Told, after

SWITCHED_DAYS = 14


class ZooThatSwitched(Story):
    """New terms bundle the face with the season ticket, and the finger readers are gone.

    The member who passes: bundled consent is no separate one, and nothing in a public place saves the use. The member
    who declines is offered nothing and turned away.
    """

    name = "zoo_that_switched"
    in_time = ("cn2025.art12.coercion",)
    plan = Plan(
        name="lake-zoo",
        title="Lakeside Zoo",
        site_kind="zoo",
        province="ZJ",
        zone="gate",
        operation="identification",
        purpose_text="Let holders of a season ticket enter",
        alternatives=("finger_reader",),
    )

    def registry(self) -> Iterator[RegistryRecord]:
        """The premises, and the site as it stands since the switch: no way in but the face."""
        yield from super().registry()
        before = self.premises.site
        yield SiteRecord(
            **before.model_dump(exclude={"record_id", "valid_from", "alternative_methods"}),
            record_id=f"{before.record_id}-switched",
            valid_from=self.clerk.before(days=SWITCHED_DAYS),
            alternative_methods=(),
        )

    def tell(self, at: datetime) -> Scene:
        """One member passes, one declines."""
        passing = member(self.clerk, self.premises, at, form="bundled")
        declining = member(self.clerk, self.premises, at, form="bundled")
        passed = probe(self.clerk, self.premises, after(at, 0.3), passing.subject_ref)
        barred = entry(
            self.clerk,
            self.premises,
            after(at, 0.5),
            declining.subject_ref,
            refused=True,
            offered=False,
            outcome="denied",
        )
        return Scene(
            (
                Told(
                    passed,
                    open=(
                        "cn2025.art06.consent",
                        "cn2025.art06.bundled",
                        "cn2025.art10.sole-method",
                        "cn2025.art13.public-security",
                        "cnpipl.art13.consent",
                        "cnpipl.art26.public-security",
                        "cn2023.art05.consent",
                        "cn2023.art07.purpose-lock",
                    ),
                ),
                Told(barred, open=("cn2025.art10.refuser", "cnpipl.art16.refusal", "cn2023.art09.coercion")),
            ),
            (*passing.records, *declining.records),
        )
