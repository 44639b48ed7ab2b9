"""Grafana's API as our adapter survives it: over real HTTP, against a fake that keeps what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


def test_push_puts_folder_source_dashboards_and_an_annotation_and_a_second_one_writes_nothing(
    run: Run, fake: GrafanaFake, token_file: Path
) -> None:
    words = ("dashboards", "push", "--url", fake.url, "--token-file", token_file, "--prometheus", "http://prometheus:9090")
    first = run(*words, "--docs", "https://docs.mall.example/monitor/")
    assert first.code == 0, first
    asked = len(fake.requests)
    second = run(*words, "--docs", "https://docs.mall.example/monitor/")
    assert second.code == 0, second
    assert {each.partition(" ")[0] for each in fake.requests[asked:]} == {"GET"}
    assert first.out.count("written") == second.out.count("unchanged") == len(UIDS)
    assert set(fake.dashboards) == UIDS
    assert all(each["overwrite"] and each["folderUid"] == "consentinel" for each in fake.dashboards.values())
    assert fake.datasources["consentinel-prometheus"]["url"] == "http://prometheus:9090"
    assert [each["tags"] for each in fake.annotations] == [["consentinel", "deployment"]]
    text = json.dumps(fake.dashboards)
    assert "https://docs.mall.example/monitor/docs/runbooks.md#" in text
    assert "consentinel.example" not in text
    assert all(TOKEN not in ended.out + ended.err for ended in (first, second))


def test_what_was_changed_by_hand_is_written_again_and_nothing_else(
    run: Run, fake: GrafanaFake, token_file: Path
) -> None:
    words = ("dashboards", "push", "--url", fake.url, "--token-file", token_file, "--prometheus", "http://prometheus:9090")
    assert run(*words).code == 0
    fake.dashboards["consentinel-consent"]["dashboard"]["panels"].pop()
    fake.dashboards["consentinel-replay"]["folderUid"] = "elsewhere"
    fake.datasources["consentinel-prometheus"]["url"] = "http://elsewhere:9090"
    asked = len(fake.requests)
    assert run(*words).code == 0
    written = [each.removeprefix("POST /grafana") for each in fake.requests[asked:] if not each.startswith("GET")]
    source = "PUT /grafana/api/datasources/uid/consentinel-prometheus"
    assert written == [source, "/api/dashboards/db", "/api/dashboards/db", "/api/annotations"]
    asked = len(fake.requests)
    assert run(*words).code == 0
    assert all(each.startswith("GET") for each in fake.requests[asked:])


def test_what_grafana_stored_before_a_proxy_gave_up_is_not_stored_again(
    run: Run, fake: GrafanaFake, token_file: Path
) -> None:
    fake.lost = {"POST /api/folders", "POST /api/datasources", "POST /api/dashboards/db"}
    words = ("dashboards", "push", "--url", fake.url, "--token-file", token_file, "--prometheus", "http://prometheus:9090")
    assert run(*words).code == 0
    for path in ("folders", "datasources"):
        assert fake.requests.count(f"POST /grafana/api/{path}") == 1
    assert fake.requests.count("POST /grafana/api/dashboards/db") == len(UIDS)


def test_an_annotation_is_sent_once_even_if_its_answer_is_lost(fake: GrafanaFake) -> None:
    fake.lost = {"POST /api/annotations"}
    with pytest.raises(DeliveryError, match="502"):
        Grafana(fake.url, TOKEN).annotate("replay", ["consentinel"])
    assert [each["text"] for each in fake.annotations] == ["replay"]


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


@pytest.mark.parametrize("mood", [Mood(204), Mood(200), Mood(200, b"[]"), Mood(200, b"null")])
def test_an_answer_without_an_object_is_an_answer(fake: GrafanaFake, mood: Mood) -> None:
    fake.moods.append(mood)
    Grafana(fake.url, TOKEN).annotate("replay", ["consentinel"])
    assert len(fake.requests) == 1


@pytest.mark.parametrize("mood", [Mood(200, HTML, "text/html"), Mood(200, b"OK", "text/plain"), Mood(201, b"{torn")])
def test_a_page_where_json_was_due_is_no_success(fake: GrafanaFake, mood: Mood) -> None:
    board = {"uid": "a-board", "title": "A board"}
    grafana = Grafana(fake.url, TOKEN)
    steps: tuple[Callable[[], object], ...] = (
        grafana.health,
        lambda: grafana.ensure_folder("ours"),
        lambda: grafana.ensure_datasource("source", "Source", "http://prometheus:9090"),
        lambda: grafana.put_dashboard(board, "consentinel", "a test"),
        lambda: grafana.annotate("replay", ["consentinel"]),
    )
    for step in steps:
        fake.moods.append(mood)
        with pytest.raises(ConfigurationError, match="no JSON"):
            step()
    assert len(fake.requests) == len(steps)


def test_a_login_page_before_grafana_ends_a_push_before_anything_is_written(
    run: Run, fake: GrafanaFake, token_file: Path
) -> None:
    fake.moods.append(Mood(200, b"<html><form>user, password</form></html>", "text/html; charset=utf-8"))
    ended = run("dashboards", "push", "--url", fake.url, "--token-file", token_file)
    assert (ended.code, ended.out) == (3, "")
    assert "text/html" in ended.err
    assert "password" not in ended.err
    assert fake.requests == ["GET /grafana/api/health"]


@pytest.mark.parametrize("body", [b"{}", b'{"status":"up"}', b"[]", b""])
def test_what_does_not_tell_the_health_of_its_database_is_no_grafana(fake: GrafanaFake, body: bytes) -> None:
    fake.moods.append(Mood(200, body))
    with pytest.raises(ConfigurationError, match="no Grafana"):
        Grafana(fake.url, TOKEN).health()


def test_a_grafana_that_does_not_answer_is_given_up_in_the_end(fake: GrafanaFake) -> None:
    fake.moods.extend([Mood(200, b"{}", wait=0.5)] * 3)
    with pytest.raises(DeliveryError, match="did not answer"):
        Grafana(fake.url, TOKEN, timeout=0.1).health()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_follows_no_redirect(fake: GrafanaFake, status: int) -> None:
    with GrafanaFake() as elsewhere:
        for call in (Grafana.health, lambda grafana: grafana.annotate("replay", [])):
            fake.moods.append(Mood(status, HTML, "text/html", location=f"{elsewhere.url}/api/health"))
            with pytest.raises(ConfigurationError, match="redirects"):
                call(Grafana(fake.url, TOKEN))
        assert elsewhere.requests == []


def test_the_token_goes_through_no_proxy_of_the_environment(
    fake: GrafanaFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GrafanaFake() as proxy:
        for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert Grafana(fake.url, TOKEN).health() == "12.1.0"
        assert proxy.requests == []


@pytest.mark.parametrize("host", ["grafana.example", "10.0.0.7:3000", "[2001:db8::1]", "localhost.example", "0.0.0.0"])
def test_without_tls_the_token_stays_on_this_machine_unless_the_caller_says_otherwise(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--plain-http"):
        Grafana(f"http://{host}", TOKEN)
    Grafana(f"http://{host}", TOKEN, plain_http=True)
    Grafana(f"https://{host}", TOKEN)


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "127.1.2.3:80", "[::1]:3000"])
def test_this_machine_may_be_asked_without_tls(host: str) -> None:
    Grafana(f"http://{host}/grafana", TOKEN)


def test_the_command_sends_nothing_in_the_clear_beyond_this_machine(run: Run, token_file: Path) -> None:
    words = ("dashboards", "push", "--url", "http://grafana.invalid:3000", "--token-file", token_file)
    assert "--plain-http" in (refused := run(*words)).err
    assert refused.code == 3
    # Told so it tries, and finds nobody there.
    assert "did not answer" in run(*words, "--plain-http").err


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://grafana", "http://", "http://admin:secret@grafana", "http://g:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="address of Grafana") as refused:
        Grafana(url, TOKEN)
    assert "secret" not in str(refused.value)
