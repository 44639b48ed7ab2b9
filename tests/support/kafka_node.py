"""A real Apache Kafka for tests: one KRaft node, its jars resolved by Maven, on free ports of the loopback.

Rules:
1. `KAFKA_BOOTSTRAP_SERVERS` names a cluster of one's own; then nothing is started.
2. Without java and mvn there is no Kafka here: `missing_tool` says which, and the caller skips with that reason.
3. Data lives in the directory the caller gives. A node ends with its `with` block, or with the process that started it.
4. Topics are never created by being named: a test that forgets to create one fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from streams.simulator.broker import answers, dying_with_parent, free_port

POM = Path(__file__).parents[1] / "pom.xml"
RESOLVED = POM.parents[1] / "target" / "kafka.classpath"
"""What Maven resolved last: it takes six seconds of a processor to say the same again. `make clean` removes it."""

_HOST = "127.0.0.1"
_JAVA_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot be had here; the message is the reason for a skip."""


def missing_tool() -> str | None:
    """Name the tool that keeps Apache Kafka from running here, or None."""
    return next((tool for tool in ("java", "mvn") if shutil.which(tool) is None), None)


def class_path(directory: Path) -> str:
    """Resolve Kafka's jars with Maven and return the class path; `directory` takes Maven's output.

    Raises KafkaUnavailableError when a tool is missing or the jars cannot be resolved.
    """
    tool = missing_tool()
    if tool is not None:
        raise KafkaUnavailableError(f"{tool} is not installed (and KAFKA_BOOTSTRAP_SERVERS names no cluster)")
    output = directory / "classpath"
    if (known := _resolved()) is not None:
        output.write_text(known)
        return known
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(POM), "dependency:build-classpath"]
    done = subprocess.run(
        [*command, f"-Dmdep.outputFile={output}"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise KafkaUnavailableError(f"mvn cannot resolve Kafka's jars: {done.stdout.strip()[-500:]}")
    found = output.read_text().strip()
    RESOLVED.parent.mkdir(exist_ok=True)
    _replace(RESOLVED, found)
    return found


def _resolved() -> str | None:
    """The class path that was resolved before, if the POM is older and every jar of it is still there."""
    if not RESOLVED.exists() or RESOLVED.stat().st_mtime < POM.stat().st_mtime:
        return None
    found = RESOLVED.read_text()
    return found if all(Path(jar).exists() for jar in found.split(os.pathsep)) else None


def _replace(file: Path, text: str) -> None:
    """Write a file that another process may read meanwhile."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(file)


def properties(directory: Path, *, broker_port: int, controller_port: int) -> str:
    """Write what a single node needs to know: both roles, replication of one, no waiting for group members."""
    lines = {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{_HOST}:{broker_port},CONTROLLER://{_HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{_HOST}:{broker_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(directory / "log"),
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # Tests kill workers and wait for the group to notice: the session timeout is theirs to choose.
        "group.min.session.timeout.ms": "1000",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


class KafkaNode:
    """One node of Apache Kafka for the length of a `with` block; `bootstrap` is its address, `pid` its process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `host:port`."""
        return f"{_HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the node, for tests that freeze or kill it."""
        assert self._process is not None, "the node has a process while it runs"
        return self._process.pid

    def prepare(self) -> None:
        """Resolve the jars and format the storage; raises KafkaUnavailableError where that cannot be done."""
        jars = class_path(self._directory)
        settings = self._directory / "server.properties"
        settings.write_text(properties(self._directory, broker_port=self._port, controller_port=free_port()))
        _format(jars, settings)

    def __enter__(self) -> Self:
        if not (self._directory / "server.properties").exists():
            self.prepare()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the formatted node, again after `stop` if a test likes: its logs are on disk."""
        jars = (self._directory / "classpath").read_text().strip()
        self._log = (self._directory / "node.log").open("ab")
        self._process = subprocess.Popen(
            ["java", *_JAVA_OPTIONS, "-cp", jars, "kafka.Kafka", str(self._directory / "server.properties")],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dying_with_parent(),  # noqa: PLW1509 -- one system call, and only from the main thread
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node, gently first."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _wait(self) -> None:
        assert self._process is not None, "there is a process to wait for"
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if answers(self.bootstrap):
                return
            time.sleep(0.2)
        said = (self._directory / "node.log").read_text(errors="replace")[-1000:]
        raise KafkaUnavailableError(f"Apache Kafka does not answer on {self.bootstrap}: {said}")


def cluster_of_ones_own() -> str | None:
    """The address in `KAFKA_BOOTSTRAP_SERVERS`, or None where a node must be started."""
    return os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or None


def _format(jars: str, settings: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = ["java", *_JAVA_OPTIONS, "-cp", jars, "kafka.tools.StorageTool", "format"]
    done = subprocess.run(
        [*tool, "--cluster-id", f"x{cluster[1:]}", "--config", str(settings)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise KafkaUnavailableError(f"Kafka's storage cannot be formatted: {done.stderr.strip()[-500:]}")
