"""What a preview makes of the answers of Prometheus: buckets apart, nothing that is no number, counts whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.collection import build
from dashboards.preview import Answer, Prometheus, preview

BUCKETS = (({"le": "+Inf"}, 0.75), ({"le": "5.0"}, 0.25), ({"le": "60.0"}, 0.75))


class Told(Prometheus):
    """Answers of a Prometheus that is not there."""

    def ask(self, expr: str, at: float | None = None) -> Answer:
        """Buckets to a question for buckets, and a number and no number to all others."""
        del at
        if expr.startswith("sum by (le)"):
            return Answer(expr, BUCKETS)
        return Answer(expr, (({"action": "given"}, float("nan")), ({"action": "withdrawn"}, 1_000.6)))


@pytest.fixture
def page(tmp_path: Path) -> str:
    boards = {"consentinel-consent.json": build()["consentinel-consent.json"]}
    (written,) = preview(boards, Told("http://127.0.0.1:9"), tmp_path)
    return written.read_text(encoding="utf-8")


def panel(page: str, title: str) -> str:
    return page.partition(f"<h2>{title}")[2].partition("</section>")[0]


def test_a_heatmap_shows_what_is_in_each_bucket_alone(page: str) -> None:
    shown = panel(page, "How long after a withdrawal")
    cells = [part.partition("</td>")[0].rpartition(">")[2] for part in shown.split("<td")[1:]]
    assert cells == ["5.0", "0.25 /s", "60.0", "0.5 /s", "+Inf", "0 /s"]


def test_what_is_no_number_has_no_colour_and_comes_last(page: str) -> None:
    shown = panel(page, "Consents within the range")
    assert "nan" not in shown
    assert shown.index("withdrawn</td>") < shown.index("given</td>") < shown.index("no value")
    assert 'class="inherit" style="color: inherit">no value' in shown


def test_what_is_counted_is_whole(page: str) -> None:
    assert ">1,001</td>" in panel(page, "Consents within the range")
