import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import lease
from kafkalab.runtime.lease import Lease, acquire_host, keeping


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def quiet(_: str) -> None:
    pass


def test_a_lease_is_valid_until_its_time_is_over(home: Path) -> None:
    held = Lease.create("r1", 0.2)

    assert not held.expired()
    assert held.path == home / "leases" / "r1.json"
    time.sleep(0.25)
    assert held.expired()


def test_renewing_extends_and_is_seen_by_older_readings(home: Path) -> None:
    held = Lease.create("r1", 0.3)
    time.sleep(0.2)
    held.renew()
    time.sleep(0.2)

    assert not held.expired()


def test_a_released_lease_is_over_and_is_not_brought_back(home: Path) -> None:
    held = Lease.create("r1", 60)
    held.release()
    held.release()

    assert held.expired()
    with pytest.raises(InfrastructureError, match="valid lease of run r1, found none"):
        held.renew()
    assert not held.path.exists()


def test_an_expired_lease_is_not_brought_back(home: Path) -> None:
    held = Lease.create("r1", 0.05)
    time.sleep(0.1)

    with pytest.raises(InfrastructureError, match=r"found one that ended 0 s ago"):
        held.renew()


def test_steps_of_the_wall_clock_do_not_matter(home: Path) -> None:
    held = Lease.create("r1", 60)
    edit(held.path, expires_at="1999-01-01T00:00:00+00:00")

    assert not held.expired()


def test_a_reboot_voids_every_lease(home: Path) -> None:
    held = Lease.create("r1", 60)
    edit(held.path, boot="another")

    assert held.expired()


def test_an_unnoticed_reboot_voids_it_too(home: Path) -> None:
    held = Lease.create("r1", 60)
    edit(held.path, expires_s=time.monotonic() + 10_000)  # the clock began anew since

    assert held.expired()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_id": "r1"}', "null"])
def test_a_file_that_is_no_lease_is_not_valid(home: Path, text: str) -> None:
    held = Lease.create("r1", 60)
    held.path.write_text(text)

    assert held.expired()


@pytest.mark.parametrize("name", ["", "../x", ".host", "a/b", "x" * 300])
def test_a_run_id_that_cannot_be_a_file_is_refused(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the id of a run"):
        Lease.create(name)


def test_airflows_run_ids_are_accepted(home: Path) -> None:
    assert not Lease.create("scheduled__2026-11-21T02:00:00+00:00").expired()


def test_a_reader_never_sees_half_a_lease(home: Path) -> None:
    held = Lease.create("r1", 60)
    done = threading.Event()
    bad: list[str] = []

    def look() -> None:
        while not done.is_set():
            if lease.read(held.path) is None:
                bad.append("unreadable")

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(100):
        held.renew()
    done.set()
    reader.join()
    assert bad == []


def test_keeping_renews_while_the_block_runs(home: Path) -> None:
    held = Lease.create("r1", 0.4)

    with keeping(held):
        time.sleep(1.0)
        assert not held.expired()
    time.sleep(0.5)
    assert held.expired()


def lose_while_kept(held: Lease, error: type[Exception] | None = None) -> None:
    with keeping(held):
        held.release()
        time.sleep(0.4)
        if error:
            raise error


def test_keeping_tells_when_the_lease_was_lost(home: Path) -> None:
    with pytest.raises(InfrastructureError, match="valid lease of run r1"):
        lose_while_kept(Lease.create("r1", 0.3))


def test_an_error_of_the_block_is_not_hidden_by_a_lost_lease(home: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        lose_while_kept(Lease.create("r1", 0.3), ZeroDivisionError)


def test_a_disk_that_is_full_for_a_moment_does_not_lose_the_lease(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = lease._write, [OSError(28, "No space left on device")]

    def write(path: Path, run_id: str, seconds: float) -> Lease:
        if failures and threading.current_thread() is not threading.main_thread():
            raise failures.pop()
        return real(path, run_id, seconds)

    monkeypatch.setattr(lease, "_write", write)
    held = Lease.create("r1", 0.9)
    with keeping(held):
        time.sleep(1.5)

    assert failures == []
    assert not held.expired()


def test_a_disk_that_stays_full_loses_it_and_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> Lease:
        raise OSError(28, "No space left on device")

    def work() -> None:
        with keeping(held):
            monkeypatch.setattr(lease, "_write", write)
            time.sleep(0.8)

    held = Lease.create("r1", 0.3)
    with pytest.raises(InfrastructureError, match=r"could not be renewed.*No space left"):
        work()


def test_the_host_is_given_at_once_when_it_is_free_and_again_to_its_holder(home: Path) -> None:
    first = acquire_host("r1", 0, quiet)
    again = acquire_host("r1", 0, quiet)

    assert first.run_id == again.run_id == "r1"
    assert lease.host_holder() is not None


def test_a_second_run_waits_and_is_told_who_has_the_host(home: Path) -> None:
    first = acquire_host("r1", 0, quiet)
    said: list[str] = []
    threading.Timer(0.7, first.release).start()

    second = acquire_host("r2", 10, said.append)

    assert second.run_id == "r2"
    assert "run r1 has it" in said[0]
    assert f"pid {os.getpid()}" in said[0]


def test_a_run_that_waits_for_too_long_is_told_what_to_do(home: Path) -> None:
    acquire_host("r1", 0, quiet)

    with pytest.raises(InfrastructureError, match=r"within 1 s.*run r1 has it.*kafkalab reap"):
        acquire_host("r2", 1, quiet)
    assert list((home / "leases" / "queue").glob("*.json")) == []


def test_the_host_of_a_dead_run_is_free_once_its_lease_expired(home: Path) -> None:
    acquire_host("r1", 0, quiet, seconds=0.5)

    assert acquire_host("r2", 5, quiet).run_id == "r2"


def test_who_waits_longest_is_next(home: Path) -> None:
    first = acquire_host("r0", 0, quiet)
    order: list[str] = []

    def wait(name: str) -> None:
        held = acquire_host(name, 20, quiet)
        order.append(name)
        held.release()

    threads = []
    for name in ("r1", "r2", "r3"):
        threads.append(threading.Thread(target=wait, args=(name,)))
        threads[-1].start()
        time.sleep(0.1)
    first.release()
    for thread in threads:
        thread.join()
    assert order == ["r1", "r2", "r3"]


def test_a_waiter_that_was_killed_holds_nobody_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_TICKET_S", 1.0)
    first = acquire_host("r1", 0, quiet)
    code = (
        "from kafkalab.runtime import lease; lease._TICKET_S = 1.0\n"
        "lease.acquire_host('dead', 60, lambda text: print(text, flush=True))"
    )
    waiter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert waiter.stdout is not None
    waiter.stdout.readline()
    waiter.kill()
    waiter.wait()
    waiter.stdout.close()
    first.release()
    said: list[str] = []

    assert acquire_host("r2", 10, said.append).run_id == "r2"
    assert "run dead is before it in the queue" in said[0]
