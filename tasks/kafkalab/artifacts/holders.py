"""Who needs the embedded server, and until when; their maximum is the lease that it lives by.

Holders are names in one small file, not leases of their own: a lease stands for a run and its
processes, a holder only postpones the end of a process that all share. Callers hold the lock of
the server's folder. A holder that died without a word is dropped when its time has passed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import lease

LEASE = "store"  # name of the lease that the server's guard watches


def hold(folder: Path, holder: str, seconds: float) -> lease.Lease:
    """Keep the server for this holder for some seconds from now; never shortens what it has."""
    now = time.monotonic()
    held = _valid(folder)
    held[holder] = max(held.get(holder, 0.0), now + seconds)
    _write(folder, held)
    return lease.Lease.create(LEASE, max(held.values()) - now)


def release(folder: Path, holder: str) -> bool:
    """Drop a holder; whether others are left. Without any the lease is released."""
    held = _valid(folder)
    held.pop(holder, None)
    _write(folder, held)
    if held:
        lease.Lease.create(LEASE, max(held.values()) - time.monotonic())
    elif (current := lease.Lease.load(LEASE)) is not None:
        current.release()
    return bool(held)


def names(folder: Path) -> list[str]:
    """Who holds the server now."""
    return sorted(_valid(folder))


@contextmanager
def renewing(renew: Callable[[], object], every_s: float) -> Iterator[None]:
    """Call `renew` from a thread while the block runs; its first failure is raised at the end."""
    done = threading.Event()
    failed: list[InfrastructureError] = []

    def work() -> None:
        while not done.wait(every_s):
            try:
                renew()
            except InfrastructureError as error:
                failed.append(error)
                return

    thread = threading.Thread(target=work, name="store lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]


def _valid(folder: Path) -> dict[str, float]:
    """Holder → CLOCK_MONOTONIC until which it holds; of this boot, and not yet passed."""
    try:
        raw = json.loads((folder / "holders.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if raw["boot"] != lease.boot_id():
        return {}
    now = time.monotonic()
    return {name: until for name, until in raw["until"].items() if until > now}


def _write(folder: Path, until: dict[str, float]) -> None:
    scratch = folder / ".holders.json"
    text = json.dumps({"boot": lease.boot_id(), "until": until})
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(folder / "holders.json")
