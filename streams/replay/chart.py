"""Charts of a report as inline SVG: bars of counts, quiet enough to be read and to be printed.

Rules:
1. A chart shows what the table beside it says; a hidden count is a hatched mark of one height that says nothing.
2. The same counts make the same bytes; no font and no picture is fetched, and letters stay letters.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from streams.errors import ConfigurationError
from streams.replay.report_table import Line, digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GREY, RED, OCHRE = "#1b1b1b", "#6b6b6b", "#9b2226", "#b7791f"
WIDTH, HEIGHT = 7.2, 2.1
LINE = 0.26
"""Inches of one horizontal bar."""
BARS_MAX = 14
TICKS_MAX = 7
MARK = 0.06
"""The height of the mark of a hidden count, as a share of the chart."""
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
}


def check_library() -> None:
    """Raise ConfigurationError where the library of charts is not installed."""
    if find_spec("matplotlib") is None:
        raise ConfigurationError("charts need matplotlib: install the extra, `consentinel[report]`")


def over_time(lines: Sequence[Line], name: str, *, color: str = RED) -> str:
    """Upright bars, one a period, in their order; empty text where no count is to be shown."""
    if not any(line.count for line in lines):
        return ""
    with _axes(name, HEIGHT) as (axes, svg):
        top = max(line.count or 0 for line in lines)
        for place, line in enumerate(lines):
            hidden = line.count is None
            height = top * MARK if line.count is None else line.count
            axes.bar(place, height, width=0.8, **_look(color, hidden=hidden))
        step = -(-len(lines) // TICKS_MAX)
        axes.set_xticks(range(0, len(lines), step), [line.name for line in lines][::step])
        axes.set_ylim(0, top * 1.05)
        axes.yaxis.set_major_formatter(lambda count, _: digits(round(count)))
        axes.locator_params(axis="y", integer=True, nbins=5)
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=2)
    return svg[0]


def ranked(lines: Sequence[Line], name: str, *, color: str = RED) -> str:
    """Lying bars with their numbers, the first at the top; at most `BARS_MAX`, and none where nothing is shown."""
    lines = [line for line in lines if line.depth == 0 and line.count][:BARS_MAX]
    if len(lines) < 2:
        return ""
    with _axes(name, 0.35 + LINE * len(lines)) as (axes, svg):
        counts = [line.count or 0 for line in lines]
        axes.barh(range(len(lines)), counts, height=0.62, color=color)
        axes.set_yticks(range(len(lines)), [line.name for line in lines])
        axes.invert_yaxis()
        axes.set_xlim(0, max(counts) * 1.12)
        for place, count in enumerate(counts):
            axes.annotate(
                digits(count),
                (count, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
            )
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
        axes.tick_params(axis="y", length=0)
    return svg[0]


def _look(color: str, *, hidden: bool) -> dict[str, Any]:
    return {"facecolor": "white", "edgecolor": GREY, "hatch": "////", "linewidth": 0.4} if hidden else {"color": color}


@contextmanager
def _axes(name: str, height: float) -> Iterator[tuple[Axes, list[str]]]:
    """An empty chart; after the block the list holds its SVG."""
    check_library()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn: list[str] = []
    style: Any = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        yield axes, drawn
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    drawn.append(text[text.index("<svg") :].replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))
