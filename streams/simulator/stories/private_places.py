"""Cameras where nobody may look: no consent, purpose or paper makes them lawful."""

from __future__ import annotations

from datetime import datetime

from streams.simulator.people import member
from streams.simulator.premises import Plan
from streams.simulator.probes import probe
from streams.simulator.story import Scene, Story, Told, after

BANNED = ("cn2025.art13.private-space", "cnvideo.art08.zone", "cn2023.art06.banned-zone")


class _PrivatePlace(Story):
    """A person who agreed to everything is compared in a place where it does not count."""

    def tell(self, at: datetime) -> Scene:
        """One person is compared."""
        guest = member(self.clerk, self.premises, at)
        event = probe(self.clerk, self.premises, after(at, 0.3), guest.subject_ref)
        return Scene((Told(event, open=BANNED),), guest.records)


class CameraInHotelRoom(_PrivatePlace):
    """A hotel lets the room itself greet its guests."""

    name = "camera_in_hotel_room"
    plan = Plan(
        name="river-hotel",
        title="River Hotel",
        site_kind="hotel",
        province="GD",
        zone="hotel_room",
        purpose_text="Set light and air of the room as the guest likes it",
    )


class CameraInToilet(_PrivatePlace):
    """A paper dispenser in a mall's toilet wants to see a face first."""

    name = "camera_in_toilet"
    plan = Plan(
        name="paper-mall",
        title="Paper Street Mall",
        site_kind="mall",
        province="CQ",
        zone="toilet",
        purpose_text="Hand out paper once a quarter of an hour",
        category="other",
    )
