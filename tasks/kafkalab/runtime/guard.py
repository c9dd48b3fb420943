"""Guards: start programs so that they end with their run's lease, whoever dies first.

`start_guarded` starts a small detached process (`guard_process`) that has the programs as its
children. What it knows is in a folder, so any later step goes on with `GuardHandle.load(folder)`:
see what runs, signal it, start a program again after a fault, end everything.

Only the standard library and psutil are imported, because the guard process imports this module.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime.lease import Lease

RUN_VARIABLE = "KAFKALAB_RUN_ID"  # marks every process that a run started
LEASE_VARIABLE = "KAFKALAB_LEASE"  # and those that end with a lease: the file of that lease
GRACE_S = 10.0
LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before any fork: children only call it
_PR_SET_PDEATHSIG = 1
_START_S = 20.0
_ANSWER_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Program:
    """A program that a guard starts."""

    name: str  # unique within its guard
    argv: tuple[str, ...]
    log: Path  # stdout and stderr are appended here
    env: Mapping[str, str] = field(default_factory=dict)  # added to the guard's own environment
    cwd: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        cwd = str(self.cwd) if self.cwd is not None else None
        return {**asdict(self), "log": str(self.log), "cwd": cwd, "env": dict(self.env)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Program:
        """Inverse of `to_dict` after a JSON round trip."""
        return cls(
            name=raw["name"],
            argv=tuple(raw["argv"]),
            log=Path(raw["log"]),
            env=dict(raw["env"]),
            cwd=Path(raw["cwd"]) if raw["cwd"] is not None else None,
        )


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends; for `preexec_fn`."""
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def started_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or a zombie.

    Together with the pid it names a process for good: pids are reused. (psutil's create_time moves
    when the wall clock is set.)
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])


@dataclass(frozen=True)
class ProgramStatus:
    """What a guard knows of one of its programs."""

    pid: int | None  # None: it could not be started
    ticks: int | None  # `started_ticks` when it was
    exit: int | None  # exit status, negative for a signal; None: none seen yet
    error: str  # why it could not be started

    def alive(self) -> bool:
        """Whether this very process runs."""
        if self.pid is None or self.exit is not None:
            return False
        ticks = started_ticks(self.pid)
        return ticks is not None and ticks == self.ticks


@dataclass(frozen=True)
class GuardHandle:
    """A guard that was started, by this process or an earlier one."""

    folder: Path

    @classmethod
    def load(cls, folder: Path) -> GuardHandle:
        """The guard whose folder this is; raises `InfrastructureError` where there was none."""
        handle = cls(folder)
        handle._state()
        return handle

    @property
    def guard_pid(self) -> int:
        """Process id of the guard itself."""
        return int(self._state()["guard"])

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the programs that run, by name."""
        return {n: s.pid for n, s in self.status().items() if s.pid is not None and s.alive()}

    def status(self) -> dict[str, ProgramStatus]:
        """Every program that was ever started, by name (of several starts, the last)."""
        return {name: ProgramStatus(**raw) for name, raw in self._state()["programs"].items()}

    def programs(self) -> dict[str, Program]:
        """The programs that the guard was started with, by name, to start one of them again."""
        spec = json.loads((self.folder / "spec.json").read_text(encoding="utf-8"))
        return {raw["name"]: Program.from_dict(raw) for raw in spec["programs"]}

    def alive(self) -> bool:
        """Whether the guard itself runs."""
        return bool(started_ticks(self.guard_pid) == self._state()["ticks"])

    def ending(self) -> str:
        """Why the guard ended or is ending; empty while it serves (or was killed)."""
        return str(self._state()["ending"])

    def start(self, program: Program) -> int:
        """Start a further program, or one of that name again after it ended; its pid."""
        self._ask({"op": "start", "program": program.to_dict()})
        pid = self.status()[program.name].pid
        assert pid is not None, program.name  # else the guard had answered with an error
        return pid

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a program that runs; returns at once."""
        self._ask({"op": "signal", "name": name, "signal": int(number)})

    def stop(self, name: str, grace_s: float = GRACE_S) -> int | None:
        """SIGTERM, then SIGKILL after `grace_s`; the exit status, also of one that ended before."""
        if self.status()[name].alive():
            self.signal(name, signal.SIGTERM)
            if not _until(lambda: not self.status()[name].alive(), grace_s):
                return self.kill(name)
        # gone is not yet reaped
        _until(lambda: self.status()[name].exit is not None or not self.alive(), _ANSWER_S)
        return self.status()[name].exit

    def kill(self, name: str) -> int | None:
        """SIGKILL; returns the exit status once the process is gone."""
        if self.status()[name].alive():
            self.signal(name, signal.SIGKILL)
        if not _until(lambda: self.status()[name].exit is not None, _ANSWER_S):
            raise InfrastructureError(
                f"expected {name} of {self.folder} to be gone {_ANSWER_S:.0f} s after SIGKILL, "
                f"it is not: see whether it hangs in the kernel (state D in `ps`)."
            )
        return self.status()[name].exit

    def end(self, wait_s: float = GRACE_S + 10.0) -> None:
        """End all programs and the guard; returns when they are gone, an ended guard is fine."""
        if self.alive():
            with contextlib.suppress(InfrastructureError):  # it may be ending by itself
                self._ask({"op": "end"})
        if not _until(lambda: not self.alive(), wait_s):
            raise InfrastructureError(
                f"expected the guard {self.folder} (pid {self.guard_pid}) to end within "
                f"{wait_s:.0f} s, it did not. `kafkalab reap` ends it once its lease has expired."
            )

    def _state(self) -> dict[str, Any]:
        path = self.folder / "status.json"
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InfrastructureError(
                f"{path}: expected the state of a guard, found no such file. It was never started "
                "here, or its folder was removed."
            ) from error
        return state

    def _ask(self, request: Mapping[str, Any]) -> None:
        # By way of the folder's descriptor: a socket's path has 107 bytes at most.
        descriptor = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_ANSWER_S)
                connection.connect(f"/proc/self/fd/{descriptor}/guard.sock")
                connection.sendall(json.dumps(request).encode() + b"\n")
                answer = json.loads(connection.makefile("r", encoding="utf-8").readline())
        except (OSError, ValueError) as error:
            reason = self.ending() or "it was killed, or hangs"
            raise InfrastructureError(
                f"expected the guard {self.folder} to obey {request['op']!r}, it does not answer "
                f"({error}): {reason}. Its programs ended with it; provision again."
            ) from error
        finally:
            os.close(descriptor)
        if answer["error"]:
            raise InfrastructureError(f"{self.folder}: {request['op']} failed: {answer['error']}.")


