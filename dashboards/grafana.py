"""Grafana over its HTTP API, by grafana-api, which does not survive everything that Grafana says: this does.

Rules:
1. An empty answer (204) is an answer. A page where JSON was due is none, whatever its status: a login or a proxy stands
   before Grafana, and nothing reached it.
2. What waiting mends (no answer, 429, 5xx) is a DeliveryError and tried again a few times; what it does not mend (the
   token, the request) is a ConfigurationError. Neither shows the token or the whole body.
3. Everything but an annotation can be done twice, by its uid, and is looked up first: what is there in this form is not
   written again. An annotation has no uid, so it is sent once, whatever comes of it.
4. The token goes to the address that it was given for and nowhere else: no redirect, no proxy or .netrc of the
   environment, and without TLS no further than this machine unless the caller says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
import stamina
from grafana_api.grafana_api import GrafanaAPI, GrafanaException  # type: ignore[import-untyped]  # it ships no types

from streams.errors import ConfigurationError, DeliveryError
from streams.settings import is_loopback

FOLDER_UID = "consentinel"
TRIES = 4
TIMEOUT_SECONDS = 10.0
SAID_CHARACTERS = 120
GRAFANAS_OWN = frozenset({"id", "version"})
"""What Grafana writes into a dashboard by itself: no difference."""

Result = TypeVar("Result")


class Grafana:
    """One Grafana, with the token of a service account."""

    def __init__(
        self, url: str, token: str, *, plain_http: bool = False, timeout: float = TIMEOUT_SECONDS, tries: int = TRIES
    ) -> None:
        """`url` is the address of Grafana, with its path if it has one; `plain_http` lets the token out without TLS.

        Raises ConfigurationError where the address is none, or the token would leave this machine in the clear.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigurationError("the address of Grafana: expected http(s)://host[:port][/path]")
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigurationError("the address of Grafana: expected a port from 0 to 65535") from error
        if parts.scheme == "http" and not plain_http and not is_loopback(parts.hostname):
            raise ConfigurationError("the address of Grafana: a token needs https beyond this machine, or --plain-http")
        path = parts.path.strip("/")
        self._tries = tries
        self._api = GrafanaAPI(
            token,
            host=f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
            port=port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            timeout=timeout,
        )
        # A redirect would carry the token to wherever it points, a proxy of the environment would read it.
        self._api.s.max_redirects = 0
        self._api.s.trust_env = False
        self._api.s.hooks["response"].append(_mend)

    def health(self) -> str:
        """The version of Grafana; the first call, so that a wrong address is told before anything is written."""
        said = self._tried(lambda: self._ask("GET", "/health"))
        if "database" not in said:
            raise ConfigurationError("what answers at the address of Grafana does not tell its health: no Grafana")
        return str(said.get("version", "of a version that it does not tell"))

    def ensure_folder(self, title: str) -> str:
        """The uid of our folder, which is there afterwards."""

        def ensure() -> None:
            if self._find(f"/folders/{FOLDER_UID}") is None:
                self._ask("POST", "/folders", {"uid": FOLDER_UID, "title": title})

        self._tried(ensure)
        return FOLDER_UID

    def ensure_datasource(self, uid: str, name: str, url: str) -> bool:
        """A Prometheus data source with this uid is there afterwards and asks `url`; True where that was written."""
        path = f"/datasources/uid/{quote(uid, safe='')}"
        wanted = {
            "uid": uid,
            "name": name,
            "type": "prometheus",
            "access": "proxy",
            "url": url,
            "jsonData": {"httpMethod": "POST", "timeInterval": "15s"},
        }

        def ensure() -> bool:
            known = self._find(path)
            if known is None:
                self._ask("POST", "/datasources", wanted)
            elif any(known.get(key) != value for key, value in wanted.items()):
                self._ask("PUT", path, wanted)
            else:
                return False
            return True

        return self._tried(ensure)

    def put_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str, message: str) -> bool:
        """The folder holds the dashboard as it is here afterwards; True where it was written."""

        def put() -> bool:
            known = self._find(f"/dashboards/uid/{quote(dashboard['uid'], safe='')}")
            if known is not None and _same(known, dashboard, folder_uid):
                return False
            saved = {**dashboard, "id": None}
            body = {"dashboard": saved, "folderUid": folder_uid, "message": message, "overwrite": True}
            self._ask("POST", "/dashboards/db", body)
            return True

        return self._tried(put)

    def annotate(self, text: str, tags: list[str]) -> None:
        """Grafana shows an annotation from now on. It is sent once: after an error it may be there or not."""
        self._ask("POST", "/annotations", {"text": text, "tags": tags})

    def _tried(self, step: Callable[[], Result]) -> Result:
        """What `step` returns, which is done again from its start while that may help."""
        for attempt in stamina.retry_context(on=DeliveryError, attempts=self._tries, wait_initial=0.2, wait_max=5.0):
            with attempt:
                return step()
        raise AssertionError("the last attempt returns or raises")

    def _find(self, path: str) -> Mapping[str, Any] | None:
        """What is there; None where there is no such thing."""
        try:
            return self._ask("GET", path)
        except _AbsentError:
            return None

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """One call, once; every way in which it can fail becomes one of two errors."""
        runner: Callable[..., Any] = getattr(self._api, method)
        try:
            answer = runner(path, json=body)
        except GrafanaException as error:
            said = f"Grafana answered {error.status_code} to {path}: {_said(error.response)}"
            if method == "GET" and error.status_code == 404:
                raise _AbsentError(said) from None
            if error.status_code == 429 or error.status_code >= 500:
                raise DeliveryError(said) from None
            raise ConfigurationError(said) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise DeliveryError(f"Grafana did not answer {path} ({type(error).__name__})") from None
        except requests.RequestException as error:
            raise ConfigurationError(f"Grafana cannot be asked for {path} ({type(error).__name__})") from None
        assert isinstance(answer, Mapping), "every answer was made an object"
        return answer


