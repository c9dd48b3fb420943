"""The embedded server: started once, kept by its holders, gone with them."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from kafkalab.artifacts import server
from kafkalab.artifacts.store import Store
from kafkalab.model.errors import InfrastructureError, UsageError

pytestmark = pytest.mark.system

ASK = """
import json, sys
from kafkalab.artifacts import server
found = server.ensure_server(sys.argv[1], float(sys.argv[2]))
print(found.endpoint, found.secret_key, flush=True)
if len(sys.argv) > 3:
    input()
"""


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def home(monkeypatch, tmp_path) -> Iterator[str]:
    """A home of its own, in which no server is left at the end."""
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / "home é"))
    for name in ("KAFKALAB_S3_PORT", "KAFKALAB_S3_BUCKET", "KAFKALAB_S3_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("KAFKALAB_RUN_ID", raising=False)
    yield str(tmp_path)
    server._end()
    assert until(lambda: processes(str(tmp_path)) == [])


def processes(home: str) -> list[psutil.Process]:
    """Guards and servers of this home that run."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        running = process.info["status"] != psutil.STATUS_ZOMBIE
        if running and any(home in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def jvm(home: str) -> psutil.Process:
    [found] = [p for p in processes(home) if "java" in p.name()]
    return found


def store_of(found: server.StoreEndpoint) -> Store:
    return Store(
        found.endpoint, found.bucket, found.access_key, found.secret_key, data_dir=found.data_dir
    )


def test_processes_that_ask_at_once_share_one_server(home):
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, f"run-{n}", "60"], stdout=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    answers = {process.communicate(timeout=60)[0] for process in asking}
    assert [process.returncode for process in asking] == [0, 0, 0]
    assert len(answers) == 1
    server_process = jvm(home)
    for n in range(2):
        server.release_server(f"run-{n}")
        assert server_process.is_running()
    server.release_server("run-2")
    assert not server_process.is_running()


def test_only_this_host_reaches_it_and_only_with_its_keys(home):
    found = server.ensure_server("me", 60)
    listening = {c.laddr.ip for c in jvm(home).net_connections() if c.status == "LISTEN"}
    assert all(ip.endswith("127.0.0.1") for ip in listening)
    assert stat.S_IMODE((found.data_dir.parent / "endpoint.json").stat().st_mode) == 0o600
    assert found.secret_key not in " ".join(jvm(home).cmdline())


def test_a_server_that_was_killed_comes_back_at_its_address_with_its_data(home):
    found = server.ensure_server("me", 60)
    store_of(found).put_bytes("a", b"x")
    jvm(home).send_signal(signal.SIGKILL)
    again = server.ensure_server("me", 60)
    assert again == found
    assert store_of(again).get_bytes("a") == b"x"


def test_a_guard_that_was_killed_takes_the_server_with_it(home):
    server.ensure_server("me", 60)
    [guard] = [p for p in processes(home) if "java" not in p.name()]
    guard.send_signal(signal.SIGKILL)
    assert until(lambda: processes(home) == [])
    store_of(server.ensure_server("me", 60)).check()


def test_a_holder_that_was_killed_leaves_nothing_after_its_lease(home):
    holder = subprocess.Popen(
        [sys.executable, "-c", ASK, "run-1", "3", "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().startswith("http://127.0.0.1:")
    server_process = jvm(home)
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=10)
    assert server_process.is_running()
    assert until(lambda: processes(home) == [], 15)


def test_a_lease_that_is_renewed_outlives_its_time(home):
    with server.serving("me", 3) as found:
        first = jvm(home)
        time.sleep(5)  # the passing of time is what is tested
        assert first.is_running()
        store_of(found).check()
    assert not first.is_running()


def test_a_process_gives_the_server_back_when_it_exits(home):
    code = "from kafkalab.artifacts.store import Store; Store.from_env().put_bytes('a', b'x')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert processes(home) == []
    environment = {**os.environ, "KAFKALAB_RUN_ID": "run-1"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    assert jvm(home).is_running()  # the run's next step finds it warm
    server.release_server("run-1")


def test_a_port_that_is_taken_is_named(home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("KAFKALAB_S3_PORT", str(taken.getsockname()[1]))
        with pytest.raises(UsageError, match=f"KAFKALAB_S3_PORT={taken.getsockname()[1]}"):
            server.ensure_server("me", 60)
    found = server.ensure_server("me", 60)
    assert found.port == int(os.environ["KAFKALAB_S3_PORT"])
    monkeypatch.setenv("KAFKALAB_S3_PORT", str(found.port - 1))
    with pytest.raises(UsageError, match=f"runs already, on port {found.port}, for me"):
        server.ensure_server("me", 60)


def test_a_server_that_cannot_start_shows_its_log(home, monkeypatch):
    monkeypatch.setattr(server, "_MAIN", "no.such.Main")
    with pytest.raises(InfrastructureError, match=r"(?s)ended with code 1\..*no\.such\.Main"):
        server.ensure_server("me", 60)
    assert processes(home) == []
