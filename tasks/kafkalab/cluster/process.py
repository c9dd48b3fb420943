"""The process engine: brokers are JVM processes on loopback, under a guard.

Nothing is installed: the JRE comes with the Python environment, Kafka from Maven. All brokers of a
cluster are children of one guard, which ends them with the run's lease and starts one again after
a fault.
Folders: `home()/runs/<run>/kafka-<version>/` with `b1/{server.properties,server.log,data,tmp}` and
the guard's own. `stop` removes data and keeps logs.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from kafkalab.cluster import cds, engine, kafka, resources, storage, topology
from kafkalab.cluster.engine import Residue
from kafkalab.cluster.wire import OPEN, Ledger
from kafkalab.model.cluster import ClusterInfo, ClusterSpec, Node, ProcessStats, Wire
from kafkalab.model.errors import InfrastructureError, LabError, UsageError
from kafkalab.model.subject import DriverLaunch
from kafkalab.runtime import guard, java, maven, paths, reaper
from kafkalab.runtime.guard import GuardHandle, Program
from kafkalab.runtime.lease import Lease, path_of

_HOST = "127.0.0.1"
_GRACE_S = 1.0  # brokers of a run that ends have nothing to save, and wait for each other at that
_LISTENERS = ("CLIENT", "BROKER", "CONTROLLER")
_GUARD = "brokers"

_log = logging.getLogger(__name__)


class ProcessEngine:
    """See `engine.Engine`."""

    name = "process"

    def __init__(self, ports: Callable[[int], list[int]] = resources.free_ports) -> None:
        """Args: ports: gives that many free ports."""
        self._ports = ports
        self._ledger: Ledger | None = None
        self._ledger_lacks = ""  # why there is none

    def capabilities(self) -> frozenset[str]:
        """What a scenario may need of this engine."""
        always = {engine.KILL, engine.PAUSE, engine.STATS, engine.SOCKETS}
        return frozenset(always | ({engine.CONNECTIONS} if self._connections() else set()))

    def start(self, spec: ClusterSpec, run_id: str, lease: Lease) -> ClusterInfo:
        """Start the brokers; they exist on return."""
        topology.check(spec)
        classpath = maven.resolve(kafka.coordinates(spec.version))
        files = storage.template(spec.version, classpath)
        workdir = _fresh_folder(spec, run_id)
        plans = self._plan(spec, workdir)
        cluster_id = storage.new_id()
        shared = cds.archive(spec.version, classpath)
        programs = []
        for plan in plans:
            folder = workdir / plan.name
            storage.write(files, Path(plan.data), cluster_id, plan.node_id)
            (folder / "tmp").mkdir()
            properties = folder / "server.properties"
            properties.write_text(topology.server_properties(spec, plan, plans), encoding="utf-8")
            recording = folder / cds.LISTING if plan is plans[0] else None
            jvm = (
                *kafka.jvm_options(spec.heap_mb),
                *cds.options(shared, recording),
                f"-Djava.io.tmpdir={folder / 'tmp'}",
                f"-XX:ErrorFile={folder / 'hs_err.log'}",
            )
            argv = java.java_command(classpath, kafka.MAIN, str(properties), jvm=jvm)
            env = {reaper.CLUSTER_VARIABLE: str(workdir)}
            programs.append(Program(plan.name, tuple(argv), folder / "server.log", env, folder))
        try:
            handle = guard.start_guarded(_GUARD, lease, programs, workdir, grace_s=_GRACE_S)
        except LabError:
            _remove_data(workdir)  # the guard has ended what it had started
            raise
        return _info(spec, run_id, workdir, plans, handle)

    def stop(self, info: ClusterInfo) -> Residue:
        """End this cluster's brokers and drivers, remove its data, keep its logs."""
        workdir = Path(info.workdir)
        GuardHandle.load(workdir / f"guard-{_GUARD}").end()
        reaper.end(reaper.residue(info.run_id, cluster=info.workdir))  # drivers of a killed step
        _remove_data(workdir)
        listing = workdir / info.nodes[0].name / cds.LISTING
        if listing.is_file():  # the first cluster of its version: the next ones start faster
            classpath = maven.resolve(kafka.coordinates(info.spec.version))
            cds.write(cds.archive(info.spec.version, classpath), listing, classpath)
        left = reaper.residue(info.run_id, cluster=info.workdir)
        return Residue(processes=tuple(str(each) for each in left))

    def kill(self, info: ClusterInfo, node: str) -> None:
        """Crash a broker; returns when it is gone."""
        _guard(info, node).kill(node)

    def pause(self, info: ClusterInfo, node: str) -> None:
        """Freeze a broker."""
        _guard(info, node).signal(node, signal.SIGSTOP)

    def resume(self, info: ClusterInfo, node: str) -> None:
        """Let a frozen broker go on."""
        _guard(info, node).signal(node, signal.SIGCONT)

    def restart(self, info: ClusterInfo, node: str) -> ClusterInfo:
        """Start a broker again on its data; one that runs is stopped before."""
        handle = _guard(info, node)
        handle.stop(node)
        pid = handle.start(handle.programs()[node])
        nodes = tuple(replace(n, pid=pid) if n.name == node else n for n in info.nodes)
        return replace(info, nodes=nodes)

    def logs(self, info: ClusterInfo, node: str) -> str:
        """Everything that a broker logged, over all its starts."""
        path = Path(info.workdir) / node / "server.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def stats(self, info: ClusterInfo, node: str) -> ProcessStats:
        """One reading of a broker's resources."""
        return resources.read(_guard(info, node).status()[node].pid or 0)

    def alive(self, info: ClusterInfo, node: str) -> bool:
        """Whether a broker's process runs."""
        return _guard(info, node).status()[node].alive()

    def driver_bootstrap(self, info: ClusterInfo) -> str:
        """Bootstrap servers as a driver reaches them."""
        return info.bootstrap

    def wrap_driver(
        self, launch: DriverLaunch, info: ClusterInfo, name: str
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """The driver's own command line; the environment marks it as the run's."""
        marks = {
            guard.RUN_VARIABLE: info.run_id,
            guard.LEASE_VARIABLE: str(path_of(info.run_id)),
            reaper.CLUSTER_VARIABLE: info.workdir,
            "KAFKALAB_DRIVER": name,
        }
        return launch.argv, {**os.environ, **launch.env, **marks}

    def driver_stats(self, info: ClusterInfo, name: str, pid: int) -> ProcessStats:
        """One reading of a driver, whose process `pid` is here."""
        stats, inodes = resources.read_with_sockets(pid)
        ledger = self._connections()
        if ledger is None:
            return stats
        found = ledger.look(name, inodes, _servers(info))
        return replace(
            stats,
            received_bytes=sum(each.received_bytes for each in found),
            sent_bytes=sum(each.sent_bytes for each in found),
            connections=sum(each.end == OPEN for each in found),
        )

    def wire(self, info: ClusterInfo) -> Wire | None:
        """Every connection of the drivers; None where the kernel does not tell."""
        ledger = self._connections()
        return ledger.wire(_servers(info)) if ledger else None

    def _connections(self) -> Ledger | None:
        if self._ledger is None and not self._ledger_lacks:
            try:
                self._ledger = Ledger()
            except InfrastructureError as error:
                self._ledger_lacks = str(error)
                _log.warning("connections of drivers are not counted: %s", error)
        return self._ledger

    def _plan(self, spec: ClusterSpec, workdir: Path) -> list[topology.NodePlan]:
        ports = iter(self._ports(spec.nodes * len(_LISTENERS)))
        plans = []
        for number, name in enumerate(topology.node_names(spec.nodes), start=1):
            addresses = {listener: f"{_HOST}:{next(ports)}" for listener in _LISTENERS}
            listeners = topology.listeners(addresses, addresses)
            plans.append(topology.NodePlan(name, number, listeners, str(workdir / name / "data")))
        return plans


def _info(
    spec: ClusterSpec,
    run_id: str,
    workdir: Path,
    plans: list[topology.NodePlan],
    handle: GuardHandle,
) -> ClusterInfo:
    pids = {name: status.pid for name, status in handle.status().items()}
    nodes = tuple(
        Node(
            name=plan.name,
            node_id=plan.node_id,
            address=plan.advertised("CLIENT"),
            pid=pids[plan.name],
            log=str(workdir / plan.name / "server.log"),
        )
        for plan in plans
    )
    return ClusterInfo(
        run_id=run_id,
        spec=spec,
        bootstrap=",".join(node.address for node in nodes),
        nodes=nodes,
        workdir=str(workdir),
    )


def _fresh_folder(spec: ClusterSpec, run_id: str) -> Path:
    """A new folder for a cluster; what an earlier attempt at the same left is ended."""
    base = paths.home().absolute() / "runs" / run_id / f"{spec.flavour}-{spec.version}"
    number, folder = 1, base
    while folder.exists():
        state = folder / f"guard-{_GUARD}"
        if (state / "status.json").exists():
            GuardHandle.load(state).end()
            _remove_data(folder)
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    folder.mkdir(parents=True)
    return folder


def _remove_data(workdir: Path) -> None:
    for pattern in ("b*/data", "b*/tmp"):
        for folder in workdir.glob(pattern):
            shutil.rmtree(folder)


def _servers(info: ClusterInfo) -> frozenset[str]:
    return frozenset(node.address for node in info.nodes)


def _guard(info: ClusterInfo, node: str) -> GuardHandle:
    if node not in {each.name for each in info.nodes}:
        known = ", ".join(each.name for each in info.nodes)
        raise UsageError(f"the cluster of run {info.run_id} has no node '{node}': it has {known}.")
    return GuardHandle.load(Path(info.workdir) / f"guard-{_GUARD}")
