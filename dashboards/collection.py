"""All dashboards, and where their JSON lies."""

from __future__ import annotations

from pathlib import Path

from dashboards.board import Board, to_json
from dashboards.consent import CONSENT
from dashboards.overview import OVERVIEW
from dashboards.pipeline import PIPELINE
from dashboards.replay import REPLAY
from dashboards.violations import VIOLATIONS

FOLDER = Path(__file__).parent / "grafana"
"""The committed JSON, which a Grafana is provisioned with."""


BOARDS: tuple[Board, ...] = (OVERVIEW, VIOLATIONS, CONSENT, PIPELINE, REPLAY)
"""Every dashboard, the overview first."""


def build() -> dict[str, str]:
    """The JSON of every dashboard by file name; the same bytes each time."""
    return {f"{board.uid}.json": to_json(board) for board in BOARDS}
