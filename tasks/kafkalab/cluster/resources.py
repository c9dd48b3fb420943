"""Readings of a process on this host, and ports that brokers may bind."""

from __future__ import annotations

import os
import random
import socket
import time
from contextlib import suppress
from pathlib import Path

import psutil

from kafkalab.model.cluster import ProcessStats
from kafkalab.model.errors import InfrastructureError

_PORT_MIN = 20_000
_TRIES = 2_000


def read(pid: int) -> ProcessStats:
    """One reading of a process; raises `InfrastructureError` when it is gone."""
    return read_with_sockets(pid)[0]


def read_with_sockets(pid: int) -> tuple[ProcessStats, frozenset[int]]:
    """One reading of a process, and the inodes of its sockets (none where they are hidden)."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu = process.cpu_times()
            rss_bytes = process.memory_info().rss
            threads = process.num_threads()
        descriptors, inodes = _descriptors(pid)
    except (psutil.NoSuchProcess, psutil.ZombieProcess, FileNotFoundError) as error:
        raise InfrastructureError(
            f"expected process {pid} to run, so that it can be measured; it has ended."
        ) from error
    stats = ProcessStats(
        time_ns=time.monotonic_ns(),
        rss_bytes=rss_bytes,
        cpu_s=cpu.user + cpu.system,
        threads=threads,
        descriptors=descriptors,
        sockets=-1 if descriptors < 0 else len(inodes),
    )
    return stats, frozenset(inodes)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, on any address, different from each other.

    They lie below the range that the kernel gives to outgoing connections: otherwise a broker that
    is down for a moment could find its port taken by a client that tries to reach it.

    Raises:
        InfrastructureError: so many are not to be had.
    """
    limit = _ephemeral_min()
    found: set[int] = set()
    for _ in range(_TRIES):
        if len(found) == count:
            break
        port = random.randrange(_PORT_MIN, limit)
        if port not in found and _is_free(port):
            found.add(port)
    if len(found) < count:
        raise InfrastructureError(
            f"expected {count} free ports between {_PORT_MIN} and {limit}, found {len(found)}. "
            f"Stop what listens there (`ss -ltnp`), or `kafkalab reap` what a dead run left."
        )
    return sorted(found)


def _ephemeral_min() -> int:
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        return max(int(text.split()[0]), _PORT_MIN + 1_000)
    return 32_768  # Linux' default


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _descriptors(pid: int) -> tuple[int, list[int]]:
    """How many descriptors are open (−1 where they may not be seen); inodes of the sockets."""
    folder = f"/proc/{pid}/fd/"
    try:
        entries = os.listdir(folder)  # noqa: PTH208 a Path for each of hundreds costs more than it
    except PermissionError:
        return -1, []
    inodes = []
    for entry in entries:
        with suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(folder + entry)  # noqa: PTH115 likewise
            if target.startswith("socket:["):
                inodes.append(int(target[8:-1]))
    return len(entries), inodes
