"""The stack without containers: a real Prometheus, a real Alertmanager and `consentinel alerts` beside a demo.

Rules:
1. They run on the configuration of the containers. Only addresses and paths are others, and what is not there is left
   out: `prometheus_config` is that difference, and all of it.
2. They listen on the loopback, keep their data in the folder of the demo, and end with it.
3. A program that is not installed is a ConfigurationError that names its package, before anything is started.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import yaml

from streams.errors import ConfigurationError
from streams.simulator.broker import free_port
from streams.simulator.child import HOST, Child
from streams.simulator.worker_child import CommandChild

READY = "/-/ready"
DISCOVERIES = ("dns_sd_configs", "static_configs")
"""The ways in which the configuration finds what it watches; a demo knows the addresses."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The paths of the programs that the stack is made of."""

    prometheus: str
    alertmanager: str


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs beside the demo: nothing, or all of it."""

    children: tuple[Child, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """The addresses, in a line for a person."""
        return ("  ".join(f"{child.name}: {child.address}" for child in self.children),) if self.children else ()

    def check_alive(self) -> None:
        """Raise ChildFailed when one of them has ended."""
        for child in self.children:
            child.check_alive()


class AlertsChild(CommandChild):
    """`consentinel alerts` for the length of a `with` block."""

    command = "alerts"
    port_setting = "alerts_port"


def only_to(alertmanager: str, options: Mapping[str, str]) -> dict[str, str]:
    """The settings, by field name, of who tells this Alertmanager and nobody else.

    A webhook of the environment is somebody's own: what a demo invents must not reach it.
    """
    return {**options, "alertmanager": alertmanager, "webhook": ""}


def find_programs() -> Programs:
    """The programs on the path; raises ConfigurationError with the package that brings a missing one."""
    return Programs(
        prometheus=_find("Prometheus", ("prometheus",), "prometheus"),
        # Debian's name, so that its tool is not taken for another program, and the upstream one.
        alertmanager=_find("Alertmanager", ("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),
    )


def _find(name: str, commands: tuple[str, ...], package: str) -> str:
    for command in commands:
        if (path := shutil.which(command)) is not None:
            return path
    raise ConfigurationError(f"{name} is not installed: on Debian and Ubuntu, `apt-get install {package}`")


@contextmanager
def stack_beside(worker: str, programs: Programs, folder: Path, options: Mapping[str, str]) -> Iterator[Stack]:
    """Run the stack beside a worker, whose pages are at `worker` (host:port).

    `folder` takes configuration and data; `options` are the settings of the worker, by field name.
    """
    prometheus_port, alertmanager_port, alerts_port = free_port(), free_port(), free_port()
    targets = {
        "consentinel-worker": worker,
        "consentinel-alerts": f"{HOST}:{alerts_port}",
        "prometheus": f"{HOST}:{prometheus_port}",
        "alertmanager": f"{HOST}:{alertmanager_port}",
    }
    with as_file(files("dashboards")) as source:
        config = folder / "prometheus.yml"
        written = (source / "stack" / "prometheus.yml").read_text("utf-8")
        config.write_text(prometheus_config(written, targets, source / "prometheus"), "utf-8")
        routes = source / "stack" / "alertmanager.yml"
        with (
            _alertmanager(programs.alertmanager, routes, folder, alertmanager_port) as alertmanager,
            AlertsChild(only_to(alertmanager.address, options), port=alerts_port, log=folder / "alerts.log") as alerts,
            _prometheus(programs.prometheus, config, folder, prometheus_port) as prometheus,
        ):
            yield Stack((prometheus, alertmanager, alerts))


def prometheus_config(text: str, targets: Mapping[str, str], rules: Path) -> str:
    """The configuration of Prometheus with our addresses (host:port, by job) and the folder of the rules.

    A job without an address is left out: what it watches does not run here.
    """
    config = yaml.safe_load(text)
    config["rule_files"] = [str(rules / Path(each).name) for each in config["rule_files"]]
    config["scrape_configs"] = [
        _found_at(job, targets[job["job_name"]]) for job in config["scrape_configs"] if job["job_name"] in targets
    ]
    alerting = config["alerting"]
    alerting["alertmanagers"] = [_found_at(each, targets["alertmanager"]) for each in alerting["alertmanagers"]]
    return yaml.safe_dump(config, sort_keys=False)


def _found_at(job: Mapping[str, object], address: str) -> dict[str, object]:
    kept = {key: value for key, value in job.items() if key not in DISCOVERIES}
    return kept | {"static_configs": [{"targets": [address]}]}


def _prometheus(program: str, config: Path, folder: Path, port: int) -> Child:
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={HOST}:{port}",
        "--enable-feature=exemplar-storage",
        # A first alert is lost where Alertmanager is not known yet; it is told again so soon.
        "--rules.alert.resend-delay=10s",
    ]
    log = folder / "prometheus.log"
    return Child("Prometheus", [program, *options], port=port, log=log, ready=READY)


def _alertmanager(program: str, config: Path, folder: Path, port: int) -> Child:
    options = [
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={HOST}:{port}",
        "--cluster.listen-address=",  # one of its kind
    ]
    log = folder / "alertmanager.log"
    return Child("Alertmanager", [program, *options], port=port, log=log, ready=READY)
