"""Horizons: a fact is known as far as the feeds of its source reach, and not a microsecond further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from schemas.contract import Message
from schemas.registry import FeedRecord
from settled_world import (
    COVERED,
    a_feed,
    a_match,
    a_settled_world,
    registry_record,
    subject_record,
    text_at,
    views_of,
)
from streams.core.case import REGISTRY_SOURCES, SUBJECT_SOURCES, assemble
from streams.core.facts import FACTS, OF_KIND, CaseKind, Source, why
from streams.core.frame import ENCOUNTER_COLUMNS, MATCH_COLUMNS, frame_of
from streams.core.horizon import KINDS

pytestmark = pytest.mark.untraced

SOURCES = (*REGISTRY_SOURCES, *SUBJECT_SOURCES)
CLAIMS = {"notice_id": "notice-1", "authority_id": "order-1", "exception_id": "excuse-1"}


def frame(kind: CaseKind, messages: Sequence[Any]) -> pl.DataFrame:
    return frame_of(messages, MATCH_COLUMNS if kind is CaseKind.MATCH else ENCOUNTER_COLUMNS)


def settled(*changes: Message, without: Sequence[str] = ()) -> list[Message]:
    """The settled world without some kinds of records, and with others."""
    kept = [record for record in a_settled_world() if record.model_dump()["kind"] not in without]
    return [*kept, *changes]


EVERYTHING_GRANTED = subject_record(
    "consent_given",
    record_id="by-guardian",
    valid_from=text_at(-9),
    consent_form="written",
    giver="guardian",
    actions=["analyse_age"],
)
"""A consent that leaves no answer of the history negative."""
EACH = [(source, kind) for source in SOURCES for kind in KINDS[source]]


def facts_of(source: Source) -> list[str]:
    return [name for name in OF_KIND[CaseKind.MATCH] if FACTS[name].source is source]


def feeds_with(kind: str, complete: int, lag: int) -> list[FeedRecord]:
    """A feed of one kind, and one of everything else that reaches far."""
    others = a_feed(covers=[each for each in COVERED if each != kind])
    return [others, a_feed(id="slow", covers=[kind], complete_until=text_at(complete), max_lag_seconds=lag)]


def rows_at(records: Sequence[Message], *instants: tuple[int, int], **event: Any) -> list[dict[str, Any]]:
    messages = [a_match(**CLAIMS | event, occurred_at=text_at(*instant)) for instant in instants]
    return assemble(frame(CaseKind.MATCH, messages), CaseKind.MATCH, views_of(records)).to_dicts()


@pytest.mark.parametrize(("source", "kind"), EACH)
def test_what_was_said_stands_until_the_lag_is_over_and_then_nothing_does(source: Source, kind: str) -> None:
    records = settled(EVERYTHING_GRANTED, *feeds_with(kind, 1, lag=20))
    before, after = rows_at(records, (3, -1), (3, 0))
    assert all(before[name] is not None for name in facts_of(source))
    assert [after[name] for name in facts_of(source)] == [None] * len(facts_of(source))
    assert after[why(source)] == "feed_behind"
    for other in SOURCES:
        if kind not in KINDS[other]:
            assert after[why(other)] is None
            assert all(after[name] is not None for name in facts_of(other))


@pytest.mark.parametrize(("source", "kind"), EACH)
def test_what_no_feed_covers_is_unknown_for_ever(source: Source, kind: str) -> None:
    (row,) = rows_at([*a_settled_world(), a_feed(covers=[each for each in COVERED if each != kind])], (0, 0))
    assert [row[name] for name in facts_of(source)] == [None] * len(facts_of(source))
    assert row[why(source)] == "feed_missing"


ABSENT: dict[Source, dict[str, Any]] = {
    Source.DEVICE: {"device_registered": False},
    Source.SITE: {"site_registered": False},
    Source.PURPOSE: {"purpose_registered": False},
    Source.NOTICE: {"notice_in_force": False, "notice_states_retention": False, "prompt_given": False},
    Source.ASSESSMENT: {"assessment_current": False},
    Source.AUTHORITY: {
        "authority_evidenced": False,
        "authority_basis": "none",
        "authority_requested_by_subject": False,
    },
    Source.EXCEPTION: {"exception_evidenced": False},
    Source.CONSENT: {
        "consent_in_force": False,
        "separate_consent_in_force": False,
        "written_consent_in_force": False,
        "guardian_consent_in_force": False,
        "consent_forms": [],
        "consent_actions": [],
        "separate_consent_actions": [],
        "consented_attributes": [],
        "consent_withdrawn": False,
    },
}


@pytest.mark.parametrize("source", list(ABSENT))
def test_a_missing_record_is_absent_only_before_its_feed_is_complete(source: Source) -> None:
    kind = KINDS[source][-1] if source is not Source.CONSENT else "consent_given"
    records = [*settled(without=[kind]), *feeds_with(kind, 1, lag=3_600)]
    before, after = rows_at(records, (1, -1), (1, 0))
    assert {name: before[name] for name in ABSENT[source]} == ABSENT[source]
    in_part = [name for name in facts_of(source) if source is Source.CONSENT and before[name] == []]
    assert all(after[name] == ([None] if name in in_part else None) for name in facts_of(source))
    assert before[why(source)] in (None, "not_registered")
    assert after[why(source)] == "feed_behind"


def test_a_feed_behind_on_devices_is_the_reason_for_the_site_too() -> None:
    before, after = rows_at([*settled(without=["device"]), *feeds_with("device", 1, lag=3_600)], (1, -1), (1, 0))
    assert (before["why_device"], before["why_site"]) == ("not_registered", "not_registered")
    assert (after["why_device"], after["why_site"]) == ("feed_behind", "feed_behind")


def test_a_person_who_withdrew_has_said_so_and_no_later_record_is_waited_for() -> None:
    withdrawal = subject_record("consent_withdrawn", valid_from=text_at(-1))
    (row,) = rows_at([*settled(withdrawal), *feeds_with("consent_given", 0, lag=60)], (0, 0))
    assert (row["consent_in_force"], row["consent_withdrawn"], row["why_consent"]) == (False, True, None)


def test_what_a_consent_does_not_grant_another_may_so_it_is_not_denied_while_the_feed_is_behind() -> None:
    weak = subject_record("consent_given", valid_from=text_at(-1), consent_form="implied")
    records = [*settled(weak, without=["consent_given"]), *feeds_with("consent_given", 1, lag=60)]
    before, after = rows_at(records, (1, -1), (1, 0))
    granted = {"consent_forms": ["implied"], "consent_actions": ["collect", "identify"]}
    denied = ("separate_consent_in_force", "written_consent_in_force", "guardian_consent_in_force")
    for row in (before, after):
        assert row["consent_in_force"] is True
        assert row["consent_withdrawn"] is False, "what was given is not taken for withdrawn"
    assert [before[name] for name in denied] == [False] * 3
    assert {after[name] for name in denied} == {None}
    lists = granted | {"separate_consent_actions": [], "consented_attributes": []}
    assert {name: before[name] for name in lists} == lists
    assert {name: after[name] for name in lists} == {name: [*texts, None] for name, texts in lists.items()}
    assert after["why_consent"] == "feed_behind"


def test_what_a_notice_does_not_say_another_may_so_it_is_not_denied_while_the_feed_is_behind() -> None:
    silent = registry_record("notice", "notice-1", states_retention=False)
    records = [*settled(silent, without=["notice"]), *feeds_with("notice", 1, lag=60)]
    before, after = rows_at(records, (1, -1), (1, 0))
    assert (before["notice_in_force"], before["notice_states_retention"], before["why_notice"]) == (True, False, None)
    assert (after["notice_in_force"], after["notice_states_retention"], after["why_notice"]) == (
        *(True, None),
        "feed_behind",
    )
    assert after["prompt_given"] is True


def test_a_claim_that_nobody_made_needs_no_feed() -> None:
    covers = [kind for kind in COVERED if kind not in ("authority", "exception")]
    (unclaimed,) = rows_at([*a_settled_world(), a_feed(covers=covers)], (0, 0), authority_id=None, exception_id=None)
    assert (unclaimed["authority_evidenced"], unclaimed["authority_basis"]) == (False, "none")
    assert unclaimed["exception_evidenced"] is False
    assert unclaimed["why_authority"] is None
    (claimed,) = rows_at([*a_settled_world(), a_feed(covers=covers)], (0, 0))
    assert (claimed["authority_evidenced"], claimed["exception_evidenced"]) == (None, None)


def test_a_purpose_that_is_not_named_needs_no_feed() -> None:
    covers = [kind for kind in COVERED if kind not in ("purpose", "notice", "assessment")]
    (row,) = rows_at([*a_settled_world(), a_feed(covers=covers)], (0, 0), purpose_id=None)
    assert row["purpose_registered"] is False
    assert (row["why_purpose"], row["why_notice"]) == ("not_reported", "not_reported")


def test_a_reason_that_a_feed_cannot_mend_is_kept() -> None:
    views = views_of([*a_settled_world(), a_feed(complete_until=text_at(-2), max_lag_seconds=1)])
    views.registry.mark_unreadable("device/gate-1")
    row = assemble(frame(CaseKind.MATCH, [a_match(subject_ref=None)]), CaseKind.MATCH, views).row(0, named=True)
    assert row["why_device"] == "record_unreadable"
    assert row["why_consent"] == "identity_unlinked"
    assert row["why_controller"] == "feed_behind"


def test_controllers_with_different_horizons_are_told_apart_in_one_batch() -> None:
    mall = [
        registry_record("controller", "mall", controller_type="public_agency"),
        a_feed(controller_id="zoo"),
        a_feed(id="slow", controller_id="mall", complete_until=text_at(-2), max_lag_seconds=5),
    ]
    messages = [a_match(controller_id=each) for each in ("zoo", "mall", "aquarium", "zoo")]
    cases = assemble(frame(CaseKind.MATCH, messages), CaseKind.MATCH, views_of([*a_settled_world(), *mall]))
    assert cases["controller_type"].to_list() == ["private", None, None, "private"]
    assert cases["why_controller"].to_list() == [None, "feed_behind", "feed_missing", None]
