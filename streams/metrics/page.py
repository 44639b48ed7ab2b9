"""The page on metrics, written from the catalogue: `python -m streams.metrics.page > docs/metrics.md`.

Rules:
1. Nothing on the page is written by hand, and a test compares it byte for byte.
"""

from __future__ import annotations

import sys

from streams.metrics.catalogue import CATALOGUE
from streams.metrics.metric import OTHER, Label, Metric

HEAD = f"""# Metrics

This page is written by `python -m streams.metrics.page` from `streams/metrics/catalogue.py`.

- A worker serves these at `/metrics`, as Prometheus text or, where the scraper asks for it, as OpenMetrics. Those about
  alerts are served by `consentinel alerts`, and only by it; those about a replay stand in the file that
  `consentinel rules diff`, `compare` and `reconcile` write with `--metrics FILE`.
- Every series whose label values are known (each rule, outcome, reason and topic) is there at zero from the start.
- A label value that is on no list becomes `{OTHER}`.
- No label names a person, an event, a record or a device.
- Histograms are classic; on Prometheus 3, `convert_classic_histograms_to_nhcb: true` makes them native ones.
"""


def metrics_page() -> str:
    """The page in Markdown."""
    lines = [HEAD, "| metric | type | labels | unit |", "|---|---|---|---|"]
    lines += [
        f"| [`{metric.full_name}`](#{metric.full_name}) | {metric.type} "
        f"| {', '.join(f'`{name}`' for name in metric.label_names) or '-'} | {metric.unit} |"
        for metric in CATALOGUE
    ]
    return "\n".join([*lines, *map(_section, CATALOGUE)]) + "\n"


def _section(metric: Metric) -> str:
    lines = ["", f"## {metric.full_name}", "", f"A {metric.type}, in {metric.unit}. {metric.help}"]
    if metric.labels:
        lines += ["", *(f"- `{label.name}`: {_values(label)}" for label in metric.labels)]
    if metric.buckets:
        lines += ["", f"Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."]
    return "\n".join(lines)


def _values(label: Label) -> str:
    if not label.values:
        return f"from {label.source}"
    return f"{', '.join(f'`{value}`' for value in label.values)} ({label.source})"


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
