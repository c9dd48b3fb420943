"""The docker engine on a real daemon: brokers, drivers, and that nothing outlives a lease.

Needs a Docker daemon, or root on Debian, which starts one for these tests; skips with what is
missing. What is built for them (base image, packages, jars) is kept in KAFKALAB_CACHE.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from kafkalab.cli import host
from kafkalab.clients.resolver import resolve_client
from kafkalab.cluster import docker_api, docker_guard, docker_images
from kafkalab.cluster.docker_engine import DockerEngine
from kafkalab.model.cluster import ClusterInfo, ClusterSpec
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.model.subject import DriverLaunch, Subject
from kafkalab.runtime import pins
from kafkalab.runtime.lease import Lease

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(600)]

VERSION = "3.9.2"
LEASE_S = 4.0
_DAEMON = Path(__file__).with_name("docker_daemon.py")
_IMAGES = ("step", f"broker-kafka@{VERSION}", "client-confluent-kafka")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    folder = tmp_path_factory.mktemp("docker")
    done = subprocess.run(
        [sys.executable, str(_DAEMON), "start", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"needs a Docker daemon: {done.stderr.strip()}")
    with pytest.MonkeyPatch.context() as patch:
        for setting in shlex.split(done.stdout)[1:]:
            patch.setenv(*setting.split("=", 1))
        patch.setenv("KAFKALAB_HOME", str(tmp_path_factory.mktemp("home")))
        try:
            host.images(_IMAGES, "")
            yield DockerEngine()
        finally:
            subprocess.run([sys.executable, str(_DAEMON), "stop", str(folder)], check=True)


@pytest.fixture(scope="module")
def cluster(engine: DockerEngine) -> Iterator[ClusterInfo]:
    """One cluster that the tests share; the run's id is one that Airflow gives."""
    lease = Lease.create("manual__2026-01-01T00:00:00+00:00")
    info = engine.start(ClusterSpec(VERSION, engine="docker"), lease.run_id, lease)
    yield info
    assert not engine.stop(info), "stop left something"
    lease.release()


