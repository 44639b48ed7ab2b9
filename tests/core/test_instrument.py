"""Exceptions and authorities as legal instruments: what they excuse, in which scope, and never before they existed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.registry import REGISTRY, AuthorityRecord, RegistryRecord
from settled_world import a_settled_world, registry_record, text_at, tick
from small_world import NOON, UNDETERMINED, VIOLATION, a_world
from streams.core.case import Views
from streams.core.context import Combination, context_at
from streams.core.instant import NEVER
from streams.core.instrument import Instrument
from streams.core.judge import Outcome
from streams.core.registry import Registry
from streams.core.timeline import Statement
from streams.core.violation import violations

EXCUSED = Outcome.EXCUSED.word
CLAUSE = "cnpipl.art13.consent"
PRIVATE = ("cn2025.art13.private-space", "cnvideo.art08.zone", "cn2023.art06.banned-zone")


def paper(*rules: str, **fields: Any) -> dict[str, Any]:
    return {"rule_ids": list(rules) or [CLAUSE]} | fields


def says(**exception: Any) -> str:
    return str(a_world(consent=None, exception=paper(**exception)).says(CLAUSE))


# -- what it excuses --------------------------------------------------------------------------------------------------


def test_an_exception_in_force_excuses_the_rules_it_names_whether_or_not_the_event_names_it() -> None:
    world = a_world(consent=None, exception=paper())
    assert world.says(CLAUSE) == EXCUSED
    assert world.says("cn2025.art06.consent") == VIOLATION
    (found,) = [each for _, rule, each in violations(world.verdicts, world.views) if rule.id == CLAUSE]
    assert (found.status, found.excused_by) == ("excused", ("exception:exception-record",))
    assert "exception-record" in found.deciding_records


@pytest.mark.parametrize(
    ("exception", "outcome"),
    [
        ({"site_ids": ["zoo-gates"]}, EXCUSED),
        ({"site_ids": ["elsewhere"]}, VIOLATION),
        ({"device_ids": ["gate-1"]}, EXCUSED),
        ({"device_ids": ["gate-2"]}, VIOLATION),
        ({"purpose_ids": ["entry"]}, EXCUSED),
        ({"purpose_ids": ["marketing"]}, VIOLATION),
        ({"controller_id": "mall"}, VIOLATION),
        ({"evidence_ref": None}, VIOLATION),
        ({"valid_from": NOON}, EXCUSED),
        ({"valid_from": "2026-03-10T04:00:00.000001Z"}, VIOLATION),
        ({"valid_until": NOON}, VIOLATION),
        ({"valid_until": "2026-03-10T04:00:00.000001Z"}, EXCUSED),
    ],
)
def test_it_excuses_within_its_scope_and_time_and_with_evidence_only(
    exception: dict[str, Any], outcome: str
) -> None:
    assert says(**exception) == outcome


def test_an_old_violation_stays_excused_after_the_exception_has_ended() -> None:
    ended = {"valid_until": "2026-03-11T00:00:00Z"}
    assert says(**ended) == EXCUSED
    later = a_world(consent=None, exception=paper(**ended), at="2026-03-12T04:00:00Z")
    assert later.says(CLAUSE) == VIOLATION


@pytest.mark.parametrize("rule", PRIVATE)
def test_a_camera_in_a_private_space_has_no_exception(rule: str) -> None:
    world = a_world(device={"zone": "toilet"}, exception=paper(*PRIVATE), event={"exception_id": "exception-1"})
    assert world.says(rule) == VIOLATION


def test_where_the_device_is_unknown_an_exception_for_a_site_leaves_it_open() -> None:
    bound = paper("core.device.unregistered", site_ids=["zoo-gates"])
    assert a_world(device=None, exception=bound).says("core.device.unregistered") == UNDETERMINED
    free = paper("core.device.unregistered")
    assert a_world(device=None, exception=free).says("core.device.unregistered") == EXCUSED


# -- never before it was recorded -------------------------------------------------------------------------------------


def excused(*recorded: tuple[RegistryRecord, int | None], at: int = 0) -> tuple[str, ...]:
    """The rules that are excused in the settled world at a tick, the papers having been recorded at ticks."""
    registry = Registry()
    for record in a_settled_world():
        if isinstance(record, RegistryRecord) and not record.key.startswith(("exception/", "authority/")):
            registry.add(record)
    for record, when in recorded:
        registry.add(record, None if when is None else tick(when))
    here = Combination("zoo", "gate-1", "gates", "entry", None, None, None)
    found = context_at(registry, here, tick(at)).facts["excused_rules"]
    assert isinstance(found, tuple)
    return found


OLD = registry_record("exception", "excuse-1", valid_from=text_at(-9))
BETTER = registry_record(
    "exception", "excuse-1", valid_from=text_at(-9), record_version=2, rule_ids=["core.purpose.unknown"]
)


def test_an_exception_holds_from_when_it_was_recorded_to_the_microsecond() -> None:
    assert excused((OLD, 0)) == ("core.purpose.drift",)
    assert excused((OLD, 1)) == ()
    assert excused((OLD, 1), at=1) == ("core.purpose.drift",)
    assert excused((OLD, None)) == ("core.purpose.drift",), "where nobody says when, it is its own word"


def test_a_correction_does_not_reach_back_and_ends_what_it_corrects() -> None:
    assert excused((OLD, -8), (BETTER, 5), at=0) == ("core.purpose.drift",)
    assert excused((OLD, -8), (BETTER, 5), at=5) == ("core.purpose.unknown",)
    assert excused((BETTER, 5), (OLD, -8), at=0) == ("core.purpose.drift",)
    later = registry_record("exception", "excuse-1", valid_from=text_at(8), record_version=2)
    assert excused((OLD, -8), (later, 5), at=6) == ()


def test_an_authority_counts_from_its_record_but_urgency_may_be_told_afterwards() -> None:
    order = registry_record("authority", "order-1", valid_from=text_at(-9), urgent=True, requested_at=text_at(-1))
    assert isinstance(order, AuthorityRecord)
    registry = Views().registry
    registry.add(order, tick(3))
    assert registry.find_instrument("authority", "order-1", tick(2)).record is None
    assert registry.find_instrument("authority", "order-1", tick(3)).record == order
    assert registry.find("authority", "order-1", tick(2)).record == order


RECORDED = st.tuples(st.integers(1, 3), st.integers(-5, 5), st.integers(-5, 5))
"""Version, `valid_from` and when it was recorded, in ticks."""


def statement(version: int, valid_from: int) -> Statement[RegistryRecord]:
    record = REGISTRY.fit(
        {
            **registry_record("exception", "excuse-1").model_dump(mode="json", exclude_none=True),
            "record_version": version,
            "valid_from": text_at(valid_from),
        }
    )
    return Statement("paper", version, tick(valid_from), record, NEVER)


@given(st.lists(RECORDED, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_versions_are_read_changes_nothing(
    found: list[tuple[int, int, int]], chance: Random
) -> None:
    unique = {version: (version, valid, recorded) for version, valid, recorded in found}
    shuffled = [*unique.values(), *unique.values()]
    chance.shuffle(shuffled)
    one, other = Instrument(), Instrument()
    for instrument, order in ((one, list(unique.values())), (other, shuffled)):
        for version, valid, recorded in order:
            instrument.add(statement(version, valid), tick(recorded))
    assert one.instants() == other.instants()
    for at in range(-6, 7):
        assert one.in_force(tick(at)) == other.in_force(tick(at))


@given(st.lists(RECORDED, max_size=6), st.integers(-6, 6))
def test_nothing_acts_before_it_was_recorded_and_the_past_never_changes(
    found: list[tuple[int, int, int]], now: int
) -> None:
    unique = {version: (version, valid, recorded) for version, valid, recorded in found}
    then, later = Instrument(), Instrument()
    for version, valid, recorded in unique.values():
        later.add(statement(version, valid), tick(recorded))
        if recorded <= now:
            then.add(statement(version, valid), tick(recorded))
    for at in range(-6, now + 1):
        assert then.in_force(tick(at)) == later.in_force(tick(at))
