"""A docket that looks only at whom something may be owed says what one says that looks at everybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.contract import time_text
from schemas.registry import REGISTRY
from schemas.subject import SUBJECT
from streams.core.docket import Docket
from streams.core.instant import NEVER, SECOND, micros
from streams.core.obligation import Happening, Status
from streams.core.owed import owed
from streams.core.registry import Registry
from streams.core.rulebook import Rulebook
from streams.core.subject_history import Histories
from streams.packs import rulebook

DAY = 86_400 * SECOND
START = datetime(2021, 1, 1, tzinfo=UTC)
UNTIL = micros(datetime(2026, 11, 1, tzinfo=UTC))
PLACES = (["CN"], ["US", "US-IL"], ["US", "US-TX"], ["US", "US-WA"], ["EU", "DE"])
KINDS: dict[str, dict[str, list[Any]]] = {
    "enrolment": {"age_band": ["adult", "under_14"], "purpose_id": ["p-0", "p-1", None]},
    "consent_given": {"purposes": [["p-0"]], "actions": [["collect"]], "consent_form": ["separate"]},
    "consent_withdrawn": {"purposes": [["p-0"], []]},
    "erasure_request": {"requested_by": ["subject", "court"]},
    "deletion": {"artefacts": [["reference"], ["image"]], "recipients_notified": [True, False]},
    "request_answer": {"request_record_id": ["r-0", "r-1"], "outcome": ["completed", "refused", "extended"]},
    "restriction": {"basis": ["statutory_period", "request"]},
}


CONTROLLER: dict[str, Any] = {"kind": "controller", "title": "A zoo"}
SITE: dict[str, Any] = {"kind": "site", "title": "A gate", "site_kind": "zoo", "timezone": "Etc/UTC"}
PURPOSE: dict[str, Any] = {
    "kind": "purpose", "category": "access_control", "legal_basis": "consent", "operations": ["identification"]
}  # fmt: skip
FEED: dict[str, Any] = {
    "kind": "feed", "complete_until": time_text(START + timedelta(days=2_300)), "max_lag_seconds": 60
}  # fmt: skip


@cache
def book() -> Rulebook:
    return rulebook()


def a_day(chance: Random, days: int = 2_200) -> str:
    return time_text(START + timedelta(days=chance.randrange(days), hours=chance.choice([0, 5, 20])))


def a_registry(chance: Random) -> Registry:
    """Two controllers, of which the law, the purposes and the type begin, change and end."""
    registry = Registry()
    for number in range(2):
        owner, forms = {"controller_id": f"c-{number}"}, chance.choice(["private", "public_agency"])
        said: list[dict[str, Any]] = [CONTROLLER | {"id": f"c-{number}", "controller_type": forms}]
        laws = [{"id": f"s-{number}", "jurisdictions": chance.choice(PLACES)} for _ in range(chance.randrange(3))]
        ends = [{"id": f"p-{number}", "retention_days": chance.choice([30, 2_000])} for _ in range(chance.randrange(3))]
        said += [SITE | owner | each for each in laws] + [PURPOSE | owner | each for each in ends]
        if kinds := sorted(chance.sample(sorted(KINDS), chance.randrange(len(KINDS) + 1))):
            said.append(FEED | {"id": f"f-{number}", "covers": kinds})
        for place, each in enumerate(said):
            until = {"valid_until": time_text(START + timedelta(days=2_201))} if chance.random() < 0.3 else {}
            registry.add(REGISTRY.fit({"record_id": f"{number}-{place}", "valid_from": a_day(chance)} | each | until))
    return registry


def the_histories(chance: Random) -> Histories:
    histories = Histories(book().asked())
    for person in range(12):
        ref = f"s_member_{person:013}"
        for number in range(chance.choice([1, 1, 2, 4])):
            kind = chance.choice(["enrolment", *KINDS])
            said = {name: chance.choice(values) for name, values in KINDS[kind].items()}
            whole = {"kind": kind, "record_id": f"r-{number}", "subject_ref": ref, "valid_from": a_day(chance)}
            who = f"c-{chance.choice([0, 0, 1])}"
            histories.add(SUBJECT.fit({**whole, "controller_id": who, **said}))
        if chance.random() < 0.05:
            histories.mark_unreadable(ref)
    return histories


def a_case(role: str, number: int, day: int) -> Happening:
    parts = {"controller": "c-0", "subject": f"s_member_{number:013}"}
    return Happening(role, f"e-{number}", micros(START) + day * DAY, NEVER, {}, parts)


def said(docket: Docket, cases: list[tuple[str, Happening]]) -> dict[str, Any]:
    """Everything of which something is to be said, looked at every quarter and in the end."""
    found: dict[str, Any] = {}
    for duty, case in cases:
        docket.enter(duty, case)
    for until in [*range(micros(START), UNTIL, 90 * DAY), UNTIL]:
        found |= {each.id: each for each in docket.settle(until)}
        while docket.busy:
            found |= {each.id: each for each in docket.settle(until)}
        found |= {each.id: each for each in docket.undetermined()}
    loud = (Status.BREACHED, Status.UNDETERMINED)
    return {name: (each.status, each.why) for name, each in found.items() if each.status in loud}


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3))
def test_a_docket_that_passes_over_whom_nothing_is_owed_says_the_same(seed: int, entered: int) -> None:
    chance = Random(seed)
    registry = a_registry(chance)
    roles = [each for each in book().roles.values() if getattr(each.duty, "of_subject", False)]
    chosen = [chance.choice(roles) for _ in range(entered)]
    cases = [
        (role.duty.column, a_case(role.name, number, chance.randrange(2_000))) for number, role in enumerate(chosen)
    ]
    plain = Docket(book(), registry, the_histories(Random(seed)))
    brief = Docket(book(), registry, the_histories(Random(seed)))
    persons = [str(case.parts["subject"]) for _, case in cases]
    brief.look_only_at(owed(book().duties, registry, brief.histories, UNTIL, persons))
    assert said(brief, cases) == said(plain, cases)
    for controller in ("c-0", "c-1"):
        assert stored(brief, controller) == stored(plain, controller)


def stored(docket: Docket, controller: str) -> dict[str, list[Any]]:
    """How many are stored from each day on which that changes."""
    found = {}
    for zone in {duty.timezone for duty in book().duties}:
        counts = [(day, count) for day, count in docket.stored.at_day_ends(zone, controller)]
        found[zone] = [each for each, before in zip(counts, [(None, 0), *counts], strict=False) if each[1] != before[1]]
    return found


def test_to_whoever_enrolled_something_may_be_owed_from_the_deadline_on_and_nothing_before() -> None:
    registry = Registry()
    common, who = {"valid_from": time_text(START)}, {"controller_type": "private", "exemptions": []}
    registry.add(REGISTRY.fit(CONTROLLER | common | who | {"id": "c-0", "record_id": "c"}))
    where = {"controller_id": "c-0", "jurisdictions": ["US", "US-IL"]}
    registry.add(REGISTRY.fit(SITE | common | where | {"id": "s-0", "record_id": "s"}))
    histories = Histories(book().asked())
    for day in range(100):
        histories.add(SUBJECT.fit({"kind": "enrolment", "record_id": f"r-{day}", "subject_ref": f"s_member_{day:013}",
                                   "controller_id": "c-0", "age_band": "adult",
                                   "valid_from": time_text(START + timedelta(days=day))}))  # fmt: skip
    three_years = micros(START + timedelta(days=3 * 365 + 1))
    for passed in (0, 40, 100):
        found = owed(book().duties, registry, histories, three_years + passed * DAY)
        assert abs(len(found.persons) - passed) <= 1
        assert sum(each.step for each in found.stored if each.zone == found.stored[0].zone) == 100 - len(found.persons)
    docket = Docket(book(), registry, histories)
    docket.look_only_at(owed(book().duties, registry, histories, three_years - 10 * DAY))
    assert not [each for each in docket.settle(three_years - 10 * DAY) if "subject" in each.rule.key]
