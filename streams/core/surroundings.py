"""What surrounds a record: the law of its place, the type of its controller, the purpose it names, as of an instant.

Rules:
1. A record that names a device or a site stands there; any other stands at every site of its controller.
2. What no record in force says is unknown, never a guess: None, and with it the duty is undetermined.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

from schemas.registry import ControllerRecord, DeviceRecord, PurposeRecord, SiteRecord
from streams.core.instant import NEVER
from streams.core.registry import Registry

Parts = Mapping[str, str | None]
"""What something is about: `controller`, `subject`, `site`, `purpose`, `device`, `authority`, `event`, `record`."""


class Place(NamedTuple):
    """Where something stands: its law from the widest, and the records that say so."""

    jurisdictions: tuple[str, ...]
    site_public: bool | None = None
    site_kind: str | None = None


class Surroundings:
    """Answers about the surroundings of records, out of the registry."""

    __slots__ = ("_law", "_revision", "registry")

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._revision = -1
        self._law: dict[str, tuple[list[int], list[Place | None]]] = {}
        """By controller the first instants of the stretches on which one law holds at its sites, and that law."""

    def place(self, parts: Parts, instant: int) -> Place | None:
        """Where something stands at an instant; None where it cannot be said."""
        site_id = parts.get("site")
        if site_id is None and parts.get("device") is not None:
            device = self.registry.find("device", str(parts["device"]), instant).record
            if not isinstance(device, DeviceRecord):
                return None
            site_id = device.site_id
        if site_id is not None:
            site = self.registry.find("site", site_id, instant).record
            if not isinstance(site, SiteRecord):
                return None
            return Place(site.jurisdictions, site.publicly_accessible, site.site_kind)
        return self._everywhere(str(parts["controller"]), instant)

    def may_bind(self, jurisdictions: tuple[str, ...], parts: Parts, since: int) -> bool:
        """Whether some of these jurisdictions may hold where something stands, at `since` or later.

        False only where it is known of every instant that none does.
        """
        if not jurisdictions or parts.get("site") is not None or parts.get("device") is not None:
            return True
        starts, laws = self._laws(str(parts["controller"]))
        later = laws[bisect_right(starts, since) - 1 :]
        return any(law is None or not set(jurisdictions).isdisjoint(law.jurisdictions) for law in later)

    def _everywhere(self, controller_id: str, instant: int) -> Place | None:
        """All the law of all sites of a controller."""
        starts, laws = self._laws(controller_id)
        return laws[bisect_right(starts, instant) - 1]

    def _laws(self, controller_id: str) -> tuple[list[int], list[Place | None]]:
        """The law of all sites of a controller, by the instants from which it holds; kept while the registry stays."""
        if self._revision != self.registry.revision:
            self._revision = self.registry.revision
            self._law.clear()
        held = self._law.get(controller_id)
        if held is None:
            sites = self.registry.owned("site", controller_id)
            edges = {edge for site_id in sites for edge in self.registry.instants("site", site_id)}
            starts = [-NEVER, *sorted(edges)]
            held = self._law[controller_id] = (starts, [self._law_at(controller_id, start) for start in starts])
        return held

    def _law_at(self, controller_id: str, instant: int) -> Place | None:
        found: dict[str, None] = {}
        for site_id in self.registry.owned("site", controller_id):
            site = self.registry.find("site", site_id, instant).record
            if isinstance(site, SiteRecord) and site.controller_id == controller_id:
                found |= dict.fromkeys(site.jurisdictions)
        return Place(tuple(found)) if found else None

    def controller(self, controller_id: str, instant: int) -> ControllerRecord | None:
        """The record of a controller; None where there is none, or it cannot be said."""
        record = self.registry.find("controller", controller_id, instant).record
        return record if isinstance(record, ControllerRecord) else None

    def purpose(self, parts: Parts, instant: int) -> PurposeRecord | None:
        """The record of the purpose that is named, as of an instant."""
        if parts.get("purpose") is None:
            return None
        record = self.registry.find("purpose", str(parts["purpose"]), instant).record
        return record if isinstance(record, PurposeRecord) else None
