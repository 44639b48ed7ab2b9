"""The language of the house: every message that crosses a topic or a file, as a closed, versioned contract.

Rules:
1. Standard library and pydantic only; no IO, no clock.
2. A message never carries an image, a template, a name or a raw identifier.
3. Inside a major version fields are only added, and only as optional ones (docs/decisions/0003-contract-versions.md).
"""
