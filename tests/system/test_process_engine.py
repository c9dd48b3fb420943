"""The process engine with real brokers: three versions, and a fault of each kind."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafkalab.cluster import broker_log, readiness, reaper, resources
from kafkalab.cluster.process import ProcessEngine
from kafkalab.cluster.readiness import wait_ready
from kafkalab.model.cluster import ClusterInfo, ClusterSpec
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.model.subject import DriverLaunch, Subject
from kafkalab.runtime import java, maven
from kafkalab.runtime.guard import GuardHandle, started_ticks
from kafkalab.runtime.lease import Lease

pytestmark = pytest.mark.system
QUIET = {
    "log_level": 0,
    "reconnect.backoff.max.ms": 200,
    "socket.connection.setup.timeout.ms": 2000,
}


class Admin:
    """`readiness.Admin` on the client library itself: drivers are another part's business."""

    def __init__(self, bootstrap: str) -> None:
        self.config = {"bootstrap.servers": bootstrap, **QUIET}
        self.admin = AdminClient(self.config)

    def describe_cluster(self) -> tuple[list[int], int]:
        # Not the client's describe_cluster: it waits for the controller that it knew, although
        # that broker is gone (librdkafka 2.16).
        try:
            seen = self.admin.list_topics(timeout=3)
        except KafkaException as error:
            raise InfrastructureError(str(error)) from error
        return list(seen.brokers), seen.controller_id

    def create_topic(
        self, topic: str, partitions: int, configs: Mapping[str, str], replication: int = 3
    ) -> None:
        new = NewTopic(topic, partitions, replication, config=dict(configs))
        try:
            self.admin.create_topics([new])[topic].result()
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise InfrastructureError(str(error)) from error

    def roundtrip(self, topic: str) -> None:
        value = uuid.uuid4().bytes
        delivered: list[object] = []
        producer = Producer({**self.config, "acks": "all", "delivery.timeout.ms": 10_000})
        producer.produce(
            topic, value, partition=0, on_delivery=lambda e, m: delivered.append((e, m))
        )
        producer.flush(15)
        ((error, message),) = delivered
        if error is not None:
            raise InfrastructureError(str(error))
        consumer = Consumer({**self.config, "group.id": "ready", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, message.offset())])
        got = consumer.poll(15)
        consumer.close()
        if got is None or got.value() != value:
            raise InfrastructureError(f"expected the record, got {got}")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def lease(home: Path) -> Iterator[Lease]:
    """Whatever a test leaves running ends with this lease, and is seen to."""
    held = Lease.create(f"t-{uuid.uuid4().hex[:8]}", 120)
    yield held
    held.release()
    assert until(lambda: not reaper.residue(held.run_id), 10), reaper.residue(held.run_id)


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def provision(
    lease: Lease, version: str = "3.9.2", **spec: object
) -> tuple[ProcessEngine, ClusterInfo]:
    engine = ProcessEngine()
    info = engine.start(ClusterSpec(version, **spec), lease.run_id, lease)  # type: ignore[arg-type]
    wait_ready(info, engine, Admin(info.bootstrap), 60)
    return engine, info


def gone(info: ClusterInfo) -> bool:
    return all(started_ticks(node.pid or 0) is None for node in info.nodes)


