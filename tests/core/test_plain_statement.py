"""What a plain record states is what the contract says of it alone, whatever stands beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.contract import ContractError
from schemas.subject import SUBJECT, ConsentGiven, Deletion, Enrolment, ErasureRequest, RequestAnswer, Restriction
from strategies import documents
from streams.core.claim import Claims
from streams.core.instant import NEVER, micros
from streams.core.plain_statement import Stated, read_subjects
from streams.core.subject_history import Histories
from streams.packs import rulebook

KINDS = (ConsentGiven, Deletion, Enrolment, ErasureRequest, RequestAnswer, Restriction)
CONSENT: dict[str, Any] = {
    "kind": "consent_given", "record_id": "c-1", "controller_id": "zoo", "subject_ref": "s_0123456789abcdef",
    "valid_from": "2026-03-01T10:00:00.000000Z", "purposes": ["entry"], "actions": ["collect"],
    "consent_form": "separate",
}  # fmt: skip


@pytest.fixture(scope="module")
def asked() -> dict[str, tuple[str, ...]]:
    return rulebook().asked()


def histories_of(values: list[bytes | None], asked: dict[str, tuple[str, ...]], *, plain: bool) -> Any:
    """What is known of each person after all values were taken in, and which were refused."""
    histories, refused = Histories(asked), []
    for row, read in enumerate(read_subjects(values, histories.claims)):
        found = read if plain else alone(values[row])
        if isinstance(found, ContractError):
            refused.append((row, found.reason, str(found)))
        elif isinstance(found, Stated):
            histories.put(found.subject_ref, found.statement)
        else:
            histories.add(found)
    return {ref: sorted(map(repr, history)) for ref, history in histories.items()}, refused


def alone(value: bytes | None) -> Any:
    try:
        return SUBJECT.read(value or b"")
    except ContractError as error:
        return error


ODD: list[tuple[str, Any]] = [
    ("valid_from", "2026-02-30T10:00:00Z"), ("valid_from", "2026-03-01T10:00:00+01:00"),
    ("valid_from", "1969-01-01T00:00:00Z"), ("valid_until", "2026-03-01T10:00:00.000000Z"),
    ("valid_until", "2026-03-01T10:00:00.000001Z"), ("valid_until", None),
    ("record_id", ""), ("record_id", "c 1"), ("record_id", 'c"1'), ("record_id", "\\u0063"), ("subject_ref", "s_short"),
    ("record_version", 2), ("record_version", 0), ("schema_version", "1.7"), ("schema_version", "2.0"),
    ("more", {"record_id": "c-2"}), ("privacy_notice", "record_id"), ("purposes", []), ("subject_ref", None),
]  # fmt: skip


def test_records_that_differ_in_what_is_their_own_are_read_by_the_contract_once(asked: Any) -> None:
    values = [
        json.dumps(CONSENT | {"record_id": f"c-{number}", "subject_ref": f"s_{number:016}"}).encode()
        for number in range(20)
    ]
    found = list(read_subjects(values, Claims(asked)))
    assert all(isinstance(each, Stated) for each in found)
    assert {each.statement.content for each in found if isinstance(each, Stated)} == {
        Claims(asked).of(SUBJECT.fit(CONSENT))
    }
    first = found[7]
    assert isinstance(first, Stated)
    assert (first.subject_ref, first.statement.record_id) == ("s_0000000000000007", "c-7")
    assert (first.statement.valid_from, first.statement.valid_until) == (
        micros(SUBJECT.fit(CONSENT).valid_from),
        NEVER,
    )


@pytest.mark.parametrize(("name", "value"), ODD, ids=[f"{name}={value}"[:40] for name, value in ODD])
def test_a_doubtful_record_beside_plain_ones_is_what_the_contract_says(name: str, value: Any, asked: Any) -> None:
    odd = json.dumps(CONSENT | {name: value}).encode()
    twice = odd[:-1] + b', "record_id": "c-9"}'
    spaced = odd.replace(b'"record_id":', b'"record_id" :').replace(b'"kind":', b'"record_id": "c-8", "kind":')
    values: list[bytes | None] = [json.dumps(CONSENT).encode(), odd, twice, spaced, b"", None, b"\xff", odd + b" "]
    assert histories_of(values, asked, plain=True) == histories_of(values, asked, plain=False)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.sampled_from(KINDS).flatmap(documents), max_size=6), st.sampled_from(["x", "-", "y/1"]), st.booleans()
)
def test_any_records_in_any_company_are_what_the_contract_says_of_each(
    found: list[Any], other: str, tight: bool
) -> None:
    written = [*found, *found, *(each | {"record_id": other} for each in found)]
    separators = (",", ":") if tight else (", ", ": ")
    values: list[bytes | None] = [json.dumps(each, separators=separators).encode() for each in written]
    asked: dict[str, tuple[str, ...]] = {kind.model_fields["kind"].default: () for kind in KINDS}
    asked["deletion"] = ("artefacts",)
    assert histories_of(values, asked, plain=True) == histories_of(values, asked, plain=False)
