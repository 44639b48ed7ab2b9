"""Settings: what is wrong is said with the variable's name and what was expected, and no secret is repeated."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import TOPICS, TopicName
from streams.errors import ConfigurationError
from streams.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("CONSENTINEL_"):
            monkeypatch.delenv(name)


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(f"CONSENTINEL_{name}", value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    return str(refused.value)


def test_a_worker_needs_no_setting_to_start_on_one_machine() -> None:
    settings = load_settings()
    assert settings.brokers == ["127.0.0.1:9092"]
    assert settings.web_host == "127.0.0.1"
    assert settings.web_port == 6066
    assert settings.hold_seconds == 3.0
    assert settings.rules == ()
    assert settings.max_queued_bytes == 64 * 1024 * 1024
    assert settings.topic(TopicName.MATCHES) == "consentinel.matches"


def test_lists_are_given_by_comma(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTINEL_BROKER", "kafka-1:9092, [::1]:9093,")
    monkeypatch.setenv("CONSENTINEL_RULES", "core.yaml,/etc/packs/ours.yaml")
    settings = load_settings()
    assert settings.brokers == ["kafka-1:9092", "[::1]:9093"]
    assert settings.rules == (Path("core.yaml"), Path("/etc/packs/ours.yaml"))


def test_an_option_goes_before_its_variable_and_an_absent_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTINEL_WEB_PORT", "7001")
    assert load_settings(web_port=0).web_port == 0
    assert load_settings(web_port=None).web_port == 7001


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTINEL_BROKER", "")
    monkeypatch.setenv("CONSENTINEL_LOG_LEVEL", "debug")
    settings = load_settings()
    assert settings.brokers == ["127.0.0.1:9092"]
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEB_PORT", "70000", "CONSENTINEL_WEB_PORT: expected at most 65535, got 70000"),
        ("WEB_PORT", "http", "CONSENTINEL_WEB_PORT: expected a whole number, got http"),
        ("PARTITIONS", "4.5", "CONSENTINEL_PARTITIONS: expected a whole number, got 4.5"),
        ("PARTITIONS", "0", "CONSENTINEL_PARTITIONS: expected at least 1, got 0"),
        ("HOLD_SECONDS", "-1", "CONSENTINEL_HOLD_SECONDS: expected at least 0, got -1"),
        ("HOLD_SECONDS", "soon", "CONSENTINEL_HOLD_SECONDS: expected a number, got soon"),
        ("HOLD_SECONDS", "nan", "CONSENTINEL_HOLD_SECONDS: expected a finite number, got nan"),
        ("COMMIT_INTERVAL_SECONDS", "0", "CONSENTINEL_COMMIT_INTERVAL_SECONDS: expected more than 0, got 0"),
        ("SESSION_TIMEOUT_SECONDS", "5", "CONSENTINEL_SESSION_TIMEOUT_SECONDS: expected at least 6, got 5"),
        ("LOG_FORMAT", "xml", "CONSENTINEL_LOG_FORMAT: expected 'json' or 'console', got xml"),
        ("PREFIX", "a b", "CONSENTINEL_PREFIX: expected a text that matches ^[A-Za-z0-9._-]{0,64}$"),
        ("BROKER", "kafka", "CONSENTINEL_BROKER: expected host:port, several by comma"),
        ("BROKER", "kafka:99999", "CONSENTINEL_BROKER: expected host:port, several by comma"),
        ("BROKER", ",", "CONSENTINEL_BROKER: expected host:port, several by comma"),
    ],
)
def test_an_error_names_the_variable_and_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    assert refusal(monkeypatch, **{name: value}) == said


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, WEB_PORT="x", HOLD_SECONDS="y", HOLD_SECOND="1").splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "CONSENTINEL_HOLD_SECONDS",
        "CONSENTINEL_WEB_PORT",
        "CONSENTINEL_HOLD_SECOND",
    ]


def test_a_typo_is_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, HOLD_SECOND="0")
    assert said == "CONSENTINEL_HOLD_SECOND: no such setting; did you mean CONSENTINEL_HOLD_SECONDS?"


def test_a_variable_that_is_nothing_like_a_setting_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, ZZZ="0") == "CONSENTINEL_ZZZ: no such setting"


def test_the_key_of_the_vault_is_no_setting_and_no_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTINEL_VAULT_KEY", "sesame")
    assert "sesame" not in repr(load_settings())


@pytest.mark.parametrize("address", ["monitor:sesame@kafka:9092", "sesame", "kafka:9092,sesame@"])
def test_a_password_in_an_address_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert "sesame" not in refusal(monkeypatch, BROKER=address)


@given(
    st.sampled_from(sorted(set(Settings.model_fields) - {"rules", "webhook_key_file"})),
    st.text("abcdefghijklmnop!/@ =", min_size=25, max_size=60).map(lambda text: f" {text}!"),
)
def test_whatever_is_no_plain_word_is_not_repeated(name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert value.strip() not in refusal(patch, **{name.upper(): value})


def test_no_file_that_lies_about_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CONSENTINEL_WEB_PORT=1\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings().web_port == 6066


def test_settings_do_not_change_while_a_worker_runs() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().web_port = 1  # type: ignore[misc]


def test_the_start_log_tells_every_setting_and_every_topic_with_its_retention() -> None:
    lines = load_settings().describe()
    for name in Settings.model_fields:
        assert any(line.startswith(f"{name}: ") for line in lines), name
    for name in TOPICS:
        assert any(line.startswith(f"topic consentinel.{name}: kept ") for line in lines), name
    assert "topic consentinel.subjects: kept for ever (records), personal data: pseudonymous" in lines
    assert any(re.match(r"topic consentinel\.matches: kept 90 days \(events\)", line) for line in lines)


def test_what_is_unwise_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(replication_factor=3).warnings() == ()
    monkeypatch.setenv("CONSENTINEL_WEB_HOST", "0.0.0.0")
    settings = load_settings()
    assert len(settings.warnings()) == 2
    assert sum(line.startswith("warning: ") for line in settings.describe()) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_the_loopback_needs_no_warning(host: str) -> None:
    assert load_settings(web_host=host, replication_factor=3).warnings() == ()
