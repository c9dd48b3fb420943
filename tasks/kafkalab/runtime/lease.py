"""Leases: how long what a run started may live without anybody saying that it is still wanted.

A lease is a file `home()/leases/<name>.json`. It is valid while it exists, was written since the
host booted, and its time has not passed. A step renews it while it works (`keeping`); a guard (see
`guard`) ends its processes once the lease is not valid any more, and the reaper ends what has no
guard. So a step, a terminal or a scheduler may die at any moment, and nothing outlives the lease.

Time is CLOCK_MONOTONIC together with the kernel's boot id: steps of the wall clock do not matter,
nor does a suspended host, and after a reboot every lease is void, as are the processes it stood
for. The wall time in the file is for people. Files are replaced by rename, and a renewal never
brings back a lease that was released or has expired, since by then its processes are ending.
Reading needs the standard library only: the guard must stay small.

Runs on one host take turns: `acquire_host` queues until no other run has a valid lease on the
host. The host belongs to a run exactly as long as that run's lease is valid, so there is nothing
more to release or to leak.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime.files import exclusive, read_json, replace_json

SECONDS_MIN = 5.0
SECONDS = 900.0  # long enough for a scheduler to start the next step, short enough to tidy up soon
_HOST = ".host.json"  # names the run that has the host
_QUEUE = "queue"
_TICKET_S = 15.0
_POLL_S = 0.5
_SAY_S = 30.0


@dataclass(frozen=True)
class Lease:
    """A lease as it is on disk; `Lease.load` or `renew` give newer readings."""

    run_id: str
    path: Path
    holder: str  # who wrote it, for people
    seconds: float  # what a renewal grants
    boot: str
    expires_s: float  # CLOCK_MONOTONIC

    @classmethod
    def create(cls, run_id: str, seconds: float = SECONDS) -> Lease:
        """Write a lease for a run, or renew the one that it has."""
        path = path_of(run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path.parent):
            return _write(path, run_id, seconds)

    @classmethod
    def load(cls, run_id: str) -> Lease | None:
        """The lease of a run, valid or not; None where there is no file."""
        return read(path_of(run_id))

    def renew(self) -> Lease:
        """Extend by `seconds` from now; `InfrastructureError` when it is not valid any more."""
        with exclusive(self.path.parent):
            current = read(self.path)
            if current is None or current.expired():
                found = (
                    "none" if current is None else f"one that ended {-current.left_s():.0f} s ago"
                )
                raise InfrastructureError(
                    f"{self.path}: expected the valid lease of run {self.run_id}, found {found}. "
                    f"What the run started is being ended. Start the run again, with a longer "
                    f"lease if steps waited for long."
                )
            return _write(self.path, self.run_id, self.seconds)

    def release(self) -> None:
        """End it now; releasing twice is no error."""
        with exclusive(self.path.parent):
            self.path.unlink(missing_ok=True)

    def left_s(self) -> float:
        """Seconds until this reading expires; negative when it has."""
        if self.boot != boot_id():
            return -1.0
        left = self.expires_s - time.monotonic()
        # More than was granted: written before a boot that went unnoticed.
        return left if left <= self.seconds + 1.0 else -1.0

    def expired(self) -> bool:
        """Whether the lease on disk is gone or past its time; others may have renewed it."""
        current = read(self.path)
        return current is None or current.left_s() <= 0


def configured_seconds() -> float:
    """What a run's lease grants: KAFKALAB_LEASE_S, or SECONDS; raises `UsageError`."""
    text = os.environ.get("KAFKALAB_LEASE_S", "")
    try:
        seconds = float(text or SECONDS)
    except ValueError:
        seconds = 0.0
    if seconds < SECONDS_MIN:
        raise UsageError(
            f"KAFKALAB_LEASE_S: expected seconds, at least {SECONDS_MIN:g}, found '{text}'."
        )
    return seconds


def path_of(name: str) -> Path:
    """File of a lease; raises `UsageError` for a name that cannot be a file's."""
    if not re.fullmatch(r"[\w][\w.:+=@-]{0,199}", name):
        raise UsageError(
            f"'{name}' cannot be the id of a run: expected letters, digits and . : + = @ - _, at "
            f"most 200."
        )
    return folder() / f"{name}.json"


def folder() -> Path:
    """Where leases live."""
    from kafkalab.runtime import paths  # the guard is told its lease's path

    return paths.home().absolute() / "leases"


def every() -> list[Lease]:
    """All leases of this home, valid or not."""
    found = (read(path) for path in sorted(folder().glob("[!.]*.json")))
    return [lease for lease in found if lease is not None]


