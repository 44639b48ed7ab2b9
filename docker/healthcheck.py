"""The health check of a container: asks `/healthz` of the process in it; exit code 0 when it answers with 200.

The port is the argument, or that of a worker's settings.

Rules:
1. Alive, not ready: a worker that warms up is healthy, and must not be restarted for it.
2. The standard library only, so that it costs little and says nothing of its own.
"""

from __future__ import annotations

import http.client
import os
import sys

DEFAULT_PORT = 6066
ANSWER_SECONDS = 4.0
"""Less than what the container's check may take."""


def alive(port: int) -> bool:
    """Whether the process whose pages are on this port of the loopback says that it is alive."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    port = sys.argv[1] if sys.argv[1:] else os.environ.get("CONSENTINEL_WEB_PORT") or DEFAULT_PORT
    sys.exit(0 if alive(int(port)) else 1)
