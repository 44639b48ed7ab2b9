"""What the variables of a dashboard select, as parts of queries."""

from __future__ import annotations

SITES = 'controller_id=~"$controller",site_id=~"$site"'
"""The chosen sites; what stands under `other` is on none of them."""
PACKS = 'rule_id=~"($pack)[.].*"'
"""The rules of the chosen packs: an id begins with the name of its pack."""
IN_FORCE = 'standing="in_force"'
DRILL = (("Violations", "/d/consentinel-violations?${__url_time_range}&${__all_variables}"),)
"""The way to the single rules."""
