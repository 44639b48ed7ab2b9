"""The page on metrics is what the catalogue says."""

from __future__ import annotations

from pathlib import Path

from streams.metrics.catalogue import CATALOGUE
from streams.metrics.page import metrics_page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_in_docs_is_the_one_that_the_catalogue_writes() -> None:
    written = PAGE.read_bytes()
    assert written == metrics_page().encode(), "write it again: python -m streams.metrics.page > docs/metrics.md"


def test_every_metric_is_on_the_page() -> None:
    page = metrics_page()
    for metric in CATALOGUE:
        assert f"\n## {metric.full_name}\n" in page
        assert metric.help in page