def read(path: Path) -> Lease | None:
    """Read a lease; None when there is no file, or it is no lease; raises `OSError`."""
    raw = read_json(path)
    try:
        return Lease(
            run_id=str(raw["run_id"]),
            path=path,
            holder=str(raw["holder"]),
            seconds=float(raw["seconds"]),
            boot=str(raw["boot"]),
            expires_s=float(raw["expires_s"]),
        )
    except (KeyError, TypeError, ValueError):
        return None  # not written by `_write`, which replaces whole files: nothing vouches for it


def boot_id() -> str:
    """Identifier of this boot of the kernel; "" where the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@contextmanager
def keeping(lease: Lease) -> Iterator[Lease]:
    """Renew a lease from a thread while the block runs, a third of its time apart.

    Raises:
        InfrastructureError: at the end of the block, when the lease was lost meanwhile: what the
            block saw of its cluster cannot be trusted then.
    """
    current = lease.renew()
    done = threading.Event()
    trouble: list[InfrastructureError] = []

    def renew() -> None:
        while not done.wait(lease.seconds / 3):
            try:
                current.renew()
                trouble.clear()
            except OSError as error:  # a full disk may be over before the lease is: once more
                trouble[:] = [InfrastructureError(f"{lease.path} could not be renewed: {error}.")]
            except InfrastructureError as error:
                trouble.append(error)  # after its cause, where there was one
                return

    thread = threading.Thread(target=renew, name=f"lease {lease.run_id}", daemon=True)
    thread.start()
    try:
        yield current
    finally:
        done.set()
        thread.join()
    if trouble and current.expired():
        raise trouble[0]


def acquire_host(
    run_id: str,
    wait_s: float,
    progress: Callable[[str], None],
    seconds: float = SECONDS,
) -> Lease:
    """Take this host for a run, after all runs that asked before; returns the run's lease.

    A run that has the host already gets it again at once. The host is free when that lease is
    released or expires.

    Args:
        run_id: the run.
        wait_s: how long to queue.
        progress: called with a sentence that names who holds the host, when that changes and every
            30 s.
        seconds: what the lease grants.

    Raises:
        InfrastructureError: the host was not free within `wait_s`.
    """
    queue = folder() / _QUEUE
    queue.mkdir(parents=True, exist_ok=True)
    ticket = queue / f"{time.monotonic_ns():020d}-{os.getpid()}.json"
    started = said = time.monotonic()
    last = ""
    try:
        while True:
            with exclusive(queue):
                _write(ticket, run_id, _TICKET_S)
                obstacle = _obstacle(run_id, ticket)
                if obstacle is None:
                    lease = _write(path_of(run_id), run_id, seconds)
                    replace_json(folder() / _HOST, {"run_id": run_id})
                    return lease
            now = time.monotonic()
            if now - started >= wait_s:
                raise InfrastructureError(
                    f"expected this host to be free within {wait_s:.0f} s, found that "
                    f"{obstacle}. Wait for it, stop it, or run `kafkalab reap` if you know that "
                    f"it is dead."
                )
            if obstacle != last or now - said >= _SAY_S:
                progress(f"waiting for this host: {obstacle} (waited {now - started:.0f} s)")
                last, said = obstacle, now
            time.sleep(
                _POLL_S
            )  # polls a condition: other hosts' and containers' processes cannot notify
    finally:
        ticket.unlink(missing_ok=True)


def host_holder() -> Lease | None:
    """The valid lease of the run that has this host; None when it is free."""
    raw = read_json(folder() / _HOST)
    run_id = raw.get("run_id") if isinstance(raw, dict) else None
    lease = Lease.load(run_id) if isinstance(run_id, str) else None
    return lease if lease is not None and lease.left_s() > 0 else None


def _obstacle(run_id: str, ticket: Path) -> str | None:
    """What keeps a ticket from its turn, for people; None when it is its turn."""
    holder = host_holder()
    if holder is not None and holder.run_id != run_id:
        left = f"{holder.left_s():.0f} s left unless it renews"
        return f"run {holder.run_id} has it ({holder.holder}, {left})"
    if holder is not None:
        return None
    for path in sorted(ticket.parent.glob("*.json")):
        if path == ticket:
            return None
        other = read(path)
        if other is not None and other.left_s() > 0:
            return f"run {other.run_id} is before it in the queue ({other.holder})"
        path.unlink(missing_ok=True)  # whoever waited there is dead: it stopped renewing its ticket
    return None


def _write(path: Path, run_id: str, seconds: float) -> Lease:
    lease = Lease(
        run_id=run_id,
        path=path,
        holder=f"pid {os.getpid()} on {socket.gethostname()}",
        seconds=seconds,
        boot=boot_id(),
        expires_s=time.monotonic() + seconds,
    )
    content = {key: value for key, value in vars(lease).items() if key != "path"}
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    replace_json(path, {**content, "expires_at": expires_at.isoformat(timespec="seconds")})
    return lease
