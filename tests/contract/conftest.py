"""What the contract suite needs: a broker, drivers under test, and a check of every line."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from kafkalab.clients import driver as driver_module
from kafkalab.clients.contract import Command, Reply
from kafkalab.clients.driver import Driver
from kafkalab.clients.resolver import resolve_client
from kafkalab.cluster.process import ProcessEngine
from kafkalab.cluster.readiness import wait_ready
from kafkalab.model.cluster import ClusterSpec
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins
from kafkalab.runtime.lease import Lease, keeping
from kafkalab.steps.host import EngineHost
from kafkalab.workloads.recorder import Recorder

# Without kafka-python, whose suite is not steady: its released versions can lose a group join for
# good, when a rejoin that changed metadata asked for outlives the poll. It is run by name:
# --driver kafka-python@pinned.
ALL = tuple(f"{name}@pinned" for name in pins.load().clients if name != "kafka-python")
DEFAULT = ("confluent-kafka@pinned", "kafka-clients@pinned")
# Bugs of clients that tests meet: where nothing else is wrong, those fail as expected.
STALLS = {  # a consumer that joined and never got anything
    "kafka-python": "from 3.0 on a member that leads forgets its join when a poll ends before it "
    "does (need_rejoin does not look at _join_task), and stays without partitions"
}
ERRORS = {  # (client, op, message of its error)
    ("kafka-python", "describe_cluster", "'endpoint_type'"): "from 3.0 on describe_cluster raises "
    "KeyError on brokers before 3.7, whose answer has no such field"
}
_SCHEMA = Path(driver_module.__file__).with_name("driver-contract.schema.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--driver", action="append", help="NAME@VERSION; repeatable; default: all")
    parser.addoption("--kafka", default="pinned", help="version or role of the broker")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("driver", default=None) or ALL
        metafunc.parametrize("subject", chosen, scope="session")


def _validator(part: str) -> Draft202012Validator:
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    schema.pop("oneOf")
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{part}"})


class Session:
    """One driver process. Every line in both directions is checked against the schema."""

    commands = _validator("command")
    happened = _validator("event")
    # one branch of `event` for each type: trying all of them for every line takes too long
    branches: ClassVar = {
        kind: _validator(f"event-{name}")
        for name, kinds in {
            "invoke": ["invoke"],
            "ok": ["ok"],
            "notok": ["fail", "info"],
            "partitions": ["assigned", "revoked", "lost"],
            "error": ["error"],
            "sample": ["sample"],
        }.items()
        for kind in kinds
    }

    def __init__(self, subject: str, log: Path) -> None:
        launch = resolve_client(Subject.parse(subject), pins.load(), "process")
        self.subject = launch.subject
        self.events: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.gate = threading.Event()  # closed: the lab does not read
        self.gate.set()
        self.driver = Driver.start(launch.argv, launch.env, log.name, self._listen, log)
        self._names = itertools.count()

    def _listen(self, event: dict[str, Any]) -> None:
        self.gate.wait(30)
        self.events.append(event)
        validator = self.branches.get(event.get("type", ""), self.happened)
        for error in validator.iter_errors(event):
            self.wrong.append(f"{json.dumps(event)[:500]}: {error.message[:500]}")

    def submit(self, op: str, client: str | None = None, **fields: Any) -> Command:
        future = self.driver.submit(op, client, **fields)
        command = {"id": future.op_id, "op": op, **fields} | ({"client": client} if client else {})
        self.commands.validate(command)
        return future

    def call(self, op: str, client: str | None = None, **fields: Any) -> Reply:
        return self.submit(op, client, **fields).result(30)

    def must(self, op: str, client: str | None = None, **fields: Any) -> Reply:
        reply = self.call(op, client, **fields)
        bug = (self.subject.name, op, (reply.error or {}).get("message"))
        if bug in ERRORS:
            pytest.xfail(ERRORS[bug])
        assert reply.type == "ok", reply.raw
        return reply

    def open(self, role: str, bootstrap: str, **config: Any) -> str:
        name = f"{role}{next(self._names)}"
        self.must("open", name, role=role, bootstrap=bootstrap, config=config)
        return name

    def write(self, line: bytes) -> None:
        """Write a line that no command would be."""
        self.driver._commands.put(line)

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for event in list(self.events):
                if wanted(event):
                    return event
            threading.Event().wait(0.01)
        self.excuse_stall()
        raise AssertionError(f"no such event: {self.events[-20:]}")

    def poll_all(self, client: str, count: int, timeout_s: float = 20) -> list[list[Any]]:
        """Poll until there are `count` records."""
        records: list[list[Any]] = []
        until = time.monotonic() + timeout_s
        while len(records) < count and time.monotonic() < until:
            records += self.must("poll", client, max_records=500, timeout_ms=500).raw["records"]
        if not records:
            self.excuse_stall()
        return records

    def excuse_stall(self) -> None:
        """Expect this failure where a consumer joined and never got anything, as STALLS knows."""
        if self.subject.name not in STALLS:
            return
        given = {e["client"] for e in self.events if e.get("records") or e.get("partitions")}
        for event in self.events:
            joined = (event["type"], event.get("op")) == ("ok", "subscribe")
            if joined and event["client"] not in given:
                pytest.xfail(STALLS[self.subject.name])

    def assert_clean(self) -> None:
        """Every line obeyed the schema, and every command had one invoke and one completion."""
        assert self.wrong == []
        invoked = [e["id"] for e in self.events if e["type"] == "invoke"]
        ended = [e["id"] for e in self.events if e["type"] in ("ok", "fail", "info")]
        assert len(invoked) == len(set(invoked))
        assert sorted(invoked) == sorted(ended)


@pytest.fixture(scope="session")
def bootstrap(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[str]:
    """One broker of the pinned Kafka, or of the one that --kafka names."""
    patch, home = pytest.MonkeyPatch(), tmp_path_factory.mktemp("home")
    patch.setenv("KAFKALAB_HOME", str(home))
    engine, known = ProcessEngine(), pins.load()
    version = known.resolve(Subject("kafka", pytestconfig.getoption("kafka"))).version
    lease = Lease.create(f"contract-{uuid.uuid4().hex[:8]}", 300)
    with keeping(lease):
        info = engine.start(ClusterSpec(version, nodes=1), lease.run_id, lease)
        try:
            host = EngineHost(engine, info, known, home / "logs")
            driver, admin = host.admin(Recorder())
            wait_ready(info, engine, admin)  # 3.3 forgets a topic that is asked for before
            host.stop(driver)
            yield host.bootstrap
        finally:
            engine.stop(info)
            lease.release()
            patch.undo()


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Session]]:
    """Starts drivers; what still runs at the end is killed."""
    folder = tmp_path_factory.mktemp("drivers")
    sessions: list[Session] = []

    def start_one(subject: str) -> Session:
        sessions.append(Session(subject, folder / f"d{len(sessions)}.log"))
        return sessions[-1]

    yield start_one
    for session in sessions:
        session.gate.set()
        session.driver.kill()


@pytest.fixture(scope="session")
def _shared(start: Callable[[str], Session]) -> dict[str, Session]:
    return {}


@pytest.fixture
def session(
    subject: str, start: Callable[[str], Session], _shared: dict[str, Session]
) -> Iterator[Session]:
    """A driver that tests share; each starts with no events and must leave clean ones."""
    if subject not in _shared or not _shared[subject].driver.alive():
        _shared[subject] = start(subject)
    session = _shared[subject]
    session.events.clear()
    session.wrong.clear()
    yield session
    session.assert_clean()


@pytest.fixture
def needs(session: Session) -> Callable[..., None]:
    """Skips a test of something that the driver does not claim to do."""

    def check(*capabilities: str) -> None:
        lacking = set(capabilities) - set(session.driver.hello["capabilities"])
        if lacking:
            pytest.skip(f"{session.subject} does not declare {', '.join(sorted(lacking))}")

    return check


@pytest.fixture(scope="session")
def admin(start: Callable[[str], Session], bootstrap: str) -> tuple[Session, str]:
    """The lab's own admin: the pinned confluent-kafka driver."""
    session = start("confluent-kafka@pinned")
    return session, session.open("admin", bootstrap)


@pytest.fixture
def topic(admin: tuple[Session, str]) -> str:
    """A fresh topic of two partitions."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    session, client = admin
    session.must("create_topic", client, topic=name, partitions=2, replication=1)
    return name


@pytest.fixture
def other(subject: str, start: Callable[[str], Session], _shared: dict[str, Session]) -> Session:
    """A driver of another client, as an independent reader."""
    name = next(each for each in DEFAULT if each.partition("@")[0] != subject.partition("@")[0])
    if name not in _shared or not _shared[name].driver.alive():
        _shared[name] = start(name)
    return _shared[name]
