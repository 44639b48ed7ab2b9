"""No count that a report hides can be had from those it shows: not by a sum, not by a chart, not by its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pace import examples
from settled_world import tick
from small_answer import RULES, a_verdict, an_answer, whole_manifest
from streams.core.instant import moment_of
from streams.replay.answer import Answer
from streams.replay.report import report
from streams.replay.suppression import CELL_SIZE, Shown

NOW = moment_of(tick(0)).replace(hour=6, minute=0, second=0)
HIDDEN = "\u2013"
OUTCOMES = ("violation", "excused", "undetermined", "clear")
KINDS = ("match", "access_outcome", "human_review")
CASE = st.tuples(
    st.sampled_from(RULES), st.sampled_from(("zoo", "mall")), st.sampled_from(("gates", "hall", "shed")),
    st.integers(0, 2), st.sampled_from(OUTCOMES),
)  # fmt: skip
"""Rule, controller, site, day and outcome of a case."""


@st.composite
def counted(draw: st.DrawFn) -> dict[Any, int]:
    """How many cases there are of some sorts: few of most, many of some."""
    sorts = draw(st.lists(CASE, min_size=1, max_size=10, unique=True))
    return {sort: draw(st.one_of(st.integers(1, 6), st.integers(7, 60))) for sort in sorts}


def the_answer(folder: Path, cases: Mapping[Any, int], kinds: Sequence[int], left: Sequence[int]) -> Answer:
    """An answer of so many cases of each sort, events of each kind, and withdrawals in each state."""
    verdicts, tallies = [], []
    for number, ((rule, controller, site, day, outcome), n) in enumerate(cases.items()):
        at, where = NOW + timedelta(days=day - 1), {"controller_id": controller, "site_id": site}
        said = {"outcome": outcome, "reason": ("feed_behind", "conflict")[day % 2] if outcome == OUTCOMES[2] else None}
        found = [a_verdict(f"event-{number}-{each}", rule, occurred_at=at, **where, **said) for each in range(n)]
        verdicts += found if outcome != "clear" else []
        tallies.append({"day": at.date(), "rule_id": rule, "revision": 1, "purpose_id": "entry", **where,
                        "outcome": outcome, "n": n})  # fmt: skip
    places: Counter[tuple[str, str]] = Counter()
    for (_, controller, site, _, _), n in cases.items():
        places[controller, site] += n
    short = sum(kinds) - places.total()
    places += Counter({("mall", "gates"): short})
    kinds = [kinds[0] + max(0, -short), *kinds[1:]]
    covered = [
        {"hour": NOW + timedelta(hours=each % 5), "controller_id": controller, "site_id": site,
         "device_id": f"{site}-{each % 2}", "judged": 1, "rejected": 0}
        for (controller, site), n in places.items() for each in range(n)
    ]  # fmt: skip
    watch = [
        {"day": NOW.date(), "controller_id": controller, "site_id": site, "device_id": f"{site}-0",
         "promised_seconds": 86_400, "expected": 24, "unwatched_seconds": 3_600 * 7}
        for controller, site in places
    ]  # fmt: skip
    delays = (None, timedelta(seconds=9), timedelta(hours=9))
    withdrawals = [
        {"controller_id": "zoo", "withdrawn_at": NOW, "last_match_at": None if delay is None else NOW + delay,
         "matches_after": 0}
        for delay, n in zip(delays, left, strict=True) for _ in range(n)
    ]  # fmt: skip
    tables = {"tallies": tallies, "coverage": covered, "watch": watch, "withdrawals": withdrawals}
    judged = {kind: n for kind, n in zip(KINDS, kinds, strict=True) if n}
    counts = whole_manifest()["counts"] | {"read": sum(kinds) + 1, "judged": judged, "rejected": {"not_json": 1}}
    return an_answer(folder, verdicts, tables, counts=counts)


# -- what a page shows ------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A row of a table: how deep it lies, its name, and what its cells say."""

    depth: int
    name: str
    cells: list[str]


