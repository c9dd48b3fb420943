import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import guard
from kafkalab.runtime.guard import GuardHandle, Program, start_guarded, started_ticks
from kafkalab.runtime.lease import Lease

STUBBORN = ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def gone(*pids: int) -> bool:
    return all(started_ticks(pid) is None for pid in pids)


@pytest.fixture
def lease(home: Path) -> Iterator[Lease]:
    """A lease that ends with the test, and with it whatever the test left under a guard."""
    held = Lease.create("r1", 60)
    yield held
    held.release()


def start(lease: Lease, folder: Path, *argvs: tuple[str, ...], grace_s: float = 1) -> GuardHandle:
    programs = [
        Program(f"p{number}", argv, folder / f"p{number}.log", {"COLOUR": "red"})
        for number, argv in enumerate(argvs)
    ]
    return start_guarded("t", lease, programs, folder, grace_s=grace_s)


SLEEP = ("sleep", "100")


def test_programs_run_with_their_log_environment_and_mark(lease: Lease, tmp_path: Path) -> None:
    show = ("sh", "-c", "echo $COLOUR $KAFKALAB_RUN_ID; echo oops >&2; exec sleep 100")
    handle = start(lease, tmp_path, SLEEP, show)

    assert until(lambda: (tmp_path / "p1.log").read_text() == "red r1\noops\n")
    assert sorted(handle.pids) == ["p0", "p1"]
    assert handle.alive()
    assert handle.guard_pid not in handle.pids.values()


def test_the_guard_is_small_detached_and_no_child_of_who_started_it(
    lease: Lease, tmp_path: Path
) -> None:
    process = psutil.Process(start(lease, tmp_path).guard_pid)

    assert process.memory_info().rss < 40_000_000
    assert os.getsid(process.pid) == process.pid
    assert process.ppid() != os.getpid()
    assert process.num_threads() == 1  # else PR_SET_PDEATHSIG would watch the wrong one


def test_ending_ends_programs_also_stubborn_ones_and_the_guard(
    lease: Lease, tmp_path: Path
) -> None:
    handle = start(lease, tmp_path, SLEEP, STUBBORN, grace_s=0.3)
    pids, pid = handle.pids, handle.guard_pid

    handle.end()

    assert gone(pid, *pids.values())
    assert [handle.status()[name].exit for name in ("p0", "p1")] == [-15, -9]
    assert handle.ending() == "asked to"
    handle.end()


@pytest.mark.parametrize("how", ["release", "expire", "damage"])
def test_everything_ends_with_the_lease(home: Path, tmp_path: Path, how: str) -> None:
    lease = Lease.create("r1", 1 if how == "expire" else 60)
    handle = start(lease, tmp_path, SLEEP, SLEEP)
    pids = handle.pids
    if how == "release":
        lease.release()
    elif how == "damage":
        lease.path.write_text("{")

    assert until(lambda: gone(handle.guard_pid, *pids.values()))
    assert "the lease" in handle.ending()


def test_a_lease_that_cannot_be_read_holds_until_it_would_have_expired(
    home: Path, tmp_path: Path
) -> None:
    lease = Lease.create("r1", 2)
    handle = start(lease, tmp_path, SLEEP)
    loop = tmp_path / "loop"
    loop.symlink_to(lease.path.name)  # in its place, it names itself: ELOOP
    loop.rename(lease.path)
    time.sleep(1.0)

    assert handle.alive()
    assert until(lambda: gone(handle.guard_pid), 5)
    assert "expired" in handle.ending()
    assert "cannot be read" in (handle.folder / "guard.log").read_text()


def test_a_renewed_lease_keeps_them(home: Path, tmp_path: Path) -> None:
    lease = Lease.create("r1", 1)
    handle = start(lease, tmp_path, SLEEP)
    for _ in range(6):
        time.sleep(0.3)
        lease.renew()

    assert handle.alive()
    assert "p0" in handle.pids
    lease.release()
    assert until(lambda: gone(handle.guard_pid))


def test_a_killed_guard_takes_its_programs_with_it(lease: Lease, tmp_path: Path) -> None:
    handle = start(lease, tmp_path, SLEEP, STUBBORN)
    pids = handle.pids

    os.kill(handle.guard_pid, signal.SIGKILL)

    assert until(lambda: gone(*pids.values()), 3)
    assert not handle.alive()
    assert handle.pids == {}
    with pytest.raises(InfrastructureError, match="it was killed, or hangs"):
        handle.signal("p0", signal.SIGTERM)


