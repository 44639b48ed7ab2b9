"""What is written is read as the same message, now and for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import examples
from schemas.contract import Message
from schemas.topics import TOPICS
from strategies import CONTRACTS, KINDS, documents, messages, name_of

pytestmark = pytest.mark.untraced

FIXTURES = Path(__file__).parent / "fixtures"
OLD = sorted(FIXTURES.glob("v*/*.json"))


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@settings(max_examples=examples(15), deadline=None)
@given(data=st.data())
def test_a_message_returns_from_its_bytes(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    raw = message.to_json()
    again = CONTRACTS[kind].read(raw)
    assert (type(again), again) == (kind, message)
    assert again.to_json() == raw


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_the_order_of_keys_and_absent_fields_written_as_null_change_nothing(
    kind: type[Message], data: st.DataObject
) -> None:
    document = data.draw(documents(kind))
    nulls = {name: None for name, field in kind.model_fields.items() if not field.is_required() and not field.default}
    nullable = {name for name in nulls if kind.model_fields[name].default is None}
    shuffled = dict(data.draw(st.permutations(sorted(document.items()))))
    shuffled |= {name: None for name in nullable if name not in document}
    contract = CONTRACTS[kind]
    assert contract.fit(shuffled).to_json() == contract.fit(document).to_json()


def test_every_kind_of_message_has_an_old_example() -> None:
    assert {path.stem for path in OLD if path.parent.name == "v1.0"} == {name_of(kind) for kind in KINDS}


@pytest.mark.parametrize("path", OLD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_old_messages_decode_for_ever_and_return_to_the_same_bytes(path: Path) -> None:
    raw = path.read_bytes().removesuffix(b"\n")
    contract = next(CONTRACTS[kind] for kind in KINDS if name_of(kind) == path.stem)
    message = contract.read(raw)
    assert message.to_json() == raw
    assert f"v{message.schema_version}" == path.parent.name


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_the_example_of_the_newest_version_says_everything_that_can_be_said(kind: type[Message]) -> None:
    path = FIXTURES / f"v{kind.MAJOR}.{kind.MINOR}" / f"{name_of(kind)}.json"
    assert set(json.loads(path.read_bytes())) == set(kind.model_fields)


def test_every_topic_with_a_contract_is_covered() -> None:
    assert {id(topic.contract) for topic in TOPICS.values() if topic.contract is not None} == {
        id(contract) for contract in CONTRACTS.values()
    }
