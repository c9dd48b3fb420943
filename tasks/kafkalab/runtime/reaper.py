"""Processes of runs that nobody keeps any more: find them, end them, touch nothing else.

A process is dead wood when its environment, as it was at its start, names a lease of this home in
KAFKALAB_LEASE and that lease is not valid. Guards, and engines for drivers, set it; a step does not
carry it, since a step may work before its run has a lease and after. Another checkout on the host
has its own leases, and what runs there is its business. Guards do the same for their own children;
this is for what a guard could not end: the guard itself when it was stopped, drivers,
grandchildren. Processes of other users cannot be read and are never touched;
neither are this process and its ancestors.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from kafkalab.runtime import lease
from kafkalab.runtime.guard import LEASE_VARIABLE, RUN_VARIABLE, started_ticks

CLUSTER_VARIABLE = "KAFKALAB_CLUSTER"  # which cluster of its run a process belongs to
_GRACE_S = 5.0
_ROUNDS = 3  # what was ended may have started another process in its last moment


@dataclass(frozen=True)
class Reaped:
    """Something of a dead run that was found, and ended unless it was a dry run."""

    run_id: str
    kind: str  # process | lease | container | network | folder
    what: str  # for people: "pid 4711 java kafka.Kafka"
    why: str  # "its run has no lease" | "its lease expired 12 s ago"

    def __str__(self) -> str:
        return f"{self.kind} {self.what} of run {self.run_id}: {self.why}"


@dataclass(frozen=True)
class Found:
    """A process that a run started."""

    pid: int
    ticks: int  # see `started_ticks`
    run_id: str
    cluster: str
    command: str

    def __str__(self) -> str:
        return f"pid {self.pid} {self.command}"


def processes() -> list[Found]:
    """All processes of this home's runs, without this one and its ancestors."""
    home = lease.folder().resolve()
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for pid in psutil.pids():
        marks = _marks(pid)
        if pid in own or RUN_VARIABLE not in marks or LEASE_VARIABLE not in marks:
            continue
        ticks = started_ticks(pid)
        if ticks is None or Path(marks[LEASE_VARIABLE]).parent.resolve() != home:
            continue
        cluster = marks.get(CLUSTER_VARIABLE, "")
        found.append(Found(pid, ticks, marks[RUN_VARIABLE], cluster, _command(pid)))
    return found


def residue(run_id: str, cluster: str = "") -> list[Found]:
    """Processes of a run that still run; with `cluster`, only those of that cluster."""
    return [f for f in processes() if f.run_id == run_id and (not cluster or f.cluster == cluster)]


def why_dead(run_id: str) -> str:
    """Why nobody keeps a run any more; empty when its lease is valid."""
    current = lease.Lease.load(run_id) if run_id else None
    if current is None:
        return "its run has no lease"
    left_s = current.left_s()
    return "" if left_s > 0 else f"its lease expired {-left_s:.0f} s ago"


def reap(dry_run: bool) -> list[Reaped]:
    """End the processes of runs without a valid lease, and remove leases that have expired.

    Args:
        dry_run: only say what would be done.
    """
    reaped: list[Reaped] = []
    for _ in range(_ROUNDS):
        dead = [(found, why) for found in processes() if (why := why_dead(found.run_id))]
        reaped += [Reaped(found.run_id, "process", str(found), why) for found, why in dead]
        if dry_run or not dead:
            break
        end([found for found, _ in dead])
    for each in lease.every():
        if each.expired():
            reaped.append(Reaped(each.run_id, "lease", each.path.name, why_dead(each.run_id)))
            if not dry_run:
                _remove_expired(each)
    return reaped


def end(found: list[Found]) -> None:
    """SIGTERM, a bounded grace, SIGKILL; a pid that was given to another process is left alone."""
    for number, wait_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        left = [f for f in found if started_ticks(f.pid) == f.ticks]
        for each in left:
            with suppress(ProcessLookupError):
                os.kill(each.pid, number)
                os.kill(each.pid, signal.SIGCONT)  # a paused one cannot obey
        deadline = time.monotonic() + wait_s
        while any(started_ticks(f.pid) == f.ticks for f in left) and time.monotonic() < deadline:
            time.sleep(0.05)


def _remove_expired(expired: lease.Lease) -> None:
    if expired.expired():  # read again: its run may have asked for the host anew meanwhile
        expired.release()


def _marks(pid: int) -> dict[str, str]:
    """The lab's variables in a process's environment."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}  # ended, or another user's: not ours to touch
    if LEASE_VARIABLE.encode() not in raw:
        return {}
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if item.startswith(b"KAFKALAB_"))
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def _command(pid: int) -> str:
    """A command line for people: the program and its last argument."""
    with suppress(OSError):
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        words = [os.fsdecode(word) for word in raw.split(b"\0") if word]
        if words:
            return " ".join((Path(words[0]).name, *words[1:][-2:]))[:160]
    return "(ended)"
