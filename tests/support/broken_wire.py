"""A wire between clients and an embedded broker that a test can cut, keep cut, and spoil.

The broker advertises the wire's address, so every client of it passes here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from types import TracebackType
from typing import Self

from streams.simulator.broker import _binary, answers, free_port


class BrokenWire:
    """An embedded broker behind a relay; `bootstrap` is the relay's address."""

    def __init__(self) -> None:
        self._inner, self._outer = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self._outer}"
        self._open = threading.Event()
        self._open.set()
        self._spoil: tuple[bytes, bytes] | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._broker: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the broker.
        self._door = socket.create_server(("127.0.0.1", self._outer))

    def __enter__(self) -> Self:
        self.start_broker()
        threading.Thread(target=self._welcome, daemon=True).start()
        while not answers(self.bootstrap):
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._door.close()
        self.end_broker()
        self._log.close()

    def start_broker(self) -> None:
        """Start the broker, empty."""
        environment = os.environ | {
            "LISTENER_URL": f"tcp://127.0.0.1:{self._inner}",
            "ADVERTISED_LISTENER_URL": f"tcp://{self.bootstrap}",
            "STORAGE_ENGINE": "memory://tansu/",
            "RUST_LOG": "error",
        }
        self._broker = subprocess.Popen(
            [_binary(), "broker"], env=environment, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    def end_broker(self) -> None:
        """End the broker; all it held is gone."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        self._open.clear()
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def mend(self) -> None:
        """Let connections through again."""
        self._open.set()

    def spoil(self, word: bytes, other: bytes) -> None:
        """Replace a word (by one as long) in whatever the broker sends."""
        assert len(word) == len(other)
        self._spoil = (word, other)

    def _welcome(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            if not self._open.is_set():
                client.close()
                continue
            try:
                broker = socket.create_connection(("127.0.0.1", self._inner))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, broker))
            threading.Thread(target=self._relay, args=(client, broker, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(broker, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, from_broker: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if from_broker and self._spoil is not None:
                    data = data.replace(*self._spoil)
                target.sendall(data)
        except OSError:
            pass
        finally:
            source.close()
            target.close()
