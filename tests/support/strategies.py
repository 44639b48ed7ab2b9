"""Messages by chance: documents that the contracts accept, drawn from their own published shapes.

Rules:
1. A document is a JSON object as a producer would write it; what a field may hold comes from the schema, so a new
   field is drawn as soon as it exists.
2. Rules between fields are met by construction or by drawing again; what comes out is always valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

from hypothesis import strategies as st

from schemas.biometric import text_looks_biometric
from schemas.contract import Contract, ContractError, Message, time_text
from schemas.encounter import ENCOUNTER, AnyEncounter
from schemas.match import MATCH, MatchEvent
from schemas.notification import NOTIFICATION, Notification
from schemas.registry import REGISTRY, AnyRegistryRecord
from schemas.subject import SUBJECT, AnySubjectRecord
from schemas.tally import TALLY, AnyTally
from schemas.verdict import OBLIGATION, RECEIPT, REJECTION, VIOLATION, Obligation, Receipt, Rejection, Violation


def _kinds(union: Any) -> tuple[type[Message], ...]:
    return get_args(get_args(union)[0])


CONTRACTS: Mapping[type[Message], Contract[Any]] = {
    MatchEvent: MATCH,
    **dict.fromkeys(_kinds(AnyEncounter), ENCOUNTER),
    **dict.fromkeys(_kinds(AnySubjectRecord), SUBJECT),
    **dict.fromkeys(_kinds(AnyRegistryRecord), REGISTRY),
    **dict.fromkeys(_kinds(AnyTally), TALLY),
    Violation: VIOLATION,
    Obligation: OBLIGATION,
    Receipt: RECEIPT,
    Rejection: REJECTION,
    Notification: NOTIFICATION,
}
"""Every kind of message, with the contract that reads it."""

KINDS = tuple(CONTRACTS)


def name_of(kind: type[Message]) -> str:
    """The word that a message of this kind has in its field `kind`."""
    return str(kind.model_fields["kind"].default)


def _plain_text(shape: Mapping[str, Any]) -> st.SearchStrategy[str]:
    texts = st.text(
        st.characters(codec="utf-8"), min_size=shape.get("minLength", 0), max_size=min(shape.get("maxLength", 40), 40)
    )
    return texts.filter(lambda text: not text_looks_biometric(text))


def _values(shape: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "anyOf" in shape:
        return st.one_of([_values(each) for each in shape["anyOf"] if each["type"] != "null"])
    if "const" in shape or "enum" in shape:
        return st.sampled_from(shape.get("enum", [shape.get("const")]))
    if shape.get("format") == "date-time":
        return times
    if shape["type"] == "string":
        pattern = shape.get("pattern")
        return _plain_text(shape) if pattern is None else _matching(pattern, shape.get("maxLength", 1_000))
    if shape["type"] == "array":
        items = _values(shape["items"])
        return st.lists(items, min_size=shape.get("minItems", 0), max_size=min(shape.get("maxItems", 5), 5))
    if shape["type"] == "object":
        return st.dictionaries(_matching(r"^[a-z-]{1,20}$", 20), _values(shape["additionalProperties"]), max_size=3)
    return _number(shape)


def _number(shape: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    low, high = shape.get("minimum", 0), shape.get("maximum", 2**53)
    if shape["type"] == "integer":
        return st.integers(low, high)
    if shape["type"] == "number":
        return st.floats(low, high, allow_nan=False) | st.sampled_from([0, 1, 0.1, 1e-5])
    assert shape["type"] == "boolean", f"no strategy for {shape}"
    return st.booleans()


def _matching(pattern: str, length_max: int) -> st.SearchStrategy[str]:
    return st.from_regex(pattern.removesuffix("$") + r"\Z", alphabet=st.characters(codec="ascii")).filter(
        lambda text: len(text) <= length_max
    )


times = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)).map(time_text)  # noqa: DTZ001
"""Instants as the contract writes them."""


@cache
def documents(kind: type[Message]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects that the contract accepts as messages of `kind`."""
    schema = kind.model_json_schema()
    words = {f"#/$defs/{name}": shape for name, shape in schema.get("$defs", {}).items()}
    shapes = {name: words.get(shape.get("$ref"), shape) for name, shape in schema["properties"].items()}
    required = {name: _values(shapes[name]) for name, field in kind.model_fields.items() if field.is_required()}
    optional = {name: _values(shape) for name, shape in shapes.items() if name not in (*required, "kind")}
    optional["schema_version"] = st.just("1.0")
    drawn = st.fixed_dictionaries({**required, "kind": st.just(name_of(kind))}, optional=optional)
    return drawn.map(_in_order).filter(lambda document: _accepted(CONTRACTS[kind], document))


def _in_order(document: dict[str, Any]) -> dict[str, Any]:
    if "days" in document and "persons" in document:
        pairs = list(zip(document["days"], document["persons"], strict=False))
        document["days"], document["persons"] = [day for day, _ in pairs], [persons for _, persons in pairs]
    if "valid_until" in document and document["valid_until"] < document["valid_from"]:
        document["valid_from"], document["valid_until"] = document["valid_until"], document["valid_from"]
    return document


def _accepted(contract: Contract[Any], document: Mapping[str, Any]) -> bool:
    try:
        contract.fit(document)
    except ContractError:
        return False
    return True


def messages(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of `kind`."""
    return documents(kind).map(CONTRACTS[kind].fit)
