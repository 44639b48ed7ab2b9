"""A violation has one id for one breach, names the records in force behind it, and is the same bytes each time."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance_world import World, worlds
from pace import examples
from rule_texts import a_pack, a_rule
from schemas.contract import Message
from schemas.verdict import VIOLATION, Violation
from settled_world import PEOPLE, a_feed, a_match, a_settled_world, subject_record, text_at, tick, views_of
from small_world import the_law
from streams.core.case import SKEW, assemble
from streams.core.facts import CaseKind
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.judge import Outcome, judge
from streams.core.rulebook import Rulebook, load
from streams.core.violation import IDENTITY, deciding_records, violation_id, violation_ids, violations

THE_LAW = the_law()


def book(*rules: str, **pack: Any) -> Rulebook:
    return load([("test.yaml", a_pack(*rules, **pack))])


def found(law: Rulebook, *more: Message, recorded_at: int | None = None, **event: Any) -> list[Violation]:
    """The messages about one match, which the broker took at some instant, over the settled world and more records."""
    views = views_of([*a_settled_world(), a_feed(), *more])
    frame = frame_of([a_match(**event)]).with_columns(recorded_at=pl.lit(recorded_at, pl.Int64))
    cases = assemble(frame, CaseKind.MATCH, views, law.facts_of(CaseKind.MATCH))
    return [message for *_, message in violations(judge(cases, CaseKind.MATCH, law), views)]


def records_behind(condition: str, *more: Message, **event: Any) -> list[str]:
    """The deciding records of a rule that always fires and asks the facts of a condition."""
    law = book(a_rule(condition=f"purpose_named OR ({condition})"))
    (message,) = found(law, *more, **event)
    return list(message.deciding_records)


# -- the id -----------------------------------------------------------------------------------------------------------


def test_the_id_of_a_breach_never_changes() -> None:
    expected = "7eb0d3b3ba7241bb33a240dd9c5634b40ca78002f5cdd80a190275e7afb5ab90"
    assert violation_id("core.purpose.unknown", 1, "zoo", "event-1", PEOPLE[0]) == expected


def test_each_part_of_a_breach_makes_another_id() -> None:
    whole: dict[str, Any] = {"rule_id": "a.b", "revision": 1, "controller_id": "c", "event_id": "e", "subject_ref": "s"}
    changes: list[dict[str, Any]] = [
        {},
        {"rule_id": "a.c"},
        {"revision": 2},
        {"controller_id": "d"},
        {"event_id": "f"},
        {"subject_ref": "t"},
        {"subject_ref": None},
        {"subject_ref": "None"},
        {"subject_ref": "null"},
        {"controller_id": "c,e", "event_id": ""},
        {"controller_id": "e", "event_id": "c"},
    ]
    ids = [violation_id(**whole | change) for change in changes]
    assert all(one != other for one, other in combinations(ids, 2))


def test_the_id_does_not_know_when_or_where() -> None:
    law = book(a_rule(condition="purpose_named"))
    ids = {
        message.violation_id
        for change in ({}, {"occurred_at": text_at(3)}, {"device_id": "gate-2"}, {"event_version": 2}, {"rank": 1})
        for message in found(law, **change)
    }
    assert len(ids) == 1


# -- the message ------------------------------------------------------------------------------------------------------


def test_a_violation_says_what_happened_where_under_which_rule() -> None:
    law = book(a_rule(condition="purpose_named", level="low", revision=3), status="draft")
    (message,) = found(law, site_id="claimed", event_version=2)
    assert message == Violation(
        violation_id=violation_id("test.rule", 3, "zoo", "event-1", PEOPLE[0]),
        status="open",
        rule_id="test.rule",
        revision=3,
        level="low",
        standing="what_if",
        event_id="event-1",
        event_version=2,
        event_kind="match",
        occurred_at=a_match().occurred_at,
        controller_id="zoo",
        device_id="gate-1",
        site_id="gates",
        purpose_id="entry",
        subject_ref=PEOPLE[0],
    )
    assert VIOLATION.read(message.to_json()) == message


def test_an_excused_violation_names_every_exception_that_holds_and_no_other() -> None:
    excuses = {"first": "purpose_named", "second": "original_image_retained", "third": "device_registered"}
    (message,) = found(book(a_rule(condition="purpose_named", exceptions=excuses)))
    assert (message.status, message.excused_by) == ("excused", ("first", "third"))
    (open_,) = found(book(a_rule(condition="purpose_named", exceptions={"second": "original_image_retained"})))
    assert (open_.status, open_.excused_by) == ("open", ())


def test_what_is_clear_or_undetermined_is_no_violation() -> None:
    assert found(book(a_rule(condition="NOT purpose_named"), a_rule("test.two", condition="timing = 'post'"))) == []
    assert found(book(a_rule(condition="timing = 'post'")), timing=None) == []


def test_violations_come_in_the_order_of_rows_and_then_of_rules() -> None:
    law = book(a_rule("test.b", condition="purpose_named"), a_rule("test.a", condition="NOT original_image_retained"))
    views = views_of([*a_settled_world(), a_feed()])
    events = [a_match(event_id=f"event-{number}", original_image_retained=number == 1) for number in range(3)]
    cases = assemble(frame_of(events), CaseKind.MATCH, views, law.facts_of(CaseKind.MATCH))
    verdicts = judge(cases, CaseKind.MATCH, law)
    told = [(row, rule.id, message.event_id) for row, rule, message in violations(verdicts, views)]
    assert told == [
        *((0, "test.a", "event-0"), (0, "test.b", "event-0")),
        (1, "test.b", "event-1"),
        *((2, "test.a", "event-2"), (2, "test.b", "event-2")),
    ]


# -- the records behind it --------------------------------------------------------------------------------------------


def test_the_records_are_those_behind_the_facts_that_the_rule_asks() -> None:
    assert records_behind("TRUE") == []
    assert records_behind("device_registered") == ["device-gate-1"]
    assert records_behind("site_public") == ["device-gate-1", "site-gates"]
    assert records_behind("minor_rules AND retention_stated") == ["controller-zoo", "purpose-entry"]
    assert records_behind("notice_in_force OR assessment_current") == ["assessment-pia-1", "notice-notice-1"]
    claimed = {"authority_id": "order-1", "exception_id": "excuse-1"}
    assert records_behind("authority_evidenced OR exception_evidenced", **claimed) == [
        "authority-order-1",
        "exception-excuse-1",
    ]
    assert records_behind("authority_evidenced OR exception_evidenced") == []
    assert records_behind("age_band = 'adult'") == ["enrolment"]


def test_a_selector_rests_on_records_too() -> None:
    selecting = a_rule(condition="purpose_named", controller_types=["private"], jurisdictions=["CN"])
    (message,) = found(book(selecting))
    assert message.deciding_records == ("controller-zoo", "device-gate-1", "site-gates")


def test_of_consents_those_in_force_count_and_else_the_withdrawal_that_ended_them() -> None:
    def consent(name: str, **fields: Any) -> Message:
        return subject_record("consent_given", record_id=name, **fields)

    ended = consent("a-ended", valid_from=text_at(-3), valid_until=text_at(-1))
    second = consent("a-second", valid_from=text_at(-3))
    other = consent("a-other-purpose", valid_from=text_at(-3), purposes=["ads"])
    elsewhere = consent("a-elsewhere", valid_from=text_at(-3), controller_id="mall")
    later = consent("a-later", valid_from=text_at(0, 1))
    more = (ended, second, other, elsewhere, later)
    assert records_behind("consent_in_force", *more) == ["a-second", "consent_given"]
    withdrawals = [
        subject_record("consent_withdrawn", record_id=f"w-{number}", valid_from=text_at(number))
        for number in (-4, 0, 1)
    ]
    assert records_behind("consent_in_force", *more, *withdrawals) == ["w-0"]
    again = consent("again", valid_from=text_at(-1), valid_until=text_at(0))
    assert records_behind("consent_in_force", *more[:1], again, withdrawals[0]) == []


def test_of_restrictions_and_enrolments_those_that_hold_count() -> None:
    restricted = subject_record("restriction", record_id="restricted", valid_from=text_at(-1))
    assert records_behind("restricted", restricted) == ["restricted"]
    older = subject_record("enrolment", record_id="older", valid_from=text_at(-20))
    assert records_behind("age_band = 'adult'", older) == ["enrolment"]
    assert records_behind("restricted") == []


def test_nobody_has_no_records() -> None:
    everything = "consent_in_force OR age_band = 'adult' OR restricted"
    assert records_behind(everything, subject_ref=PEOPLE[1]) == []
    assert records_behind(everything, subject_ref=None, comparison_decision="non_match") == []


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(most=5))
def test_a_repetition_is_byte_identical_and_every_message_keeps_its_contract(world: World) -> None:
    def once() -> list[tuple[int, str, bytes]]:
        views = views_of(world.records)
        columns = MATCH_COLUMNS if world.kind is CaseKind.MATCH else ENCOUNTER_COLUMNS
        cases = assemble(frame_of(world.messages, columns), world.kind, views, THE_LAW.facts_of(world.kind))
        verdicts = judge(cases, world.kind, THE_LAW)
        told = [(row, rule.column, message) for row, rule, message in violations(verdicts, views)]
        said = sum(counts[Outcome.VIOLATION] + counts[Outcome.EXCUSED] for counts in verdicts.counts().values())
        assert len(told) == said
        known = {record.record_id for record in world.records}  # type: ignore[attr-defined]
        for row, column, message in told:
            (rule,) = (each for each in verdicts.rules if each.column == column)
            records = deciding_records(rule, cases.row(row, named=True), views)
            assert message.deciding_records == records == tuple(sorted(set(records)))
            assert set(records) <= known
            assert VIOLATION.read(message.to_json()) == message
        return [(row, column, message.to_json()) for row, column, message in told]

    assert once() == once()


# -- the edge of a consent --------------------------------------------------------------------------------------------


def test_a_match_within_the_skew_of_a_consents_edge_is_marked_and_no_other() -> None:
    law = book(a_rule(condition="NOT consent_in_force OR consent_withdrawn"))
    gone = subject_record("consent_withdrawn", valid_from=text_at(2))
    marks = {beside: found(law, gone, occurred_at=text_at(2, beside))[0].boundary for beside in (0, SKEW, SKEW + 1)}
    assert marks == {0: True, SKEW: True, SKEW + 1: None}
    ahead = found(law, gone, occurred_at=text_at(2, 9 * SKEW), recorded_at=tick(2))
    assert ahead[0].boundary, "a clock that is so far ahead has measured more"
    (unasked,) = found(book(a_rule(condition="purpose_named")), gone, occurred_at=text_at(2))
    assert unasked.boundary is None, "a rule that asks no consent has no such edge"


TEXTS = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["plain-1", 'a"b', "a\\b", "é", "a\nb"]))


@given(rows=st.lists(st.tuples(TEXTS, st.integers(1, 9), TEXTS, TEXTS, TEXTS), max_size=6))
def test_the_ids_of_many_are_those_of_each(rows: list[tuple[Any, ...]]) -> None:
    schema = dict.fromkeys(IDENTITY, pl.String()) | {"revision": pl.Int64()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    assert violation_ids(frame).to_list() == [violation_id(*row) for row in rows]
