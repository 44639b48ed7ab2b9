"""The report of a replay: one page to read and to print, that needs no network and no script.

Rules:
1. Coverage comes first: a figure without its denominator is a fault, and what was not measured is called that.
2. Unknown never reads as clear: what is undetermined stands beside every count of violations.
3. No person is in a report, not even by a token; small counts are hidden (`streams.replay.suppression`).
4. The same answer makes the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup

from schemas.verdict import Violation
from streams.errors import ConfigurationError, InputError, Place
from streams.replay import chart
from streams.replay.answer import ANSWER, Answer
from streams.replay.comparison import Comparison, Difference, Left
from streams.replay.comparison_page import LEFT_TITLES, TITLES
from streams.replay.report_table import NOWHERE, Findings, Line, digits, findings, folded, tree, withdrawals
from streams.replay.suppression import CELL_SIZE, Shown, group, total
from streams.replay.whole_file import digest_of

TEMPLATE = "report.html.j2"
HOUR_SECONDS = 3_600
BOUNDS = (10, 100, 1_000, 10_000)
"""How often a fact was missing is told roughly: exact numbers beside the tables would give small counts away."""

REASONS: Mapping[str, str] = {
    "not_reported": "the system does not deliver the fact",
    "feed_missing": "no feed covers the records",
    "feed_behind": "the feed of the records is not complete up to the event, or has broken its promise",
    "identity_unlinked": "a match without a person: the recogniser knows an id that the vault does not",
    "not_registered": "the device, site, controller or purpose is not on record",
    "record_unreadable": "the newest record of that key cannot be read",
    "conflict": "one record in one version has two contents",
    "rule_failed": "the rule itself failed: a bug, to be reported",
}
"""What each reason of an unknown means, in the words of the glossary."""


@dataclass(frozen=True, slots=True)
class Asides:
    """What a report shows besides its answer, where it was asked for."""

    comparison: Comparison | None = None
    compared_with: str = ""
    log: Sequence[Violation] | None = None
    """The last word of the log of violations on each breach that the answer is about."""


NOTHING_ASIDE = Asides()


def report(answer: Answer, asides: Asides = NOTHING_ASIDE, *, cell_size: int = CELL_SIZE) -> str:
    """The page as HTML; raises ConfigurationError where the library of charts is not installed."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _counted, "number": digits, "time": _time}
    in_force, what_if = (findings(answer, standing, cell_size) for standing in ("in_force", "what_if"))
    withdrawn, delays = withdrawals(answer, cell_size)
    return environment.get_template(TEMPLATE).render(
        manifest=answer.manifest,
        answer_digest=digest_of(answer.folder / ANSWER),
        cell_size=cell_size,
        coverage=_coverage(answer, cell_size),
        found=in_force,
        what_if=what_if,
        charts=_charts(in_force),
        reasons=REASONS,
        blind_spots=list(_blind_spots(answer, cell_size)),
        withdrawn=withdrawn,
        delays=delays,
        corrections=None if asides.comparison is None else list(_corrections(asides.comparison, cell_size)),
        compared_with=asides.compared_with,
        settled=None if asides.log is None else _settled(asides.log, cell_size),
    )


def check_report(file: Path, cell_size: int, *, made: Path | None = None) -> None:
    """Raise what would keep a report from being written to `file`; the folder `made` will be there by then.

    Raises InputError where the file cannot be written, and ConfigurationError where the cell size tells small counts or
    the library of charts is not installed.
    """
    if cell_size == 2:
        raise ConfigurationError("--cell-size: expected 3 or more, or 1 to show every count: 2 would tell which are 1")
    chart.check_library()
    if file.is_dir():
        raise InputError("cannot be written: expected a file, found a folder", place=Place(str(file)))
    folder = file.parent
    if folder.resolve() == (made and made.resolve()):
        return
    if not folder.is_dir():
        raise InputError("cannot be written: expected a folder to write it to, found none", place=Place(str(file)))
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise InputError("cannot be written: expected leave to write it", place=Place(str(file)))


def write_report(page: str, file: Path) -> None:
    """Write a report; raises InputError where the file cannot be written."""
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=Place(str(file))) from None


def _charts(found: Findings) -> Mapping[str, Markup]:
    rules = [Line(line.rule.id, line.violation) for line in found.rules]
    drawn = {
        "times": chart.over_time(found.times, "violations"),
        "unknown_times": chart.over_time(found.unknown_times, "undetermined", color=chart.OCHRE),
        "rules": chart.ranked(rules, "rules"),
        "controllers": chart.ranked(found.controllers, "controllers"),
        "reasons": chart.ranked(found.reasons, "reasons", color=chart.OCHRE),
    }
    return {name: Markup(text) for name, text in drawn.items()}  # noqa: S704 - made by us, of numbers and identifiers


