"""Every configuration of the stack is read by the program it is for."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from command_line import Run
from kafka_node import KafkaUnavailableError, class_path
from program import program, said_by, unavailable
from streams.simulator.broker import answers, free_port

ROOT = Path(__file__).parents[2]
STACK = ROOT / "dashboards" / "stack"
DOCKER = ROOT / "docker"
PROVISIONING = DOCKER / "grafana" / "provisioning"


def test_prometheus_takes_its_configuration_and_every_rule(tmp_path: Path) -> None:
    rules = ROOT / "dashboards" / "prometheus"
    config = tmp_path / "prometheus.yml"
    config.write_text((STACK / "prometheus.yml").read_text().replace("/etc/prometheus/rules", str(rules)))
    code, said = said_by(program("promtool"), "check", "config", config)
    assert code == 0, said
    assert said.count("rules found") == len(list(rules.glob("*.yaml"))), said


def test_alertmanager_takes_its_configuration() -> None:
    code, said = said_by(program("amtool"), "check-config", STACK / "alertmanager.yml")
    assert code == 0, said


# -- Grafana: it has no checker of its own, so its documented fields are stated here -----------------------------------


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Uid = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,40}$")]


class JsonData(Closed):
    httpMethod: Literal["POST", "GET"]  # noqa: N815 -- Grafana's own words
    prometheusType: Literal["Prometheus", "Mimir", "Thanos", "Cortex"]  # noqa: N815
    timeInterval: Annotated[str, Field(pattern=r"^\d+[smh]$")]  # noqa: N815


class DataSource(Closed):
    name: str
    uid: Uid
    type: Literal["prometheus"]
    access: Literal["proxy"]
    url: Annotated[str, Field(pattern=r"^http://[a-z]+:\d+$")]
    isDefault: bool  # noqa: N815
    editable: Literal[False]
    jsonData: JsonData  # noqa: N815


class DataSources(Closed):
    apiVersion: Literal[1]  # noqa: N815
    datasources: Annotated[list[DataSource], Field(min_length=1, max_length=1)]


class Options(Closed):
    path: Annotated[str, Field(pattern=r"^/")]


class Provider(Closed):
    name: str
    folder: str
    folderUid: Uid  # noqa: N815
    type: Literal["file"]
    disableDeletion: bool  # noqa: N815
    allowUiUpdates: Literal[False]  # noqa: N815
    updateIntervalSeconds: Annotated[int, Field(ge=10)]  # noqa: N815
    options: Options


class Providers(Closed):
    apiVersion: Literal[1]  # noqa: N815
    providers: Annotated[list[Provider], Field(min_length=1)]


def test_grafanas_provisioning_is_as_its_documents_say() -> None:
    DataSources.model_validate(yaml.safe_load((PROVISIONING / "datasources" / "consentinel.yaml").read_text()))
    Providers.model_validate(yaml.safe_load((PROVISIONING / "dashboards" / "consentinel.yaml").read_text()))


def test_a_misspelt_field_of_grafanas_provisioning_is_seen() -> None:
    text = (PROVISIONING / "datasources" / "consentinel.yaml").read_text().replace("isDefault", "isdefault")
    with pytest.raises(ValidationError, match="isdefault"):
        DataSources.model_validate(yaml.safe_load(text))


def test_every_file_of_the_provisioning_is_checked() -> None:
    files = {str(file.relative_to(PROVISIONING)) for file in PROVISIONING.rglob("*") if file.is_file()}
    assert files == {"datasources/consentinel.yaml", "dashboards/consentinel.yaml"}


# -- Kafka: started by our script on our properties --------------------------------------------------------------------


@pytest.fixture(scope="module")
def kafka_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of Kafka with the two programs that the script calls, on the jars that the other tests use."""
    home = tmp_path_factory.mktemp("kafka-home")
    try:
        jars = class_path(home)
    except KafkaUnavailableError as reason:
        unavailable(str(reason))
    (home / "bin").mkdir()
    java = f'exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "{jars}"'
    for name, main in (("storage", "kafka.tools.StorageTool"), ("server-start", "kafka.Kafka")):
        script = home / "bin" / f"kafka-{name}.sh"
        script.write_text(f'#!/bin/sh\n{java} {main} "$@"\n')
        script.chmod(0o755)
    return home


def properties(folder: Path, port: int) -> Path:
    """Our properties with the addresses and the folder of a test; nothing else is changed."""
    text = (DOCKER / "kafka" / "server.properties").read_text()
    for old, new in {
        "STACK://0.0.0.0:9092": f"STACK://127.0.0.1:{port}",
        "STACK://kafka:9092": f"STACK://127.0.0.1:{port}",
        "HOST://0.0.0.0:9094": f"HOST://127.0.0.1:{(host := free_port())}",
        "HOST://127.0.0.1:9094": f"HOST://127.0.0.1:{host}",
        "127.0.0.1:9093": f"127.0.0.1:{free_port()}",
        "/var/lib/kafka/data": str(folder / "data"),
    }.items():
        assert old in text
        text = text.replace(old, new)
    written = folder / "server.properties"
    written.write_text(text)
    return written


@contextmanager
def started(home: Path, written: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as opened:
        node = subprocess.Popen(
            ["/bin/sh", str(DOCKER / "kafka" / "start.sh")],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "KAFKA_HOME": str(home), "PROPERTIES": str(written)},
            stdout=opened, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield node
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait()


@pytest.mark.kafka
def test_kafka_starts_on_an_empty_volume_takes_our_topics_and_keeps_its_identity(
    kafka_home: Path, tmp_path: Path, run: Run
) -> None:
    port = free_port()
    written, log, address = properties(tmp_path, port), tmp_path / "log", f"127.0.0.1:{port}"
    with started(kafka_home, written, log) as node:
        while not answers(address):
            assert node.poll() is None, log.read_text()[-1_000:]
        assert run("topics", "create", broker=address).code == 0
        assert run("topics", "check", broker=address).code == 0
        meta = (tmp_path / "data" / "meta.properties").read_text()
        assert re.search(r"^cluster\.id=.{22}$", meta, re.MULTILINE)
    # A second start formats nothing: the server of this one only says that it was reached.
    server = kafka_home / "bin" / "kafka-server-start.sh"
    server.write_text("#!/bin/sh\necho reached\n")
    with started(kafka_home, written, log) as node:
        assert node.wait() == 0
    assert log.read_text().endswith("reached\n")
    assert (tmp_path / "data" / "meta.properties").read_text() == meta
