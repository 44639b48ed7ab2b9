"""The stack of containers keeps its promises: pinned, hardened, on the loopback, without default passwords, in step."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from program import said_by
from streams.cli import app
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
WITH_PERSONAL_DATA = "records"
"""The network on which Kafka is."""


def mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Source, target and mode of each volume of a service."""
    split = [each.split(":") for each in service.get("volumes", [])]
    return [(parts[0], parts[1], parts[2] if len(parts) > 2 else "rw") for parts in split]


def test_the_stack_holds_what_the_documents_promise() -> None:
    assert set(SERVICES) >= {
        "kafka",
        "topics",
        "worker",
        "alerts",
        "simulator",
        "prometheus",
        "alertmanager",
        "grafana",
    }
    assert SERVICES["simulator"]["profiles"] == ["simulator"]
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["simulator"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_fixed_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_our_image_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"consentinel:{version}"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_published_port_is_on_the_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user", "pid", "ipc", "devices"} & set(service)
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"]
    assert not any("docker.sock" in source for source, _, _ in mounts(service))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_that_stays_can_be_asked_for_its_health(name: str) -> None:
    check = SERVICES[name].get("healthcheck")
    if name in OURS and check is None:
        return  # the image has its own
    assert check is not None
    assert check == {"disable": True} if name in {"topics", "simulator"} else check["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_every_mount_is_there_and_only_volumes_are_written_to(name: str) -> None:
    for source, _, mode in mounts(SERVICES[name]):
        if source.startswith("."):
            assert (DOCKER / source).exists(), source
            assert mode == "ro"
        else:
            assert source in COMPOSE["volumes"]


def test_every_volume_and_network_is_used() -> None:
    used = {source for service in SERVICES.values() for source, _, _ in mounts(service) if not source.startswith(".")}
    assert used == set(COMPOSE["volumes"])
    assert {network for service in SERVICES.values() for network in service["networks"]} == set(COMPOSE["networks"])


def test_whoever_watches_cannot_reach_the_records() -> None:
    assert {name for name, service in SERVICES.items() if WITH_PERSONAL_DATA in service["networks"]} == OURS | {"kafka"}


def test_a_password_is_required_and_never_written_down() -> None:
    given = {
        variable: str(value)
        for service in SERVICES.values()
        for variable, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|SECRET|TOKEN", variable)
    }
    assert "GF_SECURITY_ADMIN_PASSWORD" in given
    for variable, value in given.items():
        assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), variable


def test_grafana_lets_nobody_in_without_a_password() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == environment["GF_USERS_ALLOW_SIGN_UP"] == "false"


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_services_call_commands_and_settings_that_are_there(name: str) -> None:
    here: Any = typer.main.get_command(app)
    for word in SERVICES[name]["command"]:
        if hasattr(here, "commands"):
            assert word in here.commands
            here = here.commands[word]
        elif word.startswith("--"):
            assert word in {option for parameter in here.params for option in parameter.opts}
    known = {f"CONSENTINEL_{field.upper()}" for field in Settings.model_fields}
    assert set(SERVICES[name]["environment"]) <= known


def test_grafana_keeps_the_plugins_that_came_with_its_image() -> None:
    # On a read-only file system an update of its own removes the source of data.
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert environment["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"


def test_the_table_of_services_is_the_stack() -> None:
    page = (ROOT / "docs" / "stack.md").read_text().split("| service |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()[2:]]
    told = {row[0].strip("`"): row[1:] for row in rows}
    assert told.keys() == SERVICES.keys()
    for name, (image, port, kept, memory) in told.items():
        service = SERVICES[name]
        assert name in OURS or image.strip("`") == service["image"]
        published = service.get("ports", [])
        assert port == (published[0].rpartition(":")[0] if published else "")
        volumes = {source for source, _, _ in mounts(service) if not source.startswith(".")}
        assert set(re.findall(r"[a-z]+-data", kept)) == volumes
        limit = service["deploy"]["resources"]["limits"]["memory"]
        assert memory.replace(" GB", "g").replace(" MB", "m") == limit


def test_a_worker_can_be_scaled() -> None:
    assert not {"ports", "container_name", "hostname"} & set(SERVICES["worker"])


def test_a_worker_begins_when_its_topics_are_there() -> None:
    assert SERVICES["worker"]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}


# -- in step with the configurations -----------------------------------------------------------------------------------


def test_prometheus_asks_services_that_it_can_reach() -> None:
    config = yaml.safe_load((ROOT / "dashboards" / "stack" / "prometheus.yml").read_text())
    groups = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    hosts = {name for group in groups for each in group.get("dns_sd_configs", []) for name in each["names"]}
    targets = {target for group in groups for each in group.get("static_configs", []) for target in each["targets"]}
    hosts |= {target.split(":")[0] for target in targets}
    assert hosts >= {"worker", "alerts", "alertmanager"}
    for host in hosts:
        assert set(SERVICES[host]["networks"]) & set(SERVICES["prometheus"]["networks"]), host


def test_grafana_reads_from_the_prometheus_of_the_stack() -> None:
    source = yaml.safe_load((DOCKER / "grafana" / "provisioning" / "datasources" / "consentinel.yaml").read_text())
    address = urlsplit(source["datasources"][0]["url"])
    assert (address.hostname, address.port) == ("prometheus", 9090)


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    provider = yaml.safe_load((DOCKER / "grafana" / "provisioning" / "dashboards" / "consentinel.yaml").read_text())
    path = provider["providers"][0]["options"]["path"]
    assert path in {target for _, target, _ in mounts(SERVICES["grafana"])}


def test_kafka_tells_its_clients_the_addresses_of_the_stack() -> None:
    properties = (DOCKER / "kafka" / "server.properties").read_text()
    advertised = re.search(r"^advertised\.listeners=(.*)$", properties, re.MULTILINE)
    assert advertised
    told = dict(each.split("://") for each in advertised[1].split(","))
    assert SERVICES["worker"]["environment"]["CONSENTINEL_BROKER"].endswith(f":-{told['STACK']}}}")
    port = told["HOST"].removeprefix("127.0.0.1:")
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{port}:{port}"]


# -- docker's own word -------------------------------------------------------------------------------------------------


def compose_command() -> list[str]:
    """Docker's own reader of compose files: the plugin, or the same program by itself."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    alone = shutil.which("docker-compose")
    if alone and not said_by(alone, "version", "--short")[1].startswith("1."):  # the first one knows another format
        return [alone]
    # Debian 12 packages neither, so CI cannot bring them; what the tests above say of the file they say everywhere.
    pytest.skip("docker has no plugin `compose` here")


def test_docker_compose_reads_the_file() -> None:
    command = [*compose_command(), "--file", str(DOCKER / "compose.yaml"), "config", "--quiet"]
    assert said_by(*command, env={"PATH": "/usr/bin:/bin", "GRAFANA_ADMIN_PASSWORD": "for-this-test"}) == (0, "")


def test_docker_compose_refuses_to_start_without_a_password() -> None:
    command = [*compose_command(), "--file", str(DOCKER / "compose.yaml"), "config", "--quiet"]
    code, said = said_by(*command, env={"PATH": "/usr/bin:/bin"})
    assert code != 0
    assert "GRAFANA_ADMIN_PASSWORD" in said
