"""Grafana over its HTTP API, by grafana-api, which does not survive everything that Grafana says: this does.

Rules:
1. An empty answer (204) is an answer; text that is no JSON is told as what it is, cut short, never as a crash.
2. What waiting mends (no answer, 429, 5xx) is a DeliveryError and tried again a few times; what it does not mend (the
   token, the request) is a ConfigurationError. Neither shows the token or the whole body.
3. Everything can be done twice: the same folder, data source and dashboards are written again, by their uid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import stamina
from grafana_api.grafana_api import GrafanaAPI, GrafanaException

from streams.errors import ConfigurationError, DeliveryError

FOLDER_UID = "consentinel"
TRIES = 4
TIMEOUT_SECONDS = 10.0
SAID_CHARACTERS = 120


class Grafana:
    """One Grafana, with the token of a service account."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_SECONDS, tries: int = TRIES) -> None:
        """`url` is the address of Grafana, with its path if it has one; raises ConfigurationError where it is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigurationError("the address of Grafana: expected http(s)://host[:port][/path]")
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigurationError("the address of Grafana: expected a port from 0 to 65535") from error
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
        # A redirect would carry the token to wherever it points.
        self._api.s.max_redirects = 0
        self._api.s.hooks["response"].append(_mend)

    def health(self) -> str:
        """The version of Grafana; the first call, so that a wrong address is told before anything is written."""
        return str(self._call("GET", "/health").get("version", "unknown"))

    def ensure_folder(self, title: str) -> str:
        """The uid of our folder, which is there afterwards."""
        if self._call("GET", f"/folders/{FOLDER_UID}", missing={}) == {}:
            self._call("POST", "/folders", {"uid": FOLDER_UID, "title": title})
        return FOLDER_UID

    def ensure_datasource(self, uid: str, name: str, url: str) -> None:
        """A Prometheus data source with this uid is there afterwards and asks `url`."""
        wanted = {
            "uid": uid,
            "name": name,
            "type": "prometheus",
            "access": "proxy",
            "url": url,
            "jsonData": {"httpMethod": "POST", "timeInterval": "15s"},
        }
        known = self._call("GET", f"/datasources/uid/{quote(uid, safe='')}", missing={})
        if known:
            self._call("PUT", f"/datasources/uid/{quote(uid, safe='')}", wanted)
        else:
            self._call("POST", "/datasources", wanted)

    def put_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str, message: str) -> str:
        """The dashboard is there afterwards as it is here; its path in Grafana."""
        body = {"dashboard": {**dashboard, "id": None}, "folderUid": folder_uid, "message": message, "overwrite": True}
        return str(self._call("POST", "/dashboards/db", body).get("url", f"/d/{dashboard['uid']}"))

    def annotate(self, text: str, tags: list[str]) -> None:
        """Grafana shows an annotation from now on."""
        self._call("POST", "/annotations", {"text": text, "tags": tags})

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, missing: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """One call, tried again while that may help; `missing` is the answer to 404 where that is no fault."""
        runner: Callable[..., Any] = getattr(self._api, method)
        for attempt in stamina.retry_context(on=DeliveryError, attempts=self._tries, wait_initial=0.2, wait_max=5.0):
            with attempt:
                answer = _answer(runner, path, body, missing)
        return answer if isinstance(answer, Mapping) else {}


def _answer(
    runner: Callable[..., Any], path: str, body: Mapping[str, Any] | None, missing: Mapping[str, Any] | None
) -> Any:
    try:
        return runner(path, json=body)
    except GrafanaException as error:
        if error.status_code == 404 and missing is not None:
            return missing
        said = f"Grafana answered {error.status_code} to {path}: {_said(error.response)}"
        if error.status_code == 429 or error.status_code >= 500:
            raise DeliveryError(said) from None
        raise ConfigurationError(said) from None
    except requests.TooManyRedirects:
        raise ConfigurationError(f"Grafana redirects {path}: give the address that it redirects to") from None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise DeliveryError(f"Grafana did not answer {path} ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise ConfigurationError(f"Grafana cannot be asked for {path} ({type(error).__name__})") from None


def _said(response: object) -> str:
    """What Grafana said, on one short line."""
    told = response.get("message", "") if isinstance(response, Mapping) else response
    return " ".join(str(told).split())[:SAID_CHARACTERS] or "nothing"


def _mend(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Make every answer the JSON object that grafana-api takes for granted; it would crash on any other."""
    try:
        sound = isinstance(response.json(), dict)
    except ValueError:
        sound = False
    if not sound:
        text = " ".join(response.text.split())[:SAID_CHARACTERS]
        body = {"message": text} if response.status_code >= 400 else {}
        response._content = requests.compat.json.dumps(body).encode()  # noqa: SLF001 -- requests has no other way in
        response.encoding = "utf-8"
    return response
