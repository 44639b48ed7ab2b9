"""How loud a violation is for whoever is on call: from the level of its rule to the severity of its alert.

Rules:
1. `critical` pages at any hour, `warning` waits for the day, `info` for the week; a level without a severity alerts
   nobody. The runbooks say the same of the levels.
2. A what-if and an excused violation alert nobody, whatever their level.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.notification import Severity
from schemas.vocabulary import Level

SEVERITIES: Mapping[Level, Severity | None] = {
    "critical": "critical",
    "high": "warning",
    "medium": "info",
    "low": None,
    "info": None,
}
"""By level; the metrics count every level, so what alerts nobody is still on the dashboards."""
