"""The published JSON Schemas: what producers validate against, generated from the contracts and committed.

Rules:
1. `documents` is the whole content of `schemas/published/`; a test compares it byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from schemas.topics import TOPICS

BASE = "urn:consentinel:schema:"


def documents() -> Mapping[str, str]:
    """The text of each published schema by file name; a text ends with a newline and has sorted keys."""
    found: dict[str, str] = {}
    for topic in TOPICS.values():
        if topic.contract is not None:
            schema = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": f"{BASE}{topic.name}:1.0",
                **topic.contract.json_schema(),
            }
            found[f"{topic.name}.json"] = json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return found
