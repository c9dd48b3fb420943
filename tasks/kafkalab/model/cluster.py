"""Clusters as data: what is asked for (ClusterSpec) and what is running (ClusterInfo)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster to provision."""

    version: str  # resolved version, e.g. "3.9.2"
    flavour: str = "kafka"
    engine: str = "process"  # process | docker
    nodes: int = 3  # combined broker + controller nodes (KRaft)
    heap_mb: int = 256  # Java heap of each node
    settings: Mapping[str, str] = field(default_factory=dict)  # extra server.properties

    def __str__(self) -> str:
        return f"{self.flavour}@{self.version}"


@dataclass(frozen=True)
class Node:
    """One running broker."""

    name: str  # "b1", "b2", ...
    node_id: int
    address: str  # host:port where this run's drivers reach it
    pid: int | None = None  # process engine: pid of the JVM
    container: str | None = None  # docker engine: container name
    log: str = ""  # path of its log on this host; empty where only the engine can fetch it


@dataclass(frozen=True)
class ClusterInfo:
    """A cluster that was provisioned; stored as `cluster.json`."""

    run_id: str
    spec: ClusterSpec
    bootstrap: str  # host:port,host:port,... as drivers on this engine see it
    nodes: tuple[Node, ...]
    workdir: str  # folder on the host that holds configuration, data and logs
    network: str | None = None  # docker engine: the run's own network

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ClusterInfo:
        """Inverse of `to_dict` after a JSON round trip."""
        return cls(
            run_id=raw["run_id"],
            spec=ClusterSpec(**raw["spec"]),
            bootstrap=raw["bootstrap"],
            nodes=tuple(Node(**n) for n in raw["nodes"]),
            workdir=raw["workdir"],
            network=raw.get("network"),
        )


@dataclass(frozen=True)
class ProcessStats:
    """One reading of a process or container. `cpu_s` counts from its start."""

    time_ns: int  # CLOCK_MONOTONIC
    rss_bytes: int
    cpu_s: float
    threads: int
    descriptors: int  # -1 where the engine cannot see them
    sockets: int  # -1 where the engine cannot see them
    # On the wire since its start; -1 where the engine cannot see it. On the process engine bytes
    # above TCP, on the docker engine whole frames, as the container's interface counts them.
    received_bytes: int = -1
    sent_bytes: int = -1
    connections: int = -1  # TCP connections that are open


@dataclass(frozen=True)
class Connection:
    """One TCP connection of a driver, as the kernel counted it; bytes are those above TCP."""

    local: str  # host:port
    remote: str
    received_bytes: int
    sent_bytes: int
    received_segments: int
    sent_segments: int
    first_ns: int  # CLOCK_MONOTONIC of the first look that saw it
    last_ns: int  # of the last one
    end: str  # open | counted (closed, counters are final) | missed (what followed is not known)


@dataclass(frozen=True)
class Unseen:
    """Connections to the cluster that no look saw: what all drivers together lack at most."""

    connections: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True)
class Wire:
    """Every connection that the drivers of a cell had; stored as `wire.json`."""

    drivers: Mapping[str, tuple[Connection, ...]]
    unseen: Unseen

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form; `complete` says that no byte of any driver is missing."""
        missed = any(c.end == "missed" for each in self.drivers.values() for c in each)
        return {"complete": not missed and not self.unseen.connections, **asdict(self)}
