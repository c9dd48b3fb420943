"""The engine: one protocol for everything that can run brokers and drivers.

Steps and workloads know this protocol and the data of `model.cluster`, never an implementation. A
scenario names the capabilities that it needs (`needs`); what an engine cannot do it does not
declare, and such a scenario is skipped when the run is planned, in words, not when it is half done.

Faults on links between processes will be capabilities of their own (`link-cut`, `link-delay`, ...).
No engine declares one yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kafkalab.model.cluster import ClusterInfo, ClusterSpec, ProcessStats, Wire
from kafkalab.model.subject import DriverLaunch
from kafkalab.runtime.lease import Lease

KILL = "kill"  # a broker can be killed and restarted
PAUSE = "pause"  # a broker can be stopped in mid-flight and go on later
STATS = "stats"  # memory, CPU, threads of brokers and drivers can be read
SOCKETS = "sockets"  # descriptors and sockets of a driver can be counted
CONNECTIONS = "connections"  # what each connection of a driver carried can be told


@dataclass(frozen=True)
class Residue:
    """What was left of a run after its cluster was stopped; each entry names one thing."""

    processes: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.processes or self.containers or self.networks)

    def __str__(self) -> str:
        return "; ".join((*self.processes, *self.containers, *self.networks)) or "nothing"


class Engine(Protocol):
    """Runs brokers and drivers on one host.

    Every method raises `InfrastructureError` when the host does not do what was asked, and
    `UsageError` when it cannot be asked for; both say what to do.
    """

    @property
    def name(self) -> str:
        """`process` or `docker`: a part of lanes and reports."""

    def capabilities(self) -> frozenset[str]:
        """What a scenario may need of an engine, as far as this host really has it."""

    def start(self, spec: ClusterSpec, run_id: str, lease: Lease) -> ClusterInfo:
        """Start the brokers; they exist on return. When they serve is `readiness`' business.

        Everything started carries the run's id and ends with the lease. On an error nothing is
        left.
        """

    def stop(self, info: ClusterInfo) -> Residue:
        """End everything that the run started, and say what is still there (normally nothing)."""

    def kill(self, info: ClusterInfo, node: str) -> None:
        """Crash a broker (SIGKILL); returns when it is gone."""

    def pause(self, info: ClusterInfo, node: str) -> None:
        """Freeze a broker; its connections stay open."""

    def resume(self, info: ClusterInfo, node: str) -> None:
        """Let a frozen broker go on."""

    def restart(self, info: ClusterInfo, node: str) -> ClusterInfo:
        """Start a broker that ended, or stop and start one that runs, on its data.

        Returns the cluster as it is then: a process has another pid.
        """

    def logs(self, info: ClusterInfo, node: str) -> str:
        """Everything that a broker logged, over all its starts."""

    def stats(self, info: ClusterInfo, node: str) -> ProcessStats:
        """One reading of a broker's resources."""

    def alive(self, info: ClusterInfo, node: str) -> bool:
        """Whether a broker's process or container runs (a frozen one does)."""

    def driver_bootstrap(self, info: ClusterInfo) -> str:
        """Bootstrap servers as a driver on this engine reaches them: `host:port,...`."""

    def wrap_driver(
        self, launch: DriverLaunch, info: ClusterInfo, name: str
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """Command line and whole environment that run a driver on this engine.

        The process that they start has the driver's stdin, stdout and stderr, and lives and dies
        with it. `name` is unique within the run.
        """

    def driver_stats(self, info: ClusterInfo, name: str, pid: int) -> ProcessStats:
        """One reading of a driver that was started by `wrap_driver`; `pid` is that process."""

    def wire(self, info: ClusterInfo) -> Wire | None:
        """Every connection of the drivers that were read with `driver_stats`.

        None without the capability `connections`.
        """
