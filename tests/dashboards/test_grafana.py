"""Grafana's API as our adapter survives it: over real HTTP, against a fake that keeps what it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from command_line import Run
from dashboards.command import FOLDER
from dashboards.grafana import Grafana
from grafana_fake import TOKEN, GrafanaFake, Mood
from streams.errors import ConfigurationError, DeliveryError

HTML = b"<html><body>502 Bad Gateway: no message from upstream</body></html>"
UIDS = {json.loads(file.read_text())["uid"] for file in FOLDER.glob("*.json")}


@pytest.fixture
def fake() -> Iterator[GrafanaFake]:
    with GrafanaFake() as fake, stamina.set_testing(True, attempts=3, cap=True):
        yield fake


def test_push_puts_folder_source_dashboards_and_an_annotation_and_can_be_done_again(
    run: Run, fake: GrafanaFake, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    words = ("dashboards", "push", "--url", fake.url, "--token-file", str(token), "--prometheus", "http://prometheus:9090")
    both = [run(*words, "--docs", "https://docs.mall.example/monitor/") for _ in range(2)]
    assert [ended.code for ended in both] == [0, 0], both
    assert set(fake.dashboards) == UIDS
    assert all(each["overwrite"] and each["folderUid"] == "consentinel" for each in fake.dashboards.values())
    assert fake.datasources["consentinel-prometheus"]["url"] == "http://prometheus:9090"
    assert [each["tags"] for each in fake.annotations] == [["consentinel", "deployment"]] * 2
    text = json.dumps(fake.dashboards)
    assert "https://docs.mall.example/monitor/docs/runbooks.md#" in text
    assert "consentinel.example" not in text
    assert all(TOKEN not in ended.out + ended.err for ended in both)


def test_a_token_is_never_a_word_of_the_command_line(
    run: Run, fake: GrafanaFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    ended = run("dashboards", "push", "--url", fake.url)
    assert (ended.code, ended.out) == (3, "")
    assert "GRAFANA_TOKEN" in ended.err
    assert fake.requests == []


@pytest.mark.parametrize(
    "mood",
    [
        Mood(502, HTML, "text/html"),
        Mood(503, b"message", "text/plain"),
        Mood(500, b'["message"]'),
        Mood(429, b'{"message":"slow down"}'),
        Mood(500, b'{"error":"no word of a message"}'),
        Mood(502),
    ],
)
def test_what_waiting_mends_is_tried_again_and_then_told(fake: GrafanaFake, mood: Mood) -> None:
    fake.moods.extend([mood] * 2)
    assert Grafana(fake.url, TOKEN).health() == "12.1.0"
    fake.moods.extend([mood] * 3)
    with pytest.raises(DeliveryError, match=str(mood.status)):
        Grafana(fake.url, TOKEN).health()


@pytest.mark.parametrize(
    "mood", [Mood(403, HTML, "text/html"), Mood(400, b"bad message"), Mood(412, b'"message"'), Mood(401, b"null")]
)
def test_what_waiting_does_not_mend_is_told_once(fake: GrafanaFake, mood: Mood) -> None:
    fake.moods.append(mood)
    with pytest.raises(ConfigurationError, match=str(mood.status) if mood.status not in (400, 401) else "Grafana"):
        Grafana(fake.url, TOKEN).health()
    assert len(fake.requests) == 1


def test_a_wrong_token_is_refused_and_not_shown(fake: GrafanaFake) -> None:
    with pytest.raises(ConfigurationError, match="401") as refused:
        Grafana(fake.url, "glsa_wrong_and_secret").ensure_folder("ours")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("mood", [Mood(204), Mood(200, b"OK", "text/plain"), Mood(200, b"[]"), Mood(200, b"null")])
def test_an_answer_without_an_object_is_an_answer(fake: GrafanaFake, mood: Mood) -> None:
    fake.moods.append(mood)
    Grafana(fake.url, TOKEN).annotate("replay", ["consentinel"])
    assert len(fake.requests) == 1


def test_a_grafana_that_does_not_answer_is_given_up_in_the_end(fake: GrafanaFake) -> None:
    fake.moods.extend([Mood(200, b"{}", wait=0.5)] * 3)
    with pytest.raises(DeliveryError, match="did not answer"):
        Grafana(fake.url, TOKEN, timeout=0.1).health()


def test_the_token_follows_no_redirect(fake: GrafanaFake) -> None:
    with GrafanaFake() as elsewhere:
        fake.moods.append(Mood(302, location=f"{elsewhere.url}/api/health"))
        with pytest.raises(ConfigurationError, match="redirects"):
            Grafana(fake.url, TOKEN).health()
        assert elsewhere.requests == []


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://grafana", "http://", "http://admin:secret@grafana", "http://g:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="address of Grafana") as refused:
        Grafana(url, TOKEN)
    assert "secret" not in str(refused.value)
