"""Reads how noisy the host is while a step runs; judging it is measure/noise.py's."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from kafkalab.measure import noise

CALIBRATIONS = 5
_WORK = bytes(
    2**20
)  # hashing it takes about a millisecond: long enough to time, too short to share


def read() -> noise.HostReadings:
    """One reading: stolen CPU time, time spent waiting to run, and how fast a fixed loop is now."""
    return noise.HostReadings(
        time_s=time.monotonic(),
        steal_s=float(getattr(psutil.cpu_times(), "steal", 0.0)),
        waiting_s=_waiting_s(),
        calibration_s=tuple(_calibrate() for _ in range(CALIBRATIONS)),
    )


def between(before: noise.HostReadings, after: noise.HostReadings) -> dict[str, Any]:
    """What the manifest says of the host between two readings, and the reasons if it was noisy."""
    cpus = psutil.cpu_count() or 1
    found = noise.between(before, after, cpus)
    return {**asdict(found), "cpus": cpus, "noisy": list(noise.noisy(found))}


def _calibrate() -> float:
    started = time.perf_counter()
    for _ in range(8):
        hashlib.sha256(_WORK).digest()
    return time.perf_counter() - started


def _waiting_s() -> float:
    """Seconds in which some task waited for a CPU; 0 where the kernel does not tell (no PSI)."""
    try:
        line = Path("/proc/pressure/cpu").read_text(encoding="ascii").splitlines()[0]
    except (OSError, IndexError):
        return 0.0
    return float(line.rpartition("total=")[2]) / 1e6
