"""The regulation on video image systems, judged in small worlds."""

from __future__ import annotations

import pytest

from law_case import BEHIND, ORDER, Case, boundary, clear, firing, hold, of, table, unknown
from small_world import CLEAR, NOON, VIOLATION, a_world

CASES: list[Case] = of(
    "cnvideo.art08.zone",
    firing("a camera in a hotel room", device={"zone": "hotel_room"}),
    *(
        firing(f"a camera in a zone that is private: {zone}", device={"zone": zone})
        for zone in ("private_dining_room", "changing_room", "fitting_room", "nursing_room", "other_private")
    ),
    firing("a camera in a staff dormitory that no visitor enters",
           device={"zone": "dormitory"}, site={"publicly_accessible": False}),
    firing("nobody said whether the place is open to the public, and it does not matter",
           device={"zone": "toilet"}, site={"publicly_accessible": None}),
    firing("an authority with evidence excuses no camera in a bath",
           device={"zone": "public_bath"}, event=ORDER, authority={"basis": "national_security"}),
    clear("a camera at the gate"),
    clear("a camera in a ward, which the article does not name", device={"zone": "ward"}),
    unknown("not_registered", "the device has no record and so no zone", device=None),
    unknown("conflict", "the record of the device says two things at once", device={"zone": "toilet"},
            more=[{"kind": "device", "record_id": "device-record", "id": "gate-1", "controller_id": "zoo",
                   "site_id": "zoo-gates", "zone": "gate"}]),
    boundary(VIOLATION, "the camera was moved there at the instant of the event",
             more=[{"kind": "device", "id": "gate-1", "controller_id": "zoo", "site_id": "zoo-gates",
                    "zone": "fitting_room", "valid_from": NOON}]),
    boundary(CLEAR, "the camera was moved out at the instant of the event", device={"zone": "fitting_room"},
             more=[{"kind": "device", "id": "gate-1", "controller_id": "zoo", "site_id": "zoo-gates",
                    "zone": "corridor", "valid_from": NOON}]),
)  # fmt: skip


@table(CASES)
def test_the_regulation_says(case: Case) -> None:
    hold(case)


@pytest.mark.parametrize(
    ("zone", "fires"),
    [
        ("hotel_room", {"cn2025.art13.private-space", "cnvideo.art08.zone", "cn2023.art06.banned-zone"}),
        ("other_private", {"cn2025.art13.private-space", "cnvideo.art08.zone", "cn2023.art06.banned-zone"}),
        ("nursing_room", {"cn2025.art13.private-space", "cnvideo.art08.zone"}),
        ("fitting_room", {"cn2025.art13.private-space", "cnvideo.art08.zone"}),
        ("private_dining_room", {"cnvideo.art08.zone"}),
        ("dormitory", {"cnvideo.art08.zone"}),
        ("ward", set()),
    ],
)
def test_each_law_has_its_own_list_of_rooms(zone: str, fires: set[str]) -> None:
    assert a_world(device={"zone": zone}).rules(VIOLATION) == fires


def test_a_dead_feed_of_devices_is_no_acquittal() -> None:
    assert (
        a_world(device={"zone": "toilet"}, feed={"complete_until": "2026-03-06T10:00:00Z"}).says("cnvideo.art08.zone")
        == "undetermined"
    )
    assert a_world(device={"zone": "toilet"}, feed=BEHIND).says("cnvideo.art08.zone") == VIOLATION
