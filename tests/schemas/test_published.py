"""The published schemas are what the contracts say, and producers can rely on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from schemas.contract import ContractError, Message
from schemas.publish import documents as published
from schemas.topics import TOPICS, TopicName
from strategies import CONTRACTS, KINDS, documents, name_of

PUBLISHED = Path(schemas.__file__).parent / "published"


def validator(kind: type[Message]) -> jsonschema.Draft202012Validator:
    """A validator of the schema that is published for the topic of `kind`."""
    topic = next(topic for topic in TOPICS.values() if topic.contract is CONTRACTS[kind])
    return jsonschema.Draft202012Validator(json.loads((PUBLISHED / f"{topic.name}.json").read_text("utf-8")))


def test_the_published_schemas_are_those_of_the_contracts_byte_for_byte() -> None:
    found = {path.name: path.read_bytes() for path in PUBLISHED.iterdir()}
    assert found == {name: text.encode() for name, text in published().items()}


def test_every_published_schema_is_one() -> None:
    for text in published().values():
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"].startswith("urn:consentinel:schema:")


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_what_the_contract_accepts_the_schema_accepts(kind: type[Message], data: st.DataObject) -> None:
    document = data.draw(documents(kind))
    validator(kind).validate(document)
    validator(kind).validate(json.loads(CONTRACTS[kind].fit(document).to_json()))


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@pytest.mark.parametrize("wound", [{"colour": "red"}, {"kind": "selfie"}, {"schema_version": 1}])
def test_what_the_schema_refuses_the_contract_refuses(kind: type[Message], wound: dict[str, Any]) -> None:
    example = Path(__file__).parent / "fixtures" / "v1.0" / f"{name_of(kind)}.json"
    document = json.loads(example.read_bytes())
    assert validator(kind).is_valid(document)
    assert not validator(kind).is_valid(document | wound)
    with pytest.raises(ContractError):
        CONTRACTS[kind].fit(document | wound)


def test_every_log_is_kept_for_the_time_of_its_class() -> None:
    for topic in TOPICS.values():
        config = topic.config()
        assert config["cleanup.policy"] == "delete"
        assert config["retention.ms"] == str(topic.retention.retention_ms)
        assert config["message.timestamp.type"] == "LogAppendTime"
    assert TOPICS[TopicName.SUBJECTS].config()["retention.ms"] == "-1"
    assert TOPICS[TopicName.REJECTIONS].retention.retention_ms < TOPICS[TopicName.MATCHES].retention.retention_ms