class _AbsentError(ConfigurationError):
    """There is no such thing, or no such path at all."""


def _same(known: Mapping[str, Any], dashboard: Mapping[str, Any], folder_uid: str) -> bool:
    """Whether an answer of Grafana holds this dashboard, in this folder."""
    there, meta = known.get("dashboard"), known.get("meta")
    if not isinstance(there, Mapping) or not isinstance(meta, Mapping) or meta.get("folderUid") != folder_uid:
        return False
    return _without_grafanas_own(there) == _without_grafanas_own(dashboard)


def _without_grafanas_own(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dashboard.items() if name not in GRAFANAS_OWN}


def _said(response: object) -> str:
    """What Grafana said, on one short line."""
    told = response.get("message", "") if isinstance(response, Mapping) else response
    return " ".join(str(told).split())[:SAID_CHARACTERS] or "nothing"


def _mend(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Make every answer the JSON object that grafana-api takes for granted; it would crash on any other.

    Raises ConfigurationError for a redirect, and for a good answer that is neither empty nor JSON.
    """
    status, where = response.status_code, urlsplit(response.url).path
    if 300 <= status < 400:
        raise ConfigurationError(f"Grafana redirects {where}: give the address that it redirects to")
    text = response.content.strip()
    try:
        came = json.loads(text or b"{}")
    except ValueError:
        if status < 300:
            kind = response.headers.get("Content-Type", "no type").partition(";")[0][:SAID_CHARACTERS]
            raise ConfigurationError(
                f"{status} to {where} came with {kind} and no JSON: a login page or a proxy stands before Grafana"
            ) from None
        came = " ".join(response.text.split())[:SAID_CHARACTERS]
    if not isinstance(came, dict):
        came = {"message": came} if status >= 400 else {}
    response._content = json.dumps(came).encode()  # noqa: SLF001 -- requests has no other way in
    response.encoding = "utf-8"
    return response