# -- coverage ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceCovered:
    """How much was judged of one controller (`depth` 0) or one of its sites, and in how many hours."""

    name: str
    depth: int
    judged: Shown
    hours: Shown
    devices: Shown
    expected: int | None
    """Events that its devices send at least; None where no record says so."""
    unwatched: Shown
    """Hours in which a device was silent for longer than it promised, summed over the devices."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How many events were to be expected, and which devices were silent for too long."""

    promising: int
    """Devices whose record says how often they report."""
    devices: int
    expected: int
    promised: int
    """Hours for which they promised that, summed over the devices."""
    unwatched: Shown
    """Hours of them in which they were silent for longer."""
    days: tuple[Mapping[str, Any], ...]
    """The days and sites of which such hours are the most."""
    more: int
    """How many days and sites beside them have such hours."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the answer is about, and what it cannot be about."""

    read: Shown
    judged: Shown
    kinds: Mapping[str, Shown]
    rejected: Mapping[str, int]
    hours: int
    """Hours of the range."""
    silent_hours: Shown
    """Those in which nothing at all was judged or rejected."""
    places: tuple[PlaceCovered, ...]
    watch: Watch


def _coverage(answer: Answer, cell_size: int) -> Coverage:
    counts, table = answer.manifest.counts, answer.table("coverage")
    judged = total(sum(counts.judged.values()), cell_size)
    by = table.filter(pl.col("judged") > 0).rename({"judged": "n"})
    lines = list(tree(by, ("controller_id", "site_id"), total(int(by["n"].sum()), cell_size), cell_size))
    span = answer.manifest.until - answer.manifest.from_
    hours = -(-int(span.total_seconds()) // HOUR_SECONDS)
    silent = max(0, hours - table["hour"].drop_nulls().n_unique())
    return Coverage(
        read=None if judged is None else counts.read,
        judged=judged,
        kinds=dict(zip(counts.judged, group(list(counts.judged.values()), judged, cell_size), strict=True)),
        rejected=counts.rejected,
        hours=hours,
        # Of few events the hours with any would say how few.
        silent_hours=None if judged is None else silent,
        places=tuple(_places(lines, by, answer.table("watch"))),
        watch=_watch(answer.table("watch"), _hidden(lines), whole=judged),
    )


DAYS_SHOWN = 31
"""More days and sites than these are counted and not listed: a site that fell silent for a year has one reason."""


def _hidden(lines: Sequence[Line]) -> pl.DataFrame:
    """The sites of a tree whose counts are hidden."""
    owner, rows = "", []
    for line in lines:
        owner = owner if line.depth else line.name
        if line.depth and line.count is None:
            rows.append((owner, line.name))
    return pl.DataFrame(rows, schema={"controller_id": pl.String, "site_id": pl.String}, orient="row")


def _watch(table: pl.DataFrame, hidden: pl.DataFrame, *, whole: Shown) -> Watch:
    told = table.filter(pl.col("promised_seconds") > 0).with_columns(pl.col("site_id").fill_null(NOWHERE))
    # Of a place with few events, the hours without any would tell when the few were.
    shown = told.join(hidden, on=["controller_id", "site_id"], how="anti")
    by_day = shown.group_by("day", "controller_id", "site_id").agg(
        unwatched=pl.col("unwatched_seconds").sum(),
        devices=pl.col("device_id").filter(pl.col("unwatched_seconds") > 0).n_unique(),
    )
    silent = by_day.filter(_hours("unwatched") > 0).with_columns(_hours("unwatched"))
    worst = silent.sort("unwatched", "day", "controller_id", "site_id", descending=[True, False, False, False])
    return Watch(
        promising=told.select("controller_id", "device_id").n_unique(),
        devices=table.select("controller_id", "device_id").n_unique(),
        expected=int(told["expected"].sum()),
        promised=int(told["promised_seconds"].sum()) // HOUR_SECONDS,
        unwatched=None if whole is None else int(told["unwatched_seconds"].sum()) // HOUR_SECONDS,
        days=tuple(worst.head(DAYS_SHOWN).sort("day", "controller_id", "site_id").to_dicts()),
        more=max(0, worst.height - DAYS_SHOWN),
    )


def _hours(name: str) -> pl.Expr:
    return pl.col(name) // HOUR_SECONDS


def _places(lines: Sequence[Line], rows: pl.DataFrame, watch: pl.DataFrame) -> Iterator[PlaceCovered]:
    controller, site = (pl.col(name).fill_null(NOWHERE) for name in ("controller_id", "site_id"))
    named = {"controller": controller, "site": site, "both": controller + " / " + site}
    here, watched_here, hidden = (each.with_columns(**named) for each in (rows, watch, _hidden(lines)))
    owner = ""
    for line in folded(lines):
        owner = owner if line.depth else line.name
        whose = pl.col("controller") == owner
        inside = whose & (pl.col("site") == line.name) if line.depth else whose | (pl.col("both") == line.name)
        there, watched = here.filter(inside), watched_here.filter(inside)
        hours, devices = (None if line.count is None else there[name].drop_nulls().n_unique()
                          for name in ("hour", "device_id"))  # fmt: skip
        expected = int(watched["expected"].sum()) if watched["expected"].count() else None
        # With the hours that were promised, those without an event would tell of the few with one.
        tells = line.count is None or hidden.filter(inside).height > 0
        unwatched = None if tells else int(watched["unwatched_seconds"].sum()) // HOUR_SECONDS
        yield PlaceCovered(line.name, line.depth, line.count, hours, devices, expected, unwatched)


# -- what was not seen, and what was changed --------------------------------------------------------------------------


def _blind_spots(answer: Answer, cell_size: int) -> Iterator[dict[str, Any]]:
    """Each fact that a device never delivers, with the rules that ask it, and roughly how often."""
    spots = answer.table("blind_spots")
    counted = spots.group_by("device_id", "fact", "supply").agg(pl.col("rule_id").sort(), pl.col("cases").max())
    bounds = [bound for bound in BOUNDS if bound >= cell_size]
    told = [{**row, "band": sum(row["cases"] >= bound for bound in bounds)} for row in counted.iter_rows(named=True)]
    for row in sorted(told, key=lambda row: (-row["band"], row["device_id"], row["fact"])):
        yield {**row, "band": _band(row["band"], bounds)}


def _band(above: int, bounds: Sequence[int]) -> str:
    """How a count is told of which so many bounds are known to be no more than it."""
    if above == 0:
        return f"below {digits(bounds[0])}" if bounds else "not shown"
    least = digits(bounds[above - 1])
    return f"{least} or more" if above == len(bounds) else f"{least} to {digits(bounds[above] - 1)}"


@dataclass(frozen=True, slots=True)
class Corrected:
    """One kind of difference, or of what is left as it is: how many breaches, by rule, and by controller."""

    title: str
    count: Shown
    rules: tuple[Line, ...]
    controllers: tuple[Line, ...]


def _corrections(comparison: Comparison, cell_size: int) -> Iterator[Corrected]:
    for difference in Difference:
        yield _corrected(TITLES[difference], comparison.rows.filter(difference=difference.value), cell_size)
    # What is contested the log settles: told twice, it would tell by the difference how many the answer finds again.
    not_seen = comparison.left.filter(left=Left.NOT_SEEN.value)
    if not_seen.height:
        yield _corrected(LEFT_TITLES[Left.NOT_SEEN], not_seen, cell_size)


def _corrected(title: str, of_kind: pl.DataFrame, cell_size: int) -> Corrected:
    rows, whole = of_kind.with_columns(n=pl.lit(1, pl.Int64)), total(of_kind.height, cell_size)
    rules, controllers = (tuple(tree(rows, (name,), whole, cell_size)) for name in ("rule_id", "controller_id"))
    return Corrected(title, whole, rules, controllers)


def _settled(log: Sequence[Violation], cell_size: int) -> Mapping[str, Corrected]:
    """The contested and the retracted violations of the log, in force, by controller."""
    found = {}
    for status in ("contested", "retracted"):
        owners = [each.controller_id for each in log if each.status == status and each.standing == "in_force"]
        rows = pl.DataFrame({"controller_id": owners}, schema={"controller_id": pl.String})
        whole = total(len(owners), cell_size)
        lines = tree(rows.with_columns(n=pl.lit(1, pl.Int64)), ("controller_id",), whole, cell_size)
        found[status] = Corrected(status.capitalize(), whole, (), tuple(lines))
    return found


# -- how things are written -------------------------------------------------------------------------------------------


def _counted(count: Shown) -> Markup:
    """A count for a cell; what is hidden says so to eyes and to readers aloud."""
    if count is None:
        return Markup('<span class="hidden" title="not shown">&ndash;<span class="aloud"> not shown</span></span>')
    return Markup(digits(count))  # noqa: S704 - digits


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC").replace(" 00:00:00 UTC", "")