def test_a_killed_starter_leaves_the_programs_to_the_lease(home: Path, tmp_path: Path) -> None:
    code = f"""
import pathlib, time
from kafkalab.runtime.guard import Program, start_guarded
from kafkalab.runtime.lease import Lease
folder = pathlib.Path({str(tmp_path)!r})
start_guarded("t", Lease.create("r1", 2), [Program("p", ("sleep", "100"), folder / "p")], folder)
print("up", flush=True)
time.sleep(100)
"""
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    starter.kill()
    starter.wait()
    starter.stdout.close()
    handle = GuardHandle.load(tmp_path / "guard-t")
    pids = handle.pids

    assert handle.alive()
    assert until(lambda: gone(handle.guard_pid, *pids.values()))


def test_a_program_can_be_killed_and_started_again_by_another_process(
    lease: Lease, tmp_path: Path
) -> None:
    first = start(lease, tmp_path, SLEEP, SLEEP).pids
    later = GuardHandle.load(tmp_path / "guard-t")

    assert later.kill("p0") == -9
    assert gone(first["p0"])
    pid = later.start(later.programs()["p0"])

    assert later.pids == {"p0": pid, "p1": first["p1"]}
    assert psutil.Process(pid).cmdline() == list(SLEEP)


def test_stopping_is_gentle_first(lease: Lease, tmp_path: Path) -> None:
    handle = start(lease, tmp_path, SLEEP, STUBBORN)
    time.sleep(0.2)  # the shell needs a moment to set its trap; either way p1 ends

    assert handle.stop("p0", grace_s=5) == -15
    assert handle.stop("p0") == -15
    assert handle.stop("p1", grace_s=0.3) == -9


def test_one_that_ended_by_itself_has_a_status_though_its_guard_is_slow(
    lease: Lease, tmp_path: Path
) -> None:
    handle = start(lease, tmp_path, SLEEP)
    os.kill(handle.guard_pid, signal.SIGSTOP)
    os.kill(handle.pids["p0"], signal.SIGKILL)
    assert until(lambda: "p0" not in handle.pids)
    assert handle.status()["p0"].exit is None, "its guard has not seen it yet"
    threading.Timer(0.3, os.kill, (handle.guard_pid, signal.SIGCONT)).start()
    assert handle.stop("p0") == -signal.SIGKILL


def test_a_paused_program_ends_too(lease: Lease, tmp_path: Path) -> None:
    handle = start(lease, tmp_path, SLEEP, grace_s=5)
    pids = handle.pids
    handle.signal("p0", signal.SIGSTOP)
    assert until(lambda: psutil.Process(pids["p0"]).status() == psutil.STATUS_STOPPED)
    started = time.monotonic()

    handle.end()

    assert gone(*pids.values())
    assert time.monotonic() - started < 3


def test_what_a_program_leaves_behind_ends_with_the_guard(lease: Lease, tmp_path: Path) -> None:
    orphan = ("sh", "-c", "setsid sleep 100 & echo $!")
    handle = start(lease, tmp_path, orphan)
    assert until(lambda: handle.status()["p0"].exit == 0)
    pid = int((tmp_path / "p0.log").read_text())
    assert not gone(pid)

    handle.end()

    assert gone(pid)


def test_a_program_that_cannot_start_ends_what_was_started(lease: Lease, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"p1: .*No such file.*nonsuch"):
        start(lease, tmp_path, SLEEP, ("nonsuch",))

    handle = GuardHandle.load(tmp_path / "guard-t")
    assert not handle.alive()
    assert handle.pids == {}


def test_commands_that_cannot_be_obeyed_say_why(lease: Lease, tmp_path: Path) -> None:
    handle = start(lease, tmp_path, SLEEP)

    with pytest.raises(InfrastructureError, match="p0 runs already"):
        handle.start(handle.programs()["p0"])
    with pytest.raises(InfrastructureError, match="p9 does not run"):
        handle.signal("p9", signal.SIGTERM)
    with pytest.raises(InfrastructureError, match="No such file"):
        handle.start(Program("x", ("nonsuch",), tmp_path / "x"))


def test_garbage_and_silence_on_the_socket_do_not_hurt(
    lease: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = start(lease, tmp_path, SLEEP)
    monkeypatch.chdir(handle.folder)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as noisy:
        silent.connect("guard.sock")
        noisy.connect("guard.sock")
        noisy.sendall(b"\xff not json\n")

        assert "not a command" in json.loads(noisy.makefile().readline())["error"]
    assert handle.kill("p0") == -9


def test_a_folder_without_a_guard_says_so(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="found no such file"):
        GuardHandle.load(tmp_path)


def test_a_process_is_told_from_a_later_one_with_its_pid() -> None:
    ticks = started_ticks(os.getpid())

    assert ticks is not None
    status = guard.ProgramStatus(pid=os.getpid(), ticks=ticks, exit=None, error="")
    other = guard.ProgramStatus(pid=os.getpid(), ticks=ticks - 1, exit=None, error="")
    assert status.alive()
    assert not other.alive()
