"""What a scraper is served: every metric of a registry, in the format it asks for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def exposition(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """All metrics and their content type, in the format that an `Accept` header asks for."""
    try:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
    except (TypeError, ValueError):
        # A version that is no number; whoever asks so gets what everybody understands.
        encode, content_type = choose_encoder("")
        return encode(registry), content_type
