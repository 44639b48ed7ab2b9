"""What every worker imports and Polars is not part of: the process from which workers are forked imports it once.

Polars begins threads when it is imported, and a fork does not have them.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module

from streams.__main__ import GARBAGE_THRESHOLDS

MODULES = (
    "aiokafka",
    "faust.app",
    "faust.agents",
    "faust.transport.drivers.aiokafka",
    "faust.web.drivers.aiohttp",
    "kafka.admin",
    "prometheus_client",
    "pydantic_settings",
    "rich.console",
    "schemas.topics",
    "sqlglot",
    "streams.settings",
    "structlog.dev",
    "typer.rich_utils",
    "yaml",
)

gc.set_threshold(*GARBAGE_THRESHOLDS)
for name in MODULES:
    import_module(name)
assert "polars" not in sys.modules, "a fork would lack its threads"