@pytest.mark.parametrize("version", ["3.3.2", "3.9.2", "4.3.1"])
def test_three_brokers_serve_and_leave_nothing(lease: Lease, version: str) -> None:
    engine = ProcessEngine()
    started = time.monotonic()
    info = engine.start(ClusterSpec(version), lease.run_id, lease)
    said: list[str] = []
    wait_ready(info, engine, Admin(info.bootstrap), 60, said.append)
    seconds = time.monotonic() - started

    assert [node.name for node in info.nodes] == ["b1", "b2", "b3"]
    assert ClusterInfo.from_dict(info.to_dict()) == info
    readings = [engine.stats(info, node.name) for node in info.nodes]
    assert all(50e6 < reading.rss_bytes < 600e6 for reading in readings)
    assert all(reading.threads > 10 and reading.sockets > 3 for reading in readings)
    found = [f for n in info.nodes for f in broker_log.errors(engine.logs(info, n.name))]
    assert found == [], broker_log.summary(found)
    rss = [reading.rss_bytes // 2**20 for reading in readings]
    print(f"kafka@{version}: ready after {seconds:.1f} s, RSS {rss} MiB")  # noqa: T201

    assert not engine.stop(info)

    assert gone(info)
    assert not reaper.residue(lease.run_id)
    assert not list(Path(info.workdir).glob("b*/data"))
    assert (Path(info.workdir) / "b1" / "server.log").stat().st_size > 0
    for address in info.bootstrap.split(","):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


def test_a_broker_is_killed_paused_and_restarted_while_the_others_serve(lease: Lease) -> None:
    engine, info = provision(lease)
    admin = Admin(info.bootstrap)

    engine.kill(info, "b2")
    assert [engine.alive(info, name) for name in ("b1", "b2", "b3")] == [True, False, True]
    with pytest.raises(InfrastructureError, match=r"broker b2 .*it ended"):
        readiness.look_at_brokers(info, engine)
    assert until(lambda: sorted(admin.describe_cluster()[0]) == [1, 3], 30)
    admin.roundtrip(readiness.TOPIC)

    restarted = engine.restart(info, "b2")
    assert restarted.nodes[1].pid != info.nodes[1].pid
    wait_ready(restarted, engine, admin, 60)

    before = engine.stats(info, "b3").cpu_s
    engine.pause(info, "b3")
    time.sleep(1.0)  # what is measured is a second in which nothing happens
    assert engine.alive(info, "b3")
    assert engine.stats(info, "b3").cpu_s - before < 0.1
    engine.resume(info, "b3")
    wait_ready(restarted, engine, admin, 60)

    with pytest.raises(UsageError, match=r"no node 'b9': it has b1, b2, b3"):
        engine.kill(info, "b9")
    assert not engine.stop(restarted)


def test_a_port_in_use_is_named_by_readiness(lease: Lease) -> None:
    with socket.socket() as taken:
        (port,) = resources.free_ports(1)
        taken.bind(("0.0.0.0", port))
        taken.listen()
        free = resources.free_ports(8)
        engine = ProcessEngine(ports=lambda _: [port, *free])  # b1's client listener
        info = engine.start(ClusterSpec("3.9.2"), lease.run_id, lease)
        started = time.monotonic()

        with pytest.raises(InfrastructureError, match=rf"broker b1 .*{port}") as caught:
            wait_ready(info, engine, Admin(info.bootstrap), 60)

    assert time.monotonic() - started < 30
    assert "Address already in use" in str(caught.value)
    assert str(port) in str(caught.value)
    assert not engine.stop(info)


def test_brokers_die_with_a_killed_guard(lease: Lease) -> None:
    engine = ProcessEngine()
    info = engine.start(ClusterSpec("3.9.2", nodes=1), lease.run_id, lease)
    guard = GuardHandle.load(Path(info.workdir) / "guard-brokers")

    os.kill(guard.guard_pid, signal.SIGKILL)

    assert until(lambda: gone(info), 5)
    assert not engine.alive(info, "b1")
    with pytest.raises(InfrastructureError, match="provision again"):
        engine.restart(info, "b1")
    assert not engine.stop(info)


def test_brokers_die_with_the_lease_of_a_killed_step(home: Path) -> None:
    code = """
import time
from kafkalab.cluster.process import ProcessEngine
from kafkalab.model.cluster import ClusterSpec
from kafkalab.runtime.lease import Lease
info = ProcessEngine().start(ClusterSpec("3.9.2", nodes=1), "killed", Lease.create("killed", 3))
print(info.nodes[0].pid, flush=True)
time.sleep(100)
"""
    step = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert step.stdout is not None
    pid = int(step.stdout.readline())
    step.kill()
    step.wait()
    step.stdout.close()

    assert started_ticks(pid) is not None
    assert until(lambda: started_ticks(pid) is None, 15)
    assert until(lambda: not reaper.residue("killed"), 5)
    reaped = reaper.reap(dry_run=False)
    assert {each.kind for each in reaped} == {"folder", "lease"}
    assert not list(home.glob("runs/*/*/b1/data"))


def test_a_second_attempt_ends_what_the_first_left(lease: Lease) -> None:
    engine = ProcessEngine()
    first = engine.start(ClusterSpec("3.9.2", nodes=1), lease.run_id, lease)
    second = engine.start(ClusterSpec("3.9.2", nodes=1), lease.run_id, lease)

    assert gone(first)
    assert second.workdir != first.workdir
    assert engine.alive(second, "b1")
    assert not engine.stop(second)


def test_a_driver_is_marked_measured_and_ended_with_its_cluster(lease: Lease) -> None:
    engine = ProcessEngine()
    info = engine.start(ClusterSpec("3.9.2", nodes=1), lease.run_id, lease)
    launch = DriverLaunch(Subject("x", "1"), ("sleep", "100"), {"COLOUR": "red"})
    argv, env = engine.wrap_driver(launch, info, "d0")
    driver = subprocess.Popen(argv, env=env)

    assert env["COLOUR"] == "red"
    assert engine.driver_bootstrap(info) == info.bootstrap
    assert engine.driver_stats(info, "d0", driver.pid).threads == 1
    assert any(f"pid {driver.pid} " in text for text in reaper.residue(lease.run_id).processes)

    assert not engine.stop(info)
    assert driver.wait(5) != 0


def test_a_missing_jre_stops_the_start_before_anything_runs(
    lease: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(java.VARIABLE, str(tmp_path / "none"))

    with pytest.raises(UsageError, match="found no such file"):
        ProcessEngine().start(ClusterSpec("3.9.2"), lease.run_id, lease)
    assert not reaper.residue(lease.run_id)


def test_a_version_that_does_not_exist_names_the_nearest(lease: Lease) -> None:
    with pytest.raises(UsageError, match=r"no version 3\.9\.77.*nearest are .*3\.9\.2"):
        ProcessEngine().start(ClusterSpec("3.9.77"), lease.run_id, lease)


def test_without_network_a_new_version_says_what_is_not_reachable(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = resources.free_ports(1)
    monkeypatch.setenv(maven.VARIABLE, f"http://127.0.0.1:{port}/maven")

    with pytest.raises(InfrastructureError, match=rf"127\.0\.0\.1:{port}.* cannot be reached"):
        ProcessEngine().start(ClusterSpec("3.5.0"), lease.run_id, lease)