def start_guarded(
    name: str,
    lease: Lease,
    programs: Sequence[Program],
    log_dir: Path,
    grace_s: float = GRACE_S,
) -> GuardHandle:
    """Start programs under a new guard that lives as long as the lease.

    Args:
        name: of the guard, unique in `log_dir`.
        lease: everything ends when it expires or is released.
        programs: may be none; more can be started later.
        log_dir: the guard keeps its folder `guard-<name>` here.
        grace_s: seconds between SIGTERM and SIGKILL when the guard ends its programs.

    Returns:
        The handle, once every program was started (not: is ready).

    Raises:
        InfrastructureError: a program could not be started (nothing is left running then), or the
            guard could not.
    """
    folder = (log_dir / f"guard-{name}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    handle = GuardHandle(folder)
    (folder / "status.json").unlink(missing_ok=True)
    spec = {
        "folder": str(folder),
        "lease": str(lease.path),
        "run_id": lease.run_id,
        "grace_s": grace_s,
        "programs": [program.to_dict() for program in programs],
    }
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    log = folder / "guard.log"
    pid = _launch(folder, log, lease)
    status = folder / "status.json"
    if not _until(lambda: status.exists() or started_ticks(pid) is None, _START_S):
        raise InfrastructureError(
            f"expected the guard (pid {pid}) to be up within {_START_S:.0f} s, it is not: the "
            f"host is overloaded. It ends with its lease. {_said(log)}"
        )
    if not status.exists():
        raise InfrastructureError(f"expected the guard to be up, it died at once. {_said(log)}")
    failed = [f"{n}: {s.error}" for n, s in handle.status().items() if s.error]
    if failed:
        handle.end()
        raise InfrastructureError(f"expected to start a program, it failed: {'; '.join(failed)}.")
    return handle


def _launch(folder: Path, log: Path, lease: Lease) -> int:
    marks = {RUN_VARIABLE: lease.run_id, LEASE_VARIABLE: str(lease.path)}
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "kafkalab.runtime.guard_process", str(folder / "spec.json")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **marks},
            timeout=_START_S,
            check=False,
        )
    if done.returncode != 0:
        raise InfrastructureError(
            f"expected the guard process to start, it exited with {done.returncode}. {_said(log)}"
        )
    return int((folder / "guard.pid").read_text(encoding="ascii"))


def _said(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
    return f"{log} says: {text or 'nothing'}"


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
