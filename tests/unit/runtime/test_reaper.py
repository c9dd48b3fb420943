import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkalab.runtime import reaper
from kafkalab.runtime.guard import LEASE_VARIABLE, RUN_VARIABLE, started_ticks
from kafkalab.runtime.lease import Lease, path_of

SLEEP = ["sleep", "100"]


@pytest.fixture
def spawned() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of a test, as a driver's would be; none survives it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def spawn(processes: list[subprocess.Popen[bytes]], run_id: str, **marks: str) -> int:
    own = {RUN_VARIABLE: run_id, LEASE_VARIABLE: str(path_of(run_id)), **marks}
    processes.append(subprocess.Popen(SLEEP, env={**os.environ, **own}))
    return processes[-1].pid


def test_processes_of_a_run_without_a_lease_are_ended(home: Path, spawned: list) -> None:
    pid = spawn(spawned, "dead")

    (reaped,) = reaper.reap(dry_run=False)

    assert reaped.run_id == "dead"
    assert f"pid {pid} sleep 100" in str(reaped)
    assert "no lease" in str(reaped)
    assert started_ticks(pid) is None


def test_a_dry_run_says_the_same_and_does_nothing(home: Path, spawned: list) -> None:
    pid = spawn(spawned, "dead")

    said = reaper.reap(dry_run=True)

    assert started_ticks(pid) is not None
    assert said == reaper.reap(dry_run=False)


def test_a_run_that_is_kept_is_left_alone(home: Path, spawned: list) -> None:
    Lease.create("kept", 60)
    pid = spawn(spawned, "kept")

    assert reaper.reap(dry_run=False) == []
    assert started_ticks(pid) is not None
    assert [found.pid for found in reaper.residue("kept")] == [pid]


def test_an_expired_lease_is_reaped_with_its_processes(home: Path, spawned: list) -> None:
    lease = Lease.create("late", -1)
    pid = spawn(spawned, "late")

    reaped = reaper.reap(dry_run=False)

    assert [each.kind for each in reaped] == ["process", "lease"]
    assert "expired" in reaped[0].why
    assert started_ticks(pid) is None
    assert not lease.path.exists()


def test_what_another_home_or_nobody_started_is_left_alone(
    home: Path, tmp_path: Path, spawned: list
) -> None:
    other = spawn(spawned, "theirs", **{LEASE_VARIABLE: str(tmp_path / "else/leases/theirs.json")})
    step = {name: value for name, value in os.environ.items() if name != LEASE_VARIABLE}
    spawned.append(subprocess.Popen(SLEEP, env={**step, RUN_VARIABLE: "dead"}))

    assert reaper.reap(dry_run=False) == []
    assert started_ticks(other) is not None
    assert started_ticks(spawned[1].pid) is not None


def test_a_process_that_ignores_sigterm_is_killed(
    home: Path, spawned: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "_GRACE_S", 0.5)
    env = {**os.environ, RUN_VARIABLE: "dead", LEASE_VARIABLE: str(path_of("dead"))}
    argv = ["sh", "-c", "trap '' TERM; echo up; exec sleep 100"]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE)
    spawned.append(process)
    assert process.stdout is not None
    process.stdout.readline()

    reaper.reap(dry_run=False)

    assert process.wait(5) == -9
    process.stdout.close()
    assert reaper.residue("dead") == []


def test_residue_can_be_asked_of_one_cluster(home: Path, spawned: list) -> None:
    Lease.create("kept", 60)
    one = spawn(spawned, "kept", **{reaper.CLUSTER_VARIABLE: "/a"})
    two = spawn(spawned, "kept", **{reaper.CLUSTER_VARIABLE: "/b"})

    assert {found.pid for found in reaper.residue("kept")} == {one, two}
    assert [found.pid for found in reaper.residue("kept", cluster="/b")] == [two]
