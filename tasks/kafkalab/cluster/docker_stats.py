"""Readings of containers, from the daemon's stream of their accounting.

The daemon reads a container's cgroup once a second and answers a single question only at its next
reading, so that asking N containers in turn takes up to N seconds. Each container is therefore
listened to by a thread, from the first question on until the container is gone, and a question is
answered with the latest reading.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

from kafkalab.cluster import docker_api
from kafkalab.model.cluster import ProcessStats
from kafkalab.model.errors import InfrastructureError

_FIRST_S = 10.0  # how long the first reading may take
_STALE_S = 10.0  # a reading that is older says nothing about now


class Listener:
    """The latest readings of containers, by name. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._latest: dict[str, ProcessStats] = {}
        self._listening: set[str] = set()

    def reading(self, container: str) -> ProcessStats:
        """The latest reading of a running container, at most some seconds old.

        Raises:
            InfrastructureError: it does not run, or the daemon says nothing about it.
        """
        with self._lock:
            if container not in self._listening:
                self._listening.add(container)
                self._latest.pop(container, None)
                threading.Thread(
                    target=self._listen, args=(container,), name=f"stats {container}", daemon=True
                ).start()
            self._lock.wait_for(lambda: self._answered(container), timeout=_FIRST_S)
            latest = self._latest.get(container)
        if latest is None or time.monotonic_ns() - latest.time_ns > _STALE_S * 1e9:
            raise InfrastructureError(
                f"expected readings of container {container}, the daemon has none: it does not "
                "run. "
                "See its log for why it ended."
            )
        return latest

    def _answered(self, container: str) -> bool:
        return container in self._latest or container not in self._listening

    def _listen(self, container: str) -> None:
        try:
            with contextlib.suppress(InfrastructureError), docker_api.daemon_errors():
                client = docker_api.connect()
                for raw in client.api.stats(container, stream=True, decode=True):
                    reading = parse(raw, time.monotonic_ns())
                    if reading is None:
                        return  # it has ended; a question after a restart listens anew
                    with self._lock:
                        self._latest[container] = reading
                        self._lock.notify_all()
        finally:
            with self._lock:
                self._listening.discard(container)
                self._latest.pop(container, None)
                self._lock.notify_all()


def parse(raw: Mapping[str, Any], time_ns: int) -> ProcessStats | None:
    """Turn the daemon's accounting of a container into a reading; None when it does not run.

    Resident memory is anonymous plus mapped file pages, as a process' RSS is; the page cache of
    files that are only read and written is left out. cgroup v1 and v2 name them differently.

    Args:
        raw: one answer of `GET /containers/{id}/stats`.
        time_ns: CLOCK_MONOTONIC when it arrived.
    """
    memory = raw.get("memory_stats", {}).get("stats")
    if not memory:
        return None
    anonymous = memory["anon"] if "anon" in memory else memory["rss"]
    networks = raw.get("networks") or {}
    mapped = memory["file_mapped"] if "file_mapped" in memory else memory["mapped_file"]
    return ProcessStats(
        time_ns=time_ns,
        rss_bytes=int(anonymous) + int(mapped),
        cpu_s=raw["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        threads=int(raw["pids_stats"].get("current", -1)),
        descriptors=-1,
        sockets=-1,
        received_bytes=_total(networks, "rx_bytes"),
        sent_bytes=_total(networks, "tx_bytes"),
    )


def _total(networks: Mapping[str, Any], counter: str) -> int:
    """Over the container's interfaces, headers included; −1 when it has none."""
    return sum(int(each[counter]) for each in networks.values()) if networks else -1