class Session:
    """A driver that is spoken to line by line."""

    def __init__(self, engine: DockerEngine, info: ClusterInfo, name: str) -> None:
        launch = resolve_client(Subject("confluent-kafka", "pinned"), pins.load(), "docker")
        argv, env = engine.wrap_driver(launch, info, name)
        self.process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.hello = self.event()
        self._id = 0

    def event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the driver ended"
        return dict(json.loads(line))

    def call(self, op: str, client: str, **fields: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self._id += 1
        command = {"id": self._id, "op": op, "client": client, **fields}
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            event = self.event()
            if event.get("id") == self._id and event["type"] in ("ok", "fail", "info"):
                return event


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"expected {what} within {timeout_s} s"
        time.sleep(0.1)
    return time.monotonic() - began


def everything(run_id: str) -> list[str]:
    """Names of all containers and networks of a run, seen without the code under test."""
    client = docker_api.connect()
    wanted = {"label": f"kafkalab.run={run_id}"}
    containers = [
        c.name for c in client.containers.list(all=True, filters=wanted, ignore_removed=True)
    ]
    return [*containers, *(n.name for n in client.networks.list(filters=wanted))]


def host_pid(container: str) -> int:
    return int(docker_api.connect().api.inspect_container(container)["State"]["Pid"])


def serving(session: Session, client: str, brokers: int) -> bool:
    return len(session.call("describe_cluster", client).get("brokers") or ()) == brokers


def test_records_go_round_and_a_killed_broker_comes_back(
    engine: DockerEngine, cluster: ClusterInfo
) -> None:
    driver = Session(engine, cluster, "d-round")
    bootstrap = engine.driver_bootstrap(cluster)
    common: dict[str, Any] = {"bootstrap": bootstrap, "options": {}}
    driver.call("open", "a", role="admin", config={}, **common)
    eventually(lambda: serving(driver, "a", 3), "3 brokers in the metadata")
    driver.call("create_topic", "a", topic="t", partitions=3, replication=3, configs={})
    driver.call("open", "p", role="producer", config={"acks": -1}, **common)

    engine.kill(cluster, "b2")
    assert not engine.alive(cluster, "b2")
    assert engine.alive(cluster, "b1")
    sent = driver.call("send", "p", topic="t", records=[[n, n + 1, 64] for n in range(3)])
    assert sent["type"] == "ok", sent

    engine.restart(cluster, "b2")
    assert engine.alive(cluster, "b2")
    eventually(lambda: serving(driver, "a", 3), "the killed broker back in the metadata")
    config = {"group": "g", "offset_reset": "earliest"}
    driver.call("open", "c", role="consumer", config=config, **common)
    driver.call("subscribe", "c", topics=["t"])
    values: set[int] = set()

    def consumed() -> bool:
        polled = driver.call("poll", "c", max_records=10, timeout_ms=1000)
        values.update(record[3] for record in polled["records"])
        return values == {1, 2, 3}

    eventually(consumed, "all three records")
    assert engine.logs(cluster, "b2").count("Kafka Server started") == 2, "a log over both starts"
    assert driver.process.stdin is not None
    driver.process.stdin.close()
    assert driver.process.wait(30) == 0


def test_a_frozen_broker_is_alive_and_goes_on(engine: DockerEngine, cluster: ClusterInfo) -> None:
    engine.pause(cluster, "b3")
    assert engine.alive(cluster, "b3")
    first = engine.stats(cluster, "b3").cpu_s
    assert docker_api.connect().containers.get(f"{cluster.network}-b3").status == "paused"
    engine.resume(cluster, "b3")
    eventually(lambda: engine.stats(cluster, "b3").cpu_s > first, "the thawed broker to work", 15)


def test_a_reading_shows_memory_cpu_and_threads(engine: DockerEngine, cluster: ClusterInfo) -> None:
    one = engine.stats(cluster, "b1")
    assert 50_000_000 < one.rss_bytes < 900_000_000
    assert one.cpu_s > 0.5
    assert one.threads > 20
    assert (one.descriptors, one.sockets) == (-1, -1), "not visible through the daemon"
    asked = time.monotonic()
    for node in ("b1", "b1", "b1"):
        engine.stats(cluster, node)
    assert time.monotonic() - asked < 0.9, "a question waits for no reading of the daemon"


def test_an_unknown_broker_or_image_is_named(engine: DockerEngine, cluster: ClusterInfo) -> None:
    with pytest.raises(UsageError, match=r"no broker 'b9'.*b1, b2, b3"):
        engine.kill(cluster, "b9")
    missing = DriverLaunch(Subject("confluent-kafka", "9.9.9"), (), image="kafkalab/nowhere:1")
    with pytest.raises(UsageError, match="make images"):
        engine.wrap_driver(missing, cluster, "d-none")
    with pytest.raises(UsageError, match=r"images build broker-kafka@3\.8\.0"):
        engine.start(ClusterSpec("3.8.0"), "r-none", Lease.create("r-none"))
    assert everything("r-none") == []


def test_no_daemon_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(InfrastructureError, match="expected a Docker daemon at unix://"):
        DockerEngine().capabilities()


def test_capabilities_are_there_when_the_images_are(engine: DockerEngine) -> None:
    assert engine.capabilities() == {"kill", "pause", "stats"}


def shell(cluster: ClusterInfo, name: str, script: str) -> tuple[str, ...]:
    """Command line of a container that runs a shell script through the bridge."""
    image = docker_images.reference("step")
    where = (image, f"{cluster.network}-{name}", str(cluster.network), cluster.run_id)
    module = (sys.executable, "-m", "kafkalab.cluster.docker_attach")
    return (*module, *where, "--", "sh", "-c", script)


def test_bytes_and_the_exit_code_pass_unchanged(cluster: ClusterInfo) -> None:
    data = bytes(range(256)) * 4096
    argv = shell(cluster, "d-bytes", "tee /dev/stderr; exit 7")
    done = subprocess.run(argv, input=data, capture_output=True, timeout=60, check=False)
    assert done.stdout == data
    assert done.stderr == data
    assert done.returncode == 7


def test_a_reader_that_stalls_stops_the_container(cluster: ClusterInfo) -> None:
    """Back-pressure: without it the lab would buffer whatever a driver writes.

    What was written is counted in the container: the daemon may hand on a full stdout before
    the stderr that was written first, and then nothing more comes out.
    """
    script = "i=0; while true; do head -c 65536 /dev/zero; i=$((i+1)); echo $i > /tmp/turns; done"
    process = subprocess.Popen(shell(cluster, "d-stall", script), stdout=subprocess.PIPE)
    name = f"{cluster.network}-d-stall"
    running = docker_api.connect().containers
    eventually(
        lambda: name in [each.name for each in running.list(ignore_removed=True)],
        "the container to run",
    )
    container = running.get(name)
    counts: list[int] = []

    def settled() -> bool:
        time.sleep(1.0)
        done = container.exec_run(["cat", "/tmp/turns"])
        counts.append(int(done.output or 0) if done.exit_code == 0 else 0)
        return len(counts) > 2 and counts[-1] == counts[-2] > 0

    eventually(settled, "the container to block")
    assert counts[-1] < 1000, "65 MB were taken from a container whose output nobody reads"
    process.kill()
    process.communicate()
    eventually(lambda: name not in everything(cluster.run_id), "the container to be removed", 15)


def test_sigterm_reaches_the_driver(cluster: ClusterInfo) -> None:
    script = "trap 'echo closing; exit 0' TERM; echo up; while true; do sleep 0.1; done"
    process = subprocess.Popen(shell(cluster, "d-term", script), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.terminate()
    assert process.communicate(timeout=30)[0] == b"closing\n"
    assert process.returncode == 0


def test_kill_minus_9_of_the_bridge_is_a_crash_of_the_driver(cluster: ClusterInfo) -> None:
    """The driver may not see its stdin end first, or it would close cleanly."""
    script = "echo up; cat > /dev/null; echo closed > /dev/stderr; sleep 60"
    argv = shell(cluster, "d-crash", script)
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    name = f"{cluster.network}-d-crash"
    events = docker_api.connect().api.events(
        since=int(time.time()) - 1, filters={"container": name, "event": "die"}, decode=True
    )
    os.killpg(process.pid, signal.SIGKILL)
    died: Any = next(iter(events))
    assert died["Actor"]["Attributes"]["exitCode"] == "137"
    eventually(lambda: name not in everything(cluster.run_id), "the container to be removed", 15)
    process.communicate()


def test_a_driver_that_is_killed_ends_its_bridge_by_the_same_signal(cluster: ClusterInfo) -> None:
    process = subprocess.Popen(
        shell(cluster, "d-kill", "echo up; sleep 60"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    psutil.Process(host_pid(f"{cluster.network}-d-kill")).kill()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL


_STEP = """
import sys, time
from kafkalab.cluster.docker_engine import DockerEngine
from kafkalab.model.cluster import ClusterSpec
from kafkalab.runtime.lease import Lease, keeping
lease = Lease.create(sys.argv[1], {seconds})
with keeping(lease):
    DockerEngine().start(ClusterSpec({version!r}, nodes=1), sys.argv[1], lease)
    print("started", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def step(engine: DockerEngine, request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A process that holds a short lease for a cluster of one broker."""
    run_id = request.node.name.replace("[", "-").rstrip("]")
    code = _STEP.format(seconds=LEASE_S, version=VERSION)
    process = subprocess.Popen([sys.executable, "-c", code, run_id], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    yield SimpleNamespace(run_id=run_id, process=process)
    process.kill()
    process.communicate()
    docker_guard.remove_run(docker_api.connect(), run_id)


def test_everything_lives_while_the_step_renews_its_lease(step: SimpleNamespace) -> None:
    before = everything(step.run_id)
    assert len(before) == 3, "guard, broker, network"
    time.sleep(2 * LEASE_S)
    assert everything(step.run_id) == before


@pytest.mark.parametrize("victim", ["nothing", "b1", "guard"])
def test_kill_minus_9_leaves_nothing_after_the_lease(step: SimpleNamespace, victim: str) -> None:
    if victim != "nothing":
        psutil.Process(host_pid(f"{docker_api.cluster_name(step.run_id, VERSION)}-{victim}")).kill()
    step.process.kill()
    eventually(lambda: everything(step.run_id) == [], "no container or network", LEASE_S + 20)


def test_a_second_start_replaces_what_the_first_left(step: SimpleNamespace) -> None:
    lease = Lease.create(step.run_id, 60)
    step.process.kill()
    engine = DockerEngine()
    info = engine.start(ClusterSpec(VERSION, nodes=1), step.run_id, lease)
    assert sorted(everything(step.run_id)) == sorted(
        [f"{info.network}-b1", f"{info.network}-guard", str(info.network)]
    )
    assert not engine.stop(info)
    assert everything(step.run_id) == []


def test_a_step_at_work_is_not_removed_with_its_cluster(
    engine: DockerEngine, step: SimpleNamespace
) -> None:
    """A step's own container carries the run's label, and teardown runs in one."""
    client = docker_api.connect()
    image = docker_images.reference("step")
    labels = {docker_api.LABEL_RUN: step.run_id}
    own = client.containers.run(
        image, ["sleep", "60"], labels=labels, network_mode="none", detach=True
    )
    docker_guard.remove_run(client, step.run_id)
    own.reload()
    assert own.status == "running"
    own.kill()
    own.wait()
    docker_guard.remove_run(client, step.run_id)
    assert everything(step.run_id) == []


def test_a_broken_guard_is_found_out_at_the_start(
    engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the guard's image is one without the guard."""
    real = docker_images.reference
    other = real("client-confluent-kafka")
    monkeypatch.setattr(
        docker_images,
        "reference",
        lambda name, version="": other if name == "step" else real(name, version),
    )
    with pytest.raises(InfrastructureError, match="guard"):
        engine.start(ClusterSpec(VERSION, nodes=1), "r-guard", Lease.create("r-guard"))
    assert everything("r-guard") == []
