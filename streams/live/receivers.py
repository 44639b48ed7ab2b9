"""The receivers that the settings name, as destinations over the groups of one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.alerting.alert_group import AlertGroups
from streams.alerting.alertmanager import Alertmanager, Pace
from streams.alerting.notice import Stationery
from streams.alerting.posting import Destination
from streams.alerting.signature import read_keys
from streams.alerting.storm import Budget, StormWatch
from streams.alerting.webhook import Webhook
from streams.core.rulebook import Rulebook
from streams.errors import ConfigurationError
from streams.settings import Settings


def receivers(settings: Settings, rulebook: Rulebook, groups: AlertGroups, storm: StormWatch) -> list[Destination]:
    """One destination for each address; raises ConfigurationError where there is none, or a key is not usable."""
    stationery = Stationery(
        titles={rule.id: rule.title for rule in rulebook.every()},
        runbook_url=settings.runbook_url,
        dashboard_url=settings.dashboard_url,
    )
    found = [*_alertmanagers(settings, groups, stationery, storm), *_webhooks(settings, stationery)]
    if not found:
        raise ConfigurationError("nobody to tell: name an Alertmanager or a webhook in the settings")
    return found


def _alertmanagers(
    settings: Settings, groups: AlertGroups, stationery: Stationery, storm: StormWatch
) -> Iterator[Destination]:
    pace = Pace(settings.repost_seconds, settings.alert_lifetime_seconds, settings.dormant_seconds)
    for number, address in enumerate(settings.alertmanager, 1):
        yield Alertmanager(
            f"alertmanager-{number}", address, groups=groups, stationery=stationery, storm=storm, pace=pace
        )


def _webhooks(settings: Settings, stationery: Stationery) -> Iterator[Destination]:
    keys = _keys(settings) if settings.webhook else ()
    for number, address in enumerate(settings.webhook, 1):
        yield Webhook(
            f"webhook-{number}",
            address,
            keys=keys,
            stationery=stationery,
            budget=Budget(settings.alerts_per_minute),
            source=f"urn:consentinel:{settings.prefix.rstrip('.') or 'violations'}",
        )


def _keys(settings: Settings) -> Sequence[bytes]:
    file = settings.webhook_key_file
    if file is None:
        return ()
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError("CONSENTINEL_WEBHOOK_KEY_FILE: expected a readable file") from None
    return read_keys(text)
