"""The settings of all processes: environment variables `CONSENTINEL_*`, checked whole before anything starts.

Rules:
1. A variable with our prefix that is no setting is refused, with the nearest name: a typo must not be a default.
2. An error names the variable and what was expected. What came is shown for numbers and words only, never for an
   address: it may hold a password.
3. A worker listens on the loopback unless it is told otherwise.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.topics import DAY_MS, TOPICS, TopicName
from streams.errors import ConfigurationError

PREFIX = "CONSENTINEL_"
FOREIGN = frozenset({"CONSENTINEL_VAULT_KEY"})
"""Variables with our prefix that are read elsewhere and are no settings of a worker."""
SAFE_REPLICAS = 3
MIB = 1024 * 1024
BROKER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
BROKERS = "host:port, several by comma"
ADDRESSES = "addresses that begin with http:// or https://, several by comma"
SECRET = frozenset({"broker", "rules", "alertmanager", "webhook", "webhook_key_file"})
"""Settings whose values may hold a secret, or lead to one; they are never shown as they are."""
PLAIN_URL = r"^[A-Za-z0-9._~:/?#=&%-]{1,512}$"
SHOWN = re.compile(r"[A-Za-z0-9_.+-]{1,24}")
"""What came is repeated in an error when it is as short and plain as a number or a word."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _broker(value: object) -> str:
    found = BROKER.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found[1]) < 65_536:
        raise PydanticCustomError("broker", "host and port")
    return found[0]


def _address(value: object) -> str:
    found = urlsplit(value) if isinstance(value, str) else None
    if found is None or found.scheme not in ("http", "https") or not found.hostname:
        raise PydanticCustomError("address", "http or https")
    return str(value)


def _loud(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Brokers = Annotated[
    tuple[Annotated[str, BeforeValidator(_broker)], ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
]
Addresses = Annotated[tuple[Annotated[str, BeforeValidator(_address)], ...], NoDecode, BeforeValidator(_split)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """What a worker, the administration of topics and the tools are told; each field is `CONSENTINEL_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    broker: Brokers = ("127.0.0.1:9092",)
    """Addresses of the cluster, `host:port`, several by comma."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = "consentinel."
    """What stands before the bare name of every topic."""
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] = "consentinel"
    """The consumer group of the workers."""

    hold_seconds: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] = 3.0
    """How long a violation is kept back that a record in flight may undo."""
    memory_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 3_600.0
    """How long a case can still be corrected, after its event was recorded."""
    memory_bytes: Annotated[int, Field(ge=MIB, le=65_536 * MIB)] = 128 * MIB
    """Bytes of cases that one partition remembers at most; the oldest are forgotten first."""
    future_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 60.0
    """How far `occurred_at` may lie beyond the broker's append time; what lies beyond is rejected."""
    skew_seconds: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] = 1.0
    """By how much the clocks of devices and sources may differ; a match so near a consent's edge is marked."""
    commit_interval_seconds: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 1.0
    """How often finished work is committed; after a crash as much is repeated."""
    session_timeout_seconds: Annotated[int, Field(ge=6, le=300)] = 10
    """How long the group waits for a silent worker; 6 for the embedded broker, whose joins take half of it."""
    max_poll_records: Annotated[int, Field(ge=1, le=100_000)] = 20_000
    """Records of one run at most."""
    max_queued_runs: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Runs of one partition that wait at most."""
    max_queued_bytes: Annotated[int, Field(ge=MIB, le=4_096 * MIB)] = 64 * MIB
    """Bytes of one partition that wait at most."""

    rules: Paths = ()
    """Files of rule packs, several by comma; none: the packs of the distribution."""

    web_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,255}$")] = "127.0.0.1"
    """Where `/metrics`, `/healthz` and `/readyz` are served."""
    web_port: Annotated[int, Field(ge=0, le=65_535)] = 6066
    """Their port; 0 takes a free one."""

    alertmanager: Addresses = ()
    """Addresses of Alertmanagers that `consentinel alerts` posts to, several by comma; all get everything."""
    webhook: Addresses = ()
    """Addresses that get each change of a violation as a signed CloudEvent, several by comma."""
    webhook_key_file: Path | None = None
    """The file with the keys that sign, `whsec_` and base64, one a line; without it nothing is signed."""
    alerts_group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] = "consentinel-alerts"
    """The consumer group that keeps how far the log of violations was told."""
    alerts_port: Annotated[int, Field(ge=0, le=65_535)] = 6067
    """The port of the pages of `consentinel alerts`; 0 takes a free one."""
    alerts_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 30
    """So many are told by themselves in a minute, of each receiver; what is beyond goes into a summary."""
    repost_seconds: Annotated[float, Field(ge=1, le=3_600, allow_inf_nan=False)] = 60.0
    """How often Alertmanager is told again of what stands."""
    alert_lifetime_seconds: Annotated[float, Field(ge=60, le=604_800, allow_inf_nan=False)] = 3_600.0
    """How long an alert stands after the last word on it; longer than any pause of `consentinel alerts`."""
    dormant_seconds: Annotated[float, Field(ge=1, le=604_800, allow_inf_nan=False)] = 3_600.0
    """After so long without anything new a group is dormant: still open, and nobody is called again."""
    give_up_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 300.0
    """How long a receiver is tried before its notification is recorded as failed."""
    runbook_url: Annotated[str, Field(pattern=PLAIN_URL)] = "docs/runbooks.md"
    """Where the runbooks are, for the links in alerts."""
    dashboard_url: Annotated[str, Field(pattern=PLAIN_URL)] = "http://127.0.0.1:3000/d/consentinel-violations"
    """Where the dashboard of violations is, for the links in alerts."""

    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or lines for a person."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_loud)] = "INFO"
    """The least grave level that is written."""

    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Partitions of new topics; the count of `matches` never changes once it is there."""
    replication_factor: Annotated[int, Field(ge=1, le=32_767)] = 1
    """Copies of new topics; fewer than 3 lose data with a broker."""

    @property
    def brokers(self) -> list[str]:
        """The addresses of the cluster, as the clients take them."""
        return list(self.broker)

    def topic(self, name: TopicName) -> str:
        """The name of a topic on the broker."""
        return f"{self.prefix}{name}"

    def warnings(self) -> tuple[str, ...]:
        """What works and is unwise, a sentence each, for the start log."""
        found: list[str] = []
        if self.replication_factor < SAFE_REPLICAS:
            found.append(f"topics with {self.replication_factor} of {SAFE_REPLICAS} copies lose data with a broker")
        if not is_loopback(self.web_host):
            found.append("metrics and health are served beyond this machine, without a password")
        return tuple(found)

    def describe(self) -> tuple[str, ...]:
        """What a start log should say, a line each: every setting, every topic with its retention, every warning."""
        packs = ", ".join(file.name for file in self.rules) or "those of the distribution"
        plain = self.model_dump(mode="json", exclude=set(SECRET))
        lines = [f"broker: {', '.join(self.broker)}", f"rules: {packs}"]
        lines += [
            f"{name}: {', '.join(str(urlsplit(each).hostname) for each in addresses) or 'none'}"
            for name, addresses in (("alertmanager", self.alertmanager), ("webhook", self.webhook))
        ]
        lines.append(f"webhook_key_file: {'none' if self.webhook_key_file is None else self.webhook_key_file.name}")
        lines += [f"{name}: {value}" for name, value in plain.items()]
        lines += [
            f"topic {self.topic(name)}: kept {_kept(topic.retention.retention_ms)} ({topic.retention}), "
            f"personal data: {topic.personal_data}"
            for name, topic in TOPICS.items()
        ]
        return (*lines, *(f"warning: {warning}" for warning in self.warnings()))


