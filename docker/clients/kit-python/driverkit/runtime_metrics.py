"""What only the driver sees of its own process and clients; null where it cannot be seen."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from typing import Any

from driverkit.client import BaseClient

scheduler_delay_ms: Callable[[str], float] | None = None  # set where an event loop is watched
_gc_started_s = 0.0
_gc_total_s = 0.0


def _on_gc(phase: str, _info: dict[str, int]) -> None:
    global _gc_started_s, _gc_total_s  # noqa: PLW0603 the collector has one callback a process
    if phase == "start":
        _gc_started_s = time.perf_counter()
    else:
        _gc_total_s += time.perf_counter() - _gc_started_s


gc.callbacks.append(_on_gc)


def runtime_metrics(client: BaseClient | None) -> dict[str, Any]:
    """The contract's `runtime`; without a client only what the whole process has."""
    who = "" if client is None else client.name
    process = {
        "heap_bytes": None,  # CPython does not say
        "buffered_records": None,
        "scheduler_delay_ms_max": scheduler_delay_ms(who) if scheduler_delay_ms else None,
        "gc_pause_ms_total": round(_gc_total_s * 1e3, 3),
        "threads": _threads(),
        "received_bytes": None,
        "sent_bytes": None,
    }
    return process if client is None else process | client.runtime()


def _threads() -> int | None:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 a path for each would cost more
    except OSError:
        return None