class Page(HTMLParser):
    """The tables of a report by caption, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[Row]] = {}
        self.words = ""
        self._caption, self._into = "", ""
        self.feed(html)
        self.words = re.sub(r"\s+", " ", self.words.replace("\u202f", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._caption = ""
        if tag == "tbody":
            self.tables[self._caption.strip()] = []
        if tag == "tr" and self._caption.strip() in self.tables:
            self.tables[self._caption.strip()].append(Row(0, "", []))
        if tag == "th" and ("class", "depth1") in attrs:
            row = self.tables[self._caption.strip()].pop()
            self.tables[self._caption.strip()].append(row._replace(depth=1))
        if tag == "td":
            self._rows()[-1].cells.append("")
        self._into = tag if tag in ("caption", "th", "td", "code") else self._into

    def handle_endtag(self, tag: str) -> None:
        self._into = "" if tag in ("caption", "th", "td", "table", "code") else self._into

    def handle_data(self, data: str) -> None:
        self.words += f"{data} " if self._into != "code" else ""
        if self._into == "caption":
            self._caption += data
        rows = self.tables.get(self._caption.strip(), [])
        if rows and self._into == "th":
            rows[-1] = rows[-1]._replace(name=f"{rows[-1].name} {data}".strip())
        if rows and rows[-1].cells and self._into == "td":
            rows[-1].cells[-1] += data

    def _rows(self) -> list[Row]:
        return self.tables[self._caption.strip()]

    def rows(self, caption: str) -> list[Row]:
        """The rows of the table whose caption begins so; none where it says that there are none."""
        found = [rows for said, rows in self.tables.items() if said.startswith(caption)]
        return [row for row in (found or [[]])[0] if row.name]

    def column(self, caption: str, cell: int = -1, depth: int | None = 0) -> list[Shown]:
        """The counts of one column."""
        return [number(row.cells[cell]) for row in self.rows(caption) if depth is None or row.depth == depth]

    def figure(self, pattern: str) -> Shown:
        """The number that the words of the page say so."""
        said = re.search(pattern.replace("N", rf"(\d+|{HIDDEN})"), self.words)
        assert said, pattern
        return number(said[1])


def number(text: str) -> Shown:
    return None if HIDDEN in text else int(text.replace("\u202f", ""))


class Sum(NamedTuple):
    """What is a sum on the page: a whole and all of its parts."""

    name: str
    whole: Shown
    parts: list[Shown]


FIGURES = {
    "violation": "N(?: not shown)? violations: no",
    "excused": "N(?: not shown)? excused: a breach",
    "undetermined": "N(?: not shown)? undetermined: a fact",
}
PLACED = {"Violations by controller and site": "violation", "Violations by controller and purpose": "violation"}


def sums(page: Page) -> Iterator[Sum]:
    """Every sum that a reader of the page can write down."""
    whole = {name: page.figure(pattern) for name, pattern in FIGURES.items()}
    judged = page.figure("N(?: not shown)? events judged")
    messages = page.rows("Messages, and what became")
    kinds = [number(row.cells[0]) for row in messages if row.name.startswith("Judged")]
    others = [number(row.cells[0]) for row in messages if row.name.startswith(("Rejected", "Repeats", "Replaced"))]
    yield Sum("kinds", judged, kinds)
    yield Sum("read", page.figure("N(?: not shown)? messages of events read"), [judged, *others])
    yield from tree(page, "Events judged, by controller", judged)
    rules = page.rows("Rules in force of which")
    silent = page.column("Rules that found nothing")
    told = re.search(r"applies to it. Of (at least )?(\d+) cases", page.words)
    assert told or "Of cases whose number is not shown" in page.words
    cases = number(told[2]) if told and not told[1] else None
    yield Sum("cases", cases, [*(number(row.cells[0]) for row in rules), *silent])
    yield Sum("clear and others", cases, [*whole.values(), None])
    for row in rules:
        yield Sum(f"cases of {row.name}", number(row.cells[0]), [*map(number, row.cells[1:]), None])
    for column, name in enumerate(FIGURES, 1):
        yield Sum(f"{name} by rule", whole[name], page.column("Rules in force of which", column) + [0] * len(silent))
    yield Sum("violations by day", whole["violation"], page.column("Violations by day"))
    for caption, name in PLACED.items():
        yield from tree(page, caption, whole[name])
    yield Sum("reasons", whole["undetermined"], page.column("Undetermined cases by reason"))
    yield from tree(page, "Withdrawals by controller", page.figure("N(?: not shown)? withdrawals. How long"))


def tree(page: Page, caption: str, whole: Shown) -> Iterator[Sum]:
    yield Sum(caption, whole, page.column(caption))
    rows = page.rows(caption)
    roots = [index for index, row in enumerate(rows) if row.depth == 0]
    for first, after in pairwise([*roots, len(rows)]):
        parts = [number(row.cells[-1]) for row in rows[first + 1 : after]]
        if parts:
            yield Sum(f"{caption}: {rows[first].name}", number(rows[first].cells[-1]), parts)


def check(page: Page) -> None:
    """No shown count is small, and no sum less its shown parts gives one that is hidden, or a small one."""
    for each in sums(page):
        assert each.whole is None or each.whole == 0 or each.whole >= CELL_SIZE, each
        assert not any(part is not None and 0 < part < CELL_SIZE for part in each.parts if each.name != "read"), each
        hidden = each.parts.count(None)
        if each.whole is None or not hidden:
            continue
        rest = each.whole - sum(part for part in each.parts if part is not None)
        assert rest >= CELL_SIZE or (rest == 0 and hidden == 1 and each.name.startswith(("clear", "cases of"))), each
        assert hidden >= 2 or each.name.startswith(("clear", "cases of")), each
    for row in page.rows("Events judged, by controller"):
        if number(row.cells[-1]) is None:
            assert [number(row.cells[cell]) for cell in (0, 1)] == [None, None], "each device and hour is an event"


KIND_COUNTS = st.tuples(st.integers(0, 90), st.integers(0, 9), st.integers(0, 6))


@settings(max_examples=examples(30), phases=[Phase.explicit, Phase.generate])
@given(cases=counted(), kinds=KIND_COUNTS, left=st.tuples(*[st.integers(0, 9)] * 3))
def test_no_hidden_count_can_be_had_from_the_sums_of_a_page(
    cases: dict[Any, int], kinds: tuple[int, ...], left: tuple[int, ...]
) -> None:
    with TemporaryDirectory() as folder:
        check(Page(report(the_answer(Path(folder), cases, kinds, left))))


def sites(hall: int, shed: int) -> dict[Any, int]:
    """Violations of one rule at three sites."""
    return {(RULES[0], "zoo", site, 1, "violation"): n for site, n in (("gates", 40), ("hall", hall), ("shed", shed))}


def page(folder: Path, cases: Mapping[Any, int], kinds: Sequence[int]) -> str:
    """A report without its digests."""
    html = report(the_answer(folder, cases, kinds, (8, 2, 0)))
    return re.sub(r"<code>[0-9a-f]+</code>", "", html)


def test_two_logs_that_differ_in_hidden_counts_alone_have_one_page_with_the_same_charts(tmp_path: Path) -> None:
    first = page(tmp_path / "first", sites(hall=17, shed=3), (52, 6, 2))
    assert first.count("<svg") == 1
    assert page(tmp_path / "second", sites(hall=16, shed=4), (52, 7, 1)) == first
    assert page(tmp_path / "third", sites(hall=14, shed=6), (52, 7, 1)) != first


def test_of_few_events_neither_their_hours_nor_their_devices_nor_the_silence_between_them_is_told(
    tmp_path: Path,
) -> None:
    few = page(tmp_path / "few", {(RULES[0], "zoo", "gates", 1, "violation"): 3}, (3, 0, 0))
    assert page(tmp_path / "fewer", {(RULES[0], "zoo", "gates", 1, "violation"): 1}, (1, 0, 0)) == few


def test_the_silence_of_a_site_whose_events_are_hidden_is_told_nowhere(tmp_path: Path) -> None:
    silent = "Unwatched: device hours of silence"
    told = Page(report(the_answer(tmp_path, sites(hall=17, shed=3), (60, 0, 0), (0, 0, 0))))
    assert [row.name.split()[-1] for row in told.rows(silent)] == ["gates"]
    places = {row.name: row.cells for row in told.rows("Events judged, by controller")}
    assert HIDDEN in places["zoo"][2], "less that of the gates it would be that of the others"


@pytest.mark.parametrize(
    ("cell_size", "bands"),
    [
        (5, ["1\u202f000 to 9\u202f999", "10 to 99", "below 10"]),
        (50, ["1\u202f000 to 9\u202f999", "below 100", "below 100"]),
        (20_000, ["not shown"] * 3),
    ],
)
def test_how_often_a_fact_was_missing_is_told_by_no_bound_below_the_cell_size(
    cell_size: int, bands: list[str], tmp_path: Path
) -> None:
    spots = [
        {"rule_id": RULES[1], "device_id": f"gate-{cases}", "fact": "zone", "cases": cases, "supply": "Say where."}
        for cases in (3, 12, 1_200)
    ]
    told = Page(report(an_answer(tmp_path, tables={"blind_spots": spots}), cell_size=cell_size))
    assert [row.cells[-1] for row in told.rows("Blind spots")] == bands
