"""The recorder: everything at zero from the start, everything counted where it belongs, nobody in a label."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from board import CONSENT, START, ARule, ARulebook, Board
from schemas.contract import Reason
from schemas.topics import TopicName
from small_world import the_law
from streams.core.facts import CaseKind, Unknown
from streams.core.judge import Outcome, Verdicts
from streams.metrics import catalogue
from streams.metrics.catalogue import WORKER_METRICS, CommitResult, EventOutcome, Lane
from streams.metrics.recorder import Recorder, Stage

STRANGE = ARule("elsewhere.rule")


@pytest.fixture
def board() -> Board:
    return Board()


# -- at zero ----------------------------------------------------------------------------------------------------------


def test_every_outcome_of_every_rule_is_there_at_zero(board: Board) -> None:
    for rule, outcome in product(ARulebook().rules, Outcome):
        assert board.value("verdicts_total", rule_id=rule.id, outcome=outcome.word) == 0
    for rule, reason in product(ARulebook().rules, Unknown):
        assert board.value("undetermined_total", rule_id=rule.id, reason=reason) == 0


def test_a_rules_violations_are_there_at_zero_with_its_level_and_standing_and_no_other(board: Board) -> None:
    found = {
        (sample.labels["rule_id"], sample.labels["level"], sample.labels["standing"])
        for metric in board.registry.collect()
        for sample in metric.samples
        if sample.name == "consentinel_violations_total"
    }
    assert found == {("core.purpose.unknown", "high", "in_force"), ("cn2023.art05.consent", "low", "what_if")}


def test_topics_reasons_and_all_other_closed_lists_are_there_at_zero(board: Board) -> None:
    for topic, outcome in product(("matches", "encounters"), EventOutcome):
        assert board.value("events_total", topic=topic, outcome=outcome) == 0
    for topic, reason in product(("matches", "encounters", "subjects", "registry"), Reason):
        assert board.value("rejections_total", topic=topic, reason=reason) == 0
    for topic, keyed in product(("subjects", "registry"), ("true", "false")):
        assert board.value("unreadable_records_total", topic=topic, keyed=keyed) == 0
    assert all(board.value("commits_total", result=result) == 0 for result in CommitResult)
    assert all(board.value("view_fresh", topic=topic) == 0 for topic in ("subjects", "registry"))
    assert board.value("warm") == 0
    assert board.value("event_to_verdict_seconds_count") == 0


def test_every_metric_of_the_catalogue_is_exposed_and_nothing_else(board: Board) -> None:
    exposed = {metric.name: metric.type for metric in board.registry.collect()}
    assert exposed == {metric.full_name.removesuffix("_total"): str(metric.type) for metric in WORKER_METRICS}


def test_the_worker_says_what_it_is(board: Board) -> None:
    assert board.value("rulebook_info", digest="ab" * 32, rules="2", packs="cn2023,core") == 1
    assert board.value("build_info", version="0.1.0") == 1
    assert board.value("start_time_seconds") == START.timestamp()


# -- counting ---------------------------------------------------------------------------------------------------------


def test_a_record_has_one_outcome(board: Board) -> None:
    board.recorder.judged(TopicName.MATCHES, 10)
    board.recorder.rejected(TopicName.MATCHES, Reason.EMPTY, 2)
    board.recorder.forwarded(TopicName.MATCHES)
    board.recorder.superseded(TopicName.MATCHES, 3)
    counts = {outcome: board.value("events_total", topic="matches", outcome=outcome) for outcome in EventOutcome}
    assert counts == dict(zip(EventOutcome, (10, 2, 1, 3), strict=True))
    assert board.value("rejections_total", topic="matches", reason="empty") == 2
    assert board.value("forwarded_total", topic="matches") == 1


def test_a_refused_record_of_the_registry_is_no_event(board: Board) -> None:
    board.recorder.rejected(TopicName.REGISTRY, Reason.NOT_JSON)
    assert board.value("rejections_total", topic="registry", reason="not_json") == 1
    assert board.value("events_total", topic="registry", outcome="rejected") is None
    assert board.value("events_total", topic="other", outcome="rejected") is None


def test_verdicts_and_violations_are_counted_by_rule(board: Board) -> None:
    board.recorder.cases(CaseKind.MATCH, 7)
    board.recorder.outcome(CONSENT, Outcome.VIOLATION, 3)
    board.recorder.undetermined(CONSENT, Unknown.FEED_BEHIND, 2)
    board.recorder.violation(CONSENT, 3)
    assert board.value("cases_total", kind="match") == 7
    assert board.value("verdicts_total", rule_id=CONSENT.id, outcome="violation") == 3
    assert board.value("undetermined_total", rule_id=CONSENT.id, reason="feed_behind") == 2
    assert board.value("violations_total", rule_id=CONSENT.id, level="high", standing="in_force") == 3


def test_batches_views_and_commits_are_counted(board: Board) -> None:
    board.recorder.lane(Lane.FAST, 8_000)
    board.recorder.commit(CommitResult.REFUSED)
    board.recorder.unreadable(TopicName.SUBJECTS, keyed=True)
    board.recorder.view(TopicName.SUBJECTS, lag_records=12, fresh=True)
    board.recorder.warm(warm=True)
    board.recorder.partitions(warming=1, live=3)
    assert board.value("lane_records_total", lane="fast") == 8_000
    assert board.value("commits_total", result="refused") == 1
    assert board.value("unreadable_records_total", topic="subjects", keyed="true") == 1
    assert board.value("view_lag_records", topic="subjects") == 12
    assert board.value("view_fresh", topic="subjects") == 1
    assert board.value("warm") == 1
    assert board.value("partitions", state="live") == 3


@pytest.mark.parametrize("stage", Stage)
def test_each_stage_of_a_batch_is_timed_apart(board: Board, stage: Stage) -> None:
    board.recorder.took(stage, 0.004)
    counts = {each: board.value(f"{each}_seconds_count") for each in Stage}
    assert counts == {each: float(each is stage) for each in Stage}


def test_the_way_to_a_verdict_is_timed_from_the_world_and_from_the_log(board: Board) -> None:
    board.recorder.since_event(pl.Series([1.2, 3.0]))
    board.recorder.since_recorded(pl.Series([0.2]))
    assert board.value("event_to_verdict_seconds_bucket", le="3.25") == 2
    assert board.value("recorded_to_verdict_seconds_bucket", le="0.25") == 1


def test_a_counter_never_falls(board: Board) -> None:
    with pytest.raises(AssertionError):
        board.recorder.judged(TopicName.MATCHES, -1)


# -- partitions and feeds come and go ---------------------------------------------------------------------------------


def test_the_lag_of_a_partition_goes_with_it(board: Board) -> None:
    board.recorder.lag(TopicName.MATCHES, 3, 40)
    assert board.value("consumer_lag_records", topic="matches", partition="3") == 40
    board.recorder.disown(TopicName.MATCHES, 3)
    board.recorder.disown(TopicName.MATCHES, 3)
    assert board.value("consumer_lag_records", topic="matches", partition="3") is None


def test_only_so_many_partitions_have_a_name(board: Board) -> None:
    board.recorder.lag(TopicName.MATCHES, 5_000, 1)
    board.recorder.lag(TopicName.MATCHES, -1, 2)
    assert board.value("consumer_lag_records", topic="matches", partition="other") == 2


def test_a_feed_that_is_gone_has_no_series(board: Board) -> None:
    board.recorder.feeds({"mall-consents": 12.5, "registry": -3.0})
    assert board.value("feed_behind_seconds", feed="mall-consents") == 12.5
    assert board.value("feed_behind_seconds", feed="registry") == 0
    board.recorder.feeds({"registry": 0.0})
    assert board.value("feed_behind_seconds", feed="mall-consents") is None


def test_of_too_many_feeds_the_worst_stands_for_the_rest(board: Board) -> None:
    board.recorder.feeds({f"feed-{number:04}": float(number) for number in range(catalogue.FEEDS_MAX + 50)})
    assert board.value("feed_behind_seconds", feed="feed-0000") == 0
    assert board.value("feed_behind_seconds", feed="other") == catalogue.FEEDS_MAX + 49


def test_a_feed_that_is_called_other_hides_no_worse_one(board: Board) -> None:
    board.recorder.feeds({"other": 1.0, "s_AAAAAAAAAAAAAAAAAAAAAA": 9.0})
    assert board.value("feed_behind_seconds", feed="other") == 9


# -- nobody in a label ------------------------------------------------------------------------------------------------


def test_what_is_on_no_list_is_other(board: Board) -> None:
    board.recorder.outcome(STRANGE, Outcome.CLEAR)
    board.recorder.violation(STRANGE)
    board.recorder.judged(TopicName.RECEIPTS, 1)
    assert board.value("verdicts_total", rule_id="other", outcome="clear") == 1
    assert board.value("violations_total", rule_id="other", level="high", standing="in_force") == 1
    assert board.value("events_total", topic="other", outcome="judged") == 1


REFERENCES = st.text("abcXYZ019_-", min_size=16, max_size=40).map(lambda text: f"s_{text}")
NAMES = st.sampled_from(["Zhang San", "evt-000000000000017", "rec-99", "zhang.san@example.org"])

WAYS: list[Callable[[Recorder, Any], None]] = [
    lambda recorder, person: recorder.judged(person, 1),
    lambda recorder, person: recorder.rejected(person, person),
    lambda recorder, person: recorder.forwarded(person),
    lambda recorder, person: recorder.lane(person, 1),
    lambda recorder, person: recorder.cases(person, 1),
    lambda recorder, person: recorder.outcome(ARule(person, person, person), Outcome.CLEAR),
    lambda recorder, person: recorder.outcome(person, Outcome.CLEAR),
    lambda recorder, person: recorder.outcome(CONSENT, person),
    lambda recorder, person: recorder.undetermined(ARule(person), person),
    lambda recorder, person: recorder.violation(ARule(person, person, person)),
    lambda recorder, person: recorder.took(person, 1.0),
    lambda recorder, person: recorder.since_event(pl.Series([person])),
    lambda recorder, person: recorder.commit(person),
    lambda recorder, person: recorder.lag(person, person, 1),
    lambda recorder, person: recorder.lag(TopicName.MATCHES, 1, person),
    lambda recorder, person: recorder.view(person, lag_records=1, fresh=True),
    lambda recorder, person: recorder.unreadable(person, keyed=person),
    lambda recorder, person: recorder.partitions(warming=person, live=1),
    lambda recorder, person: recorder.obligation(ARule(person), person),
    lambda recorder, person: recorder.pending({(person, person): 1}),
    lambda recorder, person: recorder.blind_spots({person: 1}),
    lambda recorder, person: recorder.instruments({(person, person): 1}),
    lambda recorder, person: recorder.consent(person),
    lambda recorder, person: recorder.retraction(ARule(person, person, person)),
    lambda recorder, person: recorder.contested(ARule(person, person, person)),
    lambda recorder, person: recorder.correction(person),
    lambda recorder, person: recorder.deferred(person),
    lambda recorder, person: recorder.boundary(person),
    lambda recorder, person: recorder.repeats(person),
    lambda recorder, person: recorder.duplicates(person),
    lambda recorder, person: recorder.superseded(person),
    lambda recorder, person: recorder.held(cases=person, size_bytes=1),
    lambda recorder, person: recorder.memory(cases=1, size_bytes=person),
]
REFUSED_BY_TYPE = (AttributeError, KeyError, TypeError, ValueError, pl.exceptions.PolarsError)


@given(st.one_of(REFERENCES, NAMES), st.sampled_from(WAYS))
def test_no_way_leads_a_person_into_the_metrics(person: str, way: Callable[[Recorder, Any], None]) -> None:
    board = Board()
    with suppress(*REFUSED_BY_TYPE):
        way(board.recorder, person)
    assert person not in board.recorder.exposition()[0].decode()


@given(REFERENCES)
def test_a_feed_named_after_a_subject_has_no_name(person: str) -> None:
    board = Board()
    board.recorder.feeds({f"feed/{person}": 4.0})
    assert person not in board.recorder.exposition()[0].decode()
    assert board.value("feed_behind_seconds", feed="other") == 4


@given(REFERENCES)
def test_a_rulebook_or_a_version_that_names_somebody_is_a_bug(person: str) -> None:
    for book, version in [
        (ARulebook(rules=(ARule(person),)), "1"),
        (ARulebook(packs=(person,)), "1"),
        (ARulebook(digest=person), "1"),
        (ARulebook(), person),
    ]:
        with pytest.raises(AssertionError):
            Recorder(CollectorRegistry(), book, version=version, started_at=START)


def test_duties_are_counted_by_status_and_those_in_doubt_are_gone_when_they_are_settled() -> None:
    duty = ARule("cnpipl.art47.erasure")
    board = Board(ARulebook(duties=(duty,)))
    assert board.value("obligations_total", rule_id=duty.id, status="breached") == 0
    assert board.value("violations_total", rule_id=duty.id, level="high", standing="in_force") == 0
    board.recorder.obligation(duty, "breached", 2)
    board.recorder.pending({(duty.id, "feed_behind"): 3})
    assert board.value("obligations_total", rule_id=duty.id, status="breached") == 2
    assert board.value("duties_undetermined", rule_id=duty.id, reason="feed_behind") == 3
    board.recorder.pending({})
    assert board.value("duties_undetermined", rule_id=duty.id, reason="feed_behind") is None


def test_every_public_way_into_the_recorder_was_tried() -> None:
    said = {name for way in WAYS for name in way.__code__.co_names}
    public = {name for name in vars(Recorder) if not name.startswith("_")}
    of_the_registry = {"feeds", "premises", "site_events", "site_violations", "since_withdrawal", "told"}
    assert public - said == {*of_the_registry, "verdicts", "since_recorded", "warm", "disown", "exposition"}


# -- exposition -------------------------------------------------------------------------------------------------------


def test_a_scraper_gets_the_format_that_it_asks_for(board: Board) -> None:
    text, text_type = board.recorder.exposition("text/plain")
    opened, open_type = board.recorder.exposition("application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert text_type.startswith("text/plain")
    assert open_type.startswith("application/openmetrics-text")
    names = {metric.full_name.removesuffix("_total") for metric in WORKER_METRICS}
    assert {family.name.removesuffix("_total") for family in plain_text(text.decode())} == names
    opened_names = {family.name for family in open_metrics(opened.decode())}  # type: ignore[no-untyped-call]
    assert opened_names == names


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/openmetrics-text; version=x", ";;;,", "text/plain;version=X"]
)
def test_an_odd_wish_gets_plain_text_or_open_metrics_and_never_an_error(board: Board, accept: str) -> None:
    body, content_type = board.recorder.exposition(accept)
    assert body
    assert "text" in content_type


def test_no_series_says_when_it_was_created(board: Board) -> None:
    board.recorder.judged(TopicName.MATCHES, 1)
    assert b"_created" not in board.recorder.exposition("application/openmetrics-text; version=1.0.0")[0]


def test_the_verdicts_of_a_batch_are_counted_at_once() -> None:
    rules = the_law().of_kind(CaseKind.MATCH)
    said = {rule.column: [Outcome.CLEAR, Outcome.CLEAR, Outcome.VIOLATION] for rule in rules}
    outcomes = pl.DataFrame(said, schema_overrides=dict.fromkeys(said, pl.UInt8))
    registry = CollectorRegistry()
    recorder = Recorder(registry, the_law(), version="0.1.0", started_at=START)
    recorder.verdicts(Verdicts(CaseKind.MATCH, rules, pl.DataFrame({"event_id": ["a", "b", "c"]}), outcomes))
    assert registry.get_sample_value("consentinel_cases_total", {"kind": "match"}) == 3
    for rule in rules:
        for outcome, count in {Outcome.CLEAR: 2, Outcome.VIOLATION: 1, Outcome.EXCUSED: 0}.items():
            labels = {"rule_id": rule.id, "outcome": outcome.word}
            assert registry.get_sample_value("consentinel_verdicts_total", labels) == count


class Undecided:
    """Verdicts of one rule that two facts left undetermined, one of them for a reason of tomorrow."""

    kind = CaseKind.MATCH
    cases = pl.DataFrame({"event_id": ["a", "b"]})

    def counts(self) -> dict[ARule, dict[Outcome, int]]:
        return {CONSENT: {Outcome.UNDETERMINED: 2}}

    def undetermined(self) -> dict[tuple[ARule, str], int]:
        return {(CONSENT, "feed_behind"): 1, (CONSENT, "a word of tomorrow"): 1}


def test_why_verdicts_are_undetermined_is_counted_and_a_reason_of_tomorrow_is_other(board: Board) -> None:
    board.recorder.verdicts(cast("Any", Undecided()))
    assert board.value("verdicts_total", rule_id=CONSENT.id, outcome="undetermined") == 2
    assert board.value("undetermined_total", rule_id=CONSENT.id, reason="feed_behind") == 1
    assert board.value("undetermined_total", rule_id=CONSENT.id, reason="other") == 1
