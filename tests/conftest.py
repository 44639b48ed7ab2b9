"""What every test may ask for: brokers to talk to, and the order in which tests run.

Rules:
1. Brokers live as long as the session and are shared, so a test names its topics and groups as nobody else does.
2. `embedded` always works; `apache_kafka` skips with its reason, except in CI, where it must run and fails instead.
3. `broker` runs a test on both; whatever needs Apache Kafka carries the marker `kafka` without saying so itself.
4. Quick tests first, then those on Apache Kafka, then those that kill. Where the suite runs in several processes, the
   long ones come first, so that none of them is left alone at the end, and a file stays in one process with what it
   shares, apart by kind of broker. All share one node of Apache Kafka: who needs it first starts it, and stops it when
   the last one is done.
5. Nothing is timed: a property holds on a busy machine too, so Hypothesis has no deadline.
6. `--only-properties PATH`: of the files below a path only the properties run, what is marked `counted` or `untraced`;
   the rest, which has no examples to be counted, ran before (`make test` measures coverage with few examples first).
7. Polars keeps to one thread in a process of tests; the programs that tests start are left as they ship.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import is_hypothesis_test, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from command_line import run  # noqa: F401 - a fixture is known where it is imported
from kafka_node import KafkaNode, KafkaUnavailableError, cluster_of_ones_own
from pace import examples
from streams.simulator.broker import EmbeddedBroker


def _one_polars_thread() -> None:
    """Let Polars keep to one thread here, and to as many as it ships with in the processes that a test starts.

    The processes of a test run share the cores already. For frames of a few rows a second thread is a fifth more
    processor time, most of it the system's, and no earlier end.
    """
    wanted = os.environ.get("POLARS_MAX_THREADS", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLARS_MAX_THREADS", wanted)
        import polars as pl  # reads it now, and never again

        assert pl.thread_pool_size() == int(wanted), "something imported above has imported Polars already"


_one_polars_thread()
settings.register_profile("untimed", deadline=None, max_examples=examples(100))
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """The address of an embedded broker."""
    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Apache Kafka: a cluster of one's own, or a node started here."""
    own = cluster_of_ones_own()
    if own is not None:
        yield own
        return
    node = KafkaNode(tmp_path_factory.mktemp("kafka"))
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with _started(node):
            yield node.bootstrap
        return
    common = tmp_path_factory.getbasetemp().parent
    with (common / "kafka.lock").open("w") as turn, (common / "kafka.users").open("w") as users, ExitStack() as stack:
        fcntl.flock(turn, fcntl.LOCK_EX)
        address = common / "kafka.address"
        if not address.exists():
            stack.enter_context(_started(node))
            address.write_text(node.bootstrap)
            stack.callback(fcntl.flock, users, fcntl.LOCK_EX)  # waits for all who share it
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield address.read_text()


@contextmanager
def _started(node: KafkaNode) -> Iterator[None]:
    try:
        node.prepare()
    except KafkaUnavailableError as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI runs the tests on Apache Kafka, but {reason}", pytrace=False)
        pytest.skip(f"no Apache Kafka: {reason}")
    with node:
        yield


@pytest.fixture(scope="session", params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> str:
    """The address of each kind of broker in turn."""
    address: str = request.getfixturevalue({"embedded": "embedded", "apache": "apache_kafka"}[request.param])
    return address


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take paths of which only the properties are to run."""
    parser.addoption("--only-properties", action="append", default=[], metavar="PATH", help="run nothing else of PATH")


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what asks for Apache Kafka by name, so that `-m "not kafka"` leaves it out."""
    if "apache_kafka" in getattr(item, "fixturenames", ()):
        item.add_marker("kafka")


class ByFileAndBroker(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist ships no types
    """Gives a process the tests of a file that run on one kind of broker, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        return f"{file}::apache" if "[apache" in name else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileAndBroker:
    """Share tests among processes by file and kind of broker."""
    config.option.loadscopereorder = False
    return ByFileAndBroker(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the quick tests speak first; among several processes let the long ones begin."""
    _leave_out_what_ran(config, items)
    items.sort(
        key=lambda item: (bool(item.get_closest_marker("kill")), bool(item.get_closest_marker("kafka"))),
        reverse="PYTEST_XDIST_WORKER" in os.environ,
    )


def _leave_out_what_ran(config: pytest.Config, items: list[pytest.Item]) -> None:
    paths = [config.rootpath / path for path in config.getoption("--only-properties")]
    ran = [item for item in items if any(map(item.path.is_relative_to, paths)) and not _is_left(item)]
    if ran:
        config.hook.pytest_deselected(items=ran)
        left_out = set(ran)
        items[:] = [item for item in items if item not in left_out]


def _is_left(item: pytest.Item) -> bool:
    """Whether a test tries more examples the longer it may take, or did not run yet."""
    marked = any(item.get_closest_marker(name) is not None for name in ("counted", "untraced"))
    return marked or is_hypothesis_test(getattr(item, "obj", None))
