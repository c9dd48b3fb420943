"""Bytes on the wire per driver and connection, put together from looks at the kernel's counters.

Each look at a driver takes what its sockets have counted by then; a connection keeps its last
counters after it closed, so that a driver's totals only grow. What a look cannot see:

- the last bytes of a connection that closed since the look before. Where the kernel tells of ends
  (`SocketDiag.hears_ends`) the final counters replace the last ones, and nothing is lost. Else
  totals are a lower bound: what a connection carried after its last look is missing, at most a
  sampling interval (0.5 s) of it, and its `end` reads `missed`. Workloads look once more before
  they close clients.
- a connection that opened and closed between two looks: nobody owns it when its end is heard of.
  Those that led to the cluster are summed up as `unseen`, so what is missing is at most that. The
  lab's own admin's are among them. Where ends are not heard they leave no trace.
- what a driver's child processes send, and drivers in network namespaces of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import replace

from kafkalab.cluster.sockets import Socket, SocketDiag
from kafkalab.model.cluster import Connection, Unseen, Wire

OPEN, COUNTED, MISSED = "open", "counted", "missed"


class Ledger:
    """The connections of drivers, by name. Any thread may use it."""

    def __init__(self) -> None:
        """Raise `InfrastructureError` when this host's kernel does not tell."""
        self._diag = SocketDiag()
        self._lock = threading.Lock()
        self._drivers: dict[str, dict[int, Connection]] = {}  # by cookie, as they appeared
        self._unseen = Unseen()

    @property
    def hears_ends(self) -> bool:
        """Whether final counters are to be had."""
        return self._diag.hears_ends

    def look(
        self, name: str, inodes: frozenset[int], servers: Collection[str]
    ) -> tuple[Connection, ...]:
        """Look at a driver now; returns all connections that it ever had.

        Args:
            name: the driver's, unique in the cluster's life.
            inodes: of the sockets that its process has open.
            servers: addresses (host:port) of the cluster's listeners for clients.
        """
        with self._lock:
            self._hear(servers)
            known = self._drivers.setdefault(name, {})
            now = time.monotonic_ns()
            seen = {each.cookie: each for each in self._diag.look(inodes, known.keys())}
            for cookie, before in known.items():
                if before.end == OPEN and cookie not in seen:
                    known[cookie] = replace(before, end=MISSED)  # until its end is heard of
            for cookie, found in seen.items():
                first = known[cookie].first_ns if cookie in known else now
                known[cookie] = _connection(found, first, now, OPEN)
            return tuple(known.values())

    def wire(self, servers: Collection[str]) -> Wire:
        """What is known of all drivers."""
        with self._lock:
            self._hear(servers)
            return Wire({n: tuple(c.values()) for n, c in self._drivers.items()}, self._unseen)

    def close(self) -> None:
        """Give the descriptors back."""
        self._diag.close()

    def _hear(self, servers: Collection[str]) -> None:
        """Take final counters; connections of nobody are summed up."""
        for gone in self._diag.ended():
            owner = next((c for c in self._drivers.values() if gone.cookie in c), None)
            if owner is not None:
                last = owner[gone.cookie]
                owner[gone.cookie] = _connection(gone, last.first_ns, last.last_ns, COUNTED)
            elif gone.remote in servers:
                self._unseen = Unseen(
                    self._unseen.connections + 1,
                    self._unseen.received_bytes + gone.received_bytes,
                    self._unseen.sent_bytes + gone.sent_bytes,
                )


def _connection(found: Socket, first_ns: int, last_ns: int, end: str) -> Connection:
    return Connection(
        local=found.local,
        remote=found.remote,
        received_bytes=found.received_bytes,
        sent_bytes=found.sent_bytes,
        received_segments=found.received_segments,
        sent_segments=found.sent_segments,
        first_ns=first_ns,
        last_ns=last_ns,
        end=end,
    )
