"""`kafkalab try` on a real cluster: green, JSON, replay, and nothing left; and its bad days."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.system


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "KAFKALAB_HOME": str(home)}


def start(home: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kafkalab", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**environment(home), **env},
    )  # fmt: skip


def left(home: Path) -> list[psutil.Process]:
    """Processes that still carry this home."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("KAFKALAB_HOME") == str(home)
        except (psutil.Error, OSError):
            continue
        if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def nothing_left(home: Path, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not left(home):
            return True
        time.sleep(0.25)
    return not left(home)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_c01_is_green_and_repeats_and_leaves_nothing(home):
    process = start(home, "try", "C01", "--engine", "process", "--seed", "7", "--json")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert (found["verdict"], found["seed"]) == ("pass", 7)
    cell = found["cells"][0]
    assert {c["claim"]: c["verdict"] for c in cell["claims"]}["lost-write"] == "pass"
    assert cell["clients"][0].startswith("confluent-kafka@")
    assert nothing_left(home, 15)
    again = start(home, *found["replay"].split()[1:], "--json")
    out, err = again.communicate(timeout=180)
    assert again.returncode == 0, err
    assert json.loads(out)["seed"] == 7
    assert nothing_left(home, 15)


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read stderr until a line holds the text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the command ended before it said {text!r}")


def brokers(home: Path) -> list[psutil.Process]:
    return [p for p in left(home) if "kafka.Kafka" in " ".join(p.cmdline())]


def test_ctrl_c_cleans_up_and_exits_with_130(tmp_path):
    process = start(tmp_path, "try", "C01", "--engine", "process")
    wait_for(process, "starting 3 nodes")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert nothing_left(tmp_path, 15)


def test_a_broker_that_dies_makes_the_cell_unknown(tmp_path):
    process = start(tmp_path, "try", "M01", "--engine", "process", "--json")
    wait_for(process, "steady load")
    victim = brokers(tmp_path)[0]
    victim.kill()
    out, err = process.communicate(timeout=180)
    assert process.returncode in (1, 3), err
    found = json.loads(out)
    assert "died during the cell" in found["cells"][0]["reason"]
    assert nothing_left(tmp_path, 15)


def test_kill_9_of_the_command_leaves_nothing_after_the_lease(tmp_path):
    process = start(tmp_path, "try", "M01", "--engine", "process", KAFKALAB_LEASE_S="8")
    wait_for(process, "steady load")
    assert len(brokers(tmp_path)) == 3
    process.kill()
    process.communicate(timeout=30)
    assert nothing_left(tmp_path, 30), [p.cmdline()[:3] for p in left(tmp_path)]


def test_two_runs_at_once_follow_one_another(tmp_path):
    first = start(tmp_path, "try", "C01", "--engine", "process")
    wait_for(first, "starting 3 nodes")
    second = start(tmp_path, "try", "C01", "--engine", "process")
    wait_for(second, "waiting for this host")
    for process in (first, second):
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    assert nothing_left(tmp_path, 15)


def test_a_client_that_cannot_be_built_is_unknown_and_no_finding(tmp_path):
    # a release without a wheel for any Python that the lab runs on
    arguments = ["--client", "confluent-kafka@1.0.0", "--engine", "process", "--json"]
    process = start(tmp_path, "try", "C01", *arguments)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 3, err
    (cell,) = json.loads(out)["cells"]
    assert cell["reason"].startswith("cannot build confluent-kafka@1.0.0: ")
    assert {claim["verdict"] for claim in cell["claims"]} == {"unknown"}
    assert len(list(tmp_path.rglob("build.log"))) == 1
    assert nothing_left(tmp_path, 15)
