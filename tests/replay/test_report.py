"""The report names its figures with their denominators, and nobody; a browser shows it without a network."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from command_line import Run
from settled_world import PEOPLE, tick
from small_answer import RULES, a_verdict, an_answer, of, whole_manifest
from streams.core.instant import moment_of
from streams.errors import ConfigurationError
from streams.replay import chart
from streams.replay.answer import Answer
from streams.replay.comparison import compare, said_by_answer
from streams.replay.report import Asides, report
from streams.replay.report_table import Line

NOW = moment_of(tick(0))
TODAY = NOW.date()
WHERE = {"controller_id": "zoo", "site_id": "gates", "purpose_id": "entry"}


def tally(n: int, outcome: str = "violation", rule: str = RULES[0], **where: str) -> dict[str, Any]:
    return {"day": TODAY, "rule_id": rule, "revision": 1, **WHERE, **where, "outcome": outcome, "n": n}


def covered(judged: int, **where: str) -> dict[str, Any]:
    hour = NOW.replace(minute=0, second=0)
    return {"hour": hour, "controller_id": "zoo", "site_id": "gates", "device_id": "gate-1", **where} | {
        "judged": judged,
        "rejected": 0,
    }


def withdrawn(after: timedelta | None) -> dict[str, Any]:
    last = None if after is None else NOW + after
    return {"controller_id": "zoo", "withdrawn_at": NOW, "last_match_at": last, "matches_after": 1}


def on_watch(expected: int | None, unwatched: int = 0, **where: str) -> dict[str, Any]:
    """A day of a device that was to send so many events, one in a minute, and was silent for so many hours."""
    seconds = None if expected is None else expected * 60
    whole = {"day": TODAY, "controller_id": "zoo", "site_id": "gates", "device_id": "gate-1", **where}
    silent = None if expected is None else unwatched * 3_600
    return whole | {"promised_seconds": seconds, "expected": expected, "unwatched_seconds": silent}


TABLES: Mapping[str, list[dict[str, Any]]] = {
    "tallies": [
        tally(1_234),
        tally(17, site_id="hall"),
        tally(3, site_id="shed"),
        tally(9_000, "clear"),
        tally(61, "undetermined", RULES[1]),
        tally(700, "clear", RULES[1]),
    ],
    "coverage": [covered(4_000), covered(60, site_id="hall")],
    "watch": [
        on_watch(1_440, 3),
        on_watch(None, device_id="gate-9"),
        on_watch(None, site_id="hall", device_id="hall-1"),
    ],
    "blind_spots": [
        {"rule_id": RULES[1], "device_id": "gate-1", "fact": "zone", "cases": 61, "supply": "Say where it looks."}
    ],
    "withdrawals": [withdrawn(None)] * 6 + [withdrawn(timedelta(seconds=30))] * 8,
}


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    verdicts = [a_verdict(f"event-{number}", boundary=number < 6 or None) for number in range(9)]
    verdicts += [
        a_verdict(f"unknown-{number}", RULES[1], outcome="undetermined", reason="feed_behind") for number in range(61)
    ]
    counts = whole_manifest()["counts"] | {"read": 4_065, "judged": {"match": 4_060}, "rejected": {"not_json": 5}}
    return an_answer(tmp_path_factory.mktemp("answer"), verdicts, TABLES, counts=counts)


@pytest.fixture(scope="module")
def html(answer: Answer) -> str:
    """The report of `answer`."""
    return report(answer)


class Text(HTMLParser):
    """The words of a page, and what it points to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name.endswith(("src", "href")) and tag != "use"]


def words(page: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Text(page).words))


def test_a_report_shows_its_figures_with_what_they_are_a_part_of(html: str) -> None:
    page = words(html)
    assert page.index("1. Coverage") < page.index("2. What the rules in force found")
    for said in ("4 065 messages of events read", "4 060 events judged", "5 rejected", "Of 11 015 cases"):
        assert said in page
    assert "1 254 violations" in page
    assert "61 undetermined" in page
    assert "Of the violations, 6 lie within the skew of the clocks" in page
    assert "1 440 events expected at least, of 1 of 3 devices on record" in page
    assert "3 of 24 device hours unwatched: silent for longer than promised" in page
    assert f"{TODAY} zoo / gates 1 3" in page
    assert "gates 1 1 3 1 440 4 000 hall 1 1 not measured not measured 60" in page, "what nobody counted is not zero"
    assert "feed behind the feed of the records is not complete" in page
    assert "Say where it looks." in page
    assert "zoo 14 no match after it 6 last match within a minute 8" in page


def test_where_no_device_promises_to_report_nothing_is_said_to_be_expected_or_unwatched(tmp_path: Path) -> None:
    page = words(report(an_answer(tmp_path, [], {"watch": [on_watch(None)]})))
    assert "not measured events expected: no device is on record with how often it reports" in page
    assert "not measured hours unwatched" in page
    assert "device hours of silence" not in page


def test_a_small_count_is_not_shown_nor_the_one_that_gives_it_away(answer: Answer, html: str) -> None:
    page = words(html)
    sites = page[page.index("Violations by controller and site") : page.index("By purpose")]
    assert re.search("gates 1 234 hall . not shown shed . not shown", sites)
    assert "gates 1 234 hall 17 shed 3" in words(report(answer, cell_size=1))