def load_settings(**options: Any) -> Settings:
    """The settings of the environment; an option that is not None goes before its variable.

    Raises ConfigurationError with every problem, one a line.
    """
    given = {name: value for name, value in options.items() if value is not None}
    problems = _unknown(os.environ)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise ConfigurationError("\n".join([*_refused(error), *problems])) from None
    if problems:
        raise ConfigurationError("\n".join(problems))
    return settings


def _kept(milliseconds: int) -> str:
    return "for ever" if milliseconds < 0 else f"{milliseconds // DAY_MS} days"


def _unknown(environment: Mapping[str, str]) -> list[str]:
    names = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | FOREIGN
    strange = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in names)
    return [f"{name}: no such setting{_nearest(name.upper(), names)}" for name in strange]


def _nearest(name: str, names: set[str]) -> str:
    bare = sorted(known.removeprefix(PREFIX) for known in names)
    found = get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    return f"; did you mean {PREFIX}{found[0]}?" if found else ""


EXPECTED: Mapping[str, str] = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
}
"""From the type of a validation error to what was expected."""


LISTS: Mapping[str, str] = {"broker": BROKERS, "alertmanager": ADDRESSES, "webhook": ADDRESSES}
"""What is expected of each setting that is a list of addresses."""


def _refused(error: ValidationError) -> list[str]:
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        field = str(detail["loc"][0])
        assert field in Settings.model_fields, "an option has the name of a setting"
        secret = field in SECRET
        expected = LISTS.get(field) or EXPECTED.get(detail["type"], detail["msg"])
        expected = expected.format_map(detail.get("ctx", {}))
        came = "" if secret or SHOWN.fullmatch(str(detail["input"])) is None else f", got {detail['input']}"
        lines.setdefault(field, f"{PREFIX}{field.upper()}: expected {expected}{came}")
    return list(lines.values())


def is_loopback(host: str) -> bool:
    """Whether what goes to `host` stays on this machine; a name other than localhost may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