def test_no_person_is_in_a_report(answer: Answer) -> None:
    asides = Asides(compare(said_by_answer(answer), said_by_answer(answer).head(0)), "another", [])
    page = report(answer, asides, cell_size=1)
    assert not any(person in page for person in PEOPLE)
    assert "s_" not in re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert "event-" not in page


def test_a_report_fetches_nothing_and_runs_nothing(html: str) -> None:
    text = Text(html)
    assert [link for link in text.links if not link.startswith("#")] == []
    assert not {"script", "link", "img", "iframe", "object"} & set(text.tags)
    assert "url(http" not in html


def test_the_same_answer_makes_the_same_bytes(answer: Answer, html: str) -> None:
    assert report(answer) == html


def test_what_was_not_asked_for_is_said_to_be_so(html: str) -> None:
    page = words(html)
    assert "No log of violations was compared" in page
    assert "no log of violations was at hand" in page


def test_corrections_and_what_the_log_settled_are_told_by_controller(answer: Answer, tmp_path: Path) -> None:
    fewer = an_answer(tmp_path / "fewer", [a_verdict("event-0")])
    log = [of(a_verdict(f"settled-{number}"), "contested") for number in range(6)]
    asides = Asides(compare(said_by_answer(answer), said_by_answer(fewer)), "the answer before", log)
    page = words(report(answer, asides))
    assert "Compared with the answer before" in page
    assert "No longer violating: 8" in page
    assert "Otherwise: 61" in page
    assert "Contested on the log of violations Controller Violations zoo 6" in page
    assert "Retracted on the log of violations Controller Violations None." in page


def test_what_is_not_replayable_is_told(tmp_path: Path) -> None:
    hole = {"topic": "matches", "partition": 0, "first_offset": 3, "last_offset": 5, "reason": "expired"}
    page = words(report(an_answer(tmp_path, holes=[hole])))
    assert "Not replayable." in page
    assert "matches/0 3 5 expired" in page


def test_an_empty_answer_has_a_report(tmp_path: Path) -> None:
    page = words(report(an_answer(tmp_path, tables={"coverage": []})))
    assert "No event was judged." in page
    assert "Of 0 cases" in page


def test_a_name_from_a_log_stays_text(tmp_path: Path) -> None:
    spot = {"rule_id": "r", "device_id": "<b>gate</b>", "fact": "zone", "cases": 61, "supply": "<script>"}
    page = report(an_answer(tmp_path, tables={"blind_spots": [spot]}, command="consentinel replay --out '<i>'"))
    assert "<script>" not in page
    assert "&lt;b&gt;gate" in page
    assert "<i>" not in page


@pytest.mark.parametrize(("days", "period"), [(3, "Day"), (100, "Week"), (800, "Month")])
def test_a_long_range_is_counted_by_longer_periods(days: int, period: str, tmp_path: Path) -> None:
    asked = {"from": "2026-03-10T00:00:00Z", "to": (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    manifest: dict[str, Any] = {**asked}
    page = words(report(an_answer(tmp_path, tables={"tallies": [tally(8)]}, **manifest)))
    assert f"{period} (UTC) Violations" in page


def test_without_the_library_of_charts_the_extra_is_named(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match=r"consentinel\[report\]"):
        report(answer)


def test_a_chart_of_hidden_counts_tells_none_of_them() -> None:
    drawn = [chart.over_time([Line("a", 50), Line("b", None), Line("c", 0)], "violations") for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert chart.over_time([Line("a", 0), Line("b", None)], "violations") == ""
    assert chart.ranked([Line("a", 50), Line("b", None)], "rules") == ""


def test_the_command_writes_the_page_and_refuses_a_cell_size_that_tells(
    run: Run, answer: Answer, html: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    assert run("report", answer.folder, file).code == 0
    assert file.read_text(encoding="utf-8") == html
    assert run("report", answer.folder, file, "--compare", answer.folder).code == 0
    assert "verdicts digest to" in file.read_text(encoding="utf-8")
    refused = run("report", answer.folder, file, "--cell-size", "2")
    assert (refused.code, "expected 3 or more" in refused.err) == (3, True)
    nowhere = run("report", answer.folder, tmp_path / "no" / "folder.html")
    assert (nowhere.code, "cannot be written" in nowhere.err) == (3, True)


# -- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Debian's chromium, without a screen."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "chromium" if program is None else "chromedriver"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI looks at the report in a browser, but {missing} is not installed", pytrace=False)
        pytest.skip(f"{missing} is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,1400",
                 "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    except WebDriverException as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"chromium does not start here: {str(error.msg)[:200]}")
    yield opened
    opened.quit()


def test_a_browser_shows_the_figures_and_the_charts_as_they_are(
    browser: webdriver.Chrome, html: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(html, encoding="utf-8")
    browser.get(file.as_uri())
    figures = [
        each.text.replace("\u202f", " ").split("\n")[0]
        for each in browser.find_elements(By.CSS_SELECTOR, ".figures li")
    ]
    assert figures[:5] == ["1 440", "4 065", "4 060", "5", "3"]
    assert figures[6:9] == ["1 254", "0", "61"]
    drawn = browser.find_elements(By.CSS_SELECTOR, "figure svg")
    assert drawn
    assert all(each.size["width"] > 400 and each.size["height"] > 60 for each in drawn)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    aloud = browser.find_element(By.CSS_SELECTOR, ".hidden .aloud")
    assert aloud.size["width"] <= 1, "only for those who listen"
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
